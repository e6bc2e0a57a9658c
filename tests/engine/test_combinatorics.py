"""Closed forms against enumeration of every path of a small network, and against the numbers in the paper's claims."""

import itertools
from fractions import Fraction

import pytest

from unravel.engine.combinatorics import counts_by_length, every_path, fraction_left

ALL_PATHS = [path for length in range(6) for path in itertools.combinations(range(5), length)]


@pytest.mark.parametrize("blocks", [0, 1, 4, 7])
def test_every_path_is_listed_once(blocks):
    choices = list(itertools.product((False, True), repeat=blocks))
    expected = [tuple(itertools.compress(range(1, blocks + 1), choice)) for choice in choices]
    assert sorted(every_path(blocks)) == sorted(expected)


def test_each_block_appends_the_paths_that_pass_it():
    assert every_path(3) == [(), (1,), (2,), (1, 2), (3,), (1, 3), (2, 3), (1, 2, 3)]


def test_path_counts_match_enumeration():
    assert counts_by_length(5) == [sum(len(path) == k for path in ALL_PATHS) for k in range(6)]
    counts = counts_by_length(54)
    assert sum(counts) == 2**54
    assert sum(counts[19:36]) / 2**54 == pytest.approx(0.9802, abs=5e-5)  # claims.md: 98.02% for 19-35
    assert sum(counts[5:18]) / 2**54 == pytest.approx(0.004537, abs=5e-7)  # 0.4537% for 5-17


@pytest.mark.parametrize("deleted", [0, 1, 3])
def test_paths_left_after_deletions_match_enumeration(deleted):
    left = [path for path in ALL_PATHS if not set(path) & set(range(deleted))]
    expected = [
        Fraction(sum(len(path) == k for path in left), sum(len(path) == k for path in ALL_PATHS)) for k in range(6)
    ]
    assert fraction_left(5, deleted) == expected
