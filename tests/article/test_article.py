"""The article of a small run that the real scripts made: links, hashes, downloads, escaping, and what is refused."""

import base64
import getpass
import gzip
import itertools
import json
import math
import re
import shlex
import shutil
import socket
from pathlib import Path

import jinja2
import pytest
from article_helpers import CLASSES, NOTE, ROOT, RUN, dangling, figures, ids, parse, run_script
from run_helpers import changed_record

from unravel.article import build, pages
from unravel.evidence import lineage, seal
from unravel.files import InputError, sha256


def test_every_figure_of_the_run_is_shown(page):
    assert set(figures(page)) == {path.stem for path in (RUN / "figures").glob("*.pdf")}


def test_no_id_is_there_twice(page):
    assert len(ids(page)) == len(set(ids(page))) > 20


def test_every_link_within_the_page_has_its_target(page):
    known = set(ids(page))
    links = {link.attributes["href"] for link in page.all("a")}
    assert {"#provenance", "#fig-single-deletion", "#job-checkpoints-vgg-seed1"} <= links
    assert dangling(page) == set()
    for element in page.all():
        assert set((element.attributes.get("aria-labelledby") or "").split()) <= known


def test_nothing_is_fetched_from_elsewhere(page):
    for element in page.all():
        for name in ("src", "href", "xlink:href", "data", "action", "srcset"):
            leads = ("#", "data:", "https://") if element.tag == "a" else ("#", "data:")  # a reader may go elsewhere
            assert (element.attributes.get(name) or "#").startswith(leads), element.attributes
    assert not page.all("link", "iframe", "object", "embed")
    assert "@import" not in page.all("style")[0].text
    for style in [element.text for element in page.all("style")] + [
        e.attributes.get("style") or "" for e in page.all()
    ]:
        assert "url(" not in style.replace("url(#", "")


def test_references_inside_a_picture_stay_inside_it(page):
    found = 0
    for figure in figures(page).values():
        for picture in figure.with_class("picture")[0].all("svg"):
            values = " ".join(value for element in picture.all() for value in element.attributes.values() if value)
            clips = set(re.findall(r"url\(#(.*?)\)", values))
            assert clips <= set(ids(picture))
            found += len(clips)
    assert found > 4


def test_a_picture_has_a_name_and_a_description(page):
    for figure in figures(page).values():
        wide, narrow = figure.with_class("picture")[0].all("svg")
        assert (wide.attributes["class"], narrow.attributes["class"]) == ("wide", "narrow")
        title, description = wide.children[:2]
        assert (title.tag, description.tag) == ("title", "desc")
        assert title.text.strip()
        assert description.text.strip()
        for picture in (wide, narrow):
            assert picture.attributes["role"] == "img"
            named = [title.attributes["id"], description.attributes["id"]]
            assert picture.attributes["aria-labelledby"].split() == named


def test_every_hash_is_that_of_the_file_beside_it(page):
    shown = {}
    for row in page.all("tr", "dd"):
        for path, code in itertools.pairwise(row.all("code")):
            if code.attributes.get("class") == "hash":
                shown[path.text] = code.text
    results = {
        path for name in ("data", "checkpoints", "measurements", "figures") for path in (RUN / name).rglob("*.*")
    }
    modules = {f"scripts/unravel/studies/{name}/figure.py" for name in ("single_deletion", "class_overview")}
    assert {str(path) for path in results} | modules | {"train.npz", "test.npz"} <= set(shown)
    assert shown == {path: sha256(path) for path in shown}


def test_a_recorded_command_makes_the_same_files_again(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "copy", symlinks=True))
    for path in sorted((RUN / "jobs" / "figures").iterdir())[::5]:  # test_workflow.py draws each again
        record = json.loads(path.read_text())
        run_script(shlex.split(record["command"])[1:])
        assert {output: sha256(output) for output in record["outputs"]} == {
            output: described["sha256"] for output, described in record["outputs"].items()
        }


def test_downloads_are_the_figures_files(page):
    for slug, figure in figures(page).items():
        links = [link.attributes for link in figure.all("a") if "download" in link.attributes]
        assert [link["download"] for link in links] == [f"{slug}.{ending}" for ending in ("svg.gz", "pdf", "csv.gz")]
        for link in links:
            kind, content = link["href"].split(",")
            content = base64.b64decode(content)
            if link["download"].endswith(".gz"):
                assert kind == "data:application/gzip;base64"
                content = gzip.decompress(content)
            else:
                assert kind == "data:application/pdf;base64"
            assert content == (RUN / "figures" / link["download"].removesuffix(".gz")).read_bytes()


