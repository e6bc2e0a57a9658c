"""What a transformer's lesions and gradients say in numbers: for the figure's caption, and for claims."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from unravel.studies.deciding import Evidence, Statistic, Values
from unravel.studies.vision_transformer import KINDS

NOTICED = 5.0  # points that count as noticed, as for the paper's Figure 3


def of_system(deletions: pd.DataFrame, swaps: pd.DataFrame, lengths: pd.DataFrame) -> dict[str, Any]:
    """What the tables of one network say. Increases are those above its error with nothing deleted."""
    by_position = deletions.set_index("position").sort_index()
    intact = float(by_position.error_percent[0])
    deleted = by_position.loc[1:]
    increase = deleted.error_percent - intact
    norms = 10.0 ** lengths.set_index("length").sort_index().log10_norm
    share, branches = norms / norms.sum(), int(norms.index[-1])
    return {
        "branches": branches,
        "intact_error_percent": intact,
        "median_increase_points": float(increase.median()),
        "percent_over_5_points": 100 * float((increase > NOTICED).mean()),
        "highest_increase_points": float(increase.max()),
        "costliest_position": int(increase.index[int(increase.to_numpy().argmax())]),
        "kinds": {f"{kind}_points": float(rows.median()) for kind, rows in increase.groupby(deleted.kind)},
        "median_swap_increase_points": float(swaps.error_percent.median()) - intact,
        "percent_within_half": 100 * float(share.loc[: branches // 2].sum()),
        "mean_length_share": float((share * share.index).sum()) / branches,
        "sum_error": float(lengths.sum_error.max()),
    }


def by_system(tables: dict[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    """Those values of the transformer and of the residual network, from the tables of one network of the run."""
    return {
        str(system): of_system(
            *(tables[name][tables[name].system == system] for name in ("deletions", "swaps", "lengths"))
        )
        for system in tables["deletions"].system.unique()
    }


def mean_branches(by_kind: pd.DataFrame) -> Values:
    """How many attention and how many MLP branches the paths have, in the mean over the norms of the exact sums."""
    norms = 10.0**by_kind.log10_norm
    return {kind: float(np.average(by_kind[kind], weights=norms)) for kind in KINDS}


def summary(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Per network of the run: both networks trained beside it, and the kinds of branches on the transformer's paths."""
    networks = {}
    for network in tables["deletions"].network.unique():
        own = {name: table[table.network == network] for name, table in tables.items()}
        networks[str(network)] = {**by_system(own), "mean_branches": mean_branches(own["by_kind"])}
    return {
        "networks": networks,
        "seeds": sorted(tables["deletions"].seed.unique().tolist()),
        "test_images": int(tables["deletions"].test_images.max()),
        "swaps": int(tables["swaps"].draw.max()),
    }


def vision_transformer_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """The transformer beside the first seed's network, and what the residual network with as many branches says."""
    names = ("deletions", "swaps", "lengths")
    found = by_system({name: evidence.table("vision_transformer", [network], name) for name in names})
    told = ("median_increase_points", "percent_within_half", "mean_length_share")
    own = {name: value for name, value in found["transformer"].items() if name != "kinds"}
    yield {**own, **{f"residual_{name}": found["residual"][name] for name in told}}


# One network of each kind is trained: nothing has an interval over seeds.
STATISTICS = {
    "vision_transformer": Statistic(vision_transformer_values, studies=("vision_transformer",), interval=False)
}
