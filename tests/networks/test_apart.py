"""Any network taken apart: whole, with each branch off, and by paths it is what hand-made lesions of the model are."""

import copy
import itertools

import pytest
import timm
import torch
from own_models import Highway, InPlace, OptionA, Parallel, Past, PlainResNet, Tokens, Whole, awake, images
from torch import nn
from torchvision import models

from unravel.engine import paths
from unravel.engine.wiring import delete, evaluate, swap
from unravel.files import InputError
from unravel.networks import for_inference
from unravel.networks.apart import found_names, take_apart


def zeroed(*names):
    """Switches of a library's network: the last layer of each branch, whose weights and bias a lesion sets to zero."""
    return lambda model: [(module, None) for name, module in model.named_modules() if name.endswith(names)]


def switches(model):
    return model.switches()


def convnext():
    setting = [models.convnext.CNBlockConfig(8, 16, 2), models.convnext.CNBlockConfig(16, None, 2)]
    return models.convnext.ConvNeXt(setting, num_classes=5)


def swin():
    return models.swin_transformer.SwinTransformer([2, 2], 8, [2, 2], [2, 2], [2, 2], num_classes=5)


def vit():
    return timm.create_model("vit_tiny_patch16_224", img_size=16, patch_size=8, embed_dim=12, depth=2, num_classes=5)


def small(name):
    return lambda: timm.create_model(name, num_classes=5)


# How it is made, its images' side, its switches in the order of the blocks, and the pattern that names the blocks.
MODELS = {
    "option A": (PlainResNet, 8, switches, "layers.*"),
    "one forward": (Whole, 8, switches, None),
    "in place": (lambda: PlainResNet(kind=InPlace), 8, switches, "layers.*"),
    "pre-norm": (lambda: Tokens(True, True), 8, zeroed("out_proj", "linear2"), "encoder.layers.*"),
    "post-norm": (lambda: Tokens(False, True), 8, zeroed("out_proj", "linear2"), "encoder.layers.*"),
    "sequence first": (lambda: Tokens(False, False), 8, zeroed("out_proj", "linear2"), "encoder.layers.*"),
    "torchvision resnet18": (lambda: models.resnet18(num_classes=5), 32, zeroed(".bn2"), "layer*.*"),
    "torchvision convnext": (convnext, 32, zeroed("block.5"), "features.*.*"),
    "torchvision swin": (swin, 16, zeroed("attn.proj", "mlp.3"), "features.*.*"),
    "timm resnet18": (small("resnet18"), 32, zeroed(".bn2"), "layer*.*"),
    "timm resnetv2": (small("resnetv2_18"), 32, zeroed(".conv2"), "stages.*.blocks.*"),
    "timm vit": (vit, 16, zeroed("attn.proj", "mlp.fc2"), "blocks.*"),
    "timm convnext": (small("convnext_atto"), 32, zeroed("mlp.fc2"), "stages.*.blocks.*"),
}


