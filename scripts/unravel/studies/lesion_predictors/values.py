"""What predicts a deletion's price, and what later blocks do, in numbers: for the figure's caption, and for claims."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from unravel.statistics import increase_after_deletion, rank_correlation
from unravel.studies.deciding import Evidence, Statistic, Values
from unravel.studies.lesion_predictors import PREDICTORS

DRAWS = 1000  # of blocks, that an interval over blocks rests on


def priced(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of deletions with increase_points, and with price and frozen_price: the rise of the loss, as it is and
    with later branches that add what they added before."""
    keys = ["network", "seed"]
    intact = table[table.deleted_position == 0].set_index(keys).loss.rename("intact_loss")
    rows = increase_after_deletion(table).join(intact, on=keys)
    return rows.assign(price=rows.loss - rows.intact_loss, frozen_price=rows.frozen_loss - rows.intact_loss)


def in_one_seed(rows: pd.DataFrame) -> Values:
    """What the deletions of one network and seed say.

    For each predictor its rank correlation with the rise of the loss, and, "_error", of the error. What later blocks do
    is told of deletions that change what they add: of all but the last block's.
    """
    followed = rows[rows.later_change > 0]
    return {
        **{f"{name}_correlation": rank_correlation(rows[name], rows.price) for name in PREDICTORS},
        **{f"{name}_error_correlation": rank_correlation(rows[name], rows.increase_points) for name in PREDICTORS},
        "median_price": float(rows.price.median()),
        "median_compensated": float(followed.compensated.median()),
        "percent_compensated": 100 * float((followed.compensated > 0).mean()),
        "percent_dearer_frozen": 100 * float((followed.frozen_price > followed.price).mean()),
        "median_later_change": float(followed.later_change.median()),
        "share_error": float(rows.share_error.max()),
    }


def over_blocks(rows: pd.DataFrame, predictor: str) -> tuple[float, float]:
    """Ends of the 95% interval of the correlation, a mean over seeds, by a bootstrap over the blocks of each."""
    generator = np.random.default_rng(0)
    means: NDArray[np.float64] = np.zeros(DRAWS)
    seeds = [one[[predictor, "price"]].to_numpy() for _, one in rows.groupby("seed")]
    for both in seeds:
        picked = both[generator.integers(len(both), size=(DRAWS, len(both)))]  # (draw, block, which)
        ranks = stats.rankdata(picked, axis=1)
        ranks -= ranks.mean(axis=1, keepdims=True)
        size = np.sqrt((ranks**2).sum(axis=1).prod(axis=1))
        means += np.divide(ranks.prod(axis=2).sum(axis=1), size, out=np.zeros(DRAWS), where=size > 0) / len(seeds)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """Per network: those values averaged over seeds, the interval of each correlation over blocks, and the best one."""
    rows, networks = priced(table), {}
    for network, of_network in rows.groupby("network"):
        seeds = pd.DataFrame([in_one_seed(one) for _, one in of_network.groupby("seed")])
        correlations = {name: float(seeds[f"{name}_correlation"].mean()) for name in PREDICTORS}
        compensated = of_network[of_network.later_change > 0].groupby("deleted_position").compensated.mean()
        networks[str(network)] = {
            **seeds.mean().to_dict(),
            "share_error_percent": 100 * float(seeds.share_error.max()),
            "later_change_percent": 100 * float(seeds.median_later_change.mean()),
            "blocks": int(of_network.deleted_position.nunique()),
            "intervals": {
                name: dict(zip(("low", "high"), over_blocks(of_network, name), strict=True)) for name in PREDICTORS
            },
            "best": max(correlations, key=correlations.__getitem__),
            "best_correlation": max(correlations.values()),
            "most_compensated": float(compensated.max()),
            "least_compensated": float(compensated.min()),
        }
    return {
        "networks": networks,
        "seeds": sorted(table.seed.unique().tolist()),
        "test_images": int(table.test_images.max()),
    }


def predictor_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """The deletions of each seed's network, what predicts their price, and what later blocks do."""
    for _, rows in priced(evidence.table("lesion_predictors", [network])).groupby("seed"):
        yield in_one_seed(rows)


STATISTICS = {"predictors": Statistic(predictor_values, studies=("lesion_predictors",))}
