"""The paper's claims: criteria are data (report/claims.yaml), verdicts are computed from measurement tables."""

import itertools
import math
import operator
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, ValidationInfo, field_validator

from unravel import summaries, tables
from unravel.combinatorics import counts_by_length, fraction_left
from unravel.config import Config, ImageNet
from unravel.files import InputError
from unravel.statistics import Interval, equivalence_margin, increase_after_deletion, mean_interval

Verdict = Literal["supported", "partly supported", "not supported", "not tested"]
Values = dict[str, float]
COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "==": operator.eq}


class Claim(BaseModel):
    """One entry of the claims file; the head of that file says what the keys mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    where: str
    claim: str
    paper: str
    criterion: str
    statistic: str | None = None
    network: str | None = None
    supported: dict[str, str] = {}
    partly: dict[str, str] = {}
    shown: dict[str, str] = {}
    paper_values: dict[str, float] = {}
    figure: str | None = None

    @field_validator("statistic")
    @classmethod
    def _statistic_exists(cls, name: str | None) -> str | None:
        if name is not None and name not in STATISTICS:
            raise ValueError(f"unknown statistic '{name}'; known are {', '.join(STATISTICS)}")
        return name

    @field_validator("paper_values")
    @classmethod
    def _paper_values_are_shown(cls, values: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        unknown = sorted(values.keys() - info.data.get("shown", {}).keys())
        if unknown:
            raise ValueError(f"'{unknown[0]}' is not among the values shown")
        return values

    @field_validator("supported", "partly")
    @classmethod
    def _conditions_parse(cls, conditions: dict[str, str]) -> dict[str, str]:
        for condition in conditions.values():
            _parse(condition)
        return conditions


class Judged(Claim):
    """A claim as claims.json holds it: with its verdict, the shown values over seeds, and all values by seed."""

    verdict: Verdict
    values: dict[str, Interval]
    per_seed: list[Values]


def _parse(condition: str) -> tuple[Callable[[float, float], bool], float]:
    sign, _, bound = condition.partition(" ")
    if sign not in COMPARE:
        raise ValueError(f"condition '{condition}' must be one of {' '.join(COMPARE)}, a space and a number")
    return COMPARE[sign], float(bound)


def read(path: Path) -> list[Claim]:
    """Read a claims file. Raises InputError with one line that names the claim and the key."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    claims = []
    for entry in entries:
        try:
            claims.append(Claim.model_validate(entry))
        except ValidationError as invalid:
            first = invalid.errors()[0]
            where = ".".join(map(str, first["loc"]))
            message = first["msg"].removeprefix("Value error, ")
            raise InputError(f"{path}: claim '{entry.get('id')}': {where}: {message}") from invalid
    return claims


def read_judged(path: Path) -> list[Judged]:
    """Read claims.json. Raises InputError if it is missing, damaged or of another version of this code."""
    again = "judge again with `snakemake claims`"
    try:
        return TypeAdapter(list[Judged]).validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {again}") from error
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path}: {where}: {first['msg']}; delete it and {again}") from invalid


@dataclass(frozen=True)
class Evidence:
    """Where a run's measurements lie, read as tables."""

    run: Path
    config: Config

    def lesions(self, experiment: str, network: str, columns: tuple[str, ...]) -> pd.DataFrame:
        """The table of one lesion study of one network, all seeds."""
        folder = self.run / "measurements" / experiment
        return tables.read([folder / f"{network}-seed{seed}.csv" for seed in self.config.seeds], columns)

    def gradients(self, kind: str, columns: tuple[str, ...]) -> pd.DataFrame:
        """The sampled or exact gradient table, all seeds."""
        folder, network = self.run / "measurements" / "gradients", self.config.gradients.network
        return tables.read([folder / f"{network}-seed{seed}.{kind}.csv" for seed in self.config.seeds], columns)

    def predictions(self, networks: tuple[str, ...]) -> pd.DataFrame:
        """What these networks say of each test image, all seeds."""
        folder = self.run / "measurements" / "predictions"
        paths = [folder / f"{network}-seed{seed}.csv" for network in networks for seed in self.config.seeds]
        return tables.read(paths, summaries.PREDICTION)


# --- statistics: named values, one dictionary per seed, or a single one where nothing is random -----------------------


