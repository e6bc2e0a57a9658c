"""Summaries: what figures' captions and claims say of a measurement table, in numbers. No drawing here."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from unravel.statistics import exponential_decay, largest_jump, mcnemar, mean_interval, rank_correlation, shortest_range

# Columns of the measurement tables that summaries and figures rest on.
PREDICTION = ("network", "seed", "convention", "image", "label", "predicted")
SINGLE_DELETION = ("network", "seed", "deleted_position", "downsampling", "error_percent", "chance_error_percent")
RANDOM_DELETION = ("network", "seed", "deleted_blocks", "draw", "error_percent")
REORDERING = ("network", "seed", "swaps", "draw", "kendall_tau", "error_percent")
SAMPLED_GRADIENT = ("network", "seed", "batch_norm", "batch", "length", "log10_norm")
EXACT_GRADIENT = (*SAMPLED_GRADIENT, "cosine", "norm_ratio", "full_error")

TAU_BIN = 0.02  # of Kendall's tau
PAPER_BLOCKS = 54
FITTED = (1, 40)  # lengths over which the decay is fitted

# The numbers that the paper's text states and a figure can show, all of CIFAR-10; report/claims.yaml words them.
PAPER_RANGE = (5, 17)  # section 5: lengths that carry almost all gradient
PAPER_VGG_ERROR = 90.0  # section 4.1, percent: after deleting any one layer of VGG
PAPER_DELETIONS = {"deleted_blocks": 10, "blocks": PAPER_BLOCKS, "error_percent": 20}  # section 4.2
PAPER_TEST_ERRORS = {"resnet": 6.10, "effective-paths": 5.96}  # section 5, percent


def in_proportion(number: int, blocks: int) -> int:
    """A number of the paper's 54 blocks, in proportion to a network of `blocks`: the nearest whole one, at least 1."""
    return max(1, round(number * blocks / PAPER_BLOCKS))


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


def test_error(predictions: pd.DataFrame) -> dict[str, Any]:
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
            seeds[str(seed)] = {"only_first_wrong": only[0], "only_second_wrong": only[1], "p": mcnemar(*only)}
        pairs.append({"first": first, "second": second, "seeds": seeds})
    return {
        "networks": networks,
        "pairs": pairs,
        "seeds": sorted(errors.seed.unique().tolist()),
        "images": int(predictions.image.nunique()),
    }


def single_deletion(deleted: pd.DataFrame) -> dict[str, Any]:
    """Per network: the intact error over seeds, and the increase after a deletion, downsampling blocks apart."""
    networks = {}
    for network, rows in deleted.groupby("network"):
        ordinary = rows[~rows.downsampling].increase_points
        halving = rows[rows.downsampling]
        networks[str(network)] = {
            "intact_error_percent": mean_interval(rows.groupby("seed").intact_error_percent.first()),
            "blocks": int(rows.deleted_position.nunique()),
            "lowest_error_percent": rows.error_percent.min(),
            "highest_error_percent": rows.error_percent.max(),
            "mean_increase_points": rows.increase_points.mean(),
            "median_increase_points": rows.increase_points.median(),
            "highest_increase_points": rows.increase_points.max(),
            "worst_position": rows.groupby("deleted_position").error_percent.mean().idxmax(),
            "ordinary_median_increase_points": ordinary.median(),
            "ordinary_p90_increase_points": ordinary.quantile(0.9),
            "downsampling_positions": sorted(set(halving.deleted_position.tolist())),
            "downsampling_mean_increase_points": halving.increase_points.mean() if len(halving) else None,
        }
    return {
        "networks": networks,
        "seeds": sorted(deleted.seed.unique().tolist()),
        "chance_error_percent": deleted.chance_error_percent.iloc[0],
    }


def random_deletion(table: pd.DataFrame) -> dict[str, Any]:
    """Per network: median error by number of deletions, how steadily it grows, and its largest step."""
    networks = {}
    for network, rows in table.groupby("network"):
        medians = rows.groupby("deleted_blocks").error_percent.median()
        networks[str(network)] = {
            "median_error_percent": medians.to_dict(),
            "rank_correlation": rank_correlation(medians.index, medians),
            "largest_jump_points": largest_jump(medians),
        }
    return {
        "networks": networks,
        "seeds": sorted(table.seed.unique().tolist()),
        "draws": int(table.draw.max()),
        "most": int(table.deleted_blocks.max()),
    }


