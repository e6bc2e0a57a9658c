"""What depth and width do to branches and deletions, in numbers: for the figure's caption, and for claims."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from unravel.statistics import mean_interval
from unravel.studies.deciding import Evidence, Statistic, Values

KEYS = ["network", "seed", "shape"]


def prices(shapes: pd.DataFrame, deletions: pd.DataFrame) -> pd.DataFrame:
    """One row per network, seed, shape and number deleted: blocks, width, price_points (mean over draws)."""
    intact = shapes.set_index(KEYS).error_percent.rename("intact_error_percent")
    made = deletions.join(intact, on=KEYS)
    made = made.assign(price_points=made.error_percent - made.intact_error_percent)
    return made.groupby([*KEYS, "blocks", "width", "deleted_blocks"]).price_points.mean().reset_index()


def slope(rows: pd.DataFrame, column: str) -> float:
    """Of a straight line through the log of a column against the log of the number of blocks."""
    return float(stats.linregress(np.log(rows.blocks), np.log(rows[column])).slope)


def in_one_seed(shapes: pd.DataFrame, deletions: pd.DataFrame) -> Values:
    """What the tables of one network and seed say; the width decides nothing, so only networks of full width count."""
    full = shapes[shapes.width == 1].sort_values("blocks")
    price = prices(shapes, deletions)
    fewest = price[(price.width == 1) & (price.deleted_blocks == price.deleted_blocks.min())].sort_values("blocks")
    shallow_price, *_, deep_price = fewest.price_points.tolist()
    norm_slope = slope(full, "branch_norm")
    return {
        "norm_slope": norm_slope,
        "norm_slope_off": abs(norm_slope + 1),
        "relative_slope": slope(full, "relative_norm"),
        "shallow_norm": float(full.branch_norm.iloc[0]),
        "deep_norm": float(full.branch_norm.iloc[-1]),
        "shallow_price_points": shallow_price,
        "deep_price_points": deep_price,
        "price_fall_points": shallow_price - deep_price,
    }


def of_each_seed(shapes: pd.DataFrame, deletions: pd.DataFrame) -> list[Values]:
    """Those values of each seed of one network."""
    return [in_one_seed(rows, deletions[deletions.seed == seed]) for seed, rows in shapes.groupby("seed")]


def summary(shapes: pd.DataFrame, deletions: pd.DataFrame) -> dict[str, Any]:
    """Per network: those values, averaged over its seeds, and what each shape says, averaged as well."""
    networks, price = {}, prices(shapes, deletions).groupby(["network", "shape", "deleted_blocks"]).price_points.mean()
    for network, rows in shapes.groupby("network"):
        seeds = pd.DataFrame(of_each_seed(rows, deletions[deletions.network == network]))
        of_shapes = [
            {
                "blocks": int(one.blocks.iloc[0]),
                "width": float(one.width.iloc[0]),
                "branch_norm": float(one.branch_norm.mean()),
                "relative_norm": float(one.relative_norm.mean()),
                "intact_error_percent": mean_interval(one.error_percent),
                "price_points": price.loc[network, shape].to_dict(),
            }
            for shape, one in rows.groupby("shape")
        ]
        networks[str(network)] = {
            **seeds.mean().to_dict(),
            "slope_interval": mean_interval(seeds.norm_slope),
            "shapes": sorted(of_shapes, key=lambda one: (one["blocks"], one["width"])),
        }
    return {
        "networks": networks,
        "seeds": sorted(shapes.seed.unique().tolist()),
        "test_images": int(shapes.test_images.max()),
        "draws": int(deletions.draw.max()),
        "deleted": sorted(deletions.deleted_blocks.unique().tolist()),
    }


def deletion_scaling_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Depth against branches and deletions of each seed."""
    yield from of_each_seed(*(evidence.table("deletion_scaling", [network], name) for name in ("shapes", "deletions")))


# Norms cannot be drawn again from a table: with fewer than three seeds there is no interval.
STATISTICS = {"deletion_scaling": Statistic(deletion_scaling_values, studies=("deletion_scaling",), interval=False)}
