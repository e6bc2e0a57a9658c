"""The paper's claims: criteria are data (each study's claims.yaml), verdicts are computed from measurement tables."""

import importlib
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from unravel.files import InputError, cut, read_bytes
from unravel.run import Config
from unravel.statistics import Interval, mean_interval
from unravel.studies import STUDIES, claims_files
from unravel.studies.deciding import Evidence, Statistic, Values
from unravel.studies.expected import expected

Kind = Literal["counting", "measured", "extra"]
Verdict = Literal["supported", "partly supported", "not supported", "not tested"]
COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "==": operator.eq}
ENOUGH = 3  # seeds for an interval over them
MOVE = 0.2  # by which the robustness of a verdict moves its bounds

Conditions = dict[str, str]
"""Bounds by the names of values, such as {"r_squared": ">= 0.95"}; all must hold."""


class Claim(BaseModel):
    """A claim, of the paper unless it is an extra one, with what decides it, as a study's claims.yaml holds it.

    kind: "counting" for what follows from arithmetic and cannot fail for a trained network, "measured" for what can,
    "extra" for what can and the paper does not claim.
    statistic: a name in a study's values.py; it gives named values per seed, or once where nothing is random. A claim
    without one is not tested. supported, partly: conditions, or a list of them of which one is enough. shown: the
    values of the table, and how it words them; every value that decides is among them. paper_values: those that the
    paper states as a number. finding: what is wrong in the paper's own sentence. figure: the one that shows the
    evidence. Numbers of deleted blocks are those of the paper's 54; for another depth they are taken in proportion.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Kind
    where: str
    claim: str
    paper: str
    criterion: str
    statistic: str | None = None
    network: str | None = None
    shown: dict[str, str] = {}
    supported: list[Conditions] = []
    partly: list[Conditions] = []
    paper_values: dict[str, float] = {}
    finding: str = ""
    figure: str | None = None

    @field_validator("statistic")
    @classmethod
    def _statistic_exists(cls, name: str | None) -> str | None:
        if name is not None and name not in statistics():
            raise ValueError(f"unknown statistic '{name}'; known are {', '.join(statistics())}")
        return name

    @field_validator("paper_values")
    @classmethod
    def _paper_values_are_shown(cls, values: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        _all_shown(values, info)
        return values

    @field_validator("supported", "partly", mode="before")
    @classmethod
    def _one_is_a_list(cls, conditions: Any) -> Any:
        return [conditions] if isinstance(conditions, dict) else conditions

    @field_validator("supported", "partly")
    @classmethod
    def _conditions_parse(cls, alternatives: list[Conditions], info: ValidationInfo) -> list[Conditions]:
        for conditions in alternatives:
            for condition in conditions.values():
                _parse(condition)
            _all_shown(conditions, info)
        return alternatives


class Judged(Claim):
    """A claim as claims.json holds it: with its verdict, the shown values over seeds, and all values by seed.

    crossed: the values whose mean keeps its bound while their interval does not.
    """

    verdict: Verdict
    crossed: list[str]
    values: dict[str, Interval]
    per_seed: list[Values]

    @model_validator(mode="after")
    def _values_are_those_shown(self) -> Self:
        if self.values and self.values.keys() != self.shown.keys():
            raise ValueError("the values are not those that are shown")
        if any(not self.shown.keys() <= values.keys() for values in self.per_seed):
            raise ValueError("a seed lacks a value that is shown")
        return self

    @property
    def speaks_of(self) -> str:
        """Which networks a verdict on a measured claim is about, where these are too few to speak of their kind."""
        few = self.kind != "counting" and 0 < len(self.per_seed) < ENOUGH
        return ("one network", "two networks")[len(self.per_seed) - 1] if few else ""


def _all_shown(names: dict[str, Any], info: ValidationInfo) -> None:
    unknown = sorted(names.keys() - info.data.get("shown", {}).keys())
    if unknown:
        raise ValueError(f"'{unknown[0]}' is not among the values shown")


def _parse(condition: str) -> tuple[Callable[[float, float], bool], float]:
    sign, _, bound = condition.partition(" ")
    if sign not in COMPARE:
        raise ValueError(f"condition '{condition}' must be one of {' '.join(COMPARE)}, a space and a number")
    return COMPARE[sign], float(bound)


def read_all(config: Config) -> list[Claim]:
    """The claims that a run is judged by, in the order of the article. Raises InputError as `read` does."""
    return [claim for path in claims_files(config) for claim in read(path)]


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
        return TypeAdapter(list[Judged]).validate_json(read_bytes(path, again))
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path}: {cut(where)}: {cut(first['msg'], 300)}; delete it and {again}") from invalid


def statistics() -> dict[str, Statistic]:
    """The statistics of all studies, by their names."""
    found: dict[str, Statistic] = {}
    for study in STUDIES.values():
        if study.has("values.py"):
            found |= importlib.import_module(study.module("values")).STATISTICS
    return found


def rests_on(claim: Claim) -> tuple[str, ...]:
    """The keys of the studies whose tables decide a claim."""
    return () if claim.statistic is None else statistics()[claim.statistic].studies


def evidence_of(run: Path, config: Config) -> Evidence:
    """What a run's claims are decided by."""
    networks: dict[str, Sequence[str]] = {}
    for study in STUDIES.values():
        if study.measurement:
            networks[study.key] = tuple(study.measurement.networks(config))
        elif study.figure:
            networks[study.key] = tuple(study.figure.shows(config) or ())
    blocks = {name: network.n_blocks for name, network in config.networks.items()}
    source = config.dataset.source
    tables = expected(run, config)
    samples = config.bootstrap_samples
    return Evidence(run / "measurements", config.seeds, blocks, networks, source, STUDIES, tables, samples)


