"""Verification: whether a run's folder is what its records, measurements and descriptions say it is, and its science.

A published run may lack what its size forbids and anyone can make again: the prepared images, and the RO-Crate with its
copy of the code. What is absent is named, but is not wrong.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unravel.evidence import checks, claims, crate, lineage, provenance, seal
from unravel.files import InputError, read_json, sha256
from unravel.run import read_config

TOLERANCE = 1e-9  # relative: libraries sum in another order on another machine


def absent(run: Path) -> list[str]:
    """What a published run lacks, and what makes it."""
    images = [path for path in _recorded(run) if lineage.may_be_absent(run, path) and not Path(path).is_file()]
    found = [f"{path}: prepared images, which the pipeline prepares from the dataset" for path in images]
    if not _holds_crate(run):
        found.append(f"{run / crate.METADATA}: make reference RUN={run.name} writes it")
    return found


def verify(run: Path) -> dict[str, list[str]]:
    """What is wrong with a run, by check; an empty list for each check that holds."""
    tried: dict[str, Callable[[Path], list[str]]] = {
        "recorded files": recorded_files,
        "claims follow from measurements": recomputed_claims,
        "provenance.json": written_provenance,
        "science": lambda run: checks.failed(checks.checks(run)),
    }
    if _holds_crate(run):
        tried[crate.METADATA] = crate.problems
    if (run / seal.NAME).exists():
        tried[seal.NAME] = sealed_files
    return {name: _tried(check, run) for name, check in tried.items()}


def _holds_crate(run: Path) -> bool:
    return (run / crate.METADATA).exists() or (run / crate.CODE).exists()


def _tried(check: Callable[[Path], list[str]], run: Path) -> list[str]:
    try:
        return check(run)
    except InputError as error:  # the other checks still have something to say
        return [str(error)]


def recorded_files(run: Path) -> list[str]:
    """Outputs that are not there, or not those that their jobs recorded."""
    found = []
    recorded = _recorded(run)
    for path, made in recorded.items():
        if not Path(path).is_file():
            if not lineage.may_be_absent(run, path):
                found.append(f"{path}: is missing")
        elif sha256(path) != made["sha256"]:
            found.append(f"{path}: is not the file that its job made (SHA-256 differs)")
    return found if recorded else [f"{run}/jobs: holds no job record; run the pipeline first"]


def sealed_files(run: Path) -> list[str]:
    """Files of a sealed run that are not there, or not those that were sealed; none for a run without a seal."""
    sealed = seal.read(run)
    return sealed.problems(run) if sealed else []


def _recorded(run: Path) -> dict[str, Any]:
    """What the job records say of each output, by path."""
    records = lineage.read_records(run / "jobs").values()
    return {path: made for record in records for path, made in record["outputs"].items()}


def recomputed_claims(run: Path) -> list[str]:
    """Claims whose verdict or values are others when computed from the measurements again.

    A run is held to the criteria that it was judged by, which stand in its claims.json: a claim that was added since is
    not judged in it, and that is no mistake. That these criteria are the ones it was judged by, its recorded files say.
    """
    written = claims.read_judged(run / "claims.json")
    if not written:
        return [f"{run}/claims.json: holds no claim; run its job again"]
    stated = [claims.Claim.model_validate(one.model_dump(include=set(claims.Claim.model_fields))) for one in written]
    try:
        again = claims.judge(stated, claims.evidence_of(run, read_config(run / "config.yaml")))
    except InputError:
        raise
    except Exception as error:  # a damaged table may fail anywhere
        return [f"{run}/measurements: no verdict follows from these tables ({type(error).__name__}: {error})"]
    before = read_json(run / "claims.json", lineage.AGAIN, list)
    return [
        f"{run}/claims.json: {claim['id']}: {key} is {_short(was.get(key))}, the measurements give {_short(claim[key])}"
        for was, claim in zip(before, json.loads(json.dumps(again)), strict=True)
        for key in claim
        if not _same(claim[key], was.get(key))
    ]


def written_provenance(run: Path) -> list[str]:
    """Whether provenance.json satisfies its schema and says what the records say."""
    path = run / "provenance.json"
    written, now = provenance.read(path), provenance.build(run)
    parts = [part for part in provenance.Provenance.model_fields if getattr(written, part) != getattr(now, part)]
    return [f"{path}: {part} is not what the job records say; write it again" for part in parts]


def _same(one: Any, other: Any) -> bool:
    """Whether two values from JSON are equal, numbers up to rounding; nan is nan."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-12) or (math.isnan(one) and math.isnan(other))
    return bool(one == other)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