def test_text_of_others_is_no_markup(page):
    assert NOTE in page.text
    kinds = [script.attributes.get("type") for script in page.all("script")]
    # the page's own, of which one is in the head, and networks to cut
    assert kinds == [None, "application/json", None]
    assert not page.all("b")
    overview = figures(page)["class-overview"]
    assert {element.text.strip() for element in overview.all("text")} >= set(CLASSES)
    assert [row.all("td")[0].text for row in overview.all("tbody")[0].all("tr")] == list(CLASSES)
    assert NOTE in page.by_id("run-config").words


def test_names_made_of_digits_keep_their_zeros(folder, tmp_path):
    run = shutil.copytree(RUN, tmp_path / "tiny")
    (run / "figures" / "class-overview.csv").write_text("class,train_images,test_images\n007,5,0.5\n")
    assert "<tr><td>007</td><td>5</td><td>0.5</td></tr>" in build.write(run, ROOT / "report")


def test_the_page_says_that_its_numbers_mean_nothing(page):
    (banner,) = [element for element in page.all("p") if element.attributes.get("class") == "banner"]
    assert "Its numbers mean nothing" in banner.text


def test_each_figure_says_whether_it_is_fresh_and_if_not_why(folder, page, monkeypatch, tmp_path):
    def chips(page):
        found = {
            slug: [*figure.with_class("freshness"), *figure.with_class("stale")]
            for slug, figure in figures(page).items()
        }
        return {slug: [part.text for part in found[slug]] for slug in found}

    assert {slug: [text.split() for text in texts] for slug, texts in chips(page).items()} == {
        slug: [["✓", "fresh"]] for slug in figures(page)
    }
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "copy", symlinks=True))
    checkpoint = RUN / "checkpoints" / "vgg" / "seed1.safetensors"
    checkpoint.unlink()
    written = parse(build.write(RUN, ROOT / "report"))
    stale = {slug for slug, (text, *_) in chips(written).items() if "stale" in text}
    assert stale == {"single-deletion", "live-network", "test-errors", "lesion-kinds", "iterative-inference"}
    _, text = chips(written)["single-deletion"]
    assert (
        f"stale: {checkpoint}: is missing. To bring it up to date, run snakemake {RUN}/figures/single-deletion.svg"
        in text
    )
    assert "16 of 21 figures fresh" in written.text


def test_a_sealed_run_says_so_first_and_offers_no_command_that_trains(folder, page, monkeypatch, tmp_path):
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "copy", symlinks=True))
    made = seal.make(RUN)
    (RUN / seal.NAME).write_text(made.model_dump_json())
    (RUN / "checkpoints/vgg/seed1.resume.safetensors").touch()  # what is not sealed may come and go
    written = parse(build.write(RUN, ROOT / "report"))
    head = written.with_class("strip")[0].words
    verdicts = len(json.loads((RUN / "claims.json").read_text()))
    assert f"2026; all {len(made.files)} files and {verdicts} verdicts verified" in re.sub(r"\b20\d\d;", "2026;", head)
    assert "figures fresh" not in head
    commands = [element.text for element in written.with_class("command")]
    assert not [text for text in commands if "--force" in text or text.startswith("python") or "figure_classes" in text]
    assert [text for text in commands if text.startswith("make")][-2:] == [
        "make reference RUN=tiny",
        "make verify RUN=tiny",
    ]
    assert [element.text for element in page.with_class("ran") if element.text.startswith("python")]
    assert written.text.count("the code that decides them was still the same") == 1
    (RUN / "checkpoints/vgg/seed1.history.csv").write_text("other")
    with pytest.raises(InputError, match=r"seed1\.history\.csv: is not the file that was sealed"):
        build.write(RUN, ROOT / "report")


def test_numbers_in_the_text_are_those_of_the_files(page):
    values = json.loads((RUN / "figures" / "single-deletion.json").read_text())["networks"]["resnet"]
    caption = figures(page)["single-deletion"].all("figcaption")[0].text
    low, high = values["lowest_error_percent"], values["highest_error_percent"]
    low, high = f"{math.floor(10 * low + 1e-9) / 10:.1f}", f"{math.ceil(10 * high - 1e-9) / 10:.1f}"
    assert f"resnet: deleting one of 6 blocks gives errors of at least {low}% and at most {high}%" in caption
    facts = json.loads((RUN / "jobs" / "checkpoints" / "vgg" / "seed1.json").read_text())["facts"]
    (row,) = [row for row in page.all("tr") if row.all("th")[:1] and row.all("th")[0].text == "vgg"]
    cells = [cell.text.strip() for cell in row.all("td")]
    assert f"{facts['parameters']:,}" in cells
    errors = json.loads((RUN / "figures" / "test-errors.json").read_text())["networks"]
    assert f"{errors['vgg']['scaled']['mean']:.2f} (n = 1)" in cells


