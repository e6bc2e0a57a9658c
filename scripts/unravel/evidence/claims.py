"""The paper's claims: criteria are data (each study's claims.yaml), verdicts are computed from measurement tables."""

import importlib
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, ValidationInfo, field_validator

from unravel.files import InputError
from unravel.run import Config
from unravel.statistics import Interval, mean_interval
from unravel.studies import STUDIES, claims_files
from unravel.studies.deciding import Evidence, Statistic, Values

Verdict = Literal["supported", "partly supported", "not supported", "not tested"]
COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "==": operator.eq}


class Claim(BaseModel):
    """A claim of the paper, with what decides it, as a study's claims.yaml holds it.

    statistic: a name in a study's values.py; it gives named values per seed, or once where nothing is random. A claim
    without one is not tested. supported, partly: the conditions that must hold for the mean over seeds. shown: the
    values of the table, and how it words them. paper_values: those that the paper states as a number. figure: the one
    that shows the evidence. Numbers of blocks and path lengths are those of the paper's 54 blocks; for a network of
    another depth they are taken in proportion.
    """

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
        if name is not None and name not in statistics():
            raise ValueError(f"unknown statistic '{name}'; known are {', '.join(statistics())}")
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
        return TypeAdapter(list[Judged]).validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {again}") from error
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path}: {where}: {first['msg']}; delete it and {again}") from invalid


def statistics() -> dict[str, Statistic]:
    """The statistics of all studies, by their names."""
    found: dict[str, Statistic] = {}
    for study in STUDIES.values():
        if study.has("values.py"):
            found |= importlib.import_module(study.module("values")).STATISTICS
    return found


def evidence_of(run: Path, config: Config) -> Evidence:
    """What a run's claims are decided by."""
    networks: dict[str, Sequence[str]] = {}
    for study in STUDIES.values():
        if study.measurement:
            networks[study.key] = tuple(study.measurement.networks(config))
        elif study.figure:
            networks[study.key] = tuple(study.figure.shows(config) or ())
    blocks = {name: network.n_blocks for name, network in config.networks.items()}
    return Evidence(run / "measurements", config.seeds, blocks, networks, config.dataset.source, STUDIES)


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


def _measure(claim: Claim, evidence: Evidence) -> list[Values]:
    if claim.statistic is None:
        return []
    statistic = statistics()[claim.statistic]
    needed = statistic.networks or (() if claim.network is None else (claim.network,))
    measured = evidence.networks[statistic.study] if statistic.study else tuple(evidence.blocks)
    if not measured or any(name not in measured for name in needed):
        return []
    return list(statistic.values(evidence, claim.network or ""))
