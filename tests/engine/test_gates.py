"""Frozen gates against masks multiplied by hand and against all 2^n paths, in float64."""

import itertools

import pytest
import torch
from conftest import PLAIN, RESNET
from torch import nn
from torch.nn.functional import conv2d, linear
from torchvision.models.resnet import BasicBlock, ResNet

from unravel.config import LinearSurvival
from unravel.config import ResNet as ResNetSettings
from unravel.data.batches import random_generator
from unravel.engine.gates import freeze, logits_by_length
from unravel.engine.wiring import delete, put
from unravel.files import InputError
from unravel.networks.adapters import adapt


def images(n=3, size=8):
    return torch.randn(n, 3, size, size, generator=random_generator(1), dtype=torch.float64)


def pre_activation(make_network):
    survival = LinearSurvival(scheme="linear", final_survival=0.5)
    return make_network(RESNET.model_copy(update={"block_sampling": survival}))


def bottleneck(make_network):
    return make_network(
        ResNetSettings(architecture="resnet", block="bottleneck", blocks_per_stage=(2, 2, 1), channels=(2, 3, 4))
    )


def eight_blocks(make_network):
    return make_network(ResNetSettings(architecture="resnet", blocks_per_stage=(3, 3, 2), channels=(3, 4, 5)))


def post_activation(make_network):
    """torchvision's: a ReLU follows each addition, the stem has a max pooling, and projections have constants."""
    network = adapt(ResNet(BasicBlock, [2, 1, 1, 1], num_classes=4).double().eval(), "small")
    generator = random_generator(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            for tensor in (module.bias.data, module.running_mean):
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
    return network


EVERY = pytest.mark.parametrize("make", [pre_activation, bottleneck, post_activation, eight_blocks])


@pytest.fixture
def network(make, make_network):
    return make(make_network).requires_grad_(False)


def enumerated(frozen, x):
    """The logits by path length from all 2^n subsets of branches, by inclusion and exclusion."""
    n = len(frozen.blocks)
    subsets = {
        on: frozen(x, delete(frozen.intact, set(range(n)) - set(on)))
        for size in range(n + 1)
        for on in itertools.combinations(range(n), size)
    }
    found = torch.zeros(n + 1, *subsets[()].shape, dtype=x.dtype)
    for path in subsets:  # what the path through just these branches carries
        for size in range(len(path) + 1):
            for on in itertools.combinations(path, size):
                found[len(path)] += (-1) ** (len(path) - size) * subsets[on]
    return found


@EVERY
def test_the_lengths_equal_all_paths_and_sum_to_the_logits(network):
    x = images()
    found = logits_by_length(network, x)
    expected = enumerated(freeze(network, x), x)
    assert expected.shape[0] == len(network.blocks) + 1
    scale = float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10 * scale)  # 3^n terms of both signs are added up
    torch.testing.assert_close(found.sum(dim=0), network(x), rtol=1e-12, atol=1e-12 * scale)
    assert all(float(part.abs().max()) > 1e-6 * scale for part in found[:3])  # no length is zero by accident


@EVERY
def test_frozen_gates_change_nothing_in_the_intact_pass_and_something_in_others(network):
    x = images()
    frozen = freeze(network, x)
    torch.testing.assert_close(frozen(x), network(x), rtol=1e-12, atol=1e-12)
    lesion = delete(network.intact, [1])
    assert float((frozen(x, lesion) - network(x, lesion)).abs().max()) > 1e-4
    for tap, expected in zip(frozen.taps(x), network.taps(x), strict=True):
        torch.testing.assert_close(tap, expected, rtol=1e-12, atol=1e-12)


@EVERY
def test_a_network_with_frozen_gates_is_affine(network):
    x = images()
    frozen, start, end = freeze(network, x), images(n=3) * 2, images(n=3).flip(0)
    wiring = put(delete(frozen.intact, [0]), 2, (2, 0.7))
    between = frozen(0.3 * start + 0.7 * end, wiring)
    torch.testing.assert_close(between, 0.3 * frozen(start, wiring) + 0.7 * frozen(end, wiring), rtol=1e-10, atol=1e-10)
    assert float((network(0.3 * start + 0.7 * end) - 0.3 * network(start) - 0.7 * network(end)).abs().max()) > 1e-3


