"""Lineage: the records of a run's jobs read back, and followed from a result to everything it rests on."""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unravel.evidence.records import SCHEMA
from unravel.files import InputError

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

    Raises InputError if a file is no job record, or one whose schema this code does not know.
    """
    records = {}
    for path in sorted(jobs.rglob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            schema = record["schema"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not a job record ({error}); delete it and run its job again") from error
        if schema != SCHEMA:
            raise InputError(
                f"{path}: is a job record of schema {schema}, this code reads schema {SCHEMA}; "
                "use the code that made the run, or delete the record and run its job again"
            )
        records[path.relative_to(jobs).with_suffix("").as_posix()] = record
    return records


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
