"""Two runs side by side: what differs is shown, what does not is not, and a run against itself is identical."""

import base64
import importlib
import json
import re
import shutil

import pytest
from article_helpers import parse
from run_helpers import ROOT, RUN, changed_record, make_run, write

from unravel.article import comparison, same_scale
from unravel.studies import FIGURES

OTHER = RUN.parent / "other"
NETWORKS = ("resnet", "vgg")


@pytest.fixture(autouse=True)
def run(tmp_path, monkeypatch):
    make_run(tmp_path, monkeypatch)
    shutil.copytree(RUN, OTHER)


def write_page():
    return comparison.write(RUN, OTHER, ROOT / "report")


def edit(path, change):
    document = json.loads((OTHER / path).read_text())
    change(document)
    write(OTHER / path, json.dumps(document))


def test_a_run_against_itself_is_identical():
    page = comparison.write(RUN, RUN, ROOT / "report")
    assert "The two runs are identical" in page
    assert "No key differs." in page


def test_only_keys_that_differ_are_shown_with_both_values():
    path = OTHER / "config.yaml"
    write(
        path,
        path.read_text().replace("learning_rate: 0.1\n", "learning_rate: 0.05\n", 1).replace("run: tiny", "run: other"),
    )
    page = write_page()
    table = page.partition('id="networks"')[0]
    assert re.findall(r"<code>(.*?)</code></th><td>(.*?)</td><td>(.*?)</td>", table) == [
        ("run", "tiny", "other"),
        ("training.learning_rate", "0.1", "0.05"),
    ]
    assert "identical" not in page


def test_other_results_of_the_same_config_are_not_identical():
    with changed_record(OTHER / "jobs/claims.json") as record:
        next(iter(record["outputs"].values()))["sha256"] = "0" * 64
    assert "identical" not in write_page()


def test_errors_and_verdicts_stand_side_by_side():
    with changed_record(OTHER / "jobs/checkpoints/vgg/seed1.json") as record:
        record["facts"]["test_error_percent"] = 7.5
    edit("claims.json", lambda claims: claims[0].update(verdict="not supported"))
    page = " ".join(write_page().split())
    row = re.search(r'<th scope="row">vgg</th>(.*?)</tr>', page)[1]
    assert re.findall(r"<td> ?(.*?) ?</td>", row) == ["5.00, n = 1", "7.50, n = 1", "2.50, n = 1"]
    row = re.search(r'<th scope="rowgroup"[^>]*> ?Deleting any layer of VGG(.*?)</tr>', page)[1]
    assert "<td>different</td>" in row
    assert re.findall(r'class="verdict .*?</span> (.*?)</span>', row) == ["supported", "not supported"]


def test_what_differs_is_said_in_words_first():
    with changed_record(OTHER / "jobs/checkpoints/vgg/seed1.json") as record:
        record["facts"]["test_error_percent"] = 7.5
    edit("claims.json", lambda claims: claims[0].update(verdict="not supported"))
    claims = json.loads((RUN / "claims.json").read_text())
    said = parse(re.search(r'<p id="differs">.*?</p>', write_page(), re.DOTALL)[0]).words
    assert said == (
        "The two runs differ in 0 keys of their configs. They come to different verdicts on 1 of the "
        f"{len(claims)} claims that both judge: “{claims[0]['claim'].removesuffix('.')}”. "
        "The error of resnet is the same in both; that of vgg is 2.50 points higher in other."
    )


def drawing(slug, *tables):
    """A figure of tables at this place."""
    study = FIGURES[slug][0].name
    return importlib.import_module(f"unravel.studies.{study}.figure").draw(tables, "ci").figure


def test_panels_of_two_runs_get_the_ends_of_both_and_keep_their_direction():
    one = drawing("single-deletion", *sorted((RUN / "measurements/deletions").glob("*.csv")))
    other = drawing("single-deletion", RUN / "measurements/deletions/resnet-seed1.csv")
    one.axes[0].set(xlim=(0, 5), ylim=(-1, 40))
    other.axes[0].set(xlim=(7, 2), ylim=(0, 95))  # from right to left
    same_scale.share(one, other)
    assert [figure.axes[0].get_ylim() for figure in (one, other)] == [(-1, 95), (-1, 95)]
    assert [figure.axes[0].get_xlim() for figure in (one, other)] == [(0, 7), (7, 0)]


