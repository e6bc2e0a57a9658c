"""What swapped blocks say in numbers: for the figure's caption, and for claims."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from unravel.statistics import largest_jump, rank_correlation
from unravel.studies.deciding import Evidence, Statistic, Values

TAU_BIN = 0.02  # of Kendall's tau


def binned_by_tau(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `tau_bin`: Kendall's tau rounded to the middle of its bin."""
    return table.assign(tau_bin=(table.kendall_tau / TAU_BIN).round() * TAU_BIN)


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """Per network: how steadily the error grows with disorder over draws, and the largest step between bins of tau."""
    networks = {}
    for network, rows in table.groupby("network"):
        medians = rows.groupby("tau_bin").error_percent.median()
        networks[str(network)] = {
            "rank_correlation": rank_correlation(1 - rows.kendall_tau, rows.error_percent),
            "largest_jump_points": largest_jump(medians),
            "lowest_tau": rows.kendall_tau.min(),
            "median_error_percent_at_most_swaps": rows[rows.swaps == rows.swaps.max()].error_percent.median(),
        }
    return {
        "networks": networks,
        "seeds": sorted(table.seed.unique().tolist()),
        "draws": int(table.draw.max()),
        "most": int(table.swaps.max()),
        "bin": TAU_BIN,
    }


def reordering_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Swapped blocks: how steadily the error grows with disorder."""
    table = binned_by_tau(evidence.table("reorderings", [network]))
    for _, rows in table.groupby("seed"):
        values = summary(rows)["networks"][network]
        yield {name: values[name] for name in ("rank_correlation", "largest_jump_points")}


STATISTICS = {"reordering": Statistic(reordering_values, study="reorderings")}
