"""How much less a deletion costs after training with stochastic depth, for claims."""

from collections.abc import Iterator

import pandas as pd

from unravel.statistics import increase_after_deletion
from unravel.studies.deciding import Evidence, Statistic, Values

PLAIN, DROPPED = "resnet", "stochastic-depth"  # the two networks that the paper's Figure 8 compares


def stochastic_depth_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Points of mean increase that stochastic depth saves, over all blocks and over downsampling ones, by seed."""
    plain, dropped = (increase_after_deletion(evidence.table("deletions", [name])) for name in (PLAIN, DROPPED))
    for (_, before), (_, after) in zip(plain.groupby("seed"), dropped.groupby("seed"), strict=True):
        halving = _saved(before[before.downsampling], after[after.downsampling])
        yield {
            "saved_points": _saved(before, after),
            "saved_at_downsampling_points": halving,
            "more_at_downsampling_points": halving - _saved(before[~before.downsampling], after[~after.downsampling]),
            "plain_error_percent": float(before.error_percent.mean()),
            "dropped_error_percent": float(after.error_percent.mean()),
        }


def _saved(before: pd.DataFrame, after: pd.DataFrame) -> float:
    return float(before.increase_points.mean() - after.increase_points.mean())


STATISTICS = {"stochastic_depth": Statistic(stochastic_depth_values, studies=("deletions",), networks=(PLAIN, DROPPED))}
