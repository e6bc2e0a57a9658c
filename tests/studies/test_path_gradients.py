"""The gradient tables against tapes recorded by hand, what their columns say, and their summary in closed form."""

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
import torch

from unravel.data.batches import Split, random_generator
from unravel.engine import paths
from unravel.engine.combinatorics import counts_by_length
from unravel.files import InputError
from unravel.studies.path_gradients.measure import measure
from unravel.studies.path_gradients.settings import Gradients
from unravel.studies.path_gradients.values import by_length, spread, summary

SETTINGS = Gradients(samples_per_length=4, batch_size=16, batches=2)


@pytest.fixture
def measured(make_network, make_split, make_images):
    """The sampled and the exact table of a small network, by the seed of the generator."""

    def measured(seed=1, split=None):
        images = make_images(train=make_split(n=40) if split is None else split)
        tables, _ = measure(make_network(dtype=torch.float32), images, SETTINGS, random_generator(seed))
        assert list(tables) == ["sampled", "exact"]
        return tables["sampled"], tables["exact"]

    return measured


def test_the_only_path_of_a_length_has_the_norm_of_the_exact_sum(measured):
    sampled, exact = measured()
    keys = ["batch_norm", "batch", "length"]
    sums = exact.set_index(keys).log10_norm
    for length in (0, 5):  # one path skips all five blocks, one passes all
        alone = sampled[sampled.length == length]
        expected = [sums[tuple(row)] for row in alone[keys].itertuples(index=False)]
        np.testing.assert_allclose(alone.log10_norm, expected, atol=1e-4)


def test_all_lengths_together_explain_the_full_gradient(measured):
    sampled, exact = measured()
    assert len(sampled) == 2 * 2 * 6 * 4  # modes, batches, lengths, samples
    assert len(exact) == 2 * 2 * 6
    assert exact.full_error.max() < 1e-5
    last = exact[exact.length == 5]
    np.testing.assert_allclose(last.cosine, 1, atol=1e-6)
    np.testing.assert_allclose(last.norm_ratio, 1, atol=1e-5)


@dataclass(frozen=True)
class Watched(Split):
    """A split that knows which images were asked for, in the order of asking."""

    asked: list[torch.Tensor] = field(default_factory=list)

    def normalised(self, index):
        self.asked.append(index)
        return super().normalised(index)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_each_row_holds_the_norm_in_its_own_mode_on_its_own_batch(make_network, make_split, measured, mode, batch):
    split = Watched(**vars(make_split(n=40)))
    _, exact = measured(split=split)
    batches = split.asked  # each is asked for once, for both modes
    assert [len(index) for index in batches] == [16, 16]
    assert len(set(torch.cat(batches).tolist())) == 32  # no image twice
    index = batches[batch - 1]
    tape = paths.record(make_network(), split.normalised(index).double(), split.labels[index], mode == "train")
    rows = exact[(exact.batch_norm == mode) & (exact.batch == batch)]
    norms = paths.exact_by_length(tape).log_norm.exp()
    np.testing.assert_allclose(10**rows.log10_norm, norms, rtol=1e-3)


@pytest.mark.parametrize("n", [31, 32])
def test_more_images_than_there_are_cannot_be_drawn(make_images, make_split, n):
    drawn = make_images(train=make_split(n=n)).drawn("gradients", 2, 16, random_generator(1))
    if n == 32:
        assert [len(labels) for _, labels in drawn] == [16, 16]
    else:
        with pytest.raises(InputError, match="gradients: 2 batches of 16 images are asked for, and the data has 31"):
            next(drawn)


def test_the_same_generator_gives_the_same_table(measured):
    (one, _), (same, _), (other, _) = measured(1), measured(1), measured(2)
    assert one.equals(same)
    assert not one.log10_norm.equals(other.log10_norm)


def test_paths_of_a_length_are_drawn_evenly():
    drawn = [frozenset(path) for path in paths.draw(5, 4000, random_generator(1)) if len(path) == 2]
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


# --- the summary ----------------------------------------------------------------------------------------------------


def tables_of(sampled, exact):
    """Tables of one network, seed, mode and batch with these (length, log10 norm) rows."""
    said = {"network": "resnet", "seed": 1, "batch_norm": "train", "batch": 1}
    tables = [pd.DataFrame(rows, columns=["length", "log10_norm"]).assign(**said) for rows in (sampled, exact)]
    return tables[0], tables[1].assign(cosine=1.0, norm_ratio=1.0, full_error=1e-7)