def single_deletion_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Single deletions of one network: how far they are from chance, and from the intact network."""
    table = increase_after_deletion(evidence.lesions("deletions", network, summaries.SINGLE_DELETION))
    for _, rows in table.groupby("seed"):
        ordinary, halving = rows[~rows.downsampling].increase_points, rows[rows.downsampling].increase_points
        p90 = float(ordinary.quantile(0.9))
        yield {
            "blocks": len(rows),
            "percent_at_chance": 100 * float((rows.error_percent >= 0.8 * rows.chance_error_percent).mean()),
            "median_increase_points": float(ordinary.median()),
            "p90_increase_points": p90,
            "downsampling_above_p90_points": float(halving.min()) - p90 if len(halving) else math.nan,
            "mean_increase_points": float(rows.increase_points.mean()),
            "mean_downsampling_increase_points": float(halving.mean()),
        }


def imagenet_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Single deletions of the network in Figure 4, where the images are ImageNet's."""
    shown = evidence.config.deletions.figure_4
    if isinstance(evidence.config.dataset, ImageNet) and shown:
        yield from single_deletion_values(evidence, shown[0])


def random_deletion_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Several deletions at once: how steadily the median error grows."""
    table = evidence.lesions("random_deletions", network, summaries.RANDOM_DELETION)
    papers_number = summaries.in_proportion(10, evidence.config.networks[network].n_blocks)
    for _, rows in table.groupby("seed"):
        values = summaries.random_deletion(rows)["networks"][network]
        yield {
            "rank_correlation": values["rank_correlation"],
            "largest_jump_points": values["largest_jump_points"],
            "error_percent_at_10": values["median_error_percent"].get(papers_number, math.nan),
        }


def reordering_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Swapped blocks: how steadily the error grows with disorder."""
    table = summaries.binned_by_tau(evidence.lesions("reorderings", network, summaries.REORDERING))
    for _, rows in table.groupby("seed"):
        values = summaries.reordering(rows)["networks"][network]
        yield {name: values[name] for name in ("rank_correlation", "largest_jump_points")}


def gradient_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Gradient by path length, BN in train mode."""
    sampled = evidence.gradients("sampled", summaries.SAMPLED_GRADIENT)
    exact = evidence.gradients("exact", summaries.EXACT_GRADIENT)
    paths = pd.Series(counts_by_length(int(exact.length.max())), dtype=float)
    for seed in evidence.config.seeds:
        of_seed, exact_of_seed = sampled[sampled.seed == seed], exact[exact.seed == seed]
        table = summaries.gradient_by_length(of_seed, exact_of_seed, paths)
        mode = summaries.gradient(table, of_seed, exact_of_seed, paths)["modes"]["train"]
        yield {
            "decades_per_block": mode["decades_per_block"],
            "r_squared": mode["r_squared"],
            "percent_5_to_17": mode["estimated_percent_in_papers_range"],
            "exact_percent_5_to_17": mode["exact_percent_in_papers_range"],
        }


def unravelled_sum_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """A small linear residual network against the sum over its explicit paths, and the measured gradient check."""
    exact = evidence.gradients("exact", summaries.EXACT_GRADIENT)
    yield {"forward_error": linear_sum_error(blocks=8, seed=0), "gradient_error": float(exact.full_error.max())}


def linear_sum_error(blocks: int, seed: int) -> float:
    """Relative difference in float64 of a linear residual network's output and the sum over its 2^n paths (Eq. 1-6)."""
    random = np.random.default_rng(seed)
    matrices = random.normal(size=(blocks, 4, 4)) / 2
    start = recursive = random.normal(size=4)
    for matrix in matrices:
        recursive = recursive + matrix @ recursive
    total = np.zeros(4)
    for path in itertools.product((False, True), repeat=blocks):
        term = start
        for matrix in itertools.compress(matrices, path):
            term = matrix @ term
        total += term
    return float(np.linalg.norm(total - recursive) / np.linalg.norm(recursive))


def closed_form_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """What follows from counting the paths of the paper's 54 blocks alone."""
    counts, left = counts_by_length(summaries.PAPER_BLOCKS), fraction_left(summaries.PAPER_BLOCKS, 10)
    shares = [float(share) for share in left]
    yield {
        "log2_paths_left": math.log2(sum(count * share for count, share in zip(counts, left, strict=True))),
        "share_left": 2.0**-10,
        "percent_19_to_35": 100 * sum(counts[19:36]) / sum(counts),
        "largest_rise_of_share": max(after - before for before, after in itertools.pairwise(shares)),
    }


