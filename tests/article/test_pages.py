"""How pages word numbers."""

from unravel.article import pages
from unravel.statistics import Interval


def test_an_interval_ends_at_zero_and_carries_its_n():
    assert pages.interval(Interval(5.0, 4.0, 6.0, 3)) == "5.00 (95% interval 4.00 to 6.00, n = 3)"
    assert (
        pages.interval({"mean": 0.5, "low": -0.25, "high": 1.25, "n": 2}, 1) == "0.5 (95% interval 0.0 to 1.2, n = 2)"
    )
    assert pages.interval(Interval(5.0, 5.0, 5.0, 1)) == "5.00 (n = 1)"


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