def test_shares_take_the_mean_of_norms_and_not_of_their_logs():
    sampled, exact = tables_of(
        [(0, 0.0), (0, 0.0), (1, -1.0), (1, -math.inf), (2, -400.0), (2, -400.0)], [(0, 0.0), (1, 0.0), (2, -400.0)]
    )
    table = by_length(sampled, exact, pd.Series([1.0, 2.0, 1.0])).set_index("length")
    assert table.log10_mean_norm[1] == pytest.approx(math.log10(0.05))  # the mean of 0.1 and 0
    assert table.log10_mean_norm[2] == -400  # far below the smallest float
    # 1 path of norm 1, 2 of norm 0.05: 1 / 1.1 and 0.1 / 1.1
    np.testing.assert_allclose(table.estimated_share, [1 / 1.1, 0.1 / 1.1, 0], atol=1e-12)
    np.testing.assert_allclose(table.exact_share, [0.5, 0.5, 0], atol=1e-12)


def test_the_band_spans_the_shares_of_every_batch_of_every_seed():
    """Two blocks, two seeds of two batches: norms of a path and of the exact sum by length; cosine is norm ratio."""
    norms = {
        (1, 1): ([8.0, 2.0, 1.0], [8.0, 4.0, 4.0], [0.5, 0.8, 1.0]),
        (1, 2): ([4.0, 1.0, 2.0], [2.0, 4.0, 2.0], [0.1, 0.9, 1.0]),
        (2, 1): ([1.0, 1.0, 1.0], [1.0, 1.0, 6.0], [0.3, 0.6, 1.0]),
        (2, 2): ([2.0, 8.0, 4.0], [3.0, 1.0, 4.0], [0.2, 0.7, 1.0]),
    }
    ways, expected, sampled, exact = (
        [1, 2, 1],
        {"estimated_share": [], "exact_share": [], "projected_share": []},
        [],
        [],
    )
    for (seed, batch), (one, together, up_to) in norms.items():
        products = [number * norm for number, norm in zip(ways, one, strict=True)]
        expected["estimated_share"].append([product / sum(products) for product in products])
        expected["exact_share"].append([norm / sum(together) for norm in together])
        squares = [0.0, *(value * value for value in up_to)]
        expected["projected_share"].append([after - before for before, after in itertools.pairwise(squares)])
        for length in range(3):
            keys = {"seed": seed, "batch": batch, "batch_norm": "train", "length": length}
            sampled.append({**keys, "log10_norm": math.log10(one[length])})
            values = {"cosine": up_to[length], "norm_ratio": up_to[length]}
            exact.append({**keys, "log10_norm": math.log10(together[length]), **values})
    found = spread(pd.DataFrame(sampled), pd.DataFrame(exact), pd.Series(ways))
    assert found.length.tolist() == [0, 1, 2]
    for name, shares in expected.items():
        np.testing.assert_allclose(found[f"{name}_low"], np.min(shares, axis=0), rtol=1e-12)
        np.testing.assert_allclose(found[f"{name}_high"], np.max(shares, axis=0), rtol=1e-12)
    np.testing.assert_allclose(10**found.log10_mean_norm_low, [1, 1, 1])
    np.testing.assert_allclose(10**found.log10_mean_norm_high, [8, 8, 4])


@pytest.mark.parametrize(("blocks", "last"), [(54, 40), (27, 20), (1, 2)])
def test_the_decay_is_fitted_over_lengths_1_to_40_of_54_in_proportion(blocks, last):
    norms = [(length, -(length**2) / 100) for length in range(max(blocks, last) + 1)]
    sampled, exact = tables_of(norms, norms)
    counts = pd.Series(counts_by_length(len(norms) - 1), dtype=float)
    values = summary(by_length(sampled, exact, counts), sampled, exact, counts)
    # the least squares line through x^2 at 1, 2, ..., n has the slope n + 1
    assert values["modes"]["train"]["decades_per_block"] == pytest.approx(-(last + 1) / 100)


def test_the_decay_is_taken_in_each_seed_and_averaged():
    """A mean of the norms of both seeds would fall as those of the flatter one do."""
    pairs = [tables_of(*[[(length, slope * length) for length in range(7)]] * 2) for slope in (-1.0, -0.5)]
    sampled, exact = (pd.concat([one, other.assign(seed=2)]) for one, other in zip(*pairs, strict=True))
    counts = pd.Series(counts_by_length(6), dtype=float)
    values = summary(by_length(sampled, exact, counts), sampled, exact, counts)["modes"]["train"]
    assert values["decades_per_block"] == pytest.approx(-0.75)
    shares = [[math.comb(6, k) * 10 ** (slope * k) for k in range(7)] for slope in (-1, -0.5)]
    inside = [sum(seed[:4]) / sum(seed) for seed in shares]  # 6 p +- 2.03 sqrt(6 p (1 - p)), p = 11/54: below 0 to 3.2
    assert values["estimated_percent_in_papers_range"] == pytest.approx(100 * sum(inside) / 2)
