"""What path lengths during a training say in numbers: for the figure's caption, and for claims."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from unravel.statistics import rank_correlation
from unravel.studies.deciding import Evidence, Statistic, Values

KEYS = ["network", "seed", "moment"]


def by_moment(lengths: pd.DataFrame, gains: pd.DataFrame) -> pd.DataFrame:
    """One row per network, seed and moment: step, mode, mean_length, gain.

    mode: the length of the largest summed gradient. mean_length: the sum of k <G_k, G> / |G|^2, the derivative of
    log |G| by the log of a gain of all residual branches, at 1 with gates kept. gain: the median over blocks.
    """
    groups = lengths.groupby(KEYS)
    return pd.DataFrame(
        {
            "step": groups.step.first(),
            "mode": lengths.loc[groups.log10_norm.idxmax()].set_index(KEYS).length,
            "mean_length": (lengths.length * lengths.share).groupby([lengths[key] for key in KEYS]).sum(),
            "gain": gains.groupby(KEYS).gain.median(),
        }
    ).reset_index()


def in_one_seed(lengths: pd.DataFrame, gains: pd.DataFrame) -> Values:
    """What the tables of one network and seed say."""
    moments = by_moment(lengths, gains).sort_values("moment")
    blocks, start, end = int(lengths.length.max()), moments.iloc[0], moments.iloc[-1]
    found: Values = {"blocks": blocks}
    for name in ("mode", "mean_length"):
        found |= {f"{when}_{name}": float(row[name]) for when, row in (("start", start), ("end", end))}
        found[f"start_{name}_share"] = found[f"start_{name}"] / blocks
        found[f"{name}_rise"] = found[f"end_{name}"] - found[f"start_{name}"]
    return {
        **found,
        "length_correlation": rank_correlation(moments.step, moments.mean_length),
        "start_gain": float(start.gain),
        "end_gain": float(end.gain),
        "gain_rise": float(end.gain - start.gain),
        "end_error_percent": float(lengths.end_error_percent.iloc[0]),
        "full_error": float(lengths.full_error.max()),
    }


def of_each_seed(lengths: pd.DataFrame, gains: pd.DataFrame) -> list[Values]:
    """Those values of each seed of one network."""
    return [in_one_seed(rows, gains[gains.seed == seed]) for seed, rows in lengths.groupby("seed")]


def summary(lengths: pd.DataFrame, gains: pd.DataFrame) -> dict[str, Any]:
    """Per network: those values, averaged over its seeds."""
    networks = {}
    for network, rows in lengths.groupby("network"):
        seeds = pd.DataFrame(of_each_seed(rows, gains[gains.network == network]))
        networks[str(network)] = {
            **seeds.mean().to_dict(),
            "blocks": int(seeds.blocks[0]),
            "full_error": seeds.full_error.max(),
        }
    return {
        "networks": networks,
        "seeds": sorted(lengths.seed.unique().tolist()),
        "moments": int(lengths.moment.max()) + 1,
        "steps": int(lengths.step.max()),
    }


def paths_in_training_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Path lengths during the training of each seed."""
    yield from of_each_seed(*(evidence.table("paths_in_training", [network], name) for name in ("lengths", "gains")))


# Nothing in the tables can be drawn again: with fewer than three seeds there is no interval.
STATISTICS = {"paths_in_training": Statistic(paths_in_training_values, studies=("paths_in_training",), interval=False)}