def short_training_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Effective-path training against full training: the difference by seed, and the margin of their equivalence.

    The margin is taken over seeds; with fewer than three, over the test images that both networks saw.
    """
    wrong = summaries.wrong_by_image(evidence.predictions(("effective-paths", "resnet"))).astype(float)
    by_image = 100 * (wrong["effective-paths"] - wrong["resnet"])
    by_seed = by_image.groupby("seed").mean()
    margin = equivalence_margin(by_seed if len(by_seed) >= 3 else by_image)
    for difference in by_seed:
        yield {"difference_points": difference, "equivalence_margin_points": margin}


def stochastic_depth_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """How much less a deletion costs after training with stochastic depth, by seed."""
    plain, dropped = (list(single_deletion_values(evidence, name)) for name in ("resnet", "stochastic-depth"))
    for before, after in zip(plain, dropped, strict=True):
        yield {
            "saved_points": before["mean_increase_points"] - after["mean_increase_points"],
            "saved_at_downsampling_points": before["mean_downsampling_increase_points"]
            - after["mean_downsampling_increase_points"],
        }


STATISTICS: dict[str, Callable[[Evidence, str], Iterator[Values]]] = {
    "unravelled_sum": unravelled_sum_values,
    "single_deletion": single_deletion_values,
    "imagenet": imagenet_values,
    "random_deletion": random_deletion_values,
    "reordering": reordering_values,
    "gradient": gradient_values,
    "closed_forms": closed_form_values,
    "short_training": short_training_values,
    "stochastic_depth": stochastic_depth_values,
}


# --- verdicts ---------------------------------------------------------------------------------------------------------


def decide(claim: Claim, values: list[Values]) -> dict[str, Any]:
    """The verdict on a claim from its statistic's values: the criterion is applied to the mean over seeds."""
    verdict = _verdict(claim, values)
    tested = verdict != "not tested"
    shown = {name: vars(mean_interval([one[name] for one in values])) for name in claim.shown} if tested else {}
    return {**claim.model_dump(mode="json"), "verdict": verdict, "values": shown, "per_seed": values}


def _verdict(claim: Claim, values: list[Values], factor: float = 1.0) -> Verdict:
    means = pd.DataFrame(values).mean(skipna=False)
    needed = [*claim.supported, *claim.partly, *claim.shown]  # a statistic may give more, for other claims
    if not values or means[needed].isna().any():
        return "not tested"
    if _hold(claim.supported, means, factor):
        return "supported"
    if claim.partly and _hold(claim.partly, means, factor):
        return "partly supported"
    return "not supported"


def _hold(conditions: dict[str, str], means: pd.Series, factor: float) -> bool:
    for name, condition in conditions.items():
        compare, bound = _parse(condition)
        if not compare(means[name], _moved(name, condition, bound, factor)):
            return False
    return True


def _moved(name: str, condition: str, bound: float, factor: float) -> float:
    """A bound with its distance to the best possible value times `factor`: less than 1 is tighter, more is looser.

    The best value is 0 for what should be small, 1 for a rank correlation or R squared, 100 for a percentage. A bound
    of zero (a sign) and an equality have no such distance, and stay.
    """
    if bound == 0 or condition.startswith("=="):
        return bound
    best = 0.0 if condition.startswith("<") else 100.0 if "percent" in name else 1.0
    return best + factor * (bound - best)


def sensitivity(claim: Judged) -> dict[str, Any]:
    """What the verdict would be with every bound 20% tighter or looser (see `_moved`), and from each seed alone."""
    return {
        "tighter": _verdict(claim, claim.per_seed, 0.8),
        "looser": _verdict(claim, claim.per_seed, 1.2),
        "seeds": [_verdict(claim, [values]) for values in claim.per_seed],
    }


def judge(claims: list[Claim], evidence: Evidence) -> list[dict[str, Any]]:
    """Decide every claim. One without a statistic, or about a network that the run does not have, is not tested."""
    return [decide(claim, _measure(claim, evidence)) for claim in claims]


NEEDED_NETWORKS = {"short_training": ("resnet", "effective-paths"), "stochastic_depth": ("resnet", "stochastic-depth")}


def _measure(claim: Claim, evidence: Evidence) -> list[Values]:
    if claim.statistic is None:
        return []
    needed = NEEDED_NETWORKS.get(claim.statistic, () if claim.network is None else (claim.network,))
    measured = _measured_networks(claim.statistic, evidence.config)
    if not measured or any(name not in measured for name in needed):
        return []
    return list(STATISTICS[claim.statistic](evidence, claim.network or ""))


def _measured_networks(statistic: str, config: Config) -> Collection[str]:
    """The networks that the run measures for a statistic."""
    match statistic:
        case "single_deletion" | "stochastic_depth":
            return config.deletions.networks
        case "random_deletion":
            return config.random_deletions.networks
        case "reordering":
            return config.reorderings.networks
        case "gradient" | "unravelled_sum":
            return [config.gradients.network] if config.gradients.network else []
        case _:
            return config.networks