@pytest.fixture(params=MODELS)
def case(request):
    """A model, the network that it was taken apart into, images, and the model's switches."""
    make, side, find, pattern = MODELS[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = awake(make())
    return model, take_apart(model, pattern, images(2, side)), images(side=side), find


def off(model, find, *places):
    """A copy of the model with these branches switched off by hand."""
    model = copy.deepcopy(model)
    for place in places:
        module, name = find(model)[place]
        if name is None:
            for tensor in module.parameters():
                tensor.data.zero_()
        else:
            setattr(module, name, 0.0)
    return model


@torch.no_grad()
def test_with_nothing_deleted_the_output_is_the_model_s_own(case):
    model, network, x, find = case
    assert len(network.blocks) == len(find(model))
    assert model(x).std() > 1e-3  # else any network would pass
    torch.testing.assert_close(network(x), model(x), rtol=1e-11, atol=1e-13)  # only the layout in memory may differ


@torch.no_grad()
def test_a_deletion_is_the_model_with_that_branch_switched_off(case):
    model, network, x, find = case
    for place in range(len(network.blocks)):
        found = network(x, delete(network.intact, [place]))
        torch.testing.assert_close(found, off(model, find, place)(x), rtol=1e-9, atol=1e-11)
        assert (found - model(x)).abs().max() > 1e-9  # a deletion that changed nothing would prove nothing
    some = [0, len(network.blocks) - 1]
    torch.testing.assert_close(
        network(x, delete(network.intact, some)), off(model, find, *some)(x), rtol=1e-9, atol=1e-11
    )


@torch.no_grad()
def test_no_part_overwrites_what_it_is_given_and_parts_add_up(case):
    _, network, x, _ = case
    x = network.stem(x)
    for block in network.blocks:
        before = x.clone()
        parts = block.after_addition(block.skip(x) + block.residual(x))
        whole = block(x)
        for gains in ((0,), (0.5,), (1, 0), (0, 0.5)):
            block(x, *gains)
        assert torch.equal(x, before)
        torch.testing.assert_close(parts, whole, rtol=1e-10, atol=1e-12)
        half = block.after_addition(0.5 * block.skip(x) + 0.25 * block.residual(x))
        torch.testing.assert_close(block(x, 0.25, 0.5), half, rtol=1e-10, atol=1e-12)
        assert block.keeps_shape == (whole.shape == x.shape)
        x = whole
    before = x.clone()
    network.head(x)
    assert torch.equal(x, before)


def test_the_sum_over_paths_is_autograd_s_gradient(case):
    _, network, x, _ = case
    for train_mode in (False, True):
        tape = paths.record(network, x, torch.tensor([0, 1, 2]), train_mode)
        explained = paths.explained_by_length(paths.exact_by_length(tape), tape.full)
        assert explained.full_error < 1e-10
        assert tape.full.norm() > 0


def jacobian(function, x):
    return torch.autograd.functional.jacobian(function, x).flatten(x.dim()).flatten(0, x.dim() - 1).T


def test_each_length_is_the_sum_over_its_paths_written_out_by_hand():
    """The Jacobians of the model's own branches and shortcuts, all 2^3 products of them; a ReLU follows each sum."""
    model = awake(PlainResNet(widths=(2, 2, 3)))
    network, label = take_apart(model, "layers.*", images(2)), torch.tensor([1])
    image = images(1)
    tape = paths.record(network, image, label, train_mode=False)
    x = torch.relu(model.bn(model.conv(image))).detach()
    ways = []
    for layer in model.layers:
        added = layer.branch(x) + layer.shortcut(x)
        gate = torch.diag((added > 0).double().flatten())
        ways.append([torch.func.jacrev(f)(x).reshape(added.numel(), x.numel()) for f in (layer.shortcut, layer.branch)])
        ways[-1] = [gate @ way for way in ways[-1]]
        x = torch.relu(added).detach()
    x.requires_grad_()
    (top,) = torch.autograd.grad(nn.functional.cross_entropy(model.fc(x.mean((2, 3))), label), x)
    expected = [torch.zeros(ways[0][0].shape[1], dtype=torch.float64) for _ in range(4)]
    for path in itertools.product((0, 1), repeat=3):
        vector = top.flatten()
        for taken, way in zip(reversed(path), reversed(ways), strict=True):
            vector = way[taken].T @ vector
        expected[sum(path)] += vector
    found = paths.exact_by_length(tape)
    for length, vector in enumerate(expected):
        made = found.vectors[length].flatten() * found.log_norm[length].exp()
        torch.testing.assert_close(made, vector, rtol=1e-9, atol=1e-14)


def test_the_engine_counts_what_the_model_counts_in_any_batch(case):
    model, network, _, find = case
    x = images(7, network.image[1], seed=5) * torch.linspace(0.1, 4, 7, dtype=torch.float64)[:, None, None, None]
    wirings = [network.intact, *(delete(network.intact, [place]) for place in range(len(network.blocks)))]
    with torch.inference_mode():
        labels = model(x).argmax(1)
        by_hand = [0, *(int((off(model, find, p)(x).argmax(1) != labels).sum()) for p in range(len(network.blocks)))]
        batches = [(x[:1], labels[:1]), (x[1:], labels[1:])]
        assert evaluate(network, wirings, batches).wrong == by_hand


@torch.inference_mode()
@pytest.mark.parametrize("name", ["option A", "pre-norm", "timm vit", "torchvision convnext"])
def test_the_inference_copy_computes_the_same(name):
    make, side, _, pattern = MODELS[name]
    network = take_apart(awake(make()), pattern, images(2, side))
    x = images(side=side)
    expected = network(x)
    fast = for_inference(network, "fp32")
    assert next(fast.parameters()).dtype == torch.float32
    torch.testing.assert_close(fast(x.float()).double(), expected, rtol=1e-3, atol=1e-4)
    rough = for_inference(network, "bf16")(x.bfloat16())
    assert (rough.double() - expected).norm() < 0.1 * expected.norm()


@torch.no_grad()
def test_blocks_that_change_places_are_the_model_with_its_modules_exchanged():
    model = awake(PlainResNet(widths=(4, 4, 4, 6)))
    network = take_apart(model, "layers.*", images(2))
    exchanged = copy.deepcopy(model)
    exchanged.layers[0], exchanged.layers[2] = exchanged.layers[2], exchanged.layers[0]
    found = network(images(), swap(network.intact, 0, 2))
    torch.testing.assert_close(found, exchanged(images()), rtol=1e-10, atol=1e-12)
    assert (found - model(images())).abs().max() > 1e-6


def test_only_the_blocks_that_are_named_are_blocks():
    model = models.resnet18(num_classes=5)
    network = take_apart(model, "layer3.*", torch.randn(2, 3, 32, 32))
    assert network.names == ["layer3.0", "layer3.1"]
    assert [block.downsampling for block in network.blocks] == [True, False]
    assert found_names(model, torch.randn(2, 3, 32, 32)) == {"layer*.*": 8}
    assert found_names(Whole(), torch.randn(2, 3, 8, 8)) == {"(the model itself)": 2}


def test_the_model_is_left_as_it_was():
    model = PlainResNet().train()
    state = copy.deepcopy(model.state_dict())
    take_apart(model, "layers.*", torch.randn(2, 3, 8, 8))
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_train_mode_is_for_batch_normalisation_alone():
    network = take_apart(nn.Sequential(Tokens(True, True)), None, torch.randn(2, 3, 8, 8)).train()
    assert not any(module.training for module in network.modules() if isinstance(module, nn.Dropout))
    network = take_apart(PlainResNet(), None, torch.randn(2, 3, 8, 8)).train()
    assert all(module.training for module in network.modules() if isinstance(module, nn.BatchNorm2d))


class Uneven(PlainResNet):
    def forward(self, x):
        return super().forward(x if len(x) == 2 else x * 1.5 - x)


class Compiled(PlainResNet):
    _orig_mod = None  # by which torch.compile marks its models


class Pair(PlainResNet):
    def forward(self, x):
        return super().forward(x), x


@pytest.mark.parametrize(
    ("make", "pattern", "said"),
    [
        (PlainResNet, "block*.*", r"blocks='block\*.\*': own_models.PlainResNet runs no module of that name; it has "),
        (
            PlainResNet,
            "layers.*.conv1",
            r"own_models.PlainResNet: has no residual block of the name layers.\*.conv1: nowhere",
        ),
        (lambda: models.vgg11(num_classes=5), None, "torchvision.models.vgg.VGG: has no residual block: nowhere is a"),
        (lambda: models.densenet121(), None, "torchvision.models.densenet.DenseNet: has no residual block"),
        (Highway, None, r"own_models.Highway: cannot .* neither of the two .* skip connection \(in a highway network"),
        (Parallel, None, "own_models.Parallel: cannot be taken as a residual block: it adds up more than two ways"),
        (Past, "layers.*", "layers.0: is no residual block: it adds two values, and something goes from"),
        (Uneven, None, "test_apart.Uneven: its forward does not do the same for two images as for three"),
        (
            lambda: torch.compile(PlainResNet()),
            None,
            "torch._dynamo.eval_frame.OptimizedModule: torch.jit and torch.com",
        ),
        (Pair, None, "test_apart.Pair: its output is tuple, expected one tensor of logits"),
    ],
)
def test_what_would_be_wrong_is_refused_in_one_line(make, pattern, said):
    shape = (2, 3, 2, 2) if make in (Highway, Parallel) else (2, 3, 32, 32)
    with pytest.raises(InputError, match=f"^{said}") as refused:
        take_apart(make(), pattern, torch.randn(shape))
    assert "\n" not in str(refused.value)


class Noisy(OptionA):
    def branch(self, x):
        return nn.functional.dropout(super().branch(x), 0.5, True)


def test_parts_that_do_not_compute_the_whole_are_refused():
    with pytest.raises(InputError, match=r"run by its blocks, it gives another output \(relative error .* is random$"):
        take_apart(PlainResNet(kind=Noisy), "layers.*", torch.randn(2, 3, 8, 8))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (PlainResNet, (3, 32, 32)),
        (lambda: Tokens(True, True), (3, 8, 8)),
        (vit, (3, 16, 16)),  # timm's own note on it says 224
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 9), PlainBlock(), nn.Flatten(), nn.Linear(4 * 20 * 20, 5)), (1, 28, 28)),
    ],
)
def test_the_size_of_images_is_found(make, shape):
    model = make()
    if isinstance(model, Tokens):
        model.img_size = 8
    assert take_apart(model).image == shape


def test_a_model_whose_size_is_not_found_is_refused():
    with pytest.raises(
        InputError, match=r"takes no images of 3x32x32 or 3x224x224 or 3x28x28; give take_apart a batch"
    ):
        take_apart(Tokens(True, True))


class PlainBlock(nn.Module):
    def forward(self, x):
        return x + x.tanh()


def test_images_of_another_size_are_refused_by_the_parts():
    network = take_apart(PlainResNet(), "layers.*", torch.randn(2, 3, 8, 8))
    with pytest.raises(InputError, match=r"^images are 3x16x16, expected 3x8x8, which "):
        network(torch.randn(2, 3, 16, 16))