def binned_by_tau(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `tau_bin`: Kendall's tau rounded to the middle of its bin."""
    return table.assign(tau_bin=(table.kendall_tau / TAU_BIN).round() * TAU_BIN)


def reordering(table: pd.DataFrame) -> dict[str, Any]:
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


def gradient_by_length(sampled: pd.DataFrame, exact: pd.DataFrame, paths: pd.Series) -> pd.DataFrame:
    """One row per BN mode and length: mean norms over samples, batches and seeds, and shares that sum to one.

    estimated_share is the paper's: number of paths times mean norm of a sampled one. exact_share takes the norm of the
    sum over all paths of that length instead.
    """
    keys = ["batch_norm", "length"]
    table = pd.DataFrame(
        {
            "log10_mean_norm": sampled.groupby(keys).log10_norm.agg(_log10_mean),
            "log10_exact_norm": exact.groupby(keys).log10_norm.agg(_log10_mean),
            "cosine_up_to": exact.groupby(keys).cosine.mean(),
            "norm_ratio_up_to": exact.groupby(keys).norm_ratio.mean(),
        }
    ).reset_index()
    table["share_of_paths"] = table.length.map(paths / paths.sum())
    estimated = table.log10_mean_norm + np.log10(table.length.map(paths))
    for column, logs in (("estimated_share", estimated), ("exact_share", table.log10_exact_norm)):
        weight = 10 ** (logs - logs.groupby(table.batch_norm).transform("max"))
        table[column] = weight / weight.groupby(table.batch_norm).transform("sum")
    return table


def _log10_mean(logs: pd.Series) -> float:
    """Log10 of the mean of numbers given as log10, which may be far below what a float holds."""
    top = logs.max()
    return float(top + np.log10((10 ** (logs - top)).mean())) if np.isfinite(top) else top


def gradient(table: pd.DataFrame, sampled: pd.DataFrame, exact: pd.DataFrame, paths: pd.Series) -> dict[str, Any]:
    """Per BN mode: the decay of a path's gradient, and which lengths carry the gradient, estimated and exact."""
    modes = {}
    blocks = int(paths.index.max())
    fitted_lengths = FITTED[0], max(2, in_proportion(FITTED[1], blocks))
    papers_range = in_proportion(PAPER_RANGE[0], blocks), in_proportion(PAPER_RANGE[1], blocks)
    for mode, rows in table.groupby("batch_norm"):
        by = rows.set_index("length")
        fitted = by.loc[fitted_lengths[0] : fitted_lengths[1]]
        slope, r_squared = exponential_decay(fitted.index, fitted.log10_mean_norm)
        modes[str(mode)] = {
            "decades_per_block": slope,
            "r_squared": r_squared,
            **{
                f"{kind}_{name}": value
                for kind in ("estimated", "exact")
                for name, value in _range(by[f"{kind}_share"], paths, papers_range).items()
            },
            "explained_at": (by.cosine_up_to >= 0.99).idxmax(),
        }
    return {
        "modes": modes,
        "network": sampled.network.iloc[0],
        "seeds": sorted(sampled.seed.unique().tolist()),
        "samples_per_length": int(sampled.groupby(["seed", "batch_norm", "batch", "length"]).size().max()),
        "batches": int(exact.batch.max()),
        "largest_full_error": exact.full_error.max(),
        "fitted": fitted_lengths,
        "papers_range": papers_range,
    }


def _range(share: pd.Series, paths: pd.Series, papers_range: tuple[int, int]) -> dict[str, Any]:
    first, last = shortest_range(share, 0.95)
    return {
        "first_length": first,
        "last_length": last,
        "percent_of_paths": 100 * paths.loc[first:last].sum() / paths.sum(),
        "percent_in_papers_range": 100 * share.loc[papers_range[0] : papers_range[1]].sum(),
    }
