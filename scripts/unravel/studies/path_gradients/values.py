"""What the gradient by path length says in numbers: for the figure's caption, and for claims."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from unravel.engine.combinatorics import counts_by_length
from unravel.statistics import exponential_decay, shortest_range
from unravel.studies import paper
from unravel.studies.deciding import Evidence, Statistic, Values
from unravel.studies.paper import in_proportion

FITTED = (1, 40)  # lengths over which the decay is fitted, of the paper's 54
DECAY = ("decades_per_block", "r_squared")


def by_length(sampled: pd.DataFrame, exact: pd.DataFrame, paths: pd.Series) -> pd.DataFrame:
    """One row per BN mode and length: mean norms over samples, batches and seeds, and shares that sum to one.

    estimated_share is the paper's: number of paths times mean norm of a sampled one. exact_share takes the norm of the
    sum over all paths of that length instead. projected_share is <G_k, G> / |G|^2, with G_k that sum and G the full
    gradient: these add up to 1 by themselves, so that they alone are shares of the gradient. One may be negative.
    """
    keys = ["batch_norm", "length"]
    exact = exact.assign(projected_up_to=exact.cosine * exact.norm_ratio)
    table = pd.DataFrame(
        {
            "log10_mean_norm": sampled.groupby(keys).log10_norm.agg(_log10_mean),
            "log10_exact_norm": exact.groupby(keys).log10_norm.agg(_log10_mean),
            "cosine_up_to": exact.groupby(keys).cosine.mean(),
            "norm_ratio_up_to": exact.groupby(keys).norm_ratio.mean(),
            "projected_up_to": exact.groupby(keys).projected_up_to.mean(),
        }
    ).reset_index()
    up_to = table.groupby("batch_norm").projected_up_to
    table["projected_share"] = up_to.diff().fillna(table.projected_up_to)  # the first length has none before it
    table["share_of_paths"] = table.length.map(paths / paths.sum())
    estimated = table.log10_mean_norm + np.log10(table.length.map(paths))
    for column, logs in (("estimated_share", estimated), ("exact_share", table.log10_exact_norm)):
        weight = 10 ** (logs - logs.groupby(table.batch_norm).transform("max"))
        table[column] = weight / weight.groupby(table.batch_norm).transform("sum")
    return table


def spread(sampled: pd.DataFrame, exact: pd.DataFrame, paths: pd.Series) -> pd.DataFrame:
    """The lowest and the highest of any seed and batch, per BN mode and length, of what `by_length` gives for all."""
    keys, columns = ["batch_norm", "length"], ["log10_mean_norm", "estimated_share", "exact_share", "projected_share"]
    in_batch = dict(iter(exact.groupby(["seed", "batch"])))
    found = pd.concat(
        by_length(rows, in_batch[key], paths).set_index(keys)[columns]
        for key, rows in sampled.groupby(["seed", "batch"])
    ).groupby(keys)
    return found.min().add_suffix("_low").join(found.max().add_suffix("_high")).reset_index()


def _log10_mean(logs: pd.Series) -> float:
    """Log10 of the mean of numbers given as log10, which may be far below what a float holds."""
    values = logs.to_numpy()  # a bootstrap comes here some 10,000 times, and a series is slow at it
    top = values.max()
    return float(top + np.log10((10 ** (values - top)).mean())) if np.isfinite(top) else top


def summary(table: pd.DataFrame, sampled: pd.DataFrame, exact: pd.DataFrame, paths: pd.Series) -> dict[str, Any]:
    """Per BN mode: the decay of a path's gradient, and which lengths carry the gradient, estimated and exact.

    Ranges of lengths are those of `table`, the mean over seeds that the figure draws. The decay and the percentages of
    the paper's range are taken in each seed and averaged over seeds, as the claims' are.
    """
    blocks, seeds = int(paths.index.max()), sorted(sampled.seed.unique().tolist())
    by_seed = [in_one_seed(sampled[sampled.seed == seed], exact[exact.seed == seed], paths) for seed in seeds]
    modes = {}
    for mode, rows in table.groupby("batch_norm"):
        by = rows.set_index("length")
        averages = pd.DataFrame([found[str(mode)] for found in by_seed]).mean(skipna=False)
        modes[str(mode)] = {
            **{str(name): float(value) for name, value in averages.items()},
            **{
                f"{kind}_{name}": value
                for kind in ("estimated", "exact")
                for name, value in _range(by[f"{kind}_share"], paths).items()
            },
            # The blocks that section 5 trains on per batch.
            "twice_mean_effective_length": round(2 * float(averages.mean_effective_length)),
            "explained_at": (by.cosine_up_to >= 0.99).idxmax(),
        }
    return {
        "modes": modes,
        "network": sampled.network.iloc[0],
        "seeds": seeds,
        "samples_per_length": int(sampled.groupby(["seed", "batch_norm", "batch", "length"]).size().max()),
        "batches": int(exact.batch.max()),
        "largest_full_error": exact.full_error.max(),
        "fitted": fitted_lengths(blocks),
        "papers_range": paper.gradient_range(blocks),
        "noticeable_up_to": paper.longest_noticeable(blocks),
    }


def _range(share: pd.Series, paths: pd.Series) -> dict[str, Any]:
    first, last = shortest_range(share, 0.95)
    return {
        "first_length": first,
        "last_length": last,
        "percent_of_paths": 100 * paths.loc[first:last].sum() / paths.sum(),
    }


def in_one_seed(sampled: pd.DataFrame, exact: pd.DataFrame, paths: pd.Series) -> dict[str, Values]:
    """Per BN mode, of one seed's tables: slope and R squared of the decay, and percent in and beyond lengths."""
    blocks = int(paths.index.max())
    (first, last), noticeable = paper.gradient_range(blocks), paper.longest_noticeable(blocks)
    found = {}
    for mode, rows in by_length(sampled, exact, paths).groupby("batch_norm"):
        by = rows.set_index("length")
        found[str(mode)] = {
            **dict(zip(DECAY, decay(sampled[sampled.batch_norm == mode]), strict=True)),
            **{
                f"{kind}_percent_in_papers_range": 100 * float(by[f"{kind}_share"].loc[first:last].sum())
                for kind in ("estimated", "exact", "projected")
            },
            "projected_percent_beyond": 100 * float(by.projected_share.loc[noticeable + 1 :].sum()),
            "mean_effective_length": float((by.index * by.estimated_share).sum()),
        }
    return found


