"""Single deletions against the network with that block taken out by hand."""

import copy

import pytest
import torch
from conftest import PLAIN, RESNET
from torch import nn

from unravel.lesions import single_deletions
from unravel.wiring import count_block_evaluations, delete


def without(network, place):
    """The network as a plain module in which the block at `place` is what remains of it: projection or pooling."""
    network = copy.deepcopy(network)
    block = network.blocks[place]
    remaining = block.projection if hasattr(block, "projection") else block.pool
    blocks = [remaining if index == place else block for index, block in enumerate(network.blocks)]
    return nn.Sequential(network.stem, *blocks, network.head)


@torch.inference_mode()
def count_wrong(network, split):
    images, labels = next(split.batches(len(split.labels)))
    return int((network(images.double()).argmax(dim=1) != labels).sum())


@pytest.mark.parametrize("settings", [RESNET, PLAIN])
def test_each_deletion_gives_the_brute_force_error(make_network, make_split, settings):
    network, split = make_network(settings), make_split(n=50)
    table, sweep = single_deletions(network, split, classes=4, batch_size=20)
    by_hand = [count_wrong(network, split)]
    by_hand += [count_wrong(without(network, place), split) for place in range(len(network.blocks))]
    assert table.wrong_images.tolist() == sweep.wrong == by_hand
    assert len(set(by_hand)) > 2  # the counts differ, so that a mix-up would show
    assert table.error_percent.tolist() == pytest.approx([wrong / 50 * 100 for wrong in by_hand])


def test_positions_are_counted_as_a_reader_counts(make_network, make_split):
    residual, _ = single_deletions(make_network(RESNET), make_split(n=8), classes=4, batch_size=8)
    assert residual.deleted_position.tolist() == [0, 1, 2, 3, 4, 5]  # 0: nothing deleted
    plain, _ = single_deletions(make_network(PLAIN), make_split(n=8), classes=4, batch_size=8)
    assert plain.deleted_position.tolist() == [0, 2, 3, 4, 5]  # the first layer is the stem


def test_blocks_that_halve_the_resolution_are_marked(make_network, make_split):
    residual, _ = single_deletions(make_network(RESNET), make_split(n=8), classes=4, batch_size=8)
    assert residual.deleted_position[residual.downsampling].tolist() == [3, 5]  # stages of 2, 2 and 1 blocks
    plain, _ = single_deletions(make_network(PLAIN), make_split(n=8), classes=4, batch_size=8)
    assert plain.deleted_position[plain.downsampling].tolist() == [
        2,
        4,
    ]  # the last layers of the stages before the last


def test_the_table_says_how_many_images_and_what_guessing_gives(make_network, make_split):
    table, sweep = single_deletions(make_network(), make_split(n=30), classes=4, batch_size=8)
    assert set(table.test_images) == {sweep.images} == {30}
    assert set(table.chance_error_percent) == {75.0}


def test_the_sweep_counts_the_work_it_saved(make_network, make_split):
    network = make_network()
    _, sweep = single_deletions(network, make_split(n=8), classes=4, batch_size=8)
    wirings = sorted([network.intact, *(delete(network.intact, [place]) for place in range(5))])
    assert sweep.block_evaluations == count_block_evaluations(wirings) == 5 + 5 * 6 // 2
    assert sweep.naive_block_evaluations == 6 * 5
