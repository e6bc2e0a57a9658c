"""Statistics of measurement tables, shared by figures, claims and the article."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import gammaln, logsumexp


@dataclass(frozen=True)
class Interval:
    """A mean with its two-sided 95% confidence interval (Student's t over seeds) and how many values it rests on."""

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: ArrayLike) -> Interval:
    """Mean and 95% t interval of independent values; with one value the interval is that value, as n then says."""
    sample = np.asarray(values, dtype=float)
    mean = float(sample.mean())
    if len(sample) == 1:
        return Interval(mean, mean, mean, 1)
    half = float(stats.t.ppf(0.975, len(sample) - 1) * stats.sem(sample))
    return Interval(mean, mean - half, mean + half, len(sample))


def rank_correlation(one: ArrayLike, other: ArrayLike) -> float:
    """Spearman's rank correlation; 0 where one of the two does not vary, since then it orders nothing."""
    first, second = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(stats.spearmanr(first, second).statistic)


def largest_jump(values: ArrayLike) -> float:
    """Largest absolute difference between neighbours; 0 for fewer than two values."""
    steps = np.abs(np.diff(np.asarray(values, dtype=float)))
    return float(steps.max()) if len(steps) else 0.0


def shortest_range(mass: ArrayLike, share: float) -> tuple[int, int]:
    """First and last index of the shortest run of neighbours that holds at least `share` of all mass."""
    total = np.concatenate([[0.0], np.cumsum(np.asarray(mass, dtype=float))])
    total /= total[-1]
    runs = [
        (last - first, first, last)
        for first in range(len(total) - 1)
        for last in range(first, len(total) - 1)
        if total[last + 1] - total[first] >= share - 1e-12
    ]
    _, first, last = min(runs)
    return first, last


def exponential_decay(lengths: ArrayLike, log10_norms: ArrayLike) -> tuple[float, float]:
    """Slope (decades per block) and R squared of a straight line through log10 norms against lengths.

    Both are nan where a norm is zero, its log10 -inf: as of branches that begin as zero.
    """
    if not np.isfinite(log10_norms).all():
        return math.nan, math.nan
    fit = stats.linregress(lengths, log10_norms)
    return float(fit.slope), float(fit.rvalue**2)


def equivalence_margin(differences: ArrayLike) -> float:
    """Smallest margin within which paired differences are equivalent to zero by two one-sided t tests at 5%.

    It is the larger end, in absolute value, of the 90% t interval of the mean; nan for fewer than three values.
    """
    sample = np.asarray(differences, dtype=float)
    if len(sample) < 3:
        return float("nan")
    half = float(stats.t.ppf(0.95, len(sample) - 1) * stats.sem(sample))
    return abs(float(sample.mean())) + half


def mcnemar(only_first: int, only_second: int) -> float:
    """Log10 of the two-sided p value of McNemar's exact test, from the images that only one classifier gets wrong.

    The logarithm, since with thousands of images p may be smaller than any float but 0.
    """
    n, fewer = only_first + only_second, np.arange(min(only_first, only_second) + 1)
    log_tail = logsumexp(gammaln(n + 1) - gammaln(fewer + 1) - gammaln(n - fewer + 1)) - n * math.log(2)
    return min(0.0, float(log_tail + math.log(2)) / math.log(10))


def increase_after_deletion(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of single deletions with `increase_points`: error above the intact network of the same seed, in points.

    `table` has columns network, seed, deleted_position (0: nothing deleted) and error_percent.
    """
    keys = ["network", "seed"]
    intact = table[table.deleted_position == 0].set_index(keys).error_percent.rename("intact_error_percent")
    deleted = table[table.deleted_position > 0].join(intact, on=keys)
    return deleted.assign(increase_points=deleted.error_percent - deleted.intact_error_percent)


def difference_interval(one: ArrayLike, other: ArrayLike) -> Interval:
    """Mean of `other` minus mean of `one` with its 95% interval (Welch); n is the smaller of the two samples' sizes.

    The interval has no width where it cannot be estimated: with one value on a side, or where no value varies.
    """
    first, second = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    difference, n = float(second.mean() - first.mean()), min(len(first), len(second))
    if n == 1 or (np.ptp(first) == 0 and np.ptp(second) == 0):
        return Interval(difference, difference, difference, n)
    variances = np.array([sample.var(ddof=1) / len(sample) for sample in (first, second)])  # of the two means
    freedom = variances.sum() ** 2 / sum(variances**2 / (np.array([len(first), len(second)]) - 1))
    half = float(stats.t.ppf(0.975, freedom) * math.sqrt(variances.sum()))
    return Interval(difference, difference - half, difference + half, n)
