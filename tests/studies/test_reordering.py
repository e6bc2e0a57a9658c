"""Swapped blocks: every row against the network rebuilt by hand, fair draws, and a summary worked out by hand."""

import itertools

import pandas as pd
import pytest
from conftest import RESNET
from study_helpers import DEEP, wrong_by_hand
from torch import nn

from unravel.data.batches import random_generator
from unravel.files import InputError
from unravel.networks import Network
from unravel.networks.base import convolution
from unravel.networks.blocks.basic import BasicBlock
from unravel.studies.reordering.measure import measure, swappable, swapped
from unravel.studies.reordering.settings import Reorderings
from unravel.studies.reordering.values import summary

ONE_STAGE = RESNET.model_copy(update={"blocks_per_stage": (5,), "channels": (4,)})  # any order of its blocks can come


def measured(network, images, seed=1, **settings):
    tables, _ = measure(network, images, Reorderings(**settings), random_generator(seed))
    assert list(tables) == [""]
    return tables[""]


def tau_by_hand(order):
    """Kendall's tau of an order of 0..n-1: concordant minus discordant pairs, over all pairs."""
    pairs = list(itertools.combinations(order, 2))
    return sum(1 if first < second else -1 for first, second in pairs) / len(pairs)


@pytest.mark.parametrize("settings", [DEEP, ONE_STAGE], ids=["three stages", "one stage"])
def test_each_row_gives_the_error_and_tau_of_its_order(make_network, make_split, make_images, settings):
    network, split = make_network(settings), make_split(n=200)
    table = measured(network, make_images(test=split), seed=5, most=5, draws=4)
    generator, groups = random_generator(5), swappable(network)
    expected = [(0, list(range(len(network.blocks))))]
    wirings = [network.intact] * 4
    for swaps in range(1, 6):
        wirings = [swapped(wiring, groups, generator) for wiring in wirings]
        expected += [(swaps, [block for block, on in wiring if on]) for wiring in wirings]
    for row, (swaps, order) in zip(table.itertuples(), expected, strict=True):
        assert row.swaps == swaps
        assert row.kendall_tau == pytest.approx(tau_by_hand(order), abs=1e-12)
        assert row.wrong_images == wrong_by_hand(network, split, order)
    assert table.wrong_images.nunique() > 2
    assert (table.kendall_tau.min() < 0) == (settings is ONE_STAGE)  # more pairs turned round than left


def test_only_blocks_of_equal_shape_are_swapped_and_never_downsampling_ones(make_network):
    network = make_network(DEEP)
    assert swappable(network) == [[0, 1], [3, 4, 5]]
    generator, wiring = random_generator(1), network.intact
    for _ in range(50):
        wiring = swapped(wiring, swappable(network), generator)
        order = [block for block, _ in wiring]
        assert sorted(order[:2]) == [0, 1]
        assert order[2] == 2
        assert sorted(order[3:6]) == [3, 4, 5]
        assert order[6] == 6


def test_a_block_that_only_adds_channels_is_not_swapped(make_split, make_images):
    widths = [(4, 4), (4, 4), (4, 8), (8, 8), (8, 8)]
    network = Network(
        convolution(3, 4),
        [BasicBlock(*width, stride=1, survival=1.0) for width in widths],
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)),
    )
    assert [block.downsampling for block in network.blocks] == [False] * 5
    assert swappable(network.eval()) == [[0, 1], [3, 4]]
    table = measured(network, make_images(test=make_split(n=4)), most=5, draws=5)
    assert len(table) == 26  # a swap with block 2 would not have run


def test_each_pair_is_swapped_equally_often(make_network):
    network = make_network(DEEP)
    orders = [
        tuple(block for block, _ in swapped(network.intact, swappable(network), random_generator(seed)))
        for seed in range(1200)
    ]
    assert len(set(orders)) == 4  # one pair in the group of two, three in that of three
    for order in set(orders):  # 300 each, standard deviation 15
        assert abs(orders.count(order) - 300) < 5 * 15


def test_a_network_without_two_equal_blocks_is_refused(make_network, make_split, make_images):
    short = RESNET.model_copy(update={"blocks_per_stage": (1, 2, 1)})
    with pytest.raises(InputError, match="no two blocks of the network have equal shape"):
        measured(make_network(short), make_images(test=make_split(n=4)), most=1, draws=1)


def test_the_summary_steps_from_swap_to_swap():
    table = pd.DataFrame({"kendall_tau": [1.0, 0.991, 0.951, 0.949], "error_percent": [1, 3, 10, 20.0]})
    values = summary(table.assign(network="resnet", seed=1, swaps=[0, 1, 2, 2], draw=1, test_images=100))["networks"][
        "resnet"
    ]
    assert values["largest_jump_points"] == 12  # medians 1, 3 and 15
    assert values["rank_correlation"] == pytest.approx(1)
    assert values["lowest_tau"] == 0.949


def test_numbers_of_several_seeds_are_means_over_seeds():
    rows = [(1, 0, 1.0, 2.0), (1, 1, 0.9, 4.0), (1, 1, 0.8, 6.0), (2, 0, 1.0, 9.0), (2, 1, 0.9, 8.0), (2, 1, 0.8, 7.0)]
    table = pd.DataFrame(rows, columns=["seed", "swaps", "kendall_tau", "error_percent"])
    values = summary(table.assign(network="resnet", draw=1, test_images=100))["networks"]["resnet"]
    assert values["rank_correlation"] == pytest.approx(0)  # 1 and -1
    assert values["largest_jump_points"] == pytest.approx((3 + 1.5) / 2)
    assert values["median_error_percent_at_most_swaps"] == pytest.approx((5 + 7.5) / 2)
