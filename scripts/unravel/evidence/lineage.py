"""Lineage: the records of a run's jobs read back, and followed from a result to everything it rests on."""

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unravel.files import InputError

SCHEMA = 2  # of the records that jobs write; those of schema 1 are read as well, they carry no digest of themselves

Record = Mapping[str, Any]
Records = Mapping[str, dict[str, Any]]


def read_json(path: Path) -> Any:
    """A JSON file that a job wrote. Raises InputError if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); delete it and run its job again") from error


def read_records(jobs: Path) -> dict[str, dict[str, Any]]:
    """Every job record of a run, by the record's path below jobs/, without its suffix.

    Raises InputError if a file is no job record, is not as its job wrote it, or has a schema that this code does not
    know.
    """
    records = {}
    for path in sorted(jobs.rglob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            schema = record["schema"]
        except FileNotFoundError:  # its job is being done again at this moment
            continue
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not a job record ({error}); delete it and run its job again") from error
        if schema not in (1, SCHEMA):
            raise InputError(
                f"{path}: is a job record of schema {schema}, this code reads schemas 1 and {SCHEMA}; "
                "use the code that made the run, or delete the record and run its job again"
            )
        if schema != 1 and record.get("digest") != digest(record):
            raise InputError(f"{path}: was changed after its job wrote it; delete it and run its job again")
        records[path.relative_to(jobs).with_suffix("").as_posix()] = record
    return records


def digest(record: Record) -> str:
    """SHA-256 of what a record says, but for the digest itself."""
    said = {key: value for key, value in record.items() if key != "digest"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def require_as_made(found: Mapping[str, str], records: Records, run: Path) -> None:
    """Check files, as SHA-256 by path, against the records of the jobs that made them.

    What no job of this run made is accepted. Raises InputError for another file.
    """
    made_by = makers(records)
    for path in found.keys() & made_by.keys():
        made = records[made_by[path]]["outputs"][path]["sha256"]
        if found[path] != made:
            record = run / "jobs" / f"{made_by[path]}.json"
            raise InputError(
                f"{path}: has SHA-256 {found[path]}, expected {made} as {record} says; to make it again, run "
                f"snakemake {path} --force --cores all --configfile {run / 'config.yaml'}"
            )


def find(records: Records, name: str) -> dict[str, Any]:
    """A job's record. Raises InputError if there is none."""
    if name not in records:
        raise InputError(f"jobs/{name}.json: is missing from the run's folder; run that job again")
    return records[name]


def makers(records: Records) -> dict[str, str]:
    """The name of the job that made each file."""
    return {path: name for name, record in records.items() for path in record["outputs"]}


def without_seed(name: str) -> str:
    """The name of a job without its seed: the same for jobs that differ by nothing else."""
    return re.sub(r"[-/]seed\d+$", "", name)


def trace(record: Record, records: Records) -> list[dict[str, Any]]:
    """Every file that a job's result rests on, nearest first: path, hash, size and the job that made it, if one did."""
    made_by = makers(records)
    found: dict[str, dict[str, Any]] = {}
    waiting: list[Record] = [record]
    while waiting:
        for path, description in waiting.pop(0)["inputs"].items():
            if path not in found:
                found[path] = {"path": path, **description, "maker": made_by.get(path)}
                if path in made_by:
                    waiting.append(records[made_by[path]])
    return list(found.values())


def may_be_absent(run: Path, path: Path | str) -> bool:
    """Whether a published run may lack this file: images as tensors, which the manifest beside them describes."""
    return Path(path).match(f"{run}/data/*/*.safetensors") and Path(path).with_name("manifest.json").is_file()


def script(record: Record) -> str:
    """The name of the script that a job ran, such as `train`."""
    return Path(shlex.split(record["command"])[1]).stem


def option(record: Record, name: str) -> str | None:
    """The value that a job's command gave to an option, such as `--network`; None if it gave none."""
    words = shlex.split(record["command"])
    return words[words.index(name) + 1] if name in words[:-1] else None


def command_of(record: Record, change: Callable[[str], str]) -> str:
    """A job's command with each of its words changed."""
    return shlex.join([change(word) for word in shlex.split(record["command"])])
