"""RO-Crate: a run's folder described in JSON-LD, for archives and for tools that know nothing of this project.

The profile is Provenance Run Crate 0.5 (https://w3id.org/ro/wfrun/provenance/0.5): the Snakefile is the main entity,
every script a tool, every job a CreateAction on files with size and SHA-256. It is a view of provenance.json. The crate
is one JSON file about files that are already there, so it is written here rather than with the `rocrate` package, which
copies files into a folder of its own and stamps the time.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unravel.evidence import lineage
from unravel.evidence.lineage import may_be_absent
from unravel.evidence.provenance import File, Job, Provenance
from unravel.files import InputError, cut, read_json, sha256

METADATA = "ro-crate-metadata.json"
CODE = "code"  # folder of the run with a copy of the code, so that the crate holds its own workflow
COPIED = (
    "workflow/Snakefile", "workflow/**/*.smk", "workflow/**/*.yaml", "scripts/**/*.py", "report/**/*.html",
    "report/*.*", "requirements.lock", "environment.yml", "LICENSE",
)  # fmt: skip
WORKFLOW = f"{CODE}/workflow/Snakefile"
SNAKEMAKE = "https://snakemake.github.io"
LICENSE = "https://spdx.org/licenses/MIT"
RO_CRATE, WORKFLOW_CRATE = "https://w3id.org/ro/crate/1.1", "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
CONTEXT = [f"{RO_CRATE}/context", {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}]
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    WORKFLOW_CRATE: "Workflow RO-Crate",
}
MEDIA_TYPES = {
    ".csv": "text/csv", ".html": "text/html", ".json": "application/json", ".pdf": "application/pdf",
    ".png": "image/png", ".py": "text/x-python", ".svg": "image/svg+xml", ".yaml": "application/yaml",
    ".yml": "application/yaml", ".css": "text/css", ".js": "text/javascript",
}  # fmt: skip
Entity = dict[str, Any]


def copy_code(repository: Path, folder: Path) -> None:
    """Copy what the pipeline is made of into `folder`."""
    for pattern in COPIED:
        for path in repository.glob(pattern):
            target = folder / path.relative_to(repository)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def describe(run: Path, provenance: Provenance) -> str:
    """The crate's metadata as JSON-LD, for a run whose code has been copied into it."""
    graph = Graph(run, provenance)
    return json.dumps({"@context": CONTEXT, "@graph": graph.entities()}, indent=1) + "\n"


