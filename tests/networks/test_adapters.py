"""Adapters: torchvision's and timm's networks give the same outputs taken apart, whole and with blocks deleted."""

import copy
import math

import pytest
import timm
import torch
from conftest import PLAIN
from torch import nn
from torchvision import models

from unravel.engine.wiring import delete, evaluate
from unravel.files import InputError
from unravel.networks import for_inference
from unravel.networks.adapters import adapt
from unravel.studies.reordering.measure import swappable

# One per kind of block, stem, shortcut and normalisation.
TORCHVISION = ("resnet18", "resnet34", "resnet50", "wide_resnet50_2", "resnext50_32x4d", "resnet101")
TIMM = ("resnetv2_18", "resnetv2_18d", "resnetv2_50", "resnetv2_50t", "resnetv2_50d_gn", "resnetv2_50d_evos")
BIT = "resnetv2_50x1_bit"
NAMES = [*(f"torchvision:{name}" for name in TORCHVISION), *(f"timm:{name}" for name in (*TIMM, BIT))]
SMALL = ("torchvision:resnet18", "torchvision:resnet50", "timm:resnetv2_18d", "timm:resnetv2_50")


def make(name, dtype=torch.float32):
    """A library's network with random weights and statistics, so that no layer is the identity by accident."""
    library, _, model = name.partition(":")
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        create = models.get_model if library == "torchvision" else timm.create_model
        network = create(model, num_classes=5)
    for tensor_name, tensor in network.state_dict().items():
        if tensor.ndim == 1:  # statistics, and scales and shifts of normalisations
            random = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(random - 0.5 if tensor_name.endswith(("bias", "mean")) else random + 0.5)
    return network.to(dtype).eval()


def make_images(dtype=torch.float32):
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)).to(dtype)


def original_blocks(network):
    """The library's own blocks, in order."""
    stages = network.stages if hasattr(network, "stages") else [getattr(network, f"layer{i}") for i in range(1, 5)]
    return [block for stage in stages for block in (stage.blocks if hasattr(stage, "blocks") else stage)]


