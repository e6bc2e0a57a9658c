"""The third-party check: numbers from its file alone, ours at the same share of blocks, a finding chosen by both."""

import re
from types import SimpleNamespace

import pytest
import yaml
from article_helpers import ROOT, parse

from unravel.article import build, pages, references, third_party
from unravel.run import read_config

SOURCE = ROOT / "report"
FILE = SOURCE / "third_party.yaml"
FACTS = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SETTINGS = read_config(ROOT / "config" / "cifar10.yaml")  # 54 blocks
SHALLOW = SETTINGS.model_copy(
    update={"networks": {"resnet": SETTINGS.networks["resnet"].model_copy(update={"blocks_per_stage": (3, 3, 3)})}}
)


def found(median, at_10, at_20):
    """Captions and claims of a run: a network's median increase, and its errors with 10 and 20 blocks deleted."""

    def picture(**values):
        return build.Picture(*"." * 8, table=None, values={"networks": {"resnet": values}}, record={})

    single = picture(
        intact_error_percent={"mean": 6.25, "low": 6.0, "high": 6.5, "n": 3},
        ordinary_median_increase_points=median,
        ordinary_p90_increase_points=1.75,
        downsampling_mean_increase_points=9.5,
    )
    several = picture(median_error_percent={"2": 30.0, "3": 60.0, "10": at_10, "20": at_20})
    claims = {
        "delete-resnet": {"highest_increase_points": 4.5},
        "smooth-deletion": {"rank_correlation": 0.9875},
        "smooth-reordering": {"rank_correlation": 0.925},
    }
    judged = [
        SimpleNamespace(id=name, values={key: SimpleNamespace(mean=value) for key, value in values.items()})
        for name, values in claims.items()
    ]
    return {"single-deletion": single, "random-deletion": several, "claims": judged}


def section(results, settings=SETTINGS):
    """The section as a reader sees it, of a run with these results."""
    check = build.third_party_check(SOURCE, settings, "cifar10", results)
    citations = references.Citations(references.read(SOURCE / "references.bib"))
    html = pages.template(SOURCE, "sections/third_party.html").render(
        third_party=check, config=settings, cite=citations.cite
    )
    assert [reference.key for reference in citations.cited] == [FACTS["reference"]]
    return parse(html)


def cells(page):
    (body,) = page.all("tbody")
    return [[cell.words for cell in row.children] for row in body.children]


def numbers_of(facts):
    """Every number of the file."""
    inner = facts.values() if isinstance(facts, dict) else facts if isinstance(facts, list) else [facts]
    return (
        [facts] if isinstance(facts, int | float) else [n for one in inner if one is not facts for n in numbers_of(one)]
    )


def test_each_number_of_theirs_that_is_printed_is_in_the_file():
    page = section(found(0.5, 25.0, 50.0))
    printed = [float(row[1]) for row in cells(page)]
    assert len(printed) == len(set(printed)) == 10
    assert set(printed) < set(numbers_of(FACTS))
    (paragraph,) = page.all("p")
    words = paragraph.words.replace(FACTS["network"], "").replace(FACTS["commit"], "").replace(FACTS["source"][8:], "")
    words = re.sub(r"\[\d+\]|CIFAR-10|ours of 54 blocks", "", words)
    in_prose = set(map(float, re.findall(r"\d[\d.]*", words)))
    assert in_prose == {27, 6.61, 32, 2000, 1000, 5}  # 32 is that of fp32
    assert in_prose - {32} < set(numbers_of(FACTS))


def test_the_file_holds_what_was_measured():
    """As handed over with issue 14."""
    measured = {7.05, 1.10, 2.29, 7.80, 15.55, 7.25, 47, 80, 0.974, 0.879, 6.61, 27, 2000, 1000, 5, 10}
    assert set(numbers_of(FACTS)) == measured
    assert (FACTS["commit"], FACTS["precision"]) == ("d5489e8", "fp32")


def test_ours_stand_beside_theirs_at_the_same_share_of_blocks():
    rows = {row[0]: row[1:] for row in cells(section(found(0.5, 25.0, 50.0)))}
    assert rows["error with nothing deleted, percent"] == ["7.05", "6.25"]
    assert rows["increase by an ordinary block, median, points"] == ["1.10", "0.50"]
    assert rows["increase by an ordinary block, 90th percentile, points"] == ["2.29", "1.75"]
    assert rows["increase by an ordinary block, largest, points"] == ["7.80", "4.50"]
    assert rows["median error, 5 of 27 blocks deleted, ours 10 of 54, percent"] == ["47", "25"]
    assert rows["median error, 10 of 27 blocks deleted, ours 20 of 54, percent"] == ["80", "50"]
    assert rows["rank correlation, random deletions, number and median error"] == ["0.974", "0.988"]
    assert rows["rank correlation, re-ordering, disorder and error"] == ["0.879", "0.925"]
    shallow = {row[0]: row[1:] for row in cells(section(found(0.5, 25.0, 50.0), SHALLOW))}
    assert shallow["median error, 5 of 27 blocks deleted, ours 2 of 9, percent"] == ["47", "30"]  # 5/3 blocks
    assert shallow["median error, 10 of 27 blocks deleted, ours 3 of 9, percent"] == ["80", "60"]


@pytest.mark.parametrize(
    ("ours", "settings", "finding", "depth"),
    [
        ((0.5, 25.0, 50.0), SETTINGS, "loses more than ours of 54 blocks in every row", "fewer blocks loses more"),
        ((2.5, 55.0, 85.0), SETTINGS, "loses less than ours of 54 blocks in every row", "more blocks loses more"),
        ((0.5, 25.0, 50.0), SHALLOW, "loses more than ours of 9 blocks in every row", "more blocks loses more"),
        ((0.5, 55.0, 50.0), SETTINGS, "cannot be ranked", ""),
        ((1.10, 25.0, 50.0), SETTINGS, "cannot be ranked", ""),
    ],
)
def test_the_finding_follows_from_the_numbers(ours, settings, finding, depth):
    findings = ("loses more than ours", "loses less than ours", "cannot be ranked")
    findings += ("fewer blocks loses more", "more blocks loses more")
    (paragraph,) = section(found(*ours), settings).all("p")
    assert finding in paragraph.words
    said = {one for one in findings if one in paragraph.words}
    assert said == {one for one in findings if one in finding} | ({depth} - {""})


def test_what_the_run_lacks_is_not_compared():
    page = section({})
    assert {row[2] for row in cells(page)} == {"n/a"}
    assert "By the median increase" not in page.words
    assert third_party.loses([]) == ""


def test_only_a_run_of_cifar_10_is_checked():
    results = found(0.5, 25.0, 50.0)
    assert build.third_party_check(SOURCE, SETTINGS, "digits", results) == {}
    without = SETTINGS.model_copy(update={"networks": {"vgg": SETTINGS.networks["vgg"]}})
    assert build.third_party_check(SOURCE, without, "cifar10", results) == {}
    template = (SOURCE / "sections" / "robustness.html").read_text(encoding="utf-8")
    assert template.endswith('{% if third_party %}\n{% include "sections/third_party.html" %}\n{% endif %}\n')