class Graph:
    """The crate's entities."""

    def __init__(self, run: Path, provenance: Provenance) -> None:
        self.run, self.provenance = run, provenance
        self.copied = {path: sha256(path) for path in sorted((run / CODE).rglob("*")) if path.is_file()}
        self.scripts = sorted({job.script for job in provenance.jobs})

    def entities(self) -> list[Entity]:
        """All of them, the descriptor first."""
        files = [self._file(path, file) for path, file in self.provenance.files.items()]
        code = [self._copy(path, digest) for path, digest in self.copied.items()]
        described = _unique([*code, *files])
        actions = [*self._whole_run(), *(action for job in self.provenance.jobs for action in self._job(job))]
        parts = [entity["@id"] for entity in described if "File" in entity["@type"]]
        return [*self._root(parts, actions), *described, *self._scripts_gone(), *self._steps(), *actions]

    def file_id(self, path: str) -> str:
        """Id of a file of the provenance: its path in the crate, or a name after # if the crate does not hold it."""
        inside = path.removeprefix(f"{self.run.as_posix()}/")
        if inside != path:
            return inside
        recorded = self.provenance.files[path].sha256
        if self.copied.get(self.run / CODE / path) == recorded:
            return f"{CODE}/{path}"
        return f"#{path}@{recorded[:8]}"  # raw data, or code that has changed since

    def script_id(self, script: str) -> str:
        """Id of a script: its path in the copy of the code, or a name after # if this code no longer has it."""
        return f"{CODE}/{script}" if self.run / CODE / script in self.copied else f"#{script}"

    def _scripts_gone(self) -> Iterator[Entity]:
        commits = ", ".join(self.provenance.report.commits)
        for script in self.scripts:
            if self.script_id(script).startswith("#"):
                about = f"Not in the copy of the code; the jobs ran it at commit {commits}."
                yield {"@id": f"#{script}", "@type": "SoftwareSourceCode", "name": script, "description": about}

    def _file(self, path: str, file: File) -> Entity:
        name = self.file_id(path)
        kind = "CreativeWork" if name.startswith("#") else "File"
        return _file(name, kind, file.bytes, file.sha256, Path(path).suffix)

    def _copy(self, path: Path, digest: str) -> Entity:
        name = path.relative_to(self.run).as_posix()
        entity = _file(name, "File", path.stat().st_size, digest, path.suffix)
        if name == WORKFLOW:
            return entity | {
                "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
                "name": "Unravel: residual networks as ensembles of shallow networks",
                "programmingLanguage": _ref(SNAKEMAKE),
                "hasPart": _refs(map(self.script_id, self.scripts)),
                "step": _refs(f"#step/{script}" for script in self.scripts),
            }
        if name.removeprefix(f"{CODE}/") in self.scripts:
            return entity | {"@type": ["File", "SoftwareSourceCode"]}
        return entity

    def _root(self, parts: list[str], actions: list[Entity]) -> Iterator[Entity]:
        report = self.provenance.report
        yield {
            "@id": METADATA,
            "@type": "CreativeWork",
            "about": _ref("./"),
            "conformsTo": _refs([RO_CRATE, WORKFLOW_CRATE]),
        }
        yield {
            "@id": "./",
            "@type": "Dataset",
            "name": f"Unravel, run {report.run}",
            "description": "A replication attempt of 'Residual Networks Behave Like Ensembles of Relatively Shallow "
            f"Networks' (arXiv 1605.06431): checkpoints, measurements, figures and verdicts of the {report.run} run.",
            "datePublished": report.ended.isoformat(),
            "license": _ref(LICENSE),
            "conformsTo": _refs(PROFILES),
            "mainEntity": _ref(WORKFLOW),
            "hasPart": _refs(parts),
            "mentions": _refs(action["@id"] for action in actions),
        }
        yield {"@id": LICENSE, "@type": "CreativeWork", "name": "MIT License"}
        for url, name in PROFILES.items():
            yield {"@id": url, "@type": "CreativeWork", "name": name, "version": url.rpartition("/")[2]}
        yield {
            "@id": SNAKEMAKE,
            "@type": ["ComputerLanguage", "SoftwareApplication"],
            "name": "Snakemake",
            "url": _ref(SNAKEMAKE),
        }

    def _steps(self) -> Iterator[Entity]:
        for position, script in enumerate(self.scripts, 1):
            yield {
                "@id": f"#step/{script}",
                "@type": "HowToStep",
                "position": str(position),
                "workExample": _ref(self.script_id(script)),
            }

    def _whole_run(self) -> Iterator[Entity]:
        report = self.provenance.report
        times = {"startTime": report.started.isoformat(), "endTime": report.ended.isoformat()}
        files = self.provenance.files
        made = {"report", "figure", "claims", "checkpoint", "measurement"}
        yield {
            "@id": "#run",
            "@type": "CreateAction",
            "name": f"Run {report.run}",
            "instrument": _ref(WORKFLOW),
            "object": _refs(
                self.file_id(path) for path, file in files.items() if file.kind in ("config", "source data")
            ),
            "result": _refs(self.file_id(path) for path, file in files.items() if file.kind in made),
            **times,
        }
        yield {
            "@id": "#orchestration",
            "@type": "OrganizeAction",
            "name": f"Snakemake runs {report.run}",
            "instrument": _ref(SNAKEMAKE),
            "object": _refs(f"#control/{job.id}" for job in self.provenance.jobs),
            "result": _ref("#run"),
            **times,
        }

    def _job(self, job: Job) -> Iterator[Entity]:
        action = f"#job/{job.id}"
        ended = (job.started + timedelta(seconds=job.seconds)).replace(microsecond=0)
        yield {
            "@id": action,
            "@type": "CreateAction",
            "name": job.id,
            "description": job.command,
            "instrument": _ref(self.script_id(job.script)),
            "object": _refs(map(self.file_id, job.inputs)),
            "result": _refs(map(self.file_id, job.outputs)),
            "startTime": job.started.isoformat(),
            "endTime": ended.isoformat(),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        }
        yield {
            "@id": f"#control/{job.id}",
            "@type": "ControlAction",
            "instrument": _ref(f"#step/{job.script}"),
            "object": _ref(action),
        }


