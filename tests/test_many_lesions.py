"""Random deletions and reorderings: every row against the network rebuilt by hand, and fair draws."""

import itertools

import pytest
import torch
from conftest import RESNET
from torch import nn

from unravel.config import RandomDeletions, Reorderings
from unravel.data.batches import random_generator
from unravel.files import InputError
from unravel.lesions import random_deletions, reorderings, swappable, swapped
from unravel.networks import Network
from unravel.networks.base import convolution
from unravel.networks.resnet import ResidualBlock

DEEP = RESNET.model_copy(update={"blocks_per_stage": (3, 4, 1)})


@torch.inference_mode()
def wrong_by_hand(network, split, order, deleted=()):
    """Wrong images when the blocks are passed in this order, those deleted by their skip connection only."""
    x = network.stem(split.normalised(slice(None)).double())
    for index in order:
        block = network.blocks[index]
        x = block.projection(x) + (0 if index in deleted else block.residual(x))
    return int((network.head(x).argmax(1) != split.labels).sum())


def test_each_random_deletion_gives_the_error_of_the_blocks_it_names(make_network, make_split):
    network, split = make_network(DEEP), make_split(n=40)
    settings = RandomDeletions(most=8, draws=4)
    table, sweep = random_deletions(network, split, settings, 16, random_generator(1))
    assert len(table) == 1 + 8 * 4
    for row in table.itertuples():
        deleted = {int(position) - 1 for position in str(row.deleted_positions).split()}
        assert len(deleted) == row.deleted_blocks
        assert row.wrong_images == wrong_by_hand(network, split, range(8), deleted)
    assert table.wrong_images.nunique() > 3
    assert sweep.block_evaluations < sweep.naive_block_evaluations == 33 * 8


def test_random_deletions_draw_every_block_equally_often(make_network, make_split):
    table, _ = random_deletions(
        make_network(DEEP), make_split(n=4), RandomDeletions(most=2, draws=800), 4, random_generator(1)
    )
    drawn = " ".join(table.deleted_positions).split()
    for position in range(1, 9):  # 2,400 in all over 8 blocks: 300 each, standard deviation 16
        assert abs(drawn.count(str(position)) - 300) < 5 * 16


def test_a_draw_deletes_one_block_more_with_each_number_and_any_pair_equally_often(make_network, make_split):
    network = make_network(DEEP)
    table, sweep = random_deletions(
        network, make_split(n=4), RandomDeletions(most=2, draws=840), 4, random_generator(1)
    )
    deleted = {(row.deleted_blocks, row.draw): set(row.deleted_positions.split()) for row in table.itertuples()}
    assert all(deleted[1, draw] < deleted[2, draw] for draw in range(1, 841))
    pairs = [frozenset(deleted[2, draw]) for draw in range(1, 841)]
    for pair in itertools.combinations("12345678", 2):  # 28 pairs: 30 draws each, standard deviation 5.4
        assert abs(pairs.count(frozenset(pair)) - 30) < 5 * 5.4
    assert sweep.block_evaluations < sweep.naive_block_evaluations


def test_more_deletions_than_blocks_are_refused(make_network, make_split):
    with pytest.raises(InputError, match=r"random_deletions\.most is 6, but the network has only 5 blocks"):
        random_deletions(make_network(), make_split(n=4), RandomDeletions(most=6, draws=1), 4, random_generator(1))


def tau_by_hand(order):
    """Kendall's tau of an order of 0..n-1: concordant minus discordant pairs, over all pairs."""
    pairs = list(itertools.combinations(order, 2))
    return sum(1 if first < second else -1 for first, second in pairs) / len(pairs)


def test_each_reordering_gives_the_error_and_tau_of_its_order(make_network, make_split):
    network, split = make_network(DEEP), make_split(n=40)
    settings = Reorderings(most=5, draws=4)
    table, _ = reorderings(network, split, settings, 16, random_generator(5))
    generator, groups = random_generator(5), swappable(network)
    expected = [(0, list(range(8)))]
    wirings = [network.intact] * 4
    for swaps in range(1, 6):
        wirings = [swapped(wiring, groups, generator) for wiring in wirings]
        expected += [(swaps, [block for block, on in wiring if on]) for wiring in wirings]
    for row, (swaps, order) in zip(table.itertuples(), expected, strict=True):
        assert row.swaps == swaps
        assert row.kendall_tau == pytest.approx(tau_by_hand(order), abs=1e-12)
        assert row.wrong_images == wrong_by_hand(network, split, order)
    assert table.wrong_images.nunique() > 2


def test_only_blocks_of_equal_shape_are_swapped_and_never_downsampling_ones(make_network):
    network = make_network(DEEP)  # stages 0-2, 3-6, 7; blocks 3 and 7 halve the resolution
    assert swappable(network) == [[0, 1, 2], [4, 5, 6]]
    generator, wiring = random_generator(1), network.intact
    for _ in range(50):
        wiring = swapped(wiring, swappable(network), generator)
        order = [block for block, _ in wiring]
        assert sorted(order[:3]) == [0, 1, 2]
        assert order[3] == 3
        assert sorted(order[4:7]) == [4, 5, 6]
        assert order[7] == 7


def test_a_block_that_only_adds_channels_is_not_swapped(make_split):
    widths = [(4, 4), (4, 4), (4, 8), (8, 8), (8, 8)]
    network = Network(
        convolution(3, 4),
        [ResidualBlock(*width, stride=1, survival=1.0) for width in widths],
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)),
    )
    assert [block.downsampling for block in network.blocks] == [False] * 5
    assert swappable(network.eval()) == [[0, 1], [3, 4]]
    table, _ = reorderings(network, make_split(n=4), Reorderings(most=5, draws=5), 4, random_generator(1))
    assert len(table) == 26  # a swap with block 2 would not have run


def test_each_pair_is_swapped_equally_often(make_network):
    network = make_network(DEEP)
    orders = [
        tuple(block for block, _ in swapped(network.intact, swappable(network), random_generator(seed)))
        for seed in range(1200)
    ]
    assert len(set(orders)) == 6  # three pairs in each of two groups
    for order in set(orders):  # 200 each, standard deviation 13
        assert abs(orders.count(order) - 200) < 5 * 13


def test_a_network_without_two_equal_blocks_is_refused(make_network, make_split):
    short = RESNET.model_copy(update={"blocks_per_stage": (1, 2, 1)})
    with pytest.raises(InputError, match="no two blocks of the network have equal shape"):
        reorderings(make_network(short), make_split(n=4), Reorderings(most=1, draws=1), 4, random_generator(1))
