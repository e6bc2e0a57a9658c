"""What the logits by path length say in numbers: for the figure's caption, and for claims."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from unravel.statistics import mean_interval
from unravel.studies.deciding import Evidence, Statistic, Values
from unravel.studies.paper import gradient_range

MARGIN = 1.0  # points from the error of all paths that count as none


def in_one_seed(rows: pd.DataFrame) -> Values:
    """What the rows of one network and seed say, which are one for each length."""
    by_length = rows.set_index("length").sort_index()
    blocks, error = int(by_length.index[-1]), by_length.error_percent
    near = (error <= error.iloc[-1] + MARGIN).to_numpy()
    reached = int(near.argmax())
    first, last = gradient_range(blocks)
    return {
        "blocks": blocks,
        "error_percent": float(error.iloc[-1]),
        "reached_at": reached,
        "reached_share": reached / blocks,
        "stays_at": int(np.logical_and.accumulate(near[::-1])[::-1].argmax()),
        "half_depth_error_percent": float(error[blocks // 2]),
        "most_at": int(by_length.share.to_numpy().argmax()),
        "percent_in_papers_range": 100 * float(by_length.share.loc[first:last].sum()),
        "largest_norm_ratio": float(by_length.norm_ratio.max()),
        "sum_error": float(by_length.sum_error.max()),
    }


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """Per network: those values, averaged over its seeds, the error of all paths with its interval."""
    networks = {}
    for network, rows in table.groupby("network"):
        seeds = pd.DataFrame([in_one_seed(one) for _, one in rows.groupby("seed")])
        blocks = int(seeds.blocks[0])
        networks[str(network)] = {
            **seeds.mean().to_dict(),
            "blocks": blocks,
            "papers_range": gradient_range(blocks),
            "earliest": int(seeds.reached_at.min()),
            "latest": int(seeds.reached_at.max()),
            "full_error_percent": mean_interval(seeds.error_percent),
            "sum_error": seeds.sum_error.max(),
        }
    return {
        "networks": networks,
        "seeds": sorted(table.seed.unique().tolist()),
        "test_images": int(table.test_images.max()),
        "margin_points": MARGIN,
    }


def forward_paths_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """The logits by path length of each seed's network."""
    for _, rows in evidence.table("forward_paths", [network]).groupby("seed"):
        yield in_one_seed(rows)


STATISTICS = {"forward_paths": Statistic(forward_paths_values, studies=("forward_paths",))}
