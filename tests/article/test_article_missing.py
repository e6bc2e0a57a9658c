"""The article of a run of which something is missing, damaged, odd or old: a placeholder or one clear line."""

import json
import shutil

import pytest
from article_helpers import ROOT, RUN, dangling, figures, ids, parse, sections
from run_helpers import changed_record

from unravel.article import build
from unravel.files import InputError


@pytest.fixture
def run(folder, tmp_path):
    """A copy of the run, to be spoilt."""
    return shutil.copytree(RUN, tmp_path / "tiny")


def written(run):
    return parse(build.write(run, ROOT / "report"))


def headings(page):
    return [heading.words for heading in page.all("h1", "h2")]


def change_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "name",
    [
        "jobs/figures/single-deletion.json",
        *[f"figures/single-deletion.{s}" for s in ("narrow.svg", "pdf", "json")],
    ],
)
def test_instead_of_a_figure_that_lacks_a_file_the_article_says_which_and_what_makes_it(run, page, name):
    (run / name).unlink()
    partial = written(run)
    placeholder = figures(partial)["single-deletion"]
    assert placeholder.attributes["class"] == "figure placeholder"
    assert "Figure 3. Test error after deleting each block in turn: not in this report." in placeholder.words
    assert f"{name.removeprefix('figures/')}: is missing" in placeholder.words
    assert placeholder.all("code")[0].text == f"snakemake figure_3 --cores all --configfile {run}/config.yaml"
    assert headings(partial) == headings(page)
    assert figures(partial).keys() == figures(page).keys()
    # the first screen and the abstract need the same numbers, and nothing else does
    for name in ("question", "abstract"):
        (instead,) = sections(partial)[name].all("figure")
        assert "Figure 3. Test error" in instead.words
    assert dangling(partial) == set()
    assert len(ids(partial)) == len(set(ids(partial)))
    assert len([one for one in partial.all("figure") if "placeholder" in one.attributes["class"]]) == 3


def test_a_damaged_figure_is_a_placeholder(run):
    damages = {
        "reordering.svg": ("<svg></svg>", "the svg has no viewBox"),
        "random-deletion.svg": ("<svg", "the svg is damaged"),
        "path-gradients.narrow.svg": ("<svg", "the svg is damaged"),
        "paths-left.json": ("{", "figures/paths-left.json: is not JSON"),
        "test-errors.json": ("[]", "figures/test-errors.json: holds list, expected dict"),
        "forward-paths.csv": ("", "figures/forward-paths.csv: is damaged"),
    }
    for name, (content, _) in damages.items():
        (run / "figures" / name).write_text(content)
    shown = figures(written(run))
    for name, (_, message) in damages.items():
        assert message in shown[name.partition(".")[0]].words


def test_a_figure_that_an_earlier_version_drew_has_one_drawing(run):
    narrow = run / "figures" / "paths-left.narrow.svg"
    narrow.unlink()
    with changed_record(run / "jobs" / "figures" / "paths-left.json") as record:
        del record["outputs"][(RUN / narrow.relative_to(run)).as_posix()]
    (picture,) = figures(written(run))["paths-left"].with_class("picture")
    assert [svg.attributes["class"] for svg in picture.all("svg")] == ["wide"]


def test_without_its_verdicts_a_run_shows_its_figures(run, page):
    (run / "claims.json").unlink()
    partial = written(run)
    assert f"{run}/claims.json: is missing" in sections(partial)["claims"].words
    assert "snakemake claims" in sections(partial)["claims"].words
    assert all(figure.all("svg") for figure in figures(partial).values())
    assert headings(partial) == headings(page)
    assert dangling(partial) == set()


def test_verdicts_without_a_record_are_said_to_come_from_nowhere_known(run):
    (run / "jobs/claims.json").unlink()
    section = sections(written(run))["claims"]
    assert f"Where these verdicts come from is not known: {run}/claims.json has no job record." in section.words
    judged = json.loads((run / "claims.json").read_text())
    assert section.words.count("! evidence: unknown source") == len(judged)


def test_without_a_training_record_the_networks_are_a_placeholder(run):
    (run / "jobs/checkpoints/vgg/seed1.json").unlink()
    partial = written(run)
    for name in ("networks", "checkpoints"):
        assert "jobs/checkpoints/vgg/seed1.json: is missing" in sections(partial)[name].words
    assert all(figure.all("svg") for figure in figures(partial).values())
    assert dangling(partial) == set()


def test_a_run_of_which_only_config_and_data_are_left_names_everything_it_lacks(run, page):
    for name in ("figures", "jobs", "measurements", "checkpoints"):
        shutil.rmtree(run / name)
    (run / "claims.json").unlink()
    partial = written(run)
    assert headings(partial) == headings(page)
    assert figures(partial).keys() == figures(page).keys()
    assert all("is missing" in figure.words for figure in figures(partial).values())
    assert dangling(partial) == set()