@pytest.mark.parametrize("make", [pre_activation])
def test_the_gates_are_those_of_the_intact_pass(network):
    """A block and the head by hand: batch normalisation as a scale and a shift, each ReLU as a product with a mask."""
    x = images()
    frozen, block = freeze(network, x), network.blocks[1]

    def norm(module, y):
        scale = module.weight / (module.running_var + module.eps).sqrt()
        return y * scale[:, None, None] + (module.bias - module.running_mean * scale)[:, None, None]

    here = network.blocks[0](network.stem(x))
    inner = conv2d(norm(block.norm1, here).relu(), block.conv1.weight, padding=1)
    first, second = norm(block.norm1, here) > 0, norm(block.norm2, inner) > 0
    other = torch.randn(here.shape, generator=random_generator(4), dtype=torch.float64)
    hidden = conv2d(norm(block.norm1, other) * first, block.conv1.weight, padding=1)
    branch = conv2d(norm(block.norm2, hidden) * second, block.conv2.weight, padding=1)
    torch.testing.assert_close(frozen.blocks[1](other), other + block.survival * branch, rtol=1e-11, atol=1e-11)

    norm_head, _, _, _, last = network.head
    out = list(network.taps(x))[-1]
    other = torch.randn(out.shape, generator=random_generator(5), dtype=torch.float64)
    pooled = (norm(norm_head, other) * (norm(norm_head, out) > 0)).mean(dim=(2, 3))
    torch.testing.assert_close(frozen.head(other), linear(pooled, last.weight, last.bias), rtol=1e-11, atol=1e-11)


@EVERY
def test_the_lengths_are_the_coefficients_of_the_gain(network):
    """Every branch times g: with frozen gates the logits are a polynomial in g, also beyond 0 and 1."""
    x = images()
    found, frozen = logits_by_length(network, x), freeze(network, x)
    for gain in (0, 0.5, 1, -1.5):
        wiring = tuple((block, gain) for block in range(len(network.blocks)))
        expected = sum(gain**length * part for length, part in enumerate(found))
        torch.testing.assert_close(
            frozen(x, wiring), expected, rtol=1e-10, atol=1e-10 * float(found.abs().max()) * max(1, abs(gain)) ** 8
        )


@pytest.mark.parametrize("make", [eight_blocks])
def test_in_single_precision_the_sum_is_the_logits(network):
    network = network.float()
    found, logits = logits_by_length(network, images().float()), network(images().float())
    assert float((found.sum(dim=0) - logits).norm() / logits.norm()) < 1e-5


def test_few_vectors_at_once_change_nothing(make_network, monkeypatch):
    network, x = pre_activation(make_network), images()
    whole = logits_by_length(network, x)
    monkeypatch.setattr("unravel.engine.gates.VECTORS", {"cpu": 1})
    torch.testing.assert_close(logits_by_length(network, x), whole, rtol=1e-12, atol=1e-12)


class Curved(nn.GroupNorm):
    """A normalisation that holds its activation, as timm's do: it has layers inside and is one itself."""

    def __init__(self, channels):
        super().__init__(2, channels)
        self.act = nn.ReLU()


def test_what_no_gates_make_affine_is_refused(make_network):
    network = make_network()
    with pytest.raises(InputError, match="train mode"):
        logits_by_length(network.train(), images())
    network.eval().head[1] = nn.GELU()
    with pytest.raises(
        InputError, match=r"^gates: GELU stays curved .*: architecture resnet, and torchvision:resnet\*"
    ):
        freeze(network, images())
    network.head[1] = Curved(6)
    with pytest.raises(InputError, match=r"^gates: Curved stays curved"):
        freeze(network, images())
    with pytest.raises(InputError, match="PlainLayer has no residual branch"):
        freeze(make_network(PLAIN), images())
