"""The page on all runs: what it says of each, where it leads, where runs disagree, and what it does with odd ones."""

import base64
import json
import re
import shutil
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from article_helpers import NOTE, ROOT, RUN, dangling, ids, parse
from run_helpers import write

from unravel.article import overview
from unravel.files import InputError


@pytest.fixture
def results(finished_run, tmp_path, monkeypatch):
    """A folder with two finished runs that differ in their scale, and one folder that is no run."""
    monkeypatch.chdir(tmp_path)
    for name, scale in (("small", "demo"), ("large", "paper")):
        shutil.copytree(finished_run / RUN, f"results/{name}")
        edit_config(name, scale=scale)
    Path("results/downloads").mkdir()
    return Path("results")


def edit_config(name, **changes):
    path = Path(f"results/{name}/config.yaml")
    write(path, yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def claims_of(name):
    return json.loads(Path(f"results/{name}/claims.json").read_text())


def judge(name, **verdicts):
    """Give a run's claims other verdicts."""
    claims = [claim | {"verdict": verdicts.get(claim["id"], claim["verdict"])} for claim in claims_of(name)]
    write(f"results/{name}/claims.json", json.dumps(claims))


def write_index():
    return parse(overview.write(Path("results"), ROOT / "report", Path("results")))


def facts(page):
    """The table of runs: what each row says of each run."""
    rows = page.all("table")[1].all("tbody")[0].all("tr")
    return {row.all("th")[0].words: [cell.words for cell in row.all("td")] for row in rows}


def test_the_runs_stand_side_by_side_nearest_to_the_paper_first(results):
    page = write_index()
    heads = [head.words for head in page.all("table")[0].all("thead")[0].all("th")]
    assert heads == ["claim", "the paper, and where", "large", "small"]
    for row, claim in zip(page.all("table")[0].all("tbody")[0].all("tr"), claims_of("large"), strict=True):
        assert row.all("th")[0].words == f"{claim['claim']} ({claim['kind']})"
        paper, large, small = row.all("td")
        assert paper.words == f"{claim['paper']} ({claim['where']})"
        for name, cell in (("large", large), ("small", small)):
            link = cell.all("a")[0]
            assert link.attributes["href"] == f"{name}/report.html#claim-{claim['id']}"
            assert link.words.endswith(claim["verdict"])
            for value, shown in claim["shown"].items():
                if claim["values"]:
                    assert f"{shown}: {claim['values'][value]['mean']:.3g}" in cell.words


def test_every_link_leads_somewhere(results):
    page = write_index()
    assert dangling(page) == set()
    assert len(ids(page)) == len(set(ids(page)))
    links = {link.attributes["href"] for link in page.all("a")} - {f"#{id}" for id in ids(page)}
    anchors = defaultdict(set)
    for link in links:
        file, _, anchor = link.partition("#")
        anchors[results / file] |= {anchor} - {""}
    for file, wanted in anchors.items():
        assert not wanted or wanted <= set(ids(parse(file.read_text())))


def test_the_page_may_lie_in_any_folder(results):
    page = parse(overview.write(results, ROOT / "report", Path("pages/of all")))
    links = {link.attributes["href"].partition("#")[0] for link in page.all("a")} - {""}
    assert links == {"../../results/large/report.html", "../../results/small/report.html"}
    run = overview.read_run(results / "small", Path("elsewhere/one two"))
    assert run.report == "../../results/small/report.html"


def test_each_run_shows_its_figure_3_which_leads_to_its_report(results):
    for path in (results / "small/figures").glob("single-deletion.*svg"):
        path.unlink()
    large, small = write_index().with_class("small")[0].all("figure")
    assert large.all("a")[0].attributes["href"] == "large/report.html"
    stored = base64.b64decode(large.all("img")[0].attributes["src"].partition(",")[2])
    assert stored == (results / "large/figures/single-deletion.narrow.svg").read_bytes()
    assert small.all("p")[0].words == "not in this run"


def test_a_run_is_described_by_its_files(results):
    said = facts(write_index())
    records = [json.loads(path.read_text()) for path in (results / "large/jobs").rglob("*.json")]
    manifest = json.loads((results / "large/data/arrays/manifest.json").read_text())
    assert said["data"] == [" ".join(f"arrays. {manifest['origin']} {NOTE}".split())] * 2
    assert said["images"][0] == "48 to train on, 30 to test on, 3 classes"
    assert (said["seeds"], said["epochs"]) == (["1", "1"], ["1 epoch", "1 epoch"])
    assert "resnet (" in said["networks"][0]
    for network in ("resnet", "vgg", "effective-paths", "stochastic-depth"):
        drawn = json.loads((results / "large/figures/test-errors.json").read_text())["networks"][network]["scaled"]
        assert said[f"test error of {network}"][0] == f"{drawn['mean']:.2f} (n = 1)"
    hardware = records[0]["hardware"]
    assert said["hardware"][0].startswith(f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gb']} GB")
    assert sum(int(n) for n in re.findall(r"\((\d+) jobs?\)", said["hardware"][0])) == len(records)
    kinds = {"measured": "measured claims", "counting": "counting claims", "extra": "claims beyond the paper"}
    for kind, named in kinds.items():
        verdicts = [claim["verdict"] for claim in claims_of("large") if claim["kind"] == kind]
        counted = re.findall(r"(\d+) \S ((?:partly |not )?(?:supported|tested))", said[f"verdicts on {named}"][0])
        words = ("supported", "partly supported", "not supported", "not tested")
        assert counted == [(str(verdicts.count(word)), word) for word in words]


def test_it_says_where_runs_disagree_and_where_they_judge_by_other_criteria(results):
    judge("large", binomial="supported", decay="supported", imagenet="not tested")
    judge("small", binomial="supported", decay="partly supported", imagenet="supported")
    (entry,) = write_index().all("li")
    assert entry.words.startswith("“The gradient along a path falls exponentially with its length”")
    assert re.search(r"is \S supported in large; \S partly supported in small\.$", entry.words)
    changed = [claim | ({"criterion": "another"} if claim["id"] == "decay" else {}) for claim in claims_of("small")]
    write("results/small/claims.json", json.dumps(changed))
    (entry,) = write_index().all("li")
    assert "The criteria differ" in entry.words
    judge("small", decay="supported")
    page = write_index()
    assert page.all("li") == []
    assert "large, small come to the same verdict on every claim" in page.words


def test_test_runs_are_shown_but_not_held_against_others(results):
    edit_config("small", scale="ci")
    judge("large", decay="supported")
    judge("small", decay="not supported")
    page = write_index()
    assert page.all("li") == []
    assert "Only large has verdicts that mean something" in page.words
    assert facts(page)["scale"][1] == "test run of a few seconds: its numbers mean nothing"
    edit_config("large", scale="ci")
    assert "These are test runs: their verdicts mean nothing." in write_index().words


def test_one_run_is_enough_and_none_is_refused(results):
    shutil.rmtree("results/large")
    page = write_index()
    assert "1 finished run: small." in page.words
    assert "nothing to compare them with" in page.words
    (results / "small/provenance.json").unlink()  # not finished
    with pytest.raises(InputError, match="results: holds no finished run; make one with `make report`"):
        write_index()


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("claims.json", lambda text: text.replace('"shown"', '"displayed"'), "results/small/claims.json: 0."),
        ("provenance.json", lambda text: text.replace('"schema_version": 1', '"schema_version": 0'), "of schema 1"),
        ("config.yaml", lambda text: text + "new_key: 1\n", "new_key"),
        ("jobs/claims.json", lambda text: text.replace('"schema": 2', '"schema": 0'), "job record of schema 0"),
        ("data/arrays/manifest.json", lambda text: "{", "manifest.json"),
    ],
)
def test_a_run_of_another_version_is_one_line(results, file, change, said):
    path = results / "small" / file
    write(path, change(path.read_text()))
    page = write_index()
    (line,) = page.by_id("problems").all("li")
    assert line.words.startswith("small is not shown. ")
    assert said in line.words
    assert [head.words for head in page.all("table")[0].all("thead")[0].all("th")][2:] == ["large"]


def test_a_page_with_nothing_but_problems_can_be_written(results):
    for name in ("small", "large"):
        write(f"results/{name}/claims.json", "[")
    assert len(write_index().by_id("problems").all("li")) == 2


def test_without_a_report_or_without_its_anchors_a_verdict_leads_as_far_as_it_can(results):
    (results / "small/report.html").unlink()
    write("results/large/report.html", "<h1>of an older version</h1>")
    row = write_index().by_id("claim-decay")
    large, small = row.all("td")[1:]
    assert [link.attributes["href"] for link in large.all("a")] == ["large/report.html"]
    assert small.all("a") == []
    assert small.words


def test_text_of_a_run_is_no_markup_and_nothing_is_fetched(results):
    page = overview.write(Path("results"), ROOT / "report", Path("results"))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert all(source.startswith("data:image/svg+xml;base64,") for source in re.findall(r'src="(.*?)"', page))
    assert not re.search(r"@import|url\(|https?:", page)


def test_the_same_runs_give_the_same_bytes(results):
    assert overview.write(Path("results"), ROOT / "report", Path("results")) == overview.write(
        Path("results"), ROOT / "report", Path("results")
    )