def test_the_equations_name_each_branch_as_often_as_the_unraveled_view(page):
    values = json.loads((RUN / "figures" / "unraveled-view.json").read_text())
    (lines,) = [element for element in page.with_class("equations") if "aligned" in element.attributes["class"]]
    said = " ".join(formula.attributes["aria-label"] for formula in lines.with_class("formula"))
    equations = said.replace("_", "").replace(" ", "").split("=")
    assert equations == [
        "y3",
        "y2+f3(y2)",
        "y1+f2(y1)+f3(y1+f2(y1))",
        "y0+f1(y0)+f2(y0+f1(y0))+f3(y0+f1(y0)+f2(y0+f1(y0)))",
    ]
    assert [equations[-1].count(f"f{block}") for block in (1, 2, 3)] == values["copies"]
    assert equations[-1].count("y0") == values["paths"]["residual"]


def test_the_captions_of_figures_1_and_2_count_the_paths_of_their_tables(page):
    shown = {slug: " ".join(figure.all("figcaption")[0].text.split()) for slug, figure in figures(page).items()}
    assert "8 paths lead from the input to the output of 3 residual blocks" in shown["unraveled-view"]
    assert "f1 is there 4 times, f2 is there 2 times, f3 is there 1 time." in shown["unraveled-view"]
    left = "Without block 2 of 3, 4 of 8 paths of the residual network are left, and 0 of 1 of the plain network."
    assert left in shown["unraveled-deletion"]
    table = figures(page)["unraveled-deletion"].all("tbody")[0]
    cells = [[cell.text for cell in row.all("td")] for row in table.all("tr")]
    assert ["residual", "010", "011", "f2 f3", "2", "False"] in cells  # names keep their zeros


def test_the_masthead_says_what_the_records_say(folder, page):
    records = [json.loads(path.read_text()) for path in (RUN / "jobs").rglob("*.json")]
    text = " ".join(page.all("header")[0].text.split())
    assert "tiny run" in text
    assert "scale: ci" in text
    for commit in {record["code"]["commit"] for record in records} - {None}:
        assert commit[:12] in text
    assert f"{pages.duration(sum(record['seconds'] for record in records))} of computing" in text
    assert max(record["started"] for record in records)[:10] in [
        time.attributes["datetime"] for time in page.all("time")
    ]
    assert ("uncommitted changes" in text) == any(record["code"]["dirty"] for record in records)


@pytest.mark.parametrize("dirty", [True, False])
def test_uncommitted_changes_are_flagged_at_the_top(folder, tmp_path, dirty):
    run = shutil.copytree(RUN, tmp_path / "tiny")
    for path in (run / "jobs").rglob("*.json"):
        with changed_record(path) as record:
            record["code"] = {"commit": "0123456789abcdef", "dirty": dirty and path.name == "claims.json"}
    header = parse(build.write(run, ROOT / "report")).all("header")[0].text
    assert "commit 0123456789ab" in header
    assert ("uncommitted changes" in header) == dirty


def test_the_date_can_be_given_from_outside(folder, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    dated = build.write(RUN, ROOT / "report")
    assert dated == build.write(RUN, ROOT / "report")
    assert '<time datetime="1970-01-02">2 January 1970</time>' in dated
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH: 'yesterday' is no number of seconds"):
        build.write(RUN, ROOT / "report")


def test_the_page_names_no_user_no_host_and_no_folder(folder, page):
    html = (RUN / "report.html").read_text(encoding="utf-8")
    for private in (folder, ROOT):
        assert str(private) not in html
    for private in (Path.home().as_posix(), getpass.getuser(), socket.gethostname()):
        assert not re.search(rf"(?<!\w){re.escape(private)}(?!\w)", page.all("body")[0].text), private


def test_writing_twice_gives_the_same_page(folder):
    first, second = (build.write(RUN, ROOT / "report") for _ in range(2))
    assert first == second == (RUN / "report.html").read_text(encoding="utf-8")


def test_a_number_that_no_file_holds_fails_the_build(folder, tmp_path):
    source = shutil.copytree(ROOT / "report", tmp_path / "report")
    template = source / "article.html"
    template.write_text(template.read_text().replace("</body>", "{{ manifest.accuracy }}</body>"))
    with pytest.raises(jinja2.UndefinedError, match="accuracy"):
        build.write(RUN, source)


# --- parts ----------------------------------------------------------------------------------------------------------


def test_a_trace_goes_back_to_the_first_files_nearest_first():
    def record(inputs, outputs):
        return {
            key: {path: {"sha256": path} for path in paths} for key, paths in (("inputs", inputs), ("outputs", outputs))
        }

    records = {
        "data": record(["raw"], ["images"]),
        "train": record(["images"], ["network"]),
        "measure": record(["images", "network"], ["table"]),
        "unrelated": record(["raw"], ["other"]),
    }
    found = lineage.trace(record(["code", "table"], ["figure"]), records)
    assert [(file["path"], file["maker"]) for file in found] == [
        ("code", None),
        ("table", "measure"),
        ("images", "data"),
        ("network", "train"),
        ("raw", None),
    ]