def gradient_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Gradient by path length, BN in train mode."""
    sampled, exact = _tables(evidence)
    untrained = evidence.table("untrained_gradients", evidence.networks["gradients"])
    paths = pd.Series(counts_by_length(int(exact.length.max())), dtype=float)
    for seed in evidence.seeds:
        mode = in_one_seed(sampled[sampled.seed == seed], exact[exact.seed == seed], paths)["train"]
        yield {
            "decades_per_block": mode["decades_per_block"],
            "r_squared": mode["r_squared"],
            **dict(zip([f"untrained_{name}" for name in DECAY], decay(untrained[untrained.seed == seed]), strict=True)),
            "estimated_percent_in_range": mode["estimated_percent_in_papers_range"],
            "exact_percent_in_range": mode["exact_percent_in_papers_range"],
            "projected_percent_in_range": mode["projected_percent_in_papers_range"],
            "projected_percent_beyond": mode["projected_percent_beyond"],
            "absolute_percent_beyond": abs(mode["projected_percent_beyond"]),
        }


def decay(sampled: pd.DataFrame) -> tuple[float, float]:
    """Slope in decades per block, and R squared, of the log of the mean norm of sampled paths against their length."""
    mean = mean_norms(sampled)
    first, last = fitted_lengths(int(mean.index.max()))
    return exponential_decay(mean.loc[first:last].index, mean.loc[first:last])


def mean_norms(sampled: pd.DataFrame) -> pd.Series:
    """Log10 of the mean norm of sampled paths, by their length."""
    return sampled.groupby("length").log10_norm.agg(_log10_mean)


def fitted_lengths(blocks: int) -> tuple[int, int]:
    """First and last length that a straight line is put through: 1 to 40 of 54."""
    return FITTED[0], max(2, in_proportion(FITTED[1], blocks))


def _tables(evidence: Evidence) -> tuple[pd.DataFrame, pd.DataFrame]:
    networks = evidence.networks["gradients"]
    return evidence.table("gradients", networks, "sampled"), evidence.table("gradients", networks, "exact")


def unravelled_sum_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """A small linear residual network against the sum over its explicit paths, and the measured gradient check."""
    _, exact = _tables(evidence)
    yield {"forward_error": linear_sum_error(blocks=8, seed=0), "gradient_error": float(exact.full_error.max())}


def linear_sum_error(blocks: int, seed: int) -> float:
    """Relative difference in float64 of a linear residual network's output and the sum over its 2^n paths (Eq. 1-6)."""
    random = np.random.default_rng(seed)
    matrices = random.normal(size=(blocks, 4, 4)) / 2
    start = recursive = random.normal(size=4)
    for matrix in matrices:
        recursive = recursive + matrix @ recursive
    total = np.zeros(4)
    for path in itertools.product((False, True), repeat=blocks):
        term = start
        for matrix in itertools.compress(matrices, path):
            term = matrix @ term
        total += term
    return float(np.linalg.norm(total - recursive) / np.linalg.norm(recursive))


STATISTICS = {
    "gradient": Statistic(gradient_values, studies=("gradients", "untrained_gradients")),
    "unravelled_sum": Statistic(unravelled_sum_values, studies=("gradients",), interval=False),
}
