"""What random deletions say in numbers: for the figure's caption, and for claims."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from unravel.statistics import largest_jump, rank_correlation
from unravel.studies.deciding import Evidence, Statistic, Values
from unravel.studies.paper import in_proportion


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """Per network: median error by number of deletions, how steadily it grows, and its largest step.

    Medians are over the draws of a seed; they, correlations and steps are then averaged over seeds, as in the claims.
    """
    networks = {}
    for network, rows in table.groupby("network"):
        medians = rows.groupby(["seed", "deleted_blocks"]).error_percent.median().unstack()
        networks[str(network)] = {
            "median_error_percent": medians.mean().to_dict(),
            "rank_correlation": float(np.mean([rank_correlation(one.index, one) for _, one in medians.iterrows()])),
            "largest_jump_points": float(np.mean([largest_jump(one) for _, one in medians.iterrows()])),
        }
    return {
        "networks": networks,
        "seeds": sorted(table.seed.unique().tolist()),
        "draws": int(table.draw.max()),
        "test_images": int(table.test_images.max()),
        "most": int(table.deleted_blocks.max()),
    }


def random_deletion_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Several deletions at once: how steadily the median error grows."""
    table = evidence.table("random_deletions", [network])
    papers_number = in_proportion(10, evidence.blocks[network])
    for _, rows in table.groupby("seed"):
        values = summary(rows)["networks"][network]
        yield {
            "rank_correlation": values["rank_correlation"],
            "largest_jump_points": values["largest_jump_points"],
            "error_percent_at_10": values["median_error_percent"].get(papers_number, math.nan),
        }


def severity_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """The median error with 20 of 54 blocks deleted, beside that with 10 and beside chance."""
    table, blocks = evidence.table("random_deletions", [network]), evidence.blocks[network]
    chance = float(evidence.table("deletions", [network]).chance_error_percent.iloc[0])
    for _, rows in table.groupby("seed"):
        medians = rows.groupby("deleted_blocks").error_percent.median()
        at_10, at_20 = (float(medians.get(in_proportion(number, blocks), math.nan)) for number in (10, 20))
        yield {
            "error_percent_at_20": at_20,
            "error_ratio_20_to_10": at_20 / at_10 if at_10 else math.inf,
            "share_of_chance_at_20": at_20 / chance,
        }


STATISTICS = {
    "random_deletion": Statistic(random_deletion_values, studies=("random_deletions",)),
    "random_deletion_severity": Statistic(severity_values, studies=("random_deletions", "deletions")),
}
