"""Intervals against scipy and printed t tables; other statistics against closed forms and numbers found by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from unravel.statistics import (
    difference_interval,
    equivalence_margin,
    exponential_decay,
    increase_after_deletion,
    largest_jump,
    mcnemar,
    mean_interval,
    rank_correlation,
    shortest_range,
)


@pytest.mark.parametrize("values", [[6.1, 6.4], [1, 2, 3], [0.0, 0.0, 0.0, 0.5], list(range(30))])
def test_the_interval_is_the_t_interval_of_scipy(values):
    found = mean_interval(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=sum(values) / len(values), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.n == len(values)


def test_the_interval_of_three_seeds_worked_out_by_hand():
    found = mean_interval([1, 2, 3])  # standard deviation 1; 4.303 is t at 0.975 with 2 degrees of freedom in any table
    assert found.mean == 2
    assert found.high - found.mean == pytest.approx(4.303 / math.sqrt(3), rel=1e-4)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


def test_equal_values_have_an_interval_of_no_width():
    found = mean_interval([5.0, 5.0])
    assert (found.low, found.mean, found.high) == (5, 5, 5)


def test_one_value_is_its_own_interval_and_says_so():
    found = mean_interval([7.5])
    assert (found.mean, found.low, found.high, found.n) == (7.5, 7.5, 7.5, 1)


def test_an_increase_is_against_the_intact_network_of_the_same_name_and_seed():
    rows = [
        # network, seed, deleted_position, error_percent, increase worked out by hand
        ("resnet", 1, 2, 9.0, 3.0),  # a deletion may stand before its intact network
        ("resnet", 1, 0, 6.0, None),
        ("resnet", 1, 1, 5.5, -0.5),
        ("resnet", 2, 0, 7.0, None),
        ("resnet", 2, 1, 7.0, 0.0),
        ("vgg", 1, 0, 10.0, None),
        ("vgg", 1, 2, 90.0, 80.0),
    ]
    columns = ["network", "seed", "deleted_position", "error_percent", "increase_by_hand"]
    found = increase_after_deletion(pd.DataFrame(rows, columns=columns))
    assert found.increase_points.tolist() == found.increase_by_hand.tolist() == [3.0, -0.5, 0.0, 80.0]
    assert found.intact_error_percent.tolist() == [6.0, 6.0, 7.0, 10.0]
    assert (found.deleted_position > 0).all()


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (5, 5), (5, 6), (1, 9), (9, 1), (0, 12), (30, 41), (2386, 431), (10_000, 0)]
)
def test_mcnemar_sums_the_binomial_tails(first, second):
    """Against whole numbers of any size: of the last two the p value is smaller than any float but 0."""
    n = first + second
    tail = sum(math.comb(n, k) for k in range(min(first, second) + 1))
    assert mcnemar(first, second) == pytest.approx(min(0, math.log10(2 * tail) - n * math.log10(2)), abs=1e-9)


def test_the_difference_interval_is_welchs():
    """Against Welch (1947) by hand: t(0.975, 2.941176...) = 3.2188 from the table of the t distribution; to 1e-3."""
    found = difference_interval([1.0, 2.0, 3.0], [4.0, 6.0, 8.0])
    # variances 1 and 4 over n = 3: squared error 5/3, degrees of freedom (5/3)^2 / ((1/3)^2/2 + (4/3)^2/2) = 50/17
    half = 3.2188 * (5 / 3) ** 0.5
    assert (found.mean, found.n) == (4.0, 3)
    assert (found.low, found.high) == pytest.approx((4 - half, 4 + half), abs=1e-3)


def test_where_nothing_varies_the_interval_has_no_width():
    assert difference_interval([1.0], [2.0, 5.0]).high == 2.5
    assert difference_interval([1.0, 1.0], [2.0, 2.0]).low == 1.0


def test_rank_correlation_sees_order_only():
    assert rank_correlation([1, 2, 3, 4], [1, 10, 100, 1000]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # ranks 1 2 3 4 against 1 3 2 4: 1 - 6 (0 + 1 + 1 + 0) / (4 * 15)
    assert rank_correlation([1, 2, 3, 4], [0, 5, 3, 9]) == pytest.approx(1 - 12 / 60)
    assert rank_correlation([1, 2, 3], [7, 7, 7]) == 0


def test_largest_jump_is_between_neighbours():
    assert largest_jump([1, 2, 30, 29]) == 28
    assert largest_jump([5]) == 0


def test_shortest_range_is_found_by_trying_all():
    random = np.random.default_rng(1)
    for _ in range(20):
        mass = random.random(12)
        fits = [
            (last - first, first, last)
            for first in range(12)
            for last in range(first, 12)
            if mass[first : last + 1].sum() >= 0.8 * mass.sum()
        ]
        assert shortest_range(mass, 0.8) == min(fits)[1:]


def test_exponential_decay_recovers_its_slope():
    lengths = np.arange(1, 41)
    slope, r_squared = exponential_decay(lengths, -0.3 * lengths + 2)
    assert slope == pytest.approx(-0.3)
    assert r_squared == pytest.approx(1)


def test_a_decay_to_zero_has_no_slope():
    assert np.isnan(exponential_decay([0, 1, 2], [-1.5, -np.inf, -np.inf])).all()


def test_equivalence_margin_is_the_far_end_of_the_90_percent_interval():
    # differences 0, 1, 2: mean 1, standard error 1/sqrt(3), t(0.95, 2) = 2.91999
    assert equivalence_margin([0, 1, 2]) == pytest.approx(1 + 2.919986 / math.sqrt(3), rel=1e-6)
    assert equivalence_margin([0, -1, -2]) == equivalence_margin([0, 1, 2])
    assert math.isnan(equivalence_margin([0, 1]))


def test_what_does_not_vary_orders_nothing_on_either_side():
    assert rank_correlation([7, 7, 7], [1, 2, 3]) == rank_correlation([1, 2, 3], [7, 7, 7]) == 0


def test_the_shortest_range_may_be_the_last_value_and_may_hold_just_the_share():
    assert shortest_range([0, 0, 1], 0.8) == (2, 2)
    assert shortest_range([1] * 10, 0.3) == (0, 2)  # three tenths, which no float adds up to


def test_a_difference_has_an_interval_where_one_side_varies_and_none_where_neither_does():
    found = difference_interval([2.0, 2.0, 2.0, 2.0], [3.0, 5.0, 4.0])
    half = stats.t.ppf(0.975, 2) * math.sqrt(1 / 3)  # Welch's degrees of freedom are those of the side that varies
    assert (found.mean, found.n) == (2.0, 3)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))
    same = difference_interval([2.0, 2.0], [5.0, 5.0, 5.0])
    assert (same.mean, same.low, same.high, same.n) == (3.0, 3.0, 3.0, 2)
