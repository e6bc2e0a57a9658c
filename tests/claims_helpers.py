"""Measurements of which the answer is known, and the verdicts on them."""

import math
from dataclasses import replace

import pandas as pd

from unravel import tables
from unravel.evidence import claims
from unravel.run import parse_config


def settings(*networks, **changes):
    """A run of these networks, each of 54 blocks, of which Figure 3 shows the first one."""
    raw = {
        "run": "test",
        "scale": "ci",
        "dataset": {"source": "digits"},
        "networks": {name: {"architecture": "resnet"} for name in networks},
        "deletions": {"figure_3": networks[:1], "figure_8": networks},
    }
    return parse_config(raw | changes)


SETTINGS = settings("resnet", "stochastic-depth")


BY_ID = {claim.id: claim for claim in claims.read_all(SETTINGS)}


def write_deletions(run, network, increases, downsampling=(1,), seeds=(1, 2, 3)):
    """Single deletions of one network, the same increase (in points) at each position for every seed."""
    for seed in seeds:
        errors = [5.0, *(5.0 + increase for increase in increases)]
        table = pd.DataFrame({"deleted_position": range(len(errors)), "error_percent": errors})
        table["downsampling"] = table.deleted_position.isin(downsampling)
        table = table.assign(network=network, seed=seed, chance_error_percent=90.0, test_images=1000)
        table["wrong_images"] = (10 * table.error_percent).round().astype(int)
        tables.write(run / "measurements" / "deletions" / f"{network}-seed{seed}.csv", table)


def evidence_of(run, config=SETTINGS):
    """A run as evidence, whose tables may be of fewer blocks and draws than its config says."""
    evidence = claims.evidence_of(run, config)
    return replace(evidence, expected={path: replace(table, sizes={}) for path, table in evidence.expected.items()})


def judge(claim_id, run, config=SETTINGS):
    return claims.judge([BY_ID[claim_id]], evidence_of(run, config))[0]


def verdict(claim_id, run):
    return judge(claim_id, run)["verdict"]


def write_gradients(run, decades):
    """Norms that fall by so many decades a block, by seed, on paths of the 54 blocks; their sums twice as slowly.

    BN in eval mode does otherwise, and must not be looked at.
    """
    for seed, fall in enumerate(decades, 1):
        modes = [pd.DataFrame({"length": range(55), "batch_norm": mode}) for mode in ("train", "eval")]
        table = pd.concat(modes, ignore_index=True).assign(network="resnet", seed=seed, batch=1, sample=1)
        table["log10_norm"] = -fall * table.length.where(table.batch_norm == "train", table.length % 7)
        folder = run / "measurements" / "gradients"
        tables.write(folder / f"resnet-seed{seed}.sampled.csv", table)
        choices = table.length.map(lambda length: math.log10(math.comb(54, length)))
        untrained = table[table.batch_norm == "train"].copy()
        untrained["log10_norm"] = -fall / 2 * untrained.length
        tables.write(folder.parent / "untrained_gradients" / f"resnet-seed{seed}.csv", untrained)
        # of the gradient, paths up to length L hold 1 - 2^-(L + 1): length k holds 2^-(k + 1) alone
        exact = table.assign(cosine=0.5, norm_ratio=2 - 2.0**-table.length, full_error=1e-7 * seed)
        exact["log10_norm"] = table.log10_norm / 2 + choices
        tables.write(folder / f"resnet-seed{seed}.exact.csv", exact)


def write_random_deletions(run, errors, seeds=(1, 2, 3), draws=1):
    """Errors by number of deleted blocks, the same in every draw, and so many draws for each number but zero."""
    for seed in seeds:
        rows = [(0, 1, errors[0])]
        rows += [(k, draw, error) for k, error in enumerate(errors[1:], 1) for draw in range(1, draws + 1)]
        table = pd.DataFrame(rows, columns=["deleted_blocks", "draw", "error_percent"])
        table["wrong_images"] = (10 * table.error_percent).round().astype(int)
        path = run / "measurements" / "random_deletions" / f"resnet-seed{seed}.csv"
        tables.write(path, table.assign(network="resnet", seed=seed, test_images=1000))


def judged(claim_id, *per_seed):
    return claims.Judged.model_validate(claims.decide(BY_ID[claim_id], list(per_seed)))
