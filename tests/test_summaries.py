"""Summaries of measurement tables against numbers worked out by hand, and statistics against closed forms."""

import math

import numpy as np
import pandas as pd
import pytest

from unravel import summaries
from unravel.statistics import (
    equivalence_margin,
    exponential_decay,
    largest_jump,
    rank_correlation,
    shortest_range,
)


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


def test_equivalence_margin_is_the_far_end_of_the_90_percent_interval():
    # differences 0, 1, 2: mean 1, standard error 1/sqrt(3), t(0.95, 2) = 2.91999
    assert equivalence_margin([0, 1, 2]) == pytest.approx(1 + 2.919986 / math.sqrt(3), rel=1e-6)
    assert equivalence_margin([0, -1, -2]) == equivalence_margin([0, 1, 2])
    assert math.isnan(equivalence_margin([0, 1]))


def test_gradient_shares_take_the_mean_of_norms_and_not_of_their_logs():
    sampled = pd.DataFrame(
        {"network": "resnet", "seed": 1, "batch_norm": "train", "batch": 1, "length": [0, 0, 1, 1, 2, 2]}
    ).assign(log10_norm=[0.0, 0.0, -1.0, -math.inf, -400.0, -400.0])
    exact = pd.DataFrame({"network": "resnet", "seed": 1, "batch_norm": "train", "batch": 1, "length": [0, 1, 2]})
    exact = exact.assign(log10_norm=[0.0, 0.0, -400.0], cosine=[0.5, 1.0, 1.0], norm_ratio=1.0, full_error=1e-7)
    table = summaries.gradient_by_length(sampled, exact, pd.Series([1.0, 2.0, 1.0])).set_index("length")
    assert table.log10_mean_norm[1] == pytest.approx(math.log10(0.05))  # the mean of 0.1 and 0
    assert table.log10_mean_norm[2] == -400  # far below the smallest float
    # 1 path of norm 1, 2 of norm 0.05: 1 / 1.1 and 0.1 / 1.1
    np.testing.assert_allclose(table.estimated_share, [1 / 1.1, 0.1 / 1.1, 0], atol=1e-12)
    np.testing.assert_allclose(table.exact_share, [0.5, 0.5, 0], atol=1e-12)


def test_random_deletion_summary_counts_steps_between_medians():
    table = pd.DataFrame({"deleted_blocks": [0, 1, 1, 1, 2, 2, 2], "error_percent": [1, 2, 3, 90, 40, 50, 60.0]})
    table = table.assign(network="resnet", seed=1, draw=[1, 1, 2, 3, 1, 2, 3])
    values = summaries.random_deletion(table)
    assert values["networks"]["resnet"]["median_error_percent"] == {0: 1, 1: 3, 2: 50}
    assert values["networks"]["resnet"]["largest_jump_points"] == 47
    assert values["networks"]["resnet"]["rank_correlation"] == pytest.approx(1)
    assert values["draws"] == 3


def test_reordering_summary_bins_tau():
    table = pd.DataFrame({"kendall_tau": [1.0, 0.991, 0.951, 0.949], "error_percent": [1, 3, 10, 20.0]})
    table = table.assign(network="resnet", seed=1, swaps=[0, 1, 2, 2], draw=1)
    binned = summaries.binned_by_tau(table)
    np.testing.assert_allclose(binned.tau_bin, [1, 1, 0.96, 0.94])
    values = summaries.reordering(binned)["networks"]["resnet"]
    assert values["largest_jump_points"] == 10  # medians 20, 10 and 2
    assert values["rank_correlation"] == pytest.approx(1)
    assert values["lowest_tau"] == 0.949


def predictions_of(network, wrong_images, convention="scaled", seed=1, images=10):
    table = pd.DataFrame({"image": range(images), "label": 3})
    table["predicted"] = [8 if image in wrong_images else 3 for image in table.image]
    return table.assign(network=network, seed=seed, convention=convention)


def test_test_error_summary_counts_images_that_only_one_network_gets_wrong():
    table = pd.concat(
        [
            predictions_of("one", {0, 1, 2}),
            predictions_of("one", {5}, seed=2),
            predictions_of("two", {2, 3, 4, 5, 6, 7, 8}),
            predictions_of("two", set(), seed=2),
            predictions_of("two", set(range(10)), convention="unscaled"),
            predictions_of("two", set(range(8)), convention="unscaled", seed=2),
        ]
    )
    values = summaries.test_error(table)
    assert values["networks"]["one"]["scaled"].mean == pytest.approx(20)
    assert values["networks"]["two"]["scaled"].mean == pytest.approx(35)
    assert values["networks"]["two"]["unscaled"].mean == pytest.approx(90)
    assert values["networks"]["two"]["unscaled"].n == 2
    assert "unscaled" not in values["networks"]["one"]
    (pair,) = values["pairs"]
    assert (pair["first"], pair["second"]) == ("one", "two")
    # seed 1: only one wrong: 0, 1; only two wrong: 3 to 8. 8 images, 2 or fewer heads: (1 + 8 + 28) / 256, twice
    assert pair["seeds"]["1"] == {"only_first_wrong": 2, "only_second_wrong": 6, "p": pytest.approx(2 * 37 / 256)}
    assert pair["seeds"]["2"] == {"only_first_wrong": 1, "only_second_wrong": 0, "p": 1}
    assert values["images"] == 10
