"""The wiring engine against one whole forward pass per wiring."""

import itertools
import random
import weakref

import pytest
from conftest import PLAIN, RESNET

from unravel.engine.wiring import count_block_evaluations, delete, evaluate, swap


def brute_force(network, wirings, split, size):
    """Wrong images of each wiring, one forward pass each, with nothing shared."""
    wrong = []
    for wiring in wirings:
        count = 0
        for images, labels in split.batches(size):
            x = network.stem(images.double())
            for block, on in wiring:
                x = network.blocks[block](x) if on else network.blocks[block].skip(x)
            count += int((network.head(x).argmax(1) != labels).sum())
        wrong.append(count)
    return wrong


@pytest.mark.parametrize("settings", [RESNET, PLAIN])
def test_every_subset_of_blocks_gives_the_brute_force_count(make_network, make_split, settings):
    network, split = make_network(settings), make_split(n=50)
    places = range(len(network.blocks))
    wirings = [
        delete(network.intact, gone)
        for n in range(len(network.blocks) + 1)
        for gone in itertools.combinations(places, n)
    ]
    random.Random(1).shuffle(wirings)
    sweep = evaluate(network, wirings, split.batches(20))
    assert sweep.images == 50
    assert sweep.wrong == brute_force(network, wirings, split, 20)
    assert len(set(sweep.wrong)) > 3  # the counts differ, so that a mix-up would show


def test_a_deletion_is_of_the_place_and_not_of_the_block_that_stood_there():
    intact = tuple((block, True) for block in range(4))
    turned = swap(intact, 0, 3)
    assert turned == ((3, True), (1, True), (2, True), (0, True))
    assert delete(turned, [0]) == ((3, False), (1, True), (2, True), (0, True))


def test_what_was_deleted_stays_deleted():
    intact = tuple((block, True) for block in range(5))
    for first, second in itertools.product([[], [0], [1, 4]], repeat=2):
        assert delete(delete(intact, first), second) == delete(intact, {*first, *second})


def test_reordered_blocks_give_the_brute_force_count(make_network, make_split):
    network, split = make_network(), make_split(n=30)
    wirings = [network.intact, ((1, True), (0, True), *network.intact[2:]), ((1, True), *network.intact[1:])]
    assert evaluate(network, wirings, split.batches(30)).wrong == brute_force(network, wirings, split, 30)


def test_repeated_wirings_are_each_answered(make_network, make_split):
    network, split = make_network(), make_split(n=20)
    sweep = evaluate(network, [network.intact] * 3, split.batches(7))
    assert sweep.wrong == [sweep.wrong[0]] * 3
    assert sweep.block_evaluations == len(network.blocks)


def test_each_block_runs_once_per_shared_prefix(make_network, make_split):
    network, split = make_network(), make_split(n=8)
    calls = []
    for block in network.blocks:
        block.register_forward_hook(lambda *_: calls.append(1))
    wirings = [network.intact, *(delete(network.intact, [place]) for place in range(5))]
    sweep = evaluate(network, wirings, split.batches(8))
    prefixes = {wiring[:end] for wiring in wirings for end in range(1, len(wiring) + 1)}
    assert len(calls) == sweep.block_evaluations == len(prefixes)
    assert sweep.naive_block_evaluations == 6 * 5


def test_the_walk_holds_at_most_depth_plus_two_activations(make_network, make_split):
    network, split = make_network(), make_split(n=8)
    outputs: list[weakref.ref] = []
    peak = 0

    def watch(module, inputs, output):
        nonlocal peak
        outputs.append(weakref.ref(output))
        alive = {id(output()) for output in outputs if output() is not None}  # a deleted block hands its input on
        peak = max(peak, len(alive))

    for module in (network.stem, *network.blocks):
        module.register_forward_hook(watch)
    wirings = [network.intact, *(delete(network.intact, places) for places in itertools.combinations(range(5), 2))]
    evaluate(network, wirings, split.batches(8))
    assert len(outputs) > 20
    assert peak <= len(network.blocks) + 2


def test_counting_the_54_single_deletions():
    intact = tuple((block, True) for block in range(54))
    wirings = sorted([intact, *(delete(intact, [place]) for place in range(54))])
    # the intact chain, and for each deletion at place p a branch of 54 - p
    assert count_block_evaluations(wirings) == 54 + 54 * 55 // 2
