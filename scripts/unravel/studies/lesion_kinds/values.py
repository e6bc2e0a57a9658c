"""What lesions of several kinds say in numbers: for the figure's caption, and for claims."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from unravel.statistics import mean_interval
from unravel.studies.deciding import Evidence, Statistic, Values
from unravel.studies.lesion_kinds import CUTS_THE_ONLY_PATH, KINDS


def increases(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of lesions with `increase_points`, above the intact network of the same seed and kind."""
    keys = ["network", "seed", "kind"]
    intact = table[table.place == 0].set_index(keys).error_percent.rename("intact_error_percent")
    made = table[table.place > 0].join(intact, on=keys)
    return made.assign(increase_points=made.error_percent - made.intact_error_percent)


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """Per network and kind: the median increase over blocks that keep the resolution, and the least harmful lesion.

    Medians are over the blocks of a seed, then averaged over seeds, as claims take them. least_share_of_chance is the
    lowest error of any position, averaged over seeds, as a share of chance error. intact_error_percent is that of the
    network with nothing lesioned, reestimated_error_percent with its statistics estimated anew.
    """
    made, networks = increases(table), {}
    for network, rows in made.groupby("network"):
        intact = rows.groupby(["kind", "seed"]).intact_error_percent.first()
        networks[str(network)] = {
            "kinds": {kind: _of_kind(rows[rows.kind == kind]) for kind in KINDS if kind in set(rows.kind)},
            "intact_error_percent": mean_interval(intact["zero"]),
            "reestimated_error_percent": mean_interval(intact["reestimated"]),
            "lesioned": int(rows.place.max()),
        }
    return {
        "networks": networks,
        "seeds": sorted(table.seed.unique().tolist()),
        "test_images": int(table.test_images.max()),
        "chance_error_percent": float(table.chance_error_percent.iloc[0]),
    }


def _of_kind(rows: pd.DataFrame) -> dict[str, Any]:
    by_position = rows.groupby("deleted_position").error_percent.mean()
    ordinary = rows[~rows.downsampling].groupby("seed").increase_points
    return {
        "median_increase_points": float(ordinary.median().mean()),
        "least_error_percent": float(by_position.min()),
        "least_position": int(by_position.index[int(by_position.to_numpy().argmin())]),
        "least_share_of_chance": float(by_position.min() / rows.chance_error_percent.iloc[0]),
    }


def plain_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """How near to chance the least harmful lesion of each kind leaves a plain network, and of all kinds."""
    table = increases(evidence.table("lesion_kinds", [network]))
    least = {}  # of each kind, the position where the error over seeds is lowest
    for kind, rows in table.groupby("kind"):
        errors = rows.groupby("deleted_position").error_percent.mean()
        least[str(kind)] = errors.index[int(errors.to_numpy().argmin())]
    for _, rows in table.groupby("seed"):
        error = rows.set_index(["kind", "deleted_position"]).error_percent
        chance = rows.chance_error_percent.iloc[0]
        shares = {f"{kind}_share_of_chance": error[kind, position] / chance for kind, position in least.items()}
        yield {**shares, "lowest_share_of_chance": min(shares.values())}


def contrast_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """By how much more VGG loses than the residual network by a lesion of each kind that leaves both a path."""
    both = increases(evidence.table("lesion_kinds", ["resnet", "vgg"]))
    both = both[~both.downsampling]
    medians = both.groupby(["seed", "network", "kind"]).increase_points.median().unstack("network")
    for _, by_kind in medians.groupby("seed"):
        differences = (by_kind.vgg - by_kind.resnet).dropna().droplevel("seed")
        found = {f"{kind}_more_points": float(value) for kind, value in differences.items()}
        fair = [found[f"{kind}_more_points"] for kind in differences.index if kind not in CUTS_THE_ONLY_PATH]
        yield {**found, "least_more_points": float(np.min(fair))}


STATISTICS = {
    "plain_lesions": Statistic(plain_values, studies=("lesion_kinds",)),
    "lesion_contrast": Statistic(contrast_values, studies=("lesion_kinds",), networks=("resnet", "vgg")),
}
