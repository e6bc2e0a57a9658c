"""Statistics of measurement tables, shared by figures, claims and the article."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats


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


def increase_after_deletion(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of single deletions with `increase_points`: error above the intact network of the same seed, in points.

    `table` has columns network, seed, deleted_position (0: nothing deleted) and error_percent.
    """
    keys = ["network", "seed"]
    intact = table[table.deleted_position == 0].set_index(keys).error_percent.rename("intact_error_percent")
    deleted = table[table.deleted_position > 0].join(intact, on=keys)
    return deleted.assign(increase_points=deleted.error_percent - deleted.intact_error_percent)