class _Entity(BaseModel):
    """What an entity must say, so that it can be checked; a file says its hash and size too."""

    model_config = ConfigDict(extra="allow", strict=True)

    id: str = Field(alias="@id")
    type: str | list[str] = Field(alias="@type")
    sha256: str | None = None
    contentSize: str | None = None  # noqa: N815 (the specification's name)


class _Crate(BaseModel):
    graph: list[_Entity] = Field(alias="@graph")


def problems(run: Path) -> list[str]:
    """What is wrong with a run's crate: references that lead nowhere, files that are not those it describes.

    Raises InputError if the metadata is missing, or no description of a crate.
    """
    written = read_json(run / METADATA, lineage.AGAIN)
    try:
        entities = _Crate.model_validate(written).graph
    except ValidationError as invalid:
        first = invalid.errors()[0]
        reason = f"{cut('.'.join(map(str, first['loc'])))}: {first['msg']}"
        raise InputError(f"{run / METADATA}: describes no crate ({reason}); {lineage.AGAIN}") from invalid
    known = {entity.id for entity in entities}
    found = [] if len(known) == len(entities) else [f"{METADATA}: an entity is described twice"]
    for entity, described in zip(entities, written["@graph"], strict=True):
        found += [
            f"{METADATA}: {entity.id} names {name}, which is not described"
            for name in _references(described)
            if name not in known and name != RO_CRATE
        ]
        if "File" in entity.type:
            found += _file_problems(run, entity)
    return found


def _file_problems(run: Path, entity: _Entity) -> list[str]:
    path = run / entity.id
    if Path(entity.id).is_absolute() or ".." in Path(entity.id).parts:
        return [f"{METADATA}: {entity.id} leads out of the run's folder"]
    if not path.is_file():
        return [] if may_be_absent(run, path) else [f"{path}: is missing"]
    if sha256(path) != entity.sha256 or str(path.stat().st_size) != entity.contentSize:
        return [f"{path}: is not the file that {METADATA} describes"]
    return []


def _references(value: Any) -> Iterator[str]:
    """Ids that an entity names, apart from its own."""
    if isinstance(value, dict):
        if set(value) == {"@id"}:
            yield str(value["@id"])
        else:
            for inner in value.values():
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _file(name: str, kind: str, n_bytes: int, digest: str, suffix: str) -> Entity:
    entity = {"@id": name, "@type": kind, "name": name, "contentSize": str(n_bytes), "sha256": digest}
    return entity | {"encodingFormat": MEDIA_TYPES.get(suffix, "application/octet-stream")}


def _unique(entities: Iterable[Entity]) -> list[Entity]:
    """Each id once: a copied file that is also an input of a job is described as the copy."""
    first: dict[str, Entity] = {}
    for entity in entities:
        first.setdefault(entity["@id"], entity)
    return list(first.values())


def _ref(name: str) -> Entity:
    return {"@id": name}


def _refs(names: Iterable[str]) -> list[Entity] | Entity:
    """References; a single one stands without a list, as the specification recommends."""
    references = [_ref(name) for name in names]
    return references[0] if len(references) == 1 else references
