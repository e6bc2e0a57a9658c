"""What swapped blocks say in numbers: for the figure's caption, and for claims."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from unravel.statistics import largest_jump, rank_correlation
from unravel.studies.deciding import Evidence, Statistic, Values


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """Per network: how steadily the error grows with disorder over draws, and the largest step from swap to swap.

    Both are taken in each seed, as are medians over draws, and then averaged over seeds, as in the claims.
    """
    networks = {}
    for network, rows in table.groupby("network"):
        medians = rows.groupby(["seed", "swaps"]).error_percent.median().unstack()
        correlations = [rank_correlation(1 - one.kendall_tau, one.error_percent) for _, one in rows.groupby("seed")]
        networks[str(network)] = {
            "rank_correlation": float(np.mean(correlations)),
            "largest_jump_points": float(np.mean([largest_jump(one) for _, one in medians.iterrows()])),
            "lowest_tau": rows.kendall_tau.min(),
            "median_error_percent_at_most_swaps": medians[medians.columns.max()].mean(),
        }
    return {
        "networks": networks,
        "seeds": sorted(table.seed.unique().tolist()),
        "draws": int(table.draw.max()),
        "test_images": int(table.test_images.max()),
        "most": int(table.swaps.max()),
    }


def reordering_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Swapped blocks: how steadily the error grows with disorder."""
    table = evidence.table("reorderings", [network])
    for _, rows in table.groupby("seed"):
        values = summary(rows)["networks"][network]
        yield {name: values[name] for name in ("rank_correlation", "largest_jump_points")}


STATISTICS = {"reordering": Statistic(reordering_values, studies=("reorderings",))}
