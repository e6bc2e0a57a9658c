"""Gradients by path length against explicit enumeration of all 2^n paths, in float64."""

import itertools
import math

import pytest
import torch
from conftest import RESNET

from unravel.config import LinearSurvival
from unravel.engine import paths
from unravel.files import InputError

BLOCKS = range(5)
ALL_PATHS = [path for length in range(6) for path in itertools.combinations(BLOCKS, length)]


def batch(n=6):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(n, 3, 8, 8, generator=generator, dtype=torch.float64)
    return images, torch.arange(n) % 4


def gradient_along(network, images, labels, path, train_mode):
    """The gradient at the first block when backward takes one path only: each block's other branch is detached."""
    network.train(train_mode)
    x = first = network.stem(images).detach().requires_grad_()
    for index, block in enumerate(network.blocks):
        residual, skip = block.residual(x), block.skip(x)
        if not train_mode:
            residual = block.survival * residual
        x = residual + skip.detach() if index in path else residual.detach() + skip
    loss = torch.nn.functional.cross_entropy(network.head(x), labels)
    return torch.autograd.grad(loss, first)[0]


@pytest.fixture(params=[True, False], ids=["train-mode BN", "eval-mode BN"])
def case(request, make_network):
    survival = LinearSurvival(scheme="linear", final_survival=0.5)  # scales branches in eval mode only
    network = make_network(RESNET.model_copy(update={"block_sampling": survival}))
    images, labels = batch()
    tape = paths.record(network, images, labels, train_mode=request.param)
    along = {path: gradient_along(network, images, labels, path, request.param) for path in ALL_PATHS}
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
