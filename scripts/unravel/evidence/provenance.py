"""Provenance: a run's job records, figures and claims as one file for machines, with a published schema.

`report/provenance.schema.json` is generated from the models below. The file holds no clock but that of the records, so
the same run gives the same bytes; and nothing of the user's machine: a path outside the checkout is replaced.
"""

import hashlib
import html
import json
import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unravel.evidence import lineage
from unravel.evidence.claims import Judged, Verdict, read_judged
from unravel.evidence.lineage import Records
from unravel.files import InputError, cut, read_bytes, read_text, sha256
from unravel.place import REPOSITORY, is_code
from unravel.run import read_config

SCHEMA = 1
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Model(BaseModel):
    """Closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null")


class Package(Model):
    versions: dict[str, str] = Field(description="Version of Python and of each package that decides a result.")
    lock_sha256: Sha256


class Code(Model):
    commit: str | None
    dirty: bool = Field(description="Whether tracked files differed from the commit.")
    modules: dict[str, Sha256] | None = Field(None, description="The code files that the job's process had imported.")


class Job(Model):
    id: str = Field(description="Path of the job's record below jobs/, without its suffix.")
    script: str
    command: str
    inputs: list[str] = Field(description="Keys of `files`.")
    outputs: list[str] = Field(description="Keys of `files`.")
    settings: dict[str, Any] = Field(description="The part of the config that decides the result.")
    seed: int | None
    facts: dict[str, Any] = Field(description="What only the job knew, such as images per second.")
    code: Code
    environment: Package
    hardware: dict[str, Any]
    started: datetime
    seconds: float
    peak_memory_mb: int


Kind = Literal["data", "checkpoint", "measurement", "figure", "claims", "config", "report", "code", "source data"]
KINDS: dict[str, Kind] = {  # of what a job makes, by where its record lies
    "data": "data", "checkpoints": "checkpoint", "measurements": "measurement", "figures": "figure", "claims": "claims",
}  # fmt: skip


class File(Model):
    sha256: Sha256
    bytes: int
    kind: Kind
    origin: Literal["made here", "repository", "given"]


class FigureEntry(Model):
    slug: str
    number: str | None = Field(description="Number of the paper's figure, if it is one of these.")
    title: str | None = Field(description="As the report says it; null if the report does not show the figure.")
    alt: str | None = Field(description="Text alternative: the finding.")
    files: list[str] = Field(description="Keys of `files`.")
    data: str = Field(description="The table behind the figure; a key of `files`.")
    job: str = Field(description="Id of the job that drew it.")
    claims: list[str] = Field(description="Ids of the claims whose evidence it shows.")


class Value(Model):
    mean: float | None
    low: float | None
    high: float | None
    n: int


class ClaimEntry(Model):
    id: str
    kind: Literal["counting", "measured", "extra"]
    text: str
    where: str = Field(description="Place in the paper.")
    criterion: str
    paper_value: str
    values: dict[str, Value] = Field(description="Mean over seeds, 95% interval, number of seeds.")
    verdict: Verdict
    evidence: list[str] = Field(description="Slugs of figures.")


class ReportEntry(Model):
    run: str
    scale: str
    commits: list[str] = Field(description="Commits of the code that the jobs ran.")
    dirty: bool = Field(description="Whether any job ran code with uncommitted changes.")
    created_from: int = Field(description="Number of job records.")
    started: datetime = Field(description="Start of the first job.")
    ended: datetime = Field(description="End of the last job.")


class Provenance(Model):
    """Where everything in a run comes from."""

    schema_version: Literal[1]
    report: ReportEntry
    jobs: list[Job]
    files: dict[str, File]
    figures: list[FigureEntry]
    claims: list[ClaimEntry]


def schema() -> str:
    """The published JSON schema."""
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "unravel/provenance.schema.json"}
    return json.dumps({**title, **Provenance.model_json_schema()}, indent=1) + "\n"


def to_json(provenance: Provenance) -> str:
    """The file's text."""
    return provenance.model_dump_json(indent=1) + "\n"


def read(path: Path) -> Provenance:
    """Read a provenance file. Raises InputError if it is missing or not what the schema says."""
    try:
        return Provenance.model_validate_json(read_bytes(path, "write it again"))
    except ValidationError as invalid:
        first = invalid.errors()[0]
        reason = f"{cut('.'.join(map(str, first['loc'])))}: {first['msg']}"
        raise InputError(f"{path}: is no provenance file of schema {SCHEMA} ({reason}); write it again") from invalid


