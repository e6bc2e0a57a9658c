"""The paper's estimate from sampled paths against the exact sum: a bias that stays, and a sampling error that shrinks.

For each length the paper multiplies the mean gradient norm of sampled paths by the number of paths (section 5, Figure
6c). With ever more samples that tends to the sum of the norms of all paths. The exact value is the norm of their sum,
which is smaller where paths cancel: that is the bias. The rest is the error of a mean over few samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unravel.engine.combinatorics import counts_by_length
from unravel.studies.deciding import Evidence, Statistic, Values
from unravel.studies.paper import gradient_range

SIZES = (10, 30, 100, 300, 1000)  # sampled paths of each length
DRAWS = 500  # of so many paths, from those measured
BOUND = 90.0  # percent: what the paper's range must hold by the criterion of the claim on Figure 6c
SETTLED = 90.0  # percent of draws that must agree for a number of samples to be enough

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Gradient:
    """One batch of one network, in units of its largest number.

    summed: for each sampled path its norm times the number of paths of its length, (length, sample); the mean of a row
    estimates the sum of all norms. exact: the norm of the sum over all paths of each length, (length,).
    """

    summed: Numbers
    exact: Numbers

    @property
    def limit(self) -> Numbers:
        """What the estimate tends to, as far as the measured paths tell: (length,)."""
        return np.asarray(self.summed.mean(axis=1))

    @property
    def deviation(self) -> Numbers:
        """Standard deviation of the estimate from a single path, (length,); from m paths it is smaller by sqrt(m)."""
        return np.asarray(self.summed.std(axis=1))

    def percent_in_range(self, by_length: Numbers) -> Numbers:
        """What the paper's range of lengths holds, percent: (..., length) -> (...)."""
        first, last = gradient_range(len(self.exact) - 1)
        share: Numbers = 100 * by_length[..., first : last + 1].sum(axis=-1) / by_length.sum(axis=-1)
        return share

    def drawn(self, generator: np.random.Generator) -> Numbers:
        """Estimates from the first 10, 30, ... of 1,000 paths drawn with replacement: (draw, size, length)."""
        parts, sizes = [0, *SIZES[:-1]], np.array(SIZES)
        estimates = []
        for norms in self.summed:
            picked = norms[generator.integers(len(norms), size=(DRAWS, SIZES[-1]), dtype=np.uint32)]
            estimates.append(np.add.reduceat(picked, parts, axis=1).cumsum(axis=1) / sizes)
        return np.stack(estimates, axis=-1)


def gradient(sampled: pd.DataFrame, exact: pd.DataFrame) -> Gradient:
    """The rows of one network, seed and batch, which have as many samples of each length."""
    log_exact = exact.sort_values("length").log10_norm.to_numpy()
    log_norms = np.stack([rows.to_numpy() for _, rows in sampled.groupby("length").log10_norm])
    log_summed = log_norms + np.log10(np.array(counts_by_length(len(log_exact) - 1), dtype=float))[:, None]
    largest = max(log_summed.max(), log_exact.max())
    return Gradient(10 ** (log_summed - largest), 10 ** (log_exact - largest))


def batches(sampled: pd.DataFrame, exact: pd.DataFrame) -> Iterator[tuple[int, int, Gradient]]:
    """Each seed and batch of one network, with batch normalisation in train mode as in Figure 6."""
    keys = ["seed", "batch"]
    sums = dict(list(exact[exact.batch_norm == "train"].groupby(keys)))
    for key, rows in sampled[sampled.batch_norm == "train"].groupby(keys):
        yield int(rows.seed.iloc[0]), int(rows.batch.iloc[0]), gradient(rows, sums[key])


def by_length(found: Gradient) -> pd.DataFrame:
    """For each length log10_factor (the estimate's limit over the exact value) and deviation_percent of one path."""
    with np.errstate(divide="ignore", invalid="ignore"):  # a length may carry nothing
        factor, deviation = np.log10(found.limit / found.exact), 100 * found.deviation / found.limit
    return pd.DataFrame({"length": range(len(factor)), "log10_factor": factor, "deviation_percent": deviation})


