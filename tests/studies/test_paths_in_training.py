"""Path lengths during a training against gains made by hand, and its networks against the loop that trains a run's."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import RESNET
from run_helpers import ROOT
from torch.nn.functional import cross_entropy

from unravel.config import AllBlocks, Augmentation, Training
from unravel.data.batches import random_generator
from unravel.engine import paths
from unravel.files import InputError
from unravel.networks import build, initialise
from unravel.run import parse_config, read_config
from unravel.studies.paths_in_training import GAINS, LENGTHS, measure
from unravel.studies.paths_in_training.settings import PathsInTraining
from unravel.studies.paths_in_training.values import in_one_seed
from unravel.tables import read_whole, write
from unravel.training import loop
from unravel.training.states import Saving

BLOCKS = 5
RECIPE = Training(
    epochs=3, batch_size=16, warmup_steps=2, precision="fp32", augmentation=Augmentation(pad=1, flip=True)
)


def gradient_at_gain(network, images, labels, gain):
    """The gradient at the first block if each branch passed `gain` times as much of it, at the intact activations."""
    x = first = network.stem(images).detach().requires_grad_()
    for block in network.blocks:
        branch = block.residual(x)
        x = block.skip(x) + gain * branch + (1 - gain) * branch.detach()
    (gradient,) = torch.autograd.grad(cross_entropy(network.head(x), labels), first)
    return gradient.flatten()


@pytest.fixture(scope="module")
def case(make_network):
    """A network in float64 with BN in train mode, images, labels, and its gradient as a function of the gain."""
    network = make_network().train()
    for block in network.blocks:
        block.conv2.weight.data *= 1.5  # so that all lengths weigh
    images = torch.randn(8, 3, 8, 8, generator=random_generator(1), dtype=torch.float64)
    labels = torch.arange(8) % 4
    return network, images, labels, lambda gain: gradient_at_gain(network, images, labels, gain)


def test_norms_and_shares_are_the_terms_of_the_polynomial_in_the_gain(case):
    network, images, labels, gradient = case
    lengths, _ = measure.by_length_and_block(network, images, labels)
    gains = np.cos(np.pi * (np.arange(BLOCKS + 1) + 0.5) / (BLOCKS + 1))  # nodes of Chebyshev, for a stable solution
    sampled = np.stack([gradient(gain).numpy() for gain in gains])
    terms = np.linalg.solve(np.vander(gains, increasing=True), sampled)  # (length, value)
    whole = gradient(1.0).numpy()
    np.testing.assert_allclose(10**lengths.log10_norm, np.linalg.norm(terms, axis=1), rtol=1e-9)
    np.testing.assert_allclose(lengths.share, terms @ whole / (whole @ whole), atol=1e-10)
    assert lengths.share.sum() == pytest.approx(1, abs=1e-12)
    assert lengths.full_error.max() < 1e-12
    assert lengths.share.abs().min() > 1e-3


def test_the_mean_length_is_the_derivative_of_the_log_norm_by_the_log_gain(case):
    network, images, labels, gradient = case
    lengths, _ = measure.by_length_and_block(network, images, labels)
    step = 1e-5
    above, below = (float(gradient(1 + way * step).norm().log()) for way in (1, -1))
    expected = (above - below) / (np.log1p(step) - np.log1p(-step))
    found = float((lengths.length * lengths.share).sum())
    assert found == pytest.approx(expected, abs=1e-8)
    assert 0.5 < found < 4.5


def test_a_branchs_gain_is_that_of_the_gradient_that_arrives_there(case):
    network, images, labels, _ = case
    _, gains = measure.by_length_and_block(network, images, labels)
    taps = [tap.detach() for tap in network.taps(images)]
    for place, gain in enumerate(gains.gain):
        norms = []
        for passes in (True, False):
            x = first = taps[place].requires_grad_()
            block = network.blocks[place]
            branch, skip = block.residual(x), block.skip(x)
            x = branch + skip.detach() if passes else branch.detach() + skip
            for later in network.blocks[place + 1 :]:
                x = later(x)
            norms.append(torch.autograd.grad(cross_entropy(network.head(x), labels), first)[0].norm())
        assert gain == pytest.approx(float(norms[0] / norms[1]), rel=1e-10)
    assert gains.position.tolist() == [1, 2, 3, 4, 5]


@pytest.fixture
def images(make_split, make_images):
    """What a study is given: 70 training images make 5 steps an epoch, of which the last has 6 images."""
    made = make_images(train=make_split(n=70), test=make_split(n=20, seed=9))
    return replace(made, training=RECIPE, network=RESNET.model_copy(update={"blocks_per_stage": (4, 4, 4)}))


def test_the_network_is_trained_as_a_runs_and_looked_at_on_the_way(images, tmp_path):
    settings = PathsInTraining(blocks_per_stage=1, epochs=2, moments=5, batch_size=24)
    tables, _ = measure.measure(None, images, settings, random_generator(4))
    steps = tables["lengths"].drop_duplicates("moment").step.tolist()
    assert steps == [0, 1, 2, 5, 10]  # 10 ** (1/3, 2/3) are 2.2 and 4.6

    generator = random_generator(4)
    split = images.split("train")
    chosen = torch.randperm(70, generator=generator)[:24]
    network = build(RESNET.model_copy(update={"blocks_per_stage": (1, 1, 1)}), (8, 8, 3), 4)
    initialise(network, generator)
    seed = int(torch.randint(2**31, (1,), generator=generator))
    seen = []

    def look():
        tape = paths.record(network, split.normalised(chosen), split.labels[chosen], train_mode=True)
        seen.append((paths.exact_by_length(tape).log_norm.double() / np.log(10)).tolist())

    saving = Saving(tmp_path / "state.safetensors", every=9, fingerprint={})
    recipe = RECIPE.model_copy(update={"epochs": 2})
    history = loop.train(network, split, images.split("test"), recipe, AllBlocks(scheme="all"), seed, saving,
                         lambda *_: None, before_step=look)  # fmt: skip
    look()
    found = tables["lengths"].pivot(index="step", columns="length", values="log10_norm")
    assert found.to_numpy().tolist() == [seen[step] for step in steps]  # to the last bit
    assert seen[0] != seen[1]
    assert set(tables["lengths"].end_error_percent) == {history[-1].test_error_percent}


def test_the_same_seed_gives_the_same_tables_that_are_what_they_should_be(images, tmp_path):
    settings = PathsInTraining(blocks_per_stage=1, moments=4, batch_size=8)
    first, again = (measure.measure(None, images, settings, random_generator(1))[0] for _ in range(2))
    other, _ = measure.measure(None, images, settings, random_generator(2))
    for name, table in (("lengths", LENGTHS), ("gains", GAINS)):
        assert first[name].equals(again[name])
        assert not first[name].equals(other[name])
        write(tmp_path / name, first[name].assign(network="resnet", seed=1))
        sizes = {"moment": 4, "length": 4, "position": 3}
        here = {column: size for column, size in sizes.items() if column in table.rows}
        read_whole(tmp_path / name, replace(table, sizes=here))
    assert first["lengths"].step.max() == 15  # the recipe's own epochs


@pytest.mark.parametrize(
    ("steps", "moments", "expected"),
    [
        (190, 12, [0, 1, 2, 3, 5, 8, 14, 23, 39, 67, 112, 190]),
        (3, 4, [0, 1, 2, 3]),
        (1, 2, [0, 1]),
        (6, 4, [0, 1, 2, 6]),
    ],
)
def test_moments_are_spaced_by_the_logarithm_and_none_comes_twice(steps, moments, expected):
    assert measure.spaced(steps, moments) == expected


def test_what_a_seed_says_is_read_off_its_moments():
    shares = {0: [0.5, 0.5, 0.0, 0.0], 1: [0.0, 1.5, -0.5, 0.0], 2: [0.0, 0.2, 0.4, 0.4]}
    norms = {0: [0.0, -1.0, -2.0, -9.0], 1: [-1.0, -0.5, -2.0, -3.0], 2: [-5.0, -1.0, -3.0, -0.9]}
    rows = [(moment, 10 * moment, k, norms[moment][k], shares[moment][k]) for moment in (2, 0, 1) for k in (3, 1, 0, 2)]
    lengths = pd.DataFrame(rows, columns=["moment", "step", "length", "log10_norm", "share"])
    lengths = lengths.assign(network="resnet", seed=1, full_error=1e-7, end_error_percent=7.0)
    gains = pd.DataFrame({"moment": [0, 0, 0, 2, 2, 2, 1, 1, 1], "gain": [0.1, 0.2, 0.9, 1, 2, 3, 0, 0, 0]})
    found = in_one_seed(lengths, gains.assign(network="resnet", seed=1))
    assert (found["start_mode"], found["end_mode"], found["mode_rise"]) == (0, 3, 3)
    assert (found["start_mean_length"], found["end_mean_length"]) == (0.5, pytest.approx(2.2))
    assert found["start_mean_length_share"] == pytest.approx(0.5 / 3)
    assert found["length_correlation"] == pytest.approx(np.sqrt(3) / 2)  # of 1, 2, 3 and the ranks 1.5, 1.5, 3
    assert (found["start_gain"], found["end_gain"], found["end_error_percent"]) == (0.2, 2, 7)


def config(**change):
    return read_config(ROOT / "config" / "ci.yaml").model_dump(mode="json") | change


@pytest.mark.parametrize("name", ["vgg", "stochastic-depth"])
def test_networks_that_cannot_be_trained_like_it_are_refused_with_the_config(name):
    with pytest.raises(InputError, match=rf"paths_in_training names network '{name}', expected a resnet .*; name such"):
        parse_config(config(paths_in_training={"networks": ["resnet", name]}))


def test_more_moments_than_steps_are_refused(images):
    settings = PathsInTraining(blocks_per_stage=1, epochs=1, moments=7, batch_size=8)
    with pytest.raises(InputError, match=r"paths_in_training\.moments is 7, .* 5 steps; lower it to at most 6"):
        measure.measure(None, images, settings, random_generator(1))
