"""Networks: parameter counts against hand-computed numbers, outputs against a formula written from the papers."""

import math

import pytest
import timm
import torch
from conftest import PLAIN, RESNET
from torch.nn.functional import conv2d, linear, max_pool2d

from unravel.config import VGG, LinearSurvival, ResNet
from unravel.config.networks import BLOCKS
from unravel.data.batches import random_generator
from unravel.files import InputError
from unravel.networks import build, for_inference, initialise
from unravel.networks.adapters import adapt
from unravel.networks.base import Projection


def count(network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameters_of_the_54_block_network_match_the_count_by_hand():
    stem = 3 * 16 * 9
    stage1 = 18 * (2 * 16 + 16 * 16 * 9 + 2 * 16 + 16 * 16 * 9)
    first2 = 2 * 16 + 16 * 32 * 9 + 2 * 32 + 32 * 32 * 9 + 16 * 32  # the last term is the projection
    stage2 = first2 + 17 * (2 * 32 + 32 * 32 * 9 + 2 * 32 + 32 * 32 * 9)
    first3 = 2 * 32 + 32 * 64 * 9 + 2 * 64 + 64 * 64 * 9 + 32 * 64
    stage3 = first3 + 17 * (2 * 64 + 64 * 64 * 9 + 2 * 64 + 64 * 64 * 9)
    head = 2 * 64 + 64 * 10 + 10
    by_hand = stem + stage1 + stage2 + stage3 + head
    assert by_hand == 1_730_522
    assert count(build(ResNet(architecture="resnet"), (32, 32, 3), 10)) == by_hand


def test_parameters_of_vgg_15_match_the_count_by_hand():
    by_hand = (3 * 128 * 9 + 2 * 128) + 14 * (128 * 128 * 9 + 2 * 128) + (128 * 10 + 10)
    assert by_hand == 2_072_970
    assert count(build(VGG(architecture="vgg"), (32, 32, 3), 10)) == by_hand


def normalise(x, state, name):
    mean, var, weight, bias = (
        state[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias


def resnet_by_formula(x, state, strides, survival, without=()):
    """x_{i+1} = skip(x_i) + p_i f(x_i), f = conv . relu . bn . conv . relu . bn (He et al. 2016b, Figure 1b)."""
    x = conv2d(x, state["stem.weight"], padding=1)
    for i, (stride, scale) in enumerate(zip(strides, survival, strict=True)):
        block = f"blocks.{i}"
        projection = state.get(f"{block}.projection.weight")
        skip = x if projection is None else conv2d(x, projection, stride=stride)
        inner = normalise(x, state, f"{block}.norm1").clamp(min=0)
        inner = conv2d(inner, state[f"{block}.conv1.weight"], stride=stride, padding=1)
        inner = normalise(inner, state, f"{block}.norm2").clamp(min=0)
        inner = conv2d(inner, state[f"{block}.conv2.weight"], padding=1)
        x = skip if i in without else skip + scale * inner
    x = normalise(x, state, "head.0").clamp(min=0).mean(dim=(2, 3))
    return linear(x, state["head.4.weight"], state["head.4.bias"])


@pytest.mark.parametrize("side", [8, 16, 32])
@pytest.mark.parametrize("channels", [1, 3])
def test_resnet_computes_the_formula(make_network, side, channels):
    network = make_network(shape=(side, side, channels))
    images = torch.randn(3, channels, side, side, dtype=torch.float64)
    expected = resnet_by_formula(images, network.state_dict(), [1, 1, 2, 1, 2], [1] * 5)
    torch.testing.assert_close(network(images), expected, rtol=1e-10, atol=1e-10)


def test_deleting_a_block_leaves_its_projection(make_network):
    network = make_network()
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    for gone in range(5):
        wiring = tuple((block, block != gone) for block in range(5))
        expected = resnet_by_formula(images, network.state_dict(), [1, 1, 2, 1, 2], [1] * 5, without={gone})
        torch.testing.assert_close(network(images, wiring), expected, rtol=1e-10, atol=1e-10)


def test_survival_scales_residual_branches_at_test_time_only(make_network):
    settings = RESNET.model_copy(update={"block_sampling": LinearSurvival(scheme="linear", final_survival=0.5)})
    network = make_network(settings)
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    survival = [0.9, 0.8, 0.7, 0.6, 0.5]  # 1 - l/5 (1 - 0.5)
    expected = resnet_by_formula(images, network.state_dict(), [1, 1, 2, 1, 2], survival)
    torch.testing.assert_close(network(images), expected, rtol=1e-10, atol=1e-10)
    unscaled = make_network(RESNET)
    torch.testing.assert_close(network.train()(images), unscaled.train()(images), rtol=0, atol=0)


def test_vgg_computes_the_formula_and_deleting_a_layer_leaves_its_pooling(make_network):
    network = make_network(PLAIN)
    state = network.state_dict()
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    for gone in (None, 0, 1, 2, 3):
        x = normalise(conv2d(images, state["stem.0.weight"], padding=1), state, "stem.1").clamp(min=0)
        for layer in range(4):
            if layer != gone:
                x = conv2d(x, state[f"blocks.{layer}.conv.weight"], padding=1)
                x = normalise(x, state, f"blocks.{layer}.norm").clamp(min=0)
            if layer in (0, 2):  # the second and the fourth layer end their stages
                x = max_pool2d(x, 2)
        expected = linear(x.mean(dim=(2, 3)), state["head.2.weight"], state["head.2.bias"])
        wiring = tuple((block, block != gone) for block in range(4))
        torch.testing.assert_close(network(images, wiring), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("block", BLOCKS)
def test_each_block_counts_its_branch_in_full_in_training_and_by_its_survival_at_test_time(make_network, block):
    linear = LinearSurvival(scheme="linear", final_survival=0.5)
    network = make_network(RESNET.model_copy(update={"block": block, "block_sampling": linear}))
    x = network.stem(torch.randn(4, 3, 8, 8, dtype=torch.float64))
    for survival, module in zip([0.9, 0.8, 0.7, 0.6, 0.5], network.blocks, strict=True):  # 1 - l/5 (1 - 0.5)
        for training, factor in ((True, 1), (False, survival)):
            module.train(training)
            expected = module.skip(x) + factor * module.residual(x)
            torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)
        x = module(x)


def test_weights_begin_with_the_spread_of_their_outputs_or_inputs():
    network = build(ResNet(architecture="resnet", blocks_per_stage=(1, 1), channels=(16, 64)), (8, 8, 3), 100)
    initialise(network, random_generator(1))
    wide = network.blocks[1].conv1.weight.detach()  # from 16 channels to 64, 3x3: 9,216 weights
    # He et al. 2015, Eq. 14: variance 2 / (9 * 64); its estimate varies by sqrt(2 / 9216) of it, 1.5%
    assert float(wide.pow(2).mean()) == pytest.approx(2 / (9 * 64), rel=0.07)
    assert abs(float(wide.mean())) < 5 * math.sqrt(2 / (9 * 64) / 9216)
    last = network.head[4]  # 100 x 64 weights, uniform within 1/8
    assert 0.99 / 8 < float(last.weight.detach().abs().max()) <= 1 / 8
    assert float(last.weight.detach().abs().mean()) == pytest.approx(1 / 16, rel=0.04)  # its own deviation is 0.7%
    assert not last.bias.detach().any()
    for norm in (network.blocks[0].norm1, network.head[0]):
        assert (norm.weight == 1).all()
        assert (norm.bias == 0).all()


@pytest.mark.parametrize("settings", [RESNET, PLAIN])
def test_the_inference_copy_computes_the_same(make_network, settings):
    network = make_network(settings, dtype=torch.float32)
    images = torch.randn(16, 3, 8, 8)
    fast = for_inference(network, "fp32")
    torch.testing.assert_close(fast(images), network(images), rtol=1e-4, atol=1e-5)
    assert all(block.norm1.training is False for block in network.blocks if hasattr(block, "norm1"))


def test_images_too_small_for_the_stages_are_refused():
    settings = ResNet(architecture="resnet", blocks_per_stage=(1,) * 5, channels=(4,) * 5)
    with pytest.raises(InputError, match=r"images of 8x8 pixels are too small to be halved 4 times"):
        build(settings, (8, 8, 1), 10)


RESNET_200 = ResNet(
    architecture="resnet", block="bottleneck", stem="7x7", blocks_per_stage=(3, 24, 36, 3), channels=(64, 128, 256, 512)
)


def test_parameters_and_multiply_adds_of_resnet_200_match_the_count_by_hand_and_the_published_ones():
    parameters, multiply_adds = 3 * 64 * 49, 3 * 64 * 49 * 112**2
    outside = 64
    for stage, (blocks, width) in enumerate(zip((3, 24, 36, 3), (64, 128, 256, 512), strict=True)):
        side = 56 // 2**stage
        for block in range(blocks):
            before = side * 2 if stage > 0 and block == 0 else side  # the 3x3 convolution has the stride
            weights = [outside * width, width * width * 9, width * 4 * width]
            weights += [outside * 4 * width] if block == 0 else []
            parameters += sum(weights) + 2 * (outside + width + width)
            multiply_adds += weights[0] * before**2 + sum(weights[1:]) * side**2
            outside = 4 * width
    parameters += 2 * 2048 + 2048 * 1000 + 1000
    multiply_adds += 2048 * 1000
    assert round(parameters / 1e6, 1) == 64.7  # published, in millions
    with torch.device("meta"):
        network = build(RESNET_200, (224, 224, 3), 1000)
        counted = []
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                module.register_forward_hook(
                    lambda module, _, output: counted.append(module.weight.numel() * output[0, 0].numel())
                )
        network.eval()(torch.empty(1, 3, 224, 224))
    assert (len(network.blocks), count(network), sum(counted)) == (66, parameters, multiply_adds)
    assert [place for place, block in enumerate(network.blocks) if block.downsampling] == [3, 27, 63]


def test_a_bottleneck_network_with_timms_weights_computes_what_timms_does():
    settings = RESNET_200.model_copy(update={"blocks_per_stage": (3, 4, 6, 3)})
    theirs = timm.create_model("resnetv2_50", num_classes=7).double().eval()
    generator = random_generator(3)
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
            module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator) * 0.1)
    ours = build(settings, (64, 64, 3), 7).double().eval()
    renamed = {}
    for name, tensor in theirs.state_dict().items():
        stage, _, rest = name.removeprefix("stages.").partition(".blocks.")
        block, _, rest = rest.partition(".")
        renamed[
            f"blocks.{sum((3, 4, 6, 3)[: int(stage)]) + int(block)}.{rest.replace('downsample.conv', 'projection')}"
            if stage.isdigit()
            else name.replace("stem.conv", "stem.0")
            .replace("head.fc.weight", "head.4.weight")
            .replace("head.fc.bias", "head.4.bias")
            .replace("norm.", "head.0.")
        ] = tensor
    ours.load_state_dict({name: t.flatten(1) if name == "head.4.weight" else t for name, t in renamed.items()})
    images = torch.randn(2, 3, 64, 64, generator=generator, dtype=torch.float64)
    with torch.inference_mode():
        expected = theirs(images)
        torch.testing.assert_close(ours(images), expected, rtol=1e-10, atol=1e-10)
        in_single = for_inference(ours, "fp32")(images.float())
        torch.testing.assert_close(in_single, expected.float(), rtol=1e-3, atol=1e-4)
        for gone in (0, 1, 3):  # the same deletions as in timm's network, taken apart
            wiring = tuple((block, block != gone) for block in range(16))
            torch.testing.assert_close(
                ours(images, wiring), adapt(theirs, "timm")(images, wiring), rtol=1e-10, atol=1e-10
            )


def test_a_bottleneck_block_trains_as_its_two_ways_and_counts_a_batch_once(make_network):
    settings = RESNET.model_copy(update={"block": "bottleneck"})
    network = make_network(settings).train()
    block = network.blocks[2]
    assert block.downsampling
    x = torch.randn(3, 16, 8, 8, dtype=torch.float64)
    before = block.norm1.num_batches_tracked.item()
    together = block(x)
    assert block.norm1.num_batches_tracked.item() == before + 1
    torch.testing.assert_close(together, block.skip(x) + block.residual(x), rtol=1e-12, atol=1e-12)


def test_images_too_small_for_the_large_stem_are_refused():
    with pytest.raises(InputError, match="images of 16x16 pixels are too small to be halved 5 times in 4 stages"):
        build(RESNET_200, (16, 16, 3), 10)


def test_a_projection_is_a_strided_convolution_in_both_passes():
    projection = Projection(4, 6, stride=2).double()
    images = torch.randn(3, 4, 7, 8, dtype=torch.float64).requires_grad_()
    plain = conv2d(images, projection.weight, stride=2)
    arriving = torch.randn_like(plain)
    got = torch.autograd.grad(projection(images), [images, projection.weight], arriving)
    for value, expected in zip(got, torch.autograd.grad(plain, [images, projection.weight], arriving), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)


def test_the_gradient_that_passes_a_projection_keeps_the_layout():
    projection = Projection(4, 6, stride=2).to(memory_format=torch.channels_last)
    images = torch.randn(3, 4, 8, 8).to(memory_format=torch.channels_last).requires_grad_()
    (gradient,) = torch.autograd.grad(projection(images).sum(), images)
    assert gradient.is_contiguous(memory_format=torch.channels_last)
