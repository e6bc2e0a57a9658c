"""Gradients by path length against explicit enumeration of all 2^n paths, in float64."""

import itertools
import math

import pytest
import torch
from conftest import RESNET
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from unravel.config import LinearSurvival
from unravel.data.batches import random_generator
from unravel.engine import paths
from unravel.files import InputError
from unravel.networks import Block, Network, initialise
from unravel.networks.adapters import adapt

BLOCKS = range(5)
ALL_PATHS = [path for length in range(6) for path in itertools.combinations(BLOCKS, length)]


def batch(n=6):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(n, 3, 8, 8, generator=generator, dtype=torch.float64)
    return images, torch.arange(n) % 4


def gradient_along(network, images, labels, path, train_mode, activation):
    """The gradient at the first block when backward takes one path only: each block's other branch is detached."""
    network.train(train_mode)
    x = first = network.stem(images).detach().requires_grad_()
    for index, block in enumerate(network.blocks):
        residual, skip = block.residual(x), block.skip(x)
        if not train_mode:
            residual = block.survival * residual
        x = activation(residual + skip.detach() if index in path else residual.detach() + skip)
    loss = torch.nn.functional.cross_entropy(network.head(x), labels)
    return torch.autograd.grad(loss, first)[0]


def pre_activation(make_network):
    """Ours, with branches that are scaled in eval mode only."""
    survival = LinearSurvival(scheme="linear", final_survival=0.5)
    return make_network(RESNET.model_copy(update={"block_sampling": survival}))


def post_activation(_):
    """torchvision's: a ReLU follows each addition, and three skip connections are projections."""
    library = ResNet(BasicBlock, [2, 1, 1, 1], num_classes=4)
    network = adapt(library.double(), "small")
    generator = random_generator(3)
    initialise(network, generator)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.copy_(torch.rand(module.weight.shape, generator=generator) + 0.5)
            module.bias.data.copy_(torch.randn(module.bias.shape, generator=generator) * 0.3)
    return network


@pytest.fixture(
    scope="module",
    params=itertools.product([True, False], [pre_activation, post_activation]),
    ids=lambda pair: f"{'train' if pair[0] else 'eval'}-mode BN, {pair[1].__name__}",
)
def case(request, make_network):
    train_mode, make = request.param
    network = make(make_network)
    images, labels = batch()
    tape = paths.record(network, images, labels, train_mode)
    activation = torch.relu if make is post_activation else lambda x: x
    along = {path: gradient_along(network, images, labels, path, train_mode, activation) for path in ALL_PATHS}
    return tape, along


def test_the_enumerated_paths_sum_to_autograds_full_gradient(case):
    tape, along = case
    torch.testing.assert_close(sum(along.values()), tape.full, rtol=1e-10, atol=1e-14)


def test_sampled_norms_equal_each_path_alone(case):
    tape, along = case
    norms = paths.sampled_log_norms(tape, ALL_PATHS).exp()
    expected = torch.stack([along[path].norm() for path in ALL_PATHS])
    torch.testing.assert_close(norms, expected, rtol=1e-10, atol=0)


def test_exact_sums_equal_the_enumeration_for_every_length(case):
    tape, along = case
    exact = paths.exact_by_length(tape)
    for length in range(6):
        expected = sum(gradient for path, gradient in along.items() if len(path) == length)
        computed = exact.vectors[length] * exact.log_norm[length].exp()
        torch.testing.assert_close(computed, expected, rtol=1e-10, atol=1e-10 * float(expected.norm()))


def test_the_explained_share_equals_sums_of_the_enumeration(case):
    tape, along = case
    explained = paths.explained_by_length(paths.exact_by_length(tape), tape.full)
    for longest in range(6):
        part = sum(gradient for path, gradient in along.items() if len(path) <= longest).flatten()
        full = tape.full.flatten()
        assert float(explained.cosine[longest]) == pytest.approx(
            float(part @ full / part.norm() / full.norm()), abs=1e-10
        )
        assert float(explained.norm_ratio[longest]) == pytest.approx(float(part.norm() / full.norm()), abs=1e-10)
    assert explained.full_error < 1e-12


def test_no_length_underflows_however_small_the_gradients(make_network):
    network = make_network(dtype=torch.float32)
    for block in network.blocks:
        block.conv2.weight.data *= 1e-12  # a path of length 5 has a norm near 1e-60: zero in float32
    images, labels = batch()
    exact = paths.exact_by_length(paths.record(network, images.float(), labels, train_mode=True))
    small = exact.log_norm
    network = make_network(dtype=torch.float64)
    for block in network.blocks:
        block.conv2.weight.data *= 1e-12
    large = paths.exact_by_length(paths.record(network, images, labels, train_mode=True)).log_norm
    assert float(large[-1]) < math.log(1e-50)
    torch.testing.assert_close(small.double(), large, rtol=1e-4, atol=1e-3)


class PostActivation(Block):
    """y = activation(skip(x) + conv(activation(conv(x)))), with a projection where the shape changes."""

    def __init__(self, channels_in, channels_out, stride, activation):
        super().__init__()
        self.activation = activation
        self.projection = nn.Conv2d(channels_in, channels_out, 1, stride) if channels_in != channels_out else None
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)

    def skip(self, x):
        return x if self.projection is None else self.projection(x)

    def residual(self, x):
        return self.conv2(self.activation(self.conv1(x)))

    def after_addition(self, x):
        return self.activation(x)


