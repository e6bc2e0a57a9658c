"""The table of features: every row is there, says how far it is done, and names tests that exist."""

import re

import pytest
from run_helpers import ROOT

TABLE = (ROOT / "tests/FEATURES.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TABLE.splitlines()
    if re.match(r"\| [A-Z]\d", line)
]


def test_every_feature_has_its_row():
    counts = {"P": 16, "E": 9, "F": 9, "R": 19, "U": 15}
    assert [row[0] for row in ROWS] == [
        f"{group}{number}" for group, count in counts.items() for number in range(1, count + 1)
    ]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_feature_names_tests_that_exist(row):
    _, _, state, shown = row
    assert re.match(r"(done|partly|not)\b", state)
    tests = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
    assert tests or state.startswith("not")
    for file, name in tests:
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), name
