"""Lineage: the records of a run's jobs read back, and followed from a result to everything it rests on."""

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from unravel.files import InputError, cut, read_json
from unravel.place import snakemake

SCHEMA = 2  # of the records that jobs write; those of schema 1 are read as well, they carry no digest of themselves

Record = Mapping[str, Any]
Records = Mapping[str, dict[str, Any]]


AGAIN = "delete it and run its job again"


class _Described(BaseModel):
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class _Facts(BaseModel):
    test_error_percent: float | None = None
    images_per_second: float | None = None
    parameters: int | None = None


class _Code(BaseModel):
    commit: str | None
    dirty: bool
    modules: dict[str, str] | None = None


class _Environment(BaseModel):
    versions: dict[str, str]
    lock_sha256: str


class _Hardware(BaseModel):
    cpu: str
    cores: int | None
    memory_gb: float
    gpu: str = ""


def _command(text: str) -> str:
    if len(shlex.split(text)) < 2:
        raise ValueError("names no script")
    return text


def _time(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("has no time zone")
    return text


class _Record(BaseModel):
    """What a record must hold, so that all who read it find it there; it may hold more."""

    schema_: int = Field(alias="schema")
    command: Annotated[str, AfterValidator(_command)]
    inputs: dict[str, _Described]
    outputs: dict[str, _Described]
    settings: dict[str, Any]
    seed: int | None
    facts: _Facts
    code: _Code
    environment: _Environment
    hardware: _Hardware
    started: Annotated[str, AfterValidator(_time)]
    seconds: Annotated[float, Field(ge=0, lt=1e9)]
    peak_memory_mb: int


def read_records(jobs: Path) -> dict[str, dict[str, Any]]:
    """Every job record of a run, by the record's path below jobs/, without its suffix.

    Raises InputError if a file is no job record, is not as and where its job wrote it, or has a schema that this code
    does not know, or if jobs rest on each other.
    """
    records = {}
    for path in sorted(jobs.rglob("*.json")):
        if not path.exists() and not path.is_symlink():  # its job is being done again at this moment
            continue
        record = read_json(path, AGAIN)
        if (schema := record.get("schema", SCHEMA)) not in (1, SCHEMA):
            raise InputError(
                f"{path}: is a job record of schema {cut(str(schema))}, this code reads schemas 1 and {SCHEMA}; "
                "use the code that made the run, or delete the record and run its job again"
            )
        try:
            _Record.model_validate(record, strict=True)
        except ValidationError as invalid:
            first = invalid.errors()[0]
            reason = f"{cut('.'.join(map(str, first['loc'])))}: {first['msg']}"
            raise InputError(f"{path}: not a job record ({reason}); {AGAIN}") from invalid
        if schema != 1 and record.get("digest") != digest(record):
            raise InputError(f"{path}: was changed after its job wrote it; {AGAIN}")
        written = option(record, "--record")
        if written and not written.endswith(f"jobs/{path.relative_to(jobs).as_posix()}"):
            raise InputError(f"{path}: is the record that its job wrote as {cut(written)}; {AGAIN}")
        records[path.relative_to(jobs).with_suffix("").as_posix()] = record
    _require_order(jobs, records)
    return records


def _require_order(jobs: Path, records: Records) -> None:
    made_by = makers(records)
    before = {name: {made_by[path] for path in record["inputs"] if path in made_by} for name, record in records.items()}
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        raise InputError(
            f"{jobs}: these jobs rest on each other: {', '.join(error.args[1])}; run them again"
        ) from error


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
            again = snakemake(path, "--force", "--cores", "all", "--configfile", str(run / "config.yaml"))
            raise InputError(
                f"{path}: has SHA-256 {found[path]}, expected {made} as {record} says; to make it again, run {again}"
            )


def require_unsealed(outputs: Iterable[str], run: Path) -> None:
    """Check that a job makes nothing that `seal.json` in its run's folder names. Raises InputError if it does."""
    path = run / "seal.json"
    sealed = {str(run / name) for name in read_json(path).get("files", ())} if path.exists() else set()
    if again := sorted(sealed & set(outputs)):
        raise InputError(f"{again[0]}: is sealed by {path}, so that no job makes it again; choose another output")


def find(records: Records, name: str) -> dict[str, Any]:
    """A job's record. Raises InputError if there is none."""
    if name not in records:
        raise InputError(f"jobs/{name}.json: is missing from the run's folder; run that job again")
    return records[name]


def fact(records: Records, name: str, key: str) -> Any:
    """What only a job knew. Raises InputError if there is no record of the job, or it does not say."""
    facts = find(records, name)["facts"]
    if key not in facts:
        raise InputError(f"jobs/{name}.json: facts has no {key}; run that job again")
    return facts[key]


def end(record: Record) -> datetime:
    """When a job ended."""
    return datetime.fromisoformat(record["started"]) + timedelta(seconds=record["seconds"])


def ending(paths: Iterable[str], suffix: str) -> str:
    """The first of the paths that a record names with this suffix. Raises InputError if there is none."""
    listed = list(paths)
    for path in listed:
        if path.endswith(suffix):
            return path
    raise InputError(f"a job record names no file ending in {suffix}, only {cut(', '.join(listed))}; run its job again")


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
