"""What steps of an estimate say in numbers: for the figure's caption, and for claims."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from unravel.statistics import rank_correlation
from unravel.studies.deciding import Evidence, Statistic, Values


def in_one_seed(cosines: pd.DataFrame, estimates: pd.DataFrame, readouts: pd.DataFrame) -> Values:
    """What the tables of one network, seed and kind of weights say.

    deviation_correlation: the rank correlation of step and deviation, of the stage where it is highest; stages of fewer
    than three estimates have none. largest_mean: of the means, in deviations, of all steps but a stage's first.
    """
    before = estimates[estimates.step < estimates.groupby("stage").step.transform("max")]
    falls = [rank_correlation(stage.step, stage.deviation) for _, stage in before.groupby("stage") if len(stage) > 2]
    later, by_step = before[before.step > 0], readouts.sort_values("step").error_percent
    return {
        "percent_descending": 100 * float((cosines.cosine < 0).mean()),
        "mean_cosine": float(cosines.cosine.mean()),
        "readout_correlation": rank_correlation(range(len(by_step)), by_step),
        "first_readout_error_percent": float(by_step.iloc[0]),
        "last_readout_error_percent": float(by_step.iloc[-1]),
        "deviation_correlation": float(np.max(falls)) if falls else 0.0,
        "largest_mean": float(later.mean_in_deviations.max()),
        "largest_channel_mean": float(later.channel_mean.max()),
    }


def by_seed(tables: dict[str, pd.DataFrame]) -> dict[tuple[str, str], list[Values]]:
    """Those values of each seed, by network and weights."""
    found: dict[tuple[str, str], list[Values]] = {}
    keys = ["network", "weights", "seed"]
    parts = {name: dict(list(table.groupby(keys))) for name, table in tables.items()}
    for key in parts["cosines"]:
        one = in_one_seed(*(parts[name][key] for name in ("cosines", "estimates", "readouts")))
        found.setdefault((str(key[0]), str(key[1])), []).append(one)
    return found


def summary(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Per network and weights: those values, averaged over seeds."""
    networks: dict[str, dict[str, Any]] = {}
    for (network, weights), values in by_seed(tables).items():
        networks.setdefault(network, {})[weights] = pd.DataFrame(values).mean().to_dict()
    return {
        "networks": networks,
        "seeds": sorted(tables["cosines"].seed.unique().tolist()),
        "test_images": int(tables["readouts"].test_images.max()),
    }


def step_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Of each seed, what the trained network says, and what the one drawn anew does."""
    names = ("cosines", "estimates", "readouts")
    found = by_seed({name: evidence.table("iterative_inference", [network], name) for name in names})
    for trained, drawn in zip(found[network, "trained"], found[network, "untrained"], strict=True):
        yield {**trained, **{f"untrained_{name}": value for name, value in drawn.items()}}


# Cosines and deviations cannot be drawn again from a table: with fewer than three seeds there is no interval.
STATISTICS = {"steps": Statistic(step_values, studies=("iterative_inference",), interval=False)}