# --- values and their intervals ---------------------------------------------------------------------------------------


def judge(claims: list[Claim], evidence: Evidence) -> list[dict[str, Any]]:
    """Decide every claim. One without a statistic, or about a network that the run does not have, is not tested.

    With fewer than three seeds, intervals are those of a bootstrap over draws, batches or test images; a study's
    `unit` says which.
    """
    known: dict[tuple[str, str], tuple[list[Values], list[pd.Series]]] = {}
    judged = []
    for claim in claims:
        measured: tuple[list[Values], list[pd.Series]] = ([], [])
        if claim.statistic is not None:
            about = claim.statistic, claim.network or ""
            if about not in known:
                known[about] = _measure(statistics()[claim.statistic], claim.network, evidence)
            measured = known[about]
        judged.append(decide(claim, *measured))
    return judged


def _measure(statistic: Statistic, network: str | None, evidence: Evidence) -> tuple[list[Values], list[pd.Series]]:
    """A statistic's values by seed, and their means in each bootstrap sample if there are too few seeds."""
    needed = statistic.networks or (() if network is None else (network,))
    for measured in [evidence.networks[key] for key in statistic.studies] or [tuple(evidence.blocks)]:
        if not measured or any(name not in measured for name in needed):
            return [], []
    values = list(statistic.values(evidence, network or ""))
    if len(values) >= ENOUGH or not statistic.interval:
        return values, []
    samples = (statistic.values(evidence.drawn(i), network or "") for i in range(evidence.samples))
    return values, [_means(list(sample)) for sample in samples]


def _means(values: list[Values]) -> pd.Series:
    return pd.DataFrame(values).mean(skipna=False)


def _intervals(names: list[str], values: list[Values], samples: list[pd.Series]) -> dict[str, Interval]:
    """Mean and 95% interval of named values: over seeds, or between percentiles of the bootstrap samples."""
    if not samples:
        return {name: mean_interval([one[name] for one in values]) for name in names}
    drawn = pd.DataFrame(samples)
    means = _means(values)
    return {
        name: Interval(
            mean=float(means[name]),
            low=float(drawn[name].quantile(0.025)),
            high=float(drawn[name].quantile(0.975)),
            n=len(values),
        )
        for name in names
    }


# --- verdicts ---------------------------------------------------------------------------------------------------------


def decide(claim: Claim, values: list[Values], samples: Sequence[pd.Series] = ()) -> dict[str, Any]:
    """The verdict on a claim from its statistic's values by seed, and their means in bootstrap samples, if any."""
    intervals = _intervals([*claim.shown], values, list(samples)) if values else {}
    verdict = _verdict(claim, intervals)
    tested = verdict != "not tested"
    return {
        **claim.model_dump(mode="json"),
        "verdict": verdict,
        "crossed": _crossed(claim, intervals) if verdict == "partly supported" else [],
        "values": {name: vars(value) for name, value in intervals.items()} if tested else {},
        "per_seed": values,
    }


def _verdict(claim: Claim, values: dict[str, Interval], move: float = 0.0) -> Verdict:
    """Supported: a criterion holds for the means, and the intervals keep its bounds; if these do not, partly."""
    if not values or any(np.isnan(value.mean) for value in values.values()):
        return "not tested"
    kept = [conditions for conditions in claim.supported if _hold(conditions, values, move, "mean")]
    if any(_hold(conditions, values, move, "low", "high") for conditions in kept):
        return "supported"
    if kept or any(_hold(conditions, values, move, "mean") for conditions in claim.partly):
        return "partly supported"
    return "not supported"


def _hold(conditions: Conditions, values: dict[str, Interval], move: float, *ends: str) -> bool:
    return all(_keeps(values[name], name, condition, move, *ends) for name, condition in conditions.items())


def _keeps(value: Interval, name: str, condition: str, move: float, *ends: str) -> bool:
    compare, bound = _parse(condition)
    bound = _moved(name, condition, bound, move)
    return all(compare(getattr(value, end), bound) for end in ends)


def _crossed(claim: Claim, values: dict[str, Interval]) -> list[str]:
    """The values whose interval crosses a bound of a criterion that their means keep."""
    return [
        name
        for conditions in claim.supported
        if _hold(conditions, values, 0.0, "mean")
        for name, condition in conditions.items()
        if not _keeps(values[name], name, condition, 0.0, "low", "high")
    ]


def movable(condition: str) -> bool:
    """Whether a bound can be moved: a sign (a bound of zero) and an equality cannot."""
    return _parse(condition)[1] != 0 and not condition.startswith("==")


def _moved(name: str, condition: str, bound: float, move: float) -> float:
    """A bound that is `move` tighter, a share of its distance to the best possible value; looser if below zero.

    The best value is 0 for what should be small, 100 for a percentage and 1 for another share or a correlation. What
    should be large and has no best value must be larger by that share.
    """
    if not movable(condition):
        return bound
    if condition.startswith("<"):
        return bound * (1 - move)
    best = 100.0 if "percent" in name else 1.0
    return bound / (1 - move) if bound > best else best + (1 - move) * (bound - best)


def sensitivity(claim: Judged) -> dict[str, Any]:
    """What the verdict would be with every bound 20% tighter or looser (see `_moved`), and from each seed alone.

    "tighter" and "looser" are None where no bound can be moved.
    """
    alone = [{name: mean_interval([values[name]]) for name in claim.shown} for values in claim.per_seed]
    moves = any(movable(condition) for conditions in claim.supported for condition in conditions.values())
    return {
        "tighter": _verdict(claim, claim.values, MOVE) if moves else None,
        "looser": _verdict(claim, claim.values, -MOVE) if moves else None,
        "seeds": [_verdict(claim, values) for values in alone],
    }
