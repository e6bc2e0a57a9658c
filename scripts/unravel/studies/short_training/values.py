"""What the predictions say in numbers: for the figure's caption, and for claims."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pandas as pd

from unravel.statistics import equivalence_margin, mcnemar, mean_interval
from unravel.studies.deciding import Evidence, Statistic, Values

NETWORKS = ("effective-paths", "resnet")  # the two whose equality the paper claims


def test_errors(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per network, convention and seed: error_percent."""
    wrong = (predictions.predicted != predictions.label).groupby(
        [predictions.network, predictions.convention, predictions.seed]
    )
    return (100 * wrong.mean()).rename("error_percent").reset_index()


def wrong_by_image(predictions: pd.DataFrame) -> pd.DataFrame:
    """Whether each network is wrong, residual branches scaled: rows (seed, image), one column per network."""
    scaled = predictions[predictions.convention == "scaled"]
    wrong = scaled.assign(wrong=scaled.predicted != scaled.label)
    return wrong.pivot(index=["seed", "image"], columns="network", values="wrong")


def summary(predictions: pd.DataFrame) -> dict[str, Any]:
    """Per network and convention the error over seeds; per pair of networks and seed McNemar's test."""
    errors = test_errors(predictions)
    networks: dict[str, dict[str, Any]] = {}
    for (network, convention), rows in errors.groupby(["network", "convention"]):
        networks.setdefault(str(network), {})[str(convention)] = mean_interval(rows.error_percent)
    pairs = []
    wrong = wrong_by_image(predictions)
    for first, second in combinations(networks, 2):
        seeds = {}
        for seed, rows in wrong.groupby("seed"):
            only = int((rows[first] & ~rows[second]).sum()), int((rows[second] & ~rows[first]).sum())
            seeds[str(seed)] = {"only_first_wrong": only[0], "only_second_wrong": only[1], "log10_p": mcnemar(*only)}
        pairs.append({"first": first, "second": second, "seeds": seeds})
    return {
        "networks": networks,
        "pairs": pairs,
        "seeds": sorted(errors.seed.unique().tolist()),
        "images": int(predictions.image.nunique()),
    }


def short_training_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Effective-path training against full training: the difference by seed, and the margin of their equivalence.

    The margin is taken over seeds; with fewer than three, over the test images that both networks saw.
    """
    wrong = wrong_by_image(evidence.table("predictions", NETWORKS)).astype(float)
    by_image = 100 * (wrong["effective-paths"] - wrong["resnet"])
    by_seed = by_image.groupby("seed").mean()
    margin = equivalence_margin(by_seed if len(by_seed) >= 3 else by_image)
    for difference in by_seed:
        yield {"difference_points": difference, "equivalence_margin_points": margin}


STATISTICS = {"short_training": Statistic(short_training_values, networks=NETWORKS, interval=False)}
