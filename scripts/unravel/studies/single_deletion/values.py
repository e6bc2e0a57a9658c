"""What single deletions say in numbers: for the figure's caption, and for claims."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from unravel.statistics import increase_after_deletion, mean_interval
from unravel.studies.deciding import Evidence, Statistic, Values


def summary(deleted: pd.DataFrame) -> dict[str, Any]:
    """Per network: the intact error over seeds, and the increase after a deletion, downsampling blocks apart.

    Medians, percentiles and means are taken over the blocks of a seed, then averaged over seeds, as claims take them.
    worst_position is that of the highest mean over seeds, worst_increase_points; lowest and highest are of any seed.
    """
    networks = {}
    for network, rows in deleted.groupby("network"):
        ordinary = rows[~rows.downsampling].groupby("seed").increase_points
        halving = rows[rows.downsampling]
        by_position = rows.groupby("deleted_position").increase_points.mean()
        networks[str(network)] = {
            "intact_error_percent": mean_interval(rows.groupby("seed").intact_error_percent.first()),
            "blocks": int(rows.deleted_position.nunique()),
            "last_position": int(rows.deleted_position.max()),
            "lowest_error_percent": rows.error_percent.min(),
            "highest_error_percent": rows.error_percent.max(),
            "mean_error_percent": rows.error_percent.mean(),
            "mean_increase_points": rows.increase_points.mean(),
            "median_increase_points": rows.groupby("seed").increase_points.median().mean(),
            "highest_increase_points": rows.increase_points.max(),
            "worst_position": by_position.idxmax(),
            "worst_increase_points": by_position.max(),
            "ordinary_median_increase_points": ordinary.median().mean(),
            "ordinary_p90_increase_points": ordinary.quantile(0.9).mean(),
            "downsampling_positions": sorted(set(halving.deleted_position.tolist())),
            "downsampling_mean_increase_points": halving.increase_points.mean() if len(halving) else None,
        }
    return {
        "networks": networks,
        "seeds": sorted(deleted.seed.unique().tolist()),
        "chance_error_percent": deleted.chance_error_percent.iloc[0],
    }


def single_deletion_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Single deletions of one network: how far they are from chance, and from the intact network."""
    table = increase_after_deletion(evidence.table("deletions", [network]))
    means = table.groupby("deleted_position")[["error_percent", "increase_points"]].mean()  # over seeds
    lowest = int(means.index[int(means.error_percent.argmin())])
    ordinary_means = means.increase_points.where(~table.groupby("deleted_position").downsampling.first())
    costliest = int(means.index[int(ordinary_means.argmax())])
    for _, rows in table.groupby("seed"):
        by_position = rows.set_index("deleted_position")
        ordinary, halving = rows[~rows.downsampling].increase_points, rows[rows.downsampling].increase_points
        p90 = float(ordinary.quantile(0.9))
        yield {
            "blocks": len(rows),
            "lowest_position": lowest,
            "lowest_share_of_chance": by_position.error_percent[lowest] / by_position.chance_error_percent[lowest],
            "median_increase_points": float(ordinary.median()),
            "percent_over_5_points": 100 * float((ordinary > 5).mean()),
            "highest_increase_points": float(ordinary.max()),
            "costliest_position": costliest,
            "costliest_increase_points": float(by_position.increase_points[costliest]),
            "p90_increase_points": p90,
            "downsampling_above_p90_points": float(halving.min()) - p90 if len(halving) else math.nan,
            "mean_increase_points": float(rows.increase_points.mean()),
            "mean_downsampling_increase_points": float(halving.mean()),
        }


def imagenet_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Single deletions of the network in Figure 4, where the images are ImageNet's."""
    shown = evidence.networks["imagenet_deletion"]
    if evidence.source == "imagenet" and shown:
        yield from single_deletion_values(evidence, shown[0])


STATISTICS = {
    "single_deletion": Statistic(single_deletion_values, studies=("deletions",)),
    "imagenet": Statistic(imagenet_values),
}
