"""The gradient tables: where there is one path of a length, sampled and exact must agree; and what the columns say."""

import itertools

import numpy as np
import pytest
import torch

from unravel import paths
from unravel.config import Gradients
from unravel.data.batches import random_generator
from unravel.gradients import by_length, draw_paths

SETTINGS = Gradients(samples_per_length=4, batch_size=16, batches=2)


@pytest.fixture
def measured(make_network, make_split):
    return by_length(make_network(dtype=torch.float32), make_split(n=40), SETTINGS, random_generator(1))


def test_the_only_path_of_a_length_has_the_norm_of_the_exact_sum(measured):
    sampled, exact = measured
    keys = ["batch_norm", "batch", "length"]
    sums = exact.set_index(keys).log10_norm
    for length in (0, 5):  # one path skips all five blocks, one passes all
        alone = sampled[sampled.length == length]
        expected = [sums[tuple(row)] for row in alone[keys].itertuples(index=False)]
        np.testing.assert_allclose(alone.log10_norm, expected, atol=1e-4)


def test_all_lengths_together_explain_the_full_gradient(measured):
    sampled, exact = measured
    assert len(sampled) == 2 * 2 * 6 * 4  # modes, batches, lengths, samples
    assert len(exact) == 2 * 2 * 6
    assert exact.full_error.max() < 1e-5
    last = exact[exact.length == 5]
    np.testing.assert_allclose(last.cosine, 1, atol=1e-6)
    np.testing.assert_allclose(last.norm_ratio, 1, atol=1e-5)


def test_the_same_generator_gives_the_same_table(make_network, make_split):
    def sampled(seed):
        return by_length(make_network(dtype=torch.float32), make_split(n=40), SETTINGS, random_generator(seed))[0]

    assert sampled(1).equals(sampled(1))
    assert not sampled(1).log10_norm.equals(sampled(2).log10_norm)


def test_paths_of_a_length_are_drawn_evenly():
    drawn = [frozenset(path) for path in draw_paths(5, 4000, random_generator(1)) if len(path) == 2]
    for pair in itertools.combinations(range(5), 2):  # 10 pairs: 400 each, standard deviation 19
        assert abs(drawn.count(frozenset(pair)) - 400) < 5 * 19


def test_the_mean_over_all_paths_of_a_length_bounds_the_exact_sum(make_network, make_split):
    """Norms do not add: the norm of a sum is at most the sum of norms, which is the paper's product."""
    split = make_split(n=16)
    tape = paths.record(make_network(), split.normalised(slice(None)).double(), split.labels, train_mode=True)
    exact = paths.exact_by_length(tape).log_norm.exp()
    for length in range(6):
        every = list(itertools.combinations(range(5), length))
        assert float(exact[length]) <= float(paths.sampled_log_norms(tape, every).exp().sum()) * (1 + 1e-12)