def build(run: Path, page: str | None = None) -> Provenance:
    """A run's provenance, from its records, claims and report. Raises InputError if one is missing or damaged.

    `page` is the report's text while it is written: what is to stand inside of it cannot hold its hash.
    """
    records = lineage.read_records(run / "jobs")
    if not records:
        raise InputError(f"{run}/jobs: holds no job record; run the pipeline first")
    settings = read_config(run / "config.yaml")
    claims = read_judged(run / "claims.json")
    report = run / "report.html"
    made = [run / "config.yaml"]
    if page is None and report.exists():
        page = read_text(report, "write it again")
        made.append(report)
    starts = [datetime.fromisoformat(record["started"]) for record in records.values()]
    ends = [
        start + timedelta(seconds=record["seconds"]) for start, record in zip(starts, records.values(), strict=True)
    ]
    return Provenance(
        schema_version=SCHEMA,
        report=ReportEntry(
            run=settings.run,
            scale=settings.scale,
            commits=sorted({record["code"]["commit"] for record in records.values()} - {None}),
            dirty=any(record["code"]["dirty"] for record in records.values()),
            created_from=len(records),
            started=min(starts),
            ended=max(ends).replace(microsecond=0),
        ),
        jobs=[_job(name, record) for name, record in records.items()],
        files=_files(records, made),
        figures=[
            _figure(name.removeprefix("figures/"), name, record, claims, page or "")
            for name, record in records.items()
            if name.startswith("figures/")
        ],
        claims=[_claim(claim) for claim in claims],
    )


def public(text: str) -> str:
    """A path or word fit for publishing: below the checkout it is relative to it, elsewhere only its name is kept.

    A hash of the folder tells files of one name apart.
    """
    option, sign, value = text.partition("=")
    if sign and option.startswith("--"):
        return f"{option}={public(value)}"
    path = PurePosixPath(text)
    if not path.is_absolute() and not text.startswith("~"):
        return text
    if path.is_relative_to(REPOSITORY):
        return path.relative_to(REPOSITORY).as_posix()
    return f"outside/{hashlib.sha256(str(path.parent).encode()).hexdigest()[:8]}/{path.name}"


def _published(value: Any) -> Any:
    """`value` with every path in it made fit for publishing."""
    if isinstance(value, Mapping):
        return {key: _published(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_published(inner) for inner in value]
    return public(value) if isinstance(value, str) else value


def _job(name: str, record: Mapping[str, Any]) -> Job:
    kept = ("seed", "code", "environment", "hardware", "started", "seconds", "peak_memory_mb")
    return Job(
        id=name,
        script=f"scripts/{lineage.script(record)}.py",
        command=lineage.command_of(record, public),
        inputs=[public(path) for path in record["inputs"]],
        outputs=[public(path) for path in record["outputs"]],
        settings=_published(record["settings"]),
        facts=_published(record["facts"]),
        **{key: record[key] for key in kept},
    )


def _files(records: Records, others: list[Path]) -> dict[str, File]:
    """Every file that a record names, as its maker wrote it, or else as it was read; and `others`, as they are now."""
    found: dict[str, File] = {}
    for record in records.values():
        for path, described in record["inputs"].items():
            place: Literal["repository", "given"] = "repository" if is_code(public(path)) else "given"
            kind: Literal["code", "source data"] = "code" if is_code(public(path)) else "source data"
            found.setdefault(public(path), File(**described, kind=kind, origin=place))
    for name, record in records.items():
        for path, described in record["outputs"].items():
            kind_of = KINDS.get(name.partition("/")[0], "measurement")  # else of a record that a user put there
            found[public(path)] = File(**described, kind=kind_of, origin="made here")
    for path in others:
        described = {"sha256": sha256(path), "bytes": path.stat().st_size, "kind": path.stem, "origin": "made here"}
        found[path.as_posix()] = File.model_validate(described)
    return dict(sorted(found.items()))


def _figure(slug: str, job: str, record: Mapping[str, Any], claims: list[Judged], page: str) -> FigureEntry:
    title = _text_of(f"{slug}-title", page)
    number = re.match(r"Figure (\w+)", title or "")
    files = [public(path) for path in record["outputs"]]
    return FigureEntry(
        slug=slug,
        number=number[1] if number else None,
        title=title,
        alt=_text_of(f"{slug}-desc", page),
        files=files,
        data=lineage.ending(files, ".csv"),
        job=job,
        claims=[claim.id for claim in claims if claim.figure == slug],
    )


def _text_of(element_id: str, page: str) -> str | None:
    """Text of an element of the report that has no elements in it."""
    found = re.search(rf'id="{re.escape(element_id)}"[^>]*>([^<]*)<', page)
    return " ".join(html.unescape(found[1]).split()) if found else None


def _claim(claim: Judged) -> ClaimEntry:
    return ClaimEntry(
        id=claim.id,
        kind=claim.kind,
        text=claim.claim,
        where=claim.where,
        criterion=claim.criterion,
        paper_value=claim.paper,
        values={
            name: Value(mean=_number(value.mean), low=_number(value.low), high=_number(value.high), n=value.n)
            for name, value in claim.values.items()
        },
        verdict=claim.verdict,
        evidence=[claim.figure] if claim.figure else [],
    )


def _number(value: float) -> float | None:
    """JSON has no nan: a value that could not be computed is null."""
    return value if math.isfinite(value) else None