@torch.inference_mode()
@pytest.mark.parametrize("name", NAMES)
def test_with_nothing_deleted_the_output_is_the_library_s(name):
    network = make(name)
    images = make_images()
    expected = network(images)
    assert expected.std() > 0.1  # else any network would pass
    torch.testing.assert_close(adapt(network, name)(images), expected, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("name", SMALL)
def test_the_same_in_double_precision(name):
    network = make(name, torch.float64)
    images = make_images(torch.float64)
    torch.testing.assert_close(adapt(network, name)(images), network(images), rtol=1e-10, atol=1e-10)


class Remains(nn.Module):
    """What is left of a library's block, written out for each kind from the library's own forward pass."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        if hasattr(self.block, "relu"):  # torchvision: relu(branch + (downsample(x) or x))
            return torch.relu(x if self.block.downsample is None else self.block.downsample(x))
        # timm: branch + (downsample(norm1(x)) or x)
        return x if self.block.downsample is None else self.block.downsample(self.block.norm1(x))


def without(network, place):
    """The library's network with the block at this place replaced by hand."""
    network = copy.deepcopy(network)
    gone = original_blocks(network)[place]
    for module in network.modules():
        for child_name, child in module.named_children():
            if child is gone:
                setattr(module, child_name, Remains(gone))
                return network
    raise AssertionError("there is no such block")


@torch.inference_mode()
@pytest.mark.parametrize("name", SMALL)
def test_deleting_a_block_is_replacing_it_by_its_skip_connection(name):
    network = make(name, torch.float64)
    images = make_images(torch.float64)[:1]
    adapted, intact = adapt(network, name), network(images)
    for place in range(len(adapted.blocks)):
        found = adapted(images, delete(adapted.intact, [place]))
        torch.testing.assert_close(found, without(network, place)(images), rtol=1e-10, atol=1e-10)
        assert (found - intact).abs().max() > 1e-6  # a deletion that changed nothing would prove nothing


@torch.inference_mode()
@pytest.mark.parametrize("name", SMALL)
def test_no_block_overwrites_its_input(name):
    """The wiring engine keeps activations and passes them again: a ReLU in place would spoil them."""
    adapted = adapt(make(name), name)
    x = adapted.stem(make_images())
    for block in adapted.blocks:
        for gains in ((1,), (0,), (1, 0)):
            before = x.clone()
            block(x, *gains)
            assert torch.equal(x, before)
        x = block(x)
    before = x.clone()
    adapted.head(x)
    assert torch.equal(x, before)


def test_the_engine_counts_what_single_forward_passes_count():
    adapted = adapt(make("torchvision:resnet18"), "torchvision:resnet18")
    images = make_images().repeat(8, 1, 1, 1) * torch.linspace(0.1, 3, 16)[:, None, None, None]
    wirings = [adapted.intact, *(delete(adapted.intact, [place]) for place in range(8))]
    with torch.inference_mode():
        labels = adapted(images).argmax(1)
        by_hand = [int((adapted(images, wiring).argmax(1) != labels).sum()) for wiring in wirings]
    assert evaluate(adapted, wirings, [(images, labels)]).wrong == by_hand
    assert by_hand[0] == 0
    assert max(by_hand) > 0


@torch.inference_mode()
@pytest.mark.parametrize("name", [*SMALL, "torchvision:resnext50_32x4d", "timm:resnetv2_50d_evos", f"timm:{BIT}"])
def test_the_inference_copy_computes_the_same(name):
    network, images = make(name), make_images()
    expected = network(images)
    adapted = adapt(copy.deepcopy(network), name)
    torch.testing.assert_close(for_inference(adapted, "fp32")(images), expected, rtol=1e-4, atol=1e-4)
    # One rounding to bf16 is a relative error of up to 2^-8; over layers that are independent such errors add up as the
    # square root of their number. A network that is rougher than that by itself may be so here, up to twice.
    ours, theirs = (
        (rough(images.bfloat16()) - expected).norm() / expected.norm()
        for rough in (for_inference(adapted, "bf16"), network.bfloat16())
    )
    layers = sum(isinstance(module, nn.Conv2d | nn.Linear) for module in adapted.modules())
    assert ours < max(2**-8 * math.sqrt(layers), 2 * theirs)


def count(network, kind):
    return sum(isinstance(module, kind) for module in network.blocks.modules())


def test_batch_normalisations_after_a_convolution_are_folded_and_no_others():
    post, pre, standardised = (
        adapt(make(name), name) for name in ("torchvision:resnet50", "timm:resnetv2_50", f"timm:{BIT}")
    )
    assert count(post, nn.BatchNorm2d) == 3 * 16 + 4
    assert count(for_inference(post, "fp32"), nn.BatchNorm2d) == 0
    assert count(pre, nn.BatchNorm2d) == 3 * 16
    assert count(for_inference(pre, "fp32"), nn.BatchNorm2d) == 16  # the first of each block, which follows an addition
    assert count(for_inference(standardised, "fp32"), nn.GroupNorm) == count(standardised, nn.GroupNorm) == 3 * 16


@pytest.mark.parametrize(
    ("name", "halving", "groups"),
    [
        ("torchvision:resnet18", [2, 4, 6], [[0, 1]]),
        ("torchvision:resnet34", [3, 7, 13], [[0, 1, 2], [4, 5, 6], [8, 9, 10, 11, 12], [14, 15]]),
        # In bottleneck networks the first block of stage 1 quadruples the channels and lowers no resolution.
        ("torchvision:resnet50", [3, 7, 13], [[1, 2], [4, 5, 6], [8, 9, 10, 11, 12], [14, 15]]),
        ("timm:resnetv2_50d", [3, 7, 13], [[1, 2], [4, 5, 6], [8, 9, 10, 11, 12], [14, 15]]),
        ("timm:resnetv2_18", [2, 4, 6], [[0, 1]]),
    ],
)
def test_downsampling_blocks_and_swappable_blocks(name, halving, groups):
    adapted = adapt(make(name), name)
    assert [place for place, block in enumerate(adapted.blocks) if block.downsampling] == halving
    assert swappable(adapted) == groups
    x = adapted.stem(make_images())
    for block in adapted.blocks:  # the marks against the shapes themselves
        y = block(x)
        assert block.downsampling == (y.shape[2] < x.shape[2])
        assert block.keeps_shape == (y.shape == x.shape)
        x = y


class OwnResNet(models.ResNet):
    """A subclass may have any forward pass."""


class BasicBlock(models.resnet.BasicBlock):
    """A block of the library's name with any forward pass."""


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda make_network: make_network(PLAIN), "it is a unravel.networks.base.Network"),
        (lambda _: models.vgg11(num_classes=5), "it is a torchvision.models.vgg.VGG"),
        (lambda _: OwnResNet(BasicBlock, [1, 1, 1, 1]), "it is a test_adapters.OwnResNet"),
        (lambda _: models.ResNet(BasicBlock, [1, 1, 1, 1]), "it has a block of kind test_adapters.BasicBlock"),
        (
            lambda _: timm.models.resnetv2.ResNetV2([1, 1, 1, 1], preact=False),
            "it has a block of kind timm.models.resnetv2.Bottleneck",
        ),
    ],
)
def test_what_cannot_be_taken_apart_is_refused_in_one_line(make_network, build, reason):
    with pytest.raises(InputError) as refused:
        adapt(build(make_network), "mine")
    assert str(refused.value).startswith(f"mine: cannot be taken apart into residual blocks: {reason}; those that can:")
    assert "timm:resnetv2_*" in str(refused.value)
    assert "\n" not in str(refused.value)