def test_panels_that_show_something_else_are_left_alone():
    one, other = (drawing("single-deletion", *(RUN / "measurements/deletions").glob(f"{name}*")) for name in NETWORKS)
    one.axes[0].set(ylim=(0, 40))
    other.axes[0].set(ylim=(0, 95), ylabel="another quantity")
    same_scale.share(one, other)
    assert one.axes[0].get_ylim() == (0, 40)


def test_a_figure_is_drawn_again_for_both_runs_or_shown_as_it_lies_there_with_the_reason():
    runs = [comparison.read_run(run) for run in (RUN, OTHER)]
    drawn = comparison.pair("single-deletion", *runs)
    assert drawn.apart == ""
    assert drawn.one == drawn.other  # the same tables
    assert b"<svg" in base64.b64decode(drawn.one.partition(",")[2])
    table = RUN / "measurements/deletions/vgg-seed1.csv"
    write(table, table.read_text() + "\n")
    as_stored = comparison.pair("single-deletion", *runs)
    assert str(table) in as_stored.apart
    assert base64.b64decode(as_stored.one.partition(",")[2]) == b"single-deletion svg"
    assert str(table) in " ".join(write_page().split())


def test_errors_are_those_of_the_saved_networks_where_the_run_draws_them():
    """Training's own last error, 5 percent here, stands in for them only where there is no such figure."""
    rows = ["network,convention,seed,error_percent", "vgg,unscaled,1,80", "vgg,scaled,2,7", "vgg,scaled,1,6"]
    write(RUN / "figures" / "test-errors.csv", "\n".join(rows) + "\n")
    assert comparison.test_errors(RUN, {}) == {"vgg": [6, 7]}
    assert comparison.read_run(OTHER).errors["vgg"] == [5]


def table_of(page, claim):
    """The rows of a claim's values: what it is, both runs, and the difference."""
    body = re.search(rf'<tbody id="claim-{claim}">(.*?)</tbody>', " ".join(page.split()))[1]
    return [re.findall(r"<td> ?(.*?) ?</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", body)[1:]]


def test_the_values_of_claims_are_subtracted_with_their_interval():
    def change(claims):
        (claim,) = [claim for claim in claims if claim["id"] == "delete-resnet"]
        claim["per_seed"] = [claim["per_seed"][0] | {"median_increase_points": value} for value in (4.0, 6.0)]

    edit("claims.json", change)
    rows = {row[0]: row[1:] for row in table_of(write_page(), "delete-resnet")}
    (claim,) = [claim for claim in json.loads((OTHER / "claims.json").read_text()) if claim["id"] == "delete-resnet"]
    assert list(rows) == list(claim["shown"].values())
    one, other, difference = rows["median increase, points"]
    # by hand: the deletions of the residual network cost 9, 0 and 2 points, the first one halves the resolution
    assert (one, other, difference) == ("1, n = 1", "5 (-7.71 to 17.7), n = 2", "4, n = 1")  # 12.706 times 1
    assert table_of(write_page(), "imagenet") == []


def test_the_numbers_of_figures_that_differ_are_subtracted():
    edit("figures/single-deletion.json", lambda values: values["networks"]["vgg"].update(worst=80.5))
    page = " ".join(write_page().split())
    assert "Numbers of class-overview" not in page
    found = re.search(r"Numbers of single-deletion that differ: 1</summary>(.*?)</details>", page)[1]
    assert re.findall(r"<code>(.*?)</code></th><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td>", found) == [
        ("networks.vgg.worst", "85", "80.5", "-4.5")
    ]


def test_a_network_or_figure_of_one_run_only_is_shown_as_such():
    (OTHER / "figures/class-overview.svg").unlink()
    shutil.rmtree(OTHER / "jobs/checkpoints/vgg")
    page = " ".join(write_page().split())
    assert page.count("not in this run") == 1
    row = re.search(r'<th scope="row">vgg</th>(.*?)</tr>', page)[1]
    assert re.findall(r"<td> ?(.*?) ?</td>", row) == ["5.00, n = 1", "–", "–"]


def test_text_of_a_run_is_no_markup_and_nothing_is_fetched():
    edit("claims.json", lambda claims: claims[0].update(claim="<script>alert(1)</script>"))
    page = write_page()
    assert "<script" not in page
    assert all(source.startswith("data:image/svg+xml;base64,") for source in re.findall(r'src="(.*?)"', page))
    assert not re.search(r"href=|@import|url\(", page)
