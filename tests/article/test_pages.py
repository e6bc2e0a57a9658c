"""How pages word numbers."""

import math
import random

import pytest

from unravel.article import pages
from unravel.statistics import Interval


def test_an_interval_ends_at_zero_and_carries_its_n():
    assert pages.interval(Interval(5.0, 4.0, 6.0, 3), 2) == "5.00 (95% interval 4.00 to 6.00, n = 3)"
    assert (
        pages.interval({"mean": 0.5, "low": -0.25, "high": 1.25, "n": 2}, 1) == "0.5 (95% interval 0.0 to 1.2, n = 2)"
    )
    assert pages.interval(Interval(5.0, 5.0, 5.0, 1)) == "5.00 (n = 1)"


@pytest.mark.parametrize(
    ("half", "said"),
    [(25.0, "50 (95% interval 25 to 75, n = 3)"), (0.031, "50.000 (95% interval 49.969 to 50.031, n = 3)")],
)
def test_a_mean_has_the_digits_that_its_interval_allows(half, said):
    assert pages.interval(Interval(50.0, 50 - half, 50 + half, 3)) == said


def test_a_bound_is_rounded_to_the_side_that_keeps_the_sentence_true():
    """VGG's 79.56 and 79.70 are under 80, though both round to it."""
    assert [pages.at_least(value, 0) for value in (79.56, 79.70, 80.0)] == ["79", "79", "80"]
    assert [pages.at_most(value, 0) for value in (79.56, 80.0, 80.01)] == ["80", "80", "81"]
    assert [pages.at_least(0.9995, 3), pages.at_most(0.9995, 3)] == ["0.999", "1.000"]
    assert [pages.at_least(-1.25, 1), pages.at_most(-1.25, 1), pages.at_most(-0.04, 1)] == ["-1.3", "-1.2", "0.0"]
    assert [pages.at_least(79.6, 1), pages.at_most(0.1, 1)] == ["79.6", "0.1"]  # floats a little off these decimals
    assert [pages.at_least(float("nan")), pages.at_most(None)] == ["n/a", "n/a"]


def test_a_number_lies_between_its_bounds():
    numbers = random.Random(1)
    for _ in range(2000):
        value = numbers.choice((numbers.uniform(-100, 100), round(numbers.uniform(-9, 9), numbers.randrange(4))))
        digits = numbers.randrange(5)
        low, high = pages.at_least(value, digits), pages.at_most(value, digits)
        assert float(low) <= value <= float(high)
        assert float(high) - float(low) <= 1.001 * 10**-digits
        assert all(len(text.partition(".")[2]) == digits for text in (low, high))


def test_a_p_value_is_never_zero():
    assert pages.p_value(math.log10(0.5)) == "0.5"
    assert pages.p_value(math.log10(1.2e-5)) == "1.2e-05"
    assert [pages.p_value(log10) for log10 in (0.0, -400.3, -323.99)] == ["1", "5.0e-401", "1.0e-324"]
    assert pages.p_value(-3 + math.log10(9.96e-4 / 1e-3)) == "0.001"


def test_closed_forms_have_four_digits():
    assert [pages.significant(value) for value in (59.26628112792969, 0.01, 2.0**-10)] == ["59.27", "0.01", "0.0009766"]


def test_a_claims_interval_ends_where_its_value_can_be():
    value = Interval(0.9, -0.5, 150.0, 3)
    said = {name: pages.claim_value(value, name).replace("\u00a0", " ") for name in ("saved_points", "r_squared")}
    assert said == {"saved_points": "0.9 (-0.5 to 150, n = 3)", "r_squared": "0.9 (0 to 1, n = 3)"}
    assert pages.claim_value(value, "percent_5_to_17").startswith("0.9 (0 to 100, ")
    assert pages.claim_value(value, "rank_correlation").startswith("0.9 (-0.5 to 1, ")
    assert pages.claim_value(Interval(44.0, 44.0, 44.0, 1), "log2_paths_left") == "44"


def test_a_number_that_is_none_is_said_so():
    assert [pages.points(value) for value in (float("nan"), None, 2.0)] == ["n/a", "n/a", "2.00"]
    assert pages.interval(Interval(float("nan"), float("nan"), float("nan"), 3)) == "n/a (n = 3)"


def test_words_agree_with_their_numbers():
    assert [pages.counted(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert [pages.listed(values, "seed") for values in ([7], [1, 2])] == ["seed 7", "seeds 1, 2"]


def test_times_and_sizes_are_said_as_a_reader_says_them():
    assert [pages.duration(seconds) for seconds in (0.25, 89, 90, 600, 9000)] == [
        "0.2 s",
        "89.0 s",
        "1.5 min",
        "10.0 min",
        "2.5 h",
    ]
    assert [pages.size(n_bytes) for n_bytes in (4_000, 99_949, 2_500_000)] == ["4.0 kB", "99.9 kB", "2.5 MB"]
