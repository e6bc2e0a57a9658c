"""The wiring engine against one whole forward pass per wiring."""

import itertools
import random
import weakref

import pytest
import torch
from conftest import PLAIN, RESNET

from unravel.config import ResNet
from unravel.engine.wiring import count_block_evaluations, delete, evaluate, put, swap
from unravel.files import InputError
from unravel.networks.vgg import PlainLayer

BOTTLENECK = ResNet(architecture="resnet", block="bottleneck", blocks_per_stage=(2, 2), channels=(2, 3))


def brute_force(network, wirings, split, size):
    """Wrong images of each wiring, one forward pass each, with nothing shared."""
    wrong = []
    for wiring in wirings:
        count = 0
        for images, labels in split.batches(size):
            x = network.stem(images.double())
            for step in wiring:
                block, gain, skip_gain = network.blocks[step[0]], step[1], (*step, 1)[2]
                if isinstance(block, PlainLayer):
                    x = block(x) if gain else block.skip(x)
                else:
                    x = skip_gain * block.skip(x) + gain * block.residual(x)
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


@pytest.mark.parametrize("settings", [RESNET, BOTTLENECK])
def test_any_gains_of_branch_and_skip_connection_give_the_brute_force_count(make_network, make_split, settings):
    network, split = make_network(settings), make_split(n=50)
    gains = [(0,), (0.5,), (-2,), (1, 0), (0, 0), (1, 2.5), (0.5, -1), (True, 1)]
    places = range(len(network.blocks))
    wirings = [put(network.intact, place, (place, *gain)) for place in places for gain in gains]
    wirings += [put(wiring, 3, (3, 0.5)) for wiring in wirings]
    sweep = evaluate(network, wirings, split.batches(20))
    assert sweep.wrong == brute_force(network, wirings, split, 20)
    assert len(set(sweep.wrong)) > 3


def test_a_deletion_leaves_the_gain_of_the_skip_connection():
    assert delete(((0, 0.5), (1, 0.5, 2), (2, True)), [0, 1]) == ((0, False), (1, False, 2), (2, True))


def test_what_is_off_is_not_computed(make_network, make_split):
    network, calls = make_network(), []
    for name in ("skip", "residual"):
        way = getattr(network.blocks[1], name)
        setattr(network.blocks[1], name, lambda x, way=way, name=name: (calls.append(name), way(x))[1])
    x = network.stem(torch.zeros(1, 3, 8, 8, dtype=torch.float64))
    for gains, ran in [((1,), {"skip", "residual"}), ((0,), {"skip"}), ((1, 0), {"residual"}), ((2, 0), {"residual"})]:
        calls.clear()
        network.blocks[1](x, *gains)
        assert set(calls) == ran
        assert len(calls) == len(ran)


def test_a_gain_of_one_is_no_product(make_network):
    """A number 1 and the old form, True, give the same bits."""
    network, images = make_network(dtype=torch.float32), torch.ones(2, 3, 8, 8)
    same = tuple((block, 1.0, 1.0) for block in range(len(network.blocks)))
    assert torch.equal(network(images, same), network(images))


def test_a_plain_layer_has_no_gain_between(make_network):
    network, images = make_network(PLAIN), torch.zeros(1, 3, 8, 8, dtype=torch.float64)
    for step in [(0, 0.5), (0, 1, 0)]:
        with pytest.raises(InputError, match=r"PlainLayer: a gain of .* expected 0 or 1, and 1: .* take a residual"):
            network(images, put(network.intact, 0, step))


def test_taps_are_the_activations_of_separate_passes(make_network, make_split):
    network = make_network()
    images = next(make_split(n=6).batches(6))[0].double()
    wiring = (*delete(network.intact, [0])[:2], (1, 0.5), *network.intact[2:])  # with a block that stands twice
    taps = list(network.taps(images, wiring))
    assert len(taps) == len(wiring) + 1
    for length, tap in enumerate(taps):
        x = network.stem(images)
        for block, *gains in wiring[:length]:
            x = network.blocks[block](x, *gains)
        assert torch.equal(tap, x)
    assert torch.equal(network.head(taps[-1]), network(images, wiring))


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
