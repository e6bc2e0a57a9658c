"""The sampled estimate against the exact sum: every path of five blocks enumerated in float64, and numbers by hand."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from run_helpers import ROOT
from torch.nn.functional import cross_entropy

from unravel.evidence.claims import read
from unravel.run import parse_config, read_config
from unravel.studies import STUDIES
from unravel.studies.exact_estimate import values
from unravel.studies.exact_estimate.values import (
    BOUND,
    SIZES,
    batches,
    by_length,
    by_size,
    enough,
    gradient,
    in_one_seed,
    summary,
    tables_of,
)
from unravel.studies.paper import gradient_range

SAMPLES = 10  # of 1, 5, 10, 10, 5 and 1 paths: each path as often as any other of its length


def table(log10_norms, seed=1, batch=1, mode="train"):
    """Rows for each length, one for a number and one for each of a list."""
    rows = [(length, norm) for length, norms in enumerate(log10_norms) for norm in np.atleast_1d(norms)]
    return pd.DataFrame(rows, columns=["length", "log10_norm"]).assign(seed=seed, batch=batch, batch_norm=mode)


@pytest.fixture(scope="module")
def enumerated(make_network):
    """By length the gradients along all paths of five blocks: autograd, with each block's other way detached."""
    network = make_network()
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = []
    for length in range(6):
        along = []
        for path in itertools.combinations(range(5), length):
            x = first = network.stem(images).detach().requires_grad_()
            for index, block in enumerate(network.blocks):
                residual, skip = block.residual(x), block.skip(x)
                x = residual + skip.detach() if index in path else residual.detach() + skip
            loss = cross_entropy(network.head(x), torch.arange(6) % 4)
            along.append(torch.autograd.grad(loss, first)[0].flatten().numpy())
        found.append(np.array(along))
    return found


@pytest.fixture(scope="module")
def norms(enumerated):
    """By length the norms of as many samples, in which each path comes equally often: (6, 10)."""
    return np.array([np.resize(np.linalg.norm(along, axis=1), SAMPLES) for along in enumerated])


@pytest.fixture(scope="module")
def found(enumerated, norms):
    exact = [np.linalg.norm(along.sum(axis=0)) for along in enumerated]
    return gradient(table(np.log10(norms)), table(np.log10(exact)))


def test_the_bias_is_the_sum_of_all_norms_over_the_norm_of_the_sum(enumerated, found):
    expected = [np.linalg.norm(along, axis=1).sum() / np.linalg.norm(along.sum(axis=0)) for along in enumerated]
    np.testing.assert_allclose(10 ** by_length(found).log10_factor, expected, rtol=1e-12)
    assert max(expected) > 1.2  # paths do cancel
    assert expected[0] == expected[5] == pytest.approx(1)  # the only path of a length has nothing to cancel with


def test_over_all_samples_of_two_paths_the_estimate_has_the_stated_mean_and_deviation(enumerated, norms, found):
    for length, along in enumerate(enumerated):
        pairs = [np.mean(pair) for pair in itertools.product(norms[length], repeat=2)]
        estimates = len(along) * np.array(pairs)  # the paper's: number of paths times the mean norm
        unit = np.linalg.norm(along, axis=1).sum() / found.limit[length]
        assert estimates.mean() == pytest.approx(np.linalg.norm(along, axis=1).sum(), rel=1e-12)
        assert estimates.std() == pytest.approx(found.deviation[length] * unit / math.sqrt(2), rel=1e-9, abs=1e-15)
        percent = 100 * estimates.std() * math.sqrt(2) / estimates.mean()
        assert by_length(found).deviation_percent[length] == pytest.approx(percent, rel=1e-9, abs=1e-9)


def test_draws_have_that_mean_and_deviation_for_each_number_of_samples(found, monkeypatch):
    monkeypatch.setattr(values, "DRAWS", 4000)
    drawn = found.drawn(np.random.default_rng(1))
    assert drawn.shape == (4000, len(SIZES), 6)
    for place, size in enumerate(SIZES):
        expected = found.deviation / math.sqrt(size)
        off = abs(drawn[:, place].mean(axis=0) - found.limit)
        assert (off <= 5 * expected / math.sqrt(4000) + 1e-12).all()
        # a deviation from 4,000 draws is off by 1.1% itself
        np.testing.assert_allclose(drawn[:, place].std(axis=0), expected, rtol=0.06, atol=1e-12)


def test_a_larger_sample_holds_the_smaller_one(found):
    """So that agreement at two numbers of samples differs by the samples added, and not by other luck."""
    drawn = found.drawn(np.random.default_rng(1))
    few, more = (drawn[:, place] * size for place, size in ((0, 10), (1, 30)))
    assert (more > few).all()
    assert np.corrcoef(few[:, 2], more[:, 2])[0, 1] == pytest.approx(math.sqrt(10 / 30), abs=0.15)


def test_shares_count_paths_and_the_range_is_the_papers():
    """Norm 1 at each of six blocks' lengths: the estimate counts paths, the exact sum lengths."""
    one = gradient(table([[0.0, 0.0]] * 7), table([0.0] * 7))
    assert gradient_range(6) == (0, 3)
    assert one.percent_in_range(one.limit) == pytest.approx(100 * (1 + 6 + 15 + 20) / 64)
    assert one.percent_in_range(one.exact) == pytest.approx(100 * 4 / 7)