@pytest.mark.parametrize("name", ["config.yaml", "data/arrays/manifest.json"])
def test_without_config_or_manifest_there_is_no_article(run, name):
    (run / name).unlink()
    with pytest.raises(InputError, match=name.replace(".", r"\.")) as caught:
        build.write(run, ROOT / "report")
    assert "\n" not in str(caught.value)


def test_a_missing_checkpoint_is_said_on_its_card(run):
    (run / "checkpoints/vgg/seed1.safetensors").unlink()
    partial = written(run)
    assert "No longer in the run's folder" in partial.by_id("card-vgg-seed1").words
    assert "No longer in the run's folder" not in partial.by_id("card-resnet-seed1").words


# --- odd tables -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "words"), [("", "Data (0 rows)"), ("a,1,2\n", "Data (1 row)")])
def test_a_table_may_have_few_rows(run, rows, words):
    (run / "figures/class-overview.csv").write_text("class,train_images,test_images\n" + rows)
    figure = figures(written(run))["class-overview"]
    assert words in [summary.words for summary in figure.all("summary")]
    assert len(figure.all("tbody")[0].all("tr")) == len(rows.splitlines())


def test_numbers_that_are_none_read_as_such(run):
    text = (run / "figures/single-deletion.json").read_text()
    values = json.loads(text, parse_float=lambda _: float("nan"))
    (run / "figures/single-deletion.json").write_text(json.dumps(values))
    (run / "figures/single-deletion.csv").write_text("network,error_percent\nresnet,\nresnet,nan\n")
    section = sections(written(run))["single-deletion"]
    assert "gives errors of at least n/a% and at most n/a%" in section.words
    paragraphs = [paragraph.words for paragraph in section.all("p")]
    assert not any("nan" in paragraph.split() for paragraph in paragraphs)
    assert [row.words for row in section.all("tbody")[0].all("tr")] == ["resnet", "resnetnan"]


def test_markup_in_results_stays_text(run):
    planted = "<i>planted</i> & <b>"
    change_json(run / "claims.json", lambda claims: claims[0].update(claim=planted, paper=planted))
    record = run / "jobs/figures/single-deletion.json"
    with changed_record(record) as said:
        said["hardware"]["cpu"] = planted
        said["command"] = f"python {planted}"
    (run / "figures/class-overview.csv").write_text(f'class,train_images\n"{planted}",1\n')
    page = written(run)
    # the article's own italics are letters and numbers of formulas
    assert not [element for element in page.all("i", "b") if "planted" in element.text]
    assert page.text.count(planted) >= 6


# --- results of another version -------------------------------------------------------------------------------------


def test_a_record_of_another_schema_is_refused_in_one_line(run):
    change_json(run / "jobs/claims.json", lambda record: record.update(schema=0))
    with pytest.raises(
        InputError, match=r"claims\.json: is a job record of schema 0, this code reads schemas 1 and 2"
    ) as caught:
        build.write(run, ROOT / "report")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", '{"outputs": {}}'])
def test_a_record_that_is_none_is_refused_in_one_line(run, content):
    (run / "jobs/checkpoints/vgg/seed1.json").write_text(content)
    with pytest.raises(
        InputError, match=r"seed1\.json: (is not JSON|holds list|not a job record).* run its job again"
    ) as caught:
        build.write(run, ROOT / "report")
    assert "\n" not in str(caught.value)


def test_verdicts_of_another_version_are_a_placeholder(run):
    change_json(run / "claims.json", lambda claims: claims[0].update(shown=["gradient_error"]))
    assert "claims.json: 0.shown:" in sections(written(run))["claims"].words


def test_a_failed_check_is_the_first_line_and_the_article_is_whole_below_it(run, page):
    """The run of the tests has images of noise; here its manifest says that two test images are training images."""
    (header,) = page.all("header")
    assert "failed" not in header.words
    change_json(
        next(run.glob("data/*/manifest.json")),
        lambda manifest: manifest.update(identical={"in_both": 2, "in_train": 0, "in_test": 0}),
    )
    spoilt = written(run)
    (header,) = spoilt.all("header")
    first = (
        "A check of this run failed. No test image is a training image: 48 training and 30 test images by SHA-256: 2"
    )
    assert header.words.startswith(f"{first} test images are training images, too")
    assert headings(spoilt) == headings(page)
    assert [item.words.partition(":")[0] for item in spoilt.by_id("checks").all("li")].count("Failed") == 1
    assert [item.words.partition(":")[0] for item in page.by_id("checks").all("li")].count("Failed") == 0