def by_size(found: Gradient, seed: int, batch: int) -> pd.DataFrame:
    """For each number of samples what draws say of the paper's range, percent of summed norms or of draws.

    mean_percent, deviation_points, low_percent and high_percent (which 95% of the draws are between) of its share;
    agreeing_percent and settled_percent of draws put it on that side of the bound where the exact sum puts it, or the
    estimate from all measured paths. The draws are those of the seed and batch.
    """
    shares = found.percent_in_range(found.drawn(np.random.default_rng((seed, batch))))  # (draw, size)
    exact, limit = (found.percent_in_range(one) >= BOUND for one in (found.exact, found.limit))
    return pd.DataFrame(
        {
            "samples": SIZES,
            "mean_percent": shares.mean(axis=0),
            "deviation_points": shares.std(axis=0),
            "low_percent": np.quantile(shares, 0.025, axis=0),
            "high_percent": np.quantile(shares, 0.975, axis=0),
            "agreeing_percent": 100 * ((shares >= BOUND) == exact).mean(axis=0),
            "settled_percent": 100 * ((shares >= BOUND) == limit).mean(axis=0),
        }
    )


def tables_of(sampled: pd.DataFrame, exact: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Of every seed and batch of one network: "lengths" and "sizes" as above, and "shares", one row for each batch."""
    found: dict[str, list[pd.DataFrame]] = {"lengths": [], "sizes": [], "shares": []}
    for seed, batch, one in batches(sampled, exact):
        shares = {f"{name}_percent": [float(one.percent_in_range(getattr(one, name)))] for name in ("limit", "exact")}
        parts = {"lengths": by_length(one), "sizes": by_size(one, seed, batch), "shares": pd.DataFrame(shares)}
        for name, part in parts.items():
            found[name].append(part.assign(seed=seed, batch=batch))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def enough(sizes: pd.DataFrame, column: str) -> int | None:
    """The smallest number of samples from which on enough draws agree, means over batches and seeds; None if none."""
    fewest = sizes.groupby("samples")[column].mean()[::-1].cummin()  # of this and of larger numbers of samples
    kept = fewest.index[fewest >= SETTLED]
    return int(kept.min()) if len(kept) else None


def in_one_seed(tables: dict[str, pd.DataFrame]) -> Values:
    """Means over the batches of one seed."""
    shares = tables["shares"]
    first, last = (tables["sizes"][tables["sizes"].samples == size].mean() for size in (SIZES[0], SIZES[-1]))
    bias = float((shares.limit_percent - shares.exact_percent).mean())
    return {
        "limit_percent": float(shares.limit_percent.mean()),
        "exact_percent": float(shares.exact_percent.mean()),
        "bias_points": bias,
        "deviation_points": float(first.deviation_points),
        "bias_beyond_deviation_points": abs(bias) - float(first.deviation_points),
        "agreeing_percent": float(first.agreeing_percent),
        "settled_percent": float(first.settled_percent),
        "most_agreeing_percent": float(last.agreeing_percent),
    }


def summary(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Those values averaged over seeds, what each number of samples gives, and which one is enough.

    largest_log10_factor: of the limit over the exact value, at the length where that is largest, mean over
    seeds and batches; largest_deviation_percent: of one path, in percent of its length's mean, where it is largest.
    """
    sizes, lengths = tables["sizes"], tables["lengths"]
    seeds = sorted(tables["shares"].seed.unique().tolist())
    each = [in_one_seed({name: table[table.seed == seed] for name, table in tables.items()}) for seed in seeds]
    factor = lengths.groupby("length").log10_factor.mean()
    means = sizes.drop(columns=["seed", "batch"]).groupby("samples").mean().reset_index()
    return {
        **{name: float(np.mean([one[name] for one in each])) for name in each[0]},
        "sizes": means.to_dict("records"),
        "enough_to_agree": enough(sizes, "agreeing_percent"),
        "enough_to_settle": enough(sizes, "settled_percent"),
        "largest_log10_factor": float(factor.max()),
        "largest_log10_factor_at": int(factor.index[int(factor.to_numpy().argmax())]),
        "largest_deviation_percent": float(lengths.groupby("length").deviation_percent.mean().max()),
        "papers_range": gradient_range(int(lengths.length.max())),
        "bound_percent": BOUND,
        "draws": DRAWS,
        "seeds": seeds,
        "batches": int(tables["shares"].batch.max()),
    }


def estimate_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """The estimate against the exact sum, of each seed."""
    networks = evidence.networks["gradients"]
    tables = tables_of(*(evidence.table("gradients", networks, ending) for ending in ("sampled", "exact")))
    for seed in evidence.seeds:
        yield in_one_seed({name: table[table.seed == seed] for name, table in tables.items()})


# A bootstrap would draw batches again, of which there may be one; what the paths of a batch leave open, the draws say.
STATISTICS = {"estimate": Statistic(estimate_values, studies=("gradients",), interval=False)}