def two_norms(high):
    """Six blocks; at the only path of length 6, beyond the range, norms are 0 or twice `high`; inside, all is 1."""
    inside = [[0.0, 0.0]] * 4
    twice = math.log10(2 * high)
    return gradient(table([*inside, *[[-math.inf] * 2] * 2, [-math.inf, twice]]), table([0.0] * 4 + [-math.inf] * 3))


def test_draws_agree_as_often_as_they_fall_on_the_same_side_of_the_bound():
    """Inside the range lie 42; 42/9 beyond it make exactly 90%, which about half of the draws reach."""
    sizes = by_size(two_norms(42 / 9 * 1.0001), seed=1, batch=1).set_index("samples")
    # with m of n norms drawn it is above 90% if m < n/2, and below if m >= n/2, as is the limit; the exact sum has 100%
    for size in (10, 100):
        above = sum(math.comb(size, m) for m in range(size // 2)) / 2**size
        off = 5 * math.sqrt(above * (1 - above) / 500)
        assert abs(sizes.agreeing_percent[size] / 100 - above) < off
        assert abs(sizes.settled_percent[size] / 100 - (1 - above)) < off
    assert sizes.mean_percent[1000] == pytest.approx(BOUND, abs=0.2)
    assert sizes.deviation_points[10] == pytest.approx(sizes.deviation_points[1000] * 10, rel=0.15)
    assert sizes.low_percent[10] < sizes.low_percent[1000] < BOUND < sizes.high_percent[1000] < sizes.high_percent[10]


def test_each_batch_is_compared_with_its_own_sum_in_train_mode():
    parts = [table([[0.0], [float(batch)]], batch=batch) for batch in (1, 2)]
    sampled = pd.concat([*parts, table([[0.0], [9.0]], mode="eval")])
    exact = pd.concat([table([0.0, 0.5], batch=1), table([0.0, 1.0], batch=2), table([0.0, 3.0], mode="eval")])
    factors = {tuple(key): by_length(one).log10_factor.tolist() for *key, one in batches(sampled, exact)}
    assert factors == {(1, 1): pytest.approx([0, 0.5]), (1, 2): pytest.approx([0, 1])}


def test_lengths_that_no_float_holds_are_compared_all_the_same():
    one = gradient(table([[-400.0, -400.0], [-401.0, -401.0]]), table([-400.0, -402.0]))
    np.testing.assert_allclose(by_length(one).log10_factor, [0, 1])


def test_a_number_of_samples_is_enough_if_larger_ones_are_too():
    sizes = pd.DataFrame({"samples": [10, 30, 100] * 2, "agreeing_percent": [95, 80, 91, 95, 90, 89]})
    assert enough(sizes, "agreeing_percent") == 100  # means 95, 85 and 90
    assert enough(sizes[sizes.samples < 100], "agreeing_percent") is None
    assert enough(sizes.assign(agreeing_percent=100), "agreeing_percent") == 10


def test_a_seed_is_the_mean_of_its_batches_and_a_summary_that_of_seeds(found):
    shares = pd.DataFrame({"limit_percent": [80.0, 90.0], "exact_percent": [95.0, 93.0]})
    sizes = pd.DataFrame({"samples": [10, 1000] * 2, "deviation_points": [4.0, 1, 2, 1], "settled_percent": 70.0})
    one = in_one_seed({"shares": shares, "sizes": sizes.assign(agreeing_percent=[50.0, 10, 70, 0])})
    assert (one["bias_points"], one["deviation_points"], one["bias_beyond_deviation_points"]) == (-9, 3, 6)
    assert (one["agreeing_percent"], one["most_agreeing_percent"], one["settled_percent"]) == (60, 5, 70)
    assert (one["limit_percent"], one["exact_percent"]) == (85, 94)

    ones = [0.0] * 7
    sampled = pd.concat([table([[norm] for norm in ones], seed=seed) for seed in (1, 2)])
    exact = pd.concat([table(ones, seed=1), table([0.0] * 6 + [-1.0], seed=2)])
    said = summary(tables_of(sampled, exact))
    assert said["exact_percent"] == pytest.approx(100 * (4 / 7 + 4 / 6.1) / 2)
    assert said["largest_log10_factor"] == pytest.approx(
        math.log10(20)
    )  # 20 paths of length 3 add up to no more than one
    assert (said["largest_log10_factor_at"], said["seeds"], said["batches"]) == (3, [1, 2], 1)
    assert (said["sizes"][0]["deviation_points"], said["enough_to_settle"], said["enough_to_agree"]) == (0, 10, 10)


def test_the_bound_is_that_of_the_claim_on_figure_6c():
    stated = {claim.id: claim for claim in read(STUDIES["path_gradients"].folder / "claims.yaml")}
    assert stated["effective-paths"].supported == [{"estimated_percent_in_range": f">= {BOUND:g}"}]
    criteria = {claim.id: claim.criterion for claim in read(STUDIES["exact_estimate"].folder / "claims.yaml")}
    assert f"{values.DRAWS} times" in criteria["ten-samples"]


def test_the_estimate_is_compared_where_the_config_says_so_and_there_is_a_gradient():
    raw = read_config(ROOT / "config" / "ci.yaml").model_dump(mode="json")
    shows = STUDIES["exact_estimate"].figure.shows
    assert shows(parse_config(raw | {"exact_estimate": {"compared": True}})) == ("resnet",)
    assert shows(parse_config(raw | {"exact_estimate": {"compared": False}})) is None
    without = raw["gradients"] | {"network": None}
    assert shows(parse_config(raw | {"exact_estimate": {"compared": True}, "gradients": without})) is None
