"""What the two curves say in numbers: for the figure's caption, and for claims."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from unravel.statistics import equivalence_margin
from unravel.studies.deciding import Evidence, Statistic, Values
from unravel.studies.true_ensemble import SYSTEMS

MOST_SHARE = 3  # up to a third is taken away where the two are compared


def compared(images: pd.DataFrame) -> Values:
    """What the table of images of one network says, of up to a third taken away.

    equivalence_margin_points is the largest of all numbers removed; nan if no third can be taken away.
    """
    members = int(images.removed.max()) + 1
    third = members // MOST_SHARE
    errors = 100 * images.groupby("removed")[list(SYSTEMS)].mean()
    differences = 100 * (images.residual - images.ensemble)
    margins = differences.groupby(images.removed).agg(equivalence_margin).loc[:third]
    return {
        "members": members,
        "third": third,
        "equivalence_margin_points": margins.max(skipna=False) if third else math.nan,
        "residual_error_percent": errors.residual[third],
        "ensemble_error_percent": errors.ensemble[third],
        "difference_points": errors.residual[third] - errors.ensemble[third],
        "intact_residual_error_percent": errors.residual[0],
        "intact_ensemble_error_percent": errors.ensemble[0],
    }


def ambiguity(errors: pd.DataFrame) -> pd.DataFrame:
    """One row per network, system and number removed, means over draws.

    Columns: loss, distance (the ambiguity), loss_of_average (their difference) and percent_ambiguity (of the loss).
    """
    means = errors.groupby(["network", "system", "removed"])[["loss", "distance"]].mean()
    means = means.assign(
        loss_of_average=means.loss - means.distance, percent_ambiguity=100 * means.distance / means.loss
    )
    return means.reset_index()


def summary(errors: pd.DataFrame, images: pd.DataFrame) -> dict[str, Any]:
    """Per network: what is compared, and the ambiguity of both systems without a third and of the members alone."""
    networks, spread = {}, ambiguity(errors).set_index(["network", "system", "removed"]).percent_ambiguity
    for network, rows in images.groupby("network"):
        found = compared(rows)
        third, last = found["third"], found["members"] - 1
        networks[str(network)] = {
            **found,
            "percent_ambiguity": {system: spread[network, system, third] for system in SYSTEMS},
            "percent_ambiguity_of_members": spread[network, "ensemble", last],
            "member_error_percent": 100 * rows[rows.removed == last].ensemble.mean(),
        }
    return {
        "networks": networks,
        "seeds": sorted(images.seed.unique().tolist()),
        "draws": int(errors.draw.max()),
        "test_images": int(errors.test_images.max()),
    }


def true_ensemble_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """The first seed's network beside its ensemble."""
    yield compared(evidence.table("true_ensemble", [network], "images"))


# The margin is the end of an interval itself; with one network and one ensemble, the rest has none over seeds.
STATISTICS = {"true_ensemble": Statistic(true_ensemble_values, studies=("true_ensemble",), interval=False)}