class Undeclared(PostActivation):
    """The same function of x, of which only `forward` knows the activation."""

    def after_addition(self, x):
        return x

    def forward(self, x, *gains):
        return self.activation(super().forward(x, *gains))


def small(kind, activation=torch.relu):
    """Five blocks from 3 to 4 channels, and a head that gives every value a gradient of its own."""
    widths = [(3, 3, 1), (3, 3, 1), (3, 4, 2), (4, 4, 1), (4, 4, 1)]
    blocks = [kind(*width, activation) for width in widths]
    network = Network(nn.Conv2d(3, 3, 1), blocks, nn.Sequential(nn.Flatten(), nn.Linear(16, 4))).double()
    initialise(network, random_generator(5))
    return network


def small_batch():
    return torch.randn(3, 3, 4, 4, generator=random_generator(6), dtype=torch.float64), torch.tensor([0, 1, 2])


@pytest.mark.parametrize(
    ("activation", "derivative"),
    [(torch.relu, lambda added: added > 0), (torch.tanh, lambda added: 1 - added.tanh() ** 2)],
    ids=["relu", "tanh"],
)
def test_an_activation_after_the_addition_is_a_factor_of_every_path(activation, derivative):
    """Every path as a product of explicit matrices; in float64, so that 1e-10 is far above rounding."""
    network, (images, labels) = small(PostActivation, activation), small_batch()
    x, factors = network.stem(images).detach(), []
    for block in network.blocks:
        skip, residual = (
            torch.autograd.functional.jacobian(way, x).reshape(-1, x.numel()) for way in (block.skip, block.residual)
        )
        added = (block.skip(x) + block.residual(x)).detach()
        active = derivative(added).double()
        assert 0.1 < float(active.mean()) < 0.9  # else a product without it would do
        factors.append((skip, residual, active.flatten()))
        x = activation(added).requires_grad_()
    (top,) = torch.autograd.grad(nn.functional.cross_entropy(network.head(x), labels), x)
    along = {}
    for path in ALL_PATHS:
        gradient = top.flatten()
        for place in reversed(BLOCKS):
            skip, residual, active = factors[place]
            gradient = (residual if place in path else skip).T @ (active * gradient)
        along[path] = gradient

    tape = paths.record(network, images, labels, train_mode=True)
    torch.testing.assert_close(sum(along.values()), tape.full.flatten(), rtol=1e-10, atol=1e-14)
    norms = paths.sampled_log_norms(tape, ALL_PATHS).exp()
    torch.testing.assert_close(norms, torch.stack([along[path].norm() for path in ALL_PATHS]), rtol=1e-10, atol=0)
    exact = paths.exact_by_length(tape)
    for length in range(6):
        expected = sum(gradient for path, gradient in along.items() if len(path) == length)
        computed = exact.vectors[length].flatten() * exact.log_norm[length].exp()
        torch.testing.assert_close(computed, expected, rtol=1e-10, atol=1e-10 * float(expected.norm()))


def test_a_forward_pass_that_the_blocks_do_not_declare_is_refused():
    with pytest.raises(InputError, match=r"^Undeclared: the gradient .* relative error of .* expected at most 1e-04; "):
        paths.record(small(Undeclared), *small_batch(), train_mode=True)


def test_gradients_of_zero_are_zero_and_no_mistake():
    network = small(PostActivation)
    for block in network.blocks[:2]:
        block.conv2.weight.data.zero_()  # so that a path which passes either carries nothing
    exact = paths.exact_by_length(paths.record(network, *small_batch(), train_mode=True))
    assert exact.log_norm.isfinite().tolist() == [True] * 4 + [False] * 2
    network.head[1].weight.data.zero_()
    tape = paths.record(network, *small_batch(), train_mode=True)
    assert not tape.full.any()
    assert (paths.exact_by_length(tape).log_norm == -math.inf).all()


@pytest.mark.parametrize("path", [[0, 1, 2, 3, 4, 4], [5], [-1]])
def test_a_path_longer_than_the_network_or_outside_of_it_is_refused(case, path):
    tape, _ = case
    with pytest.raises(InputError, match=rf"a path of length {len(path)} .*: the network has 5 blocks"):
        paths.sampled_log_norms(tape, [[0], path])


def test_following_many_paths_in_chunks_changes_nothing(case, monkeypatch):
    tape, _ = case
    whole = paths.sampled_log_norms(tape, ALL_PATHS)
    monkeypatch.setattr(paths, "CHUNK_ELEMENTS", {"cpu": 1})
    torch.testing.assert_close(paths.sampled_log_norms(tape, ALL_PATHS), whole, rtol=1e-12, atol=0)


def test_recording_leaves_the_network_as_it_was(make_network):
    network = make_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    paths.record(network, *batch(), train_mode=True)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not network.training


def test_a_linear_network_is_the_sum_over_its_explicit_paths():
    """Claim `unraveled` (Eq. 1-6): x -> x + A_i x three times equals the sum over all 8 products."""
    matrices = torch.randn(6, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x = torch.ones(4, dtype=torch.float64)
    forward = x
    for matrix in matrices:
        forward = forward + matrix @ forward
    total = torch.zeros_like(x)
    for path in itertools.product([False, True], repeat=6):
        term = x
        for passed, matrix in zip(path, matrices, strict=True):
            term = matrix @ term if passed else term
        total = total + term
    torch.testing.assert_close(total, forward, rtol=1e-12, atol=0)
