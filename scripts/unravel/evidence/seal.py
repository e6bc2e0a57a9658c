"""Seals: what a finished run rests on, its data's manifest, checkpoints, histories and measurements, become inputs.

`seal.json` in the run's folder names these files with their SHA-256, and travels with it. Nothing makes one of them
again: figures, verdicts and report are made of them anew. Without that file, the run is anyone's to change.
"""

import hashlib
import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unravel.evidence import freshness, lineage
from unravel.files import InputError, sha256
from unravel.run import Config, read_config
from unravel.studies import FIGURES

NAME = "seal.json"
RESTORE = "to fix it, restore it from where the run was published, such as by git checkout"
OWN = "to fix it, give what you run a name of its own, as by --config run=mine"
# Drawn from the training images themselves, which a published run does not hold.
OF_IMAGES = {f"figures/{slug}" for slug, (_, figure) in FIGURES.items() if "manifest" in figure.inputs}

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Seal(BaseModel):
    """What is sealed: SHA-256 of files by their path below the run's folder, job records and config among them.

    commits: of the code that measured, that of most jobs first. ended: of the last of these jobs. sha256: of all this.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    commits: tuple[str, ...]
    ended: datetime
    files: dict[str, Sha256]
    sha256: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of everything else in it."""
        content = self.model_dump(mode="json", exclude={"sha256"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def jobs(self) -> frozenset[str]:
        """The sealed jobs, by the names of their records, such as checkpoints/resnet/seed1."""
        records = (path.removeprefix("jobs/") for path in self.files if path.startswith("jobs/"))
        return frozenset(record.removesuffix(".json") for record in records)

    @property
    def holds_images(self) -> bool:
        """Whether the lists of images that stay elsewhere are sealed; prepared images are too large to be."""
        return any(path.startswith("data/") and not path.endswith("/manifest.json") for path in self.files)

    def problems(self, run: Path) -> list[str]:
        """The sealed files that are missing or not what they were, a line each."""
        found = {path: "is missing" for path in self.files if not (run / path).is_file()}
        for path in self.files.keys() - found.keys():
            if sha256(run / path) != self.files[path]:
                found[path] = "is not the file that was sealed (SHA-256 differs)"
        return [f"{run / path}: {wrong}; {RESTORE}" for path, wrong in sorted(found.items())]

    def require_intact(self, run: Path) -> None:
        """Raise InputError if a sealed file is missing or not what it was."""
        if problems := self.problems(run):
            more = f" (and {len(problems) - 1} more sealed files)" if len(problems) > 1 else ""
            raise InputError(problems[0] + more)

    def require_same(self, run: Path, config: Config) -> None:
        """Raise InputError if a config would make sealed files otherwise, or asks for trainings that are not there."""
        sealed_with = read_config(run / "config.yaml")
        for job in sorted(self.jobs):
            was, now = freshness.maker(job, sealed_with), freshness.maker(job, config)
            if was and now and was.part is not None and now.part is not None:
                for change in freshness.differences(was.part, now):
                    raise InputError(f"{run / NAME}: the run is sealed, and {change} in this config; {OWN}")
        for job in (f"checkpoints/{network}/seed{seed}" for network in config.networks for seed in config.seeds):
            if job not in self.jobs:
                raise InputError(f"{run / NAME}: the run is sealed without {job}, which this config asks for; {OWN}")


def make(run: Path) -> Seal:
    """The seal of a run that has been verified. Raises InputError if it lacks a checkpoint that its config asks for."""
    records = lineage.read_records(run / "jobs")
    measured = {name for name in records if name.startswith(("data/", "checkpoints/", "measurements/"))}
    paths = [run / "config.yaml"]
    for name in measured | (OF_IMAGES & records.keys()):
        outputs = (Path(path) for path in records[name]["outputs"] if not lineage.may_be_absent(run, path))
        paths += [run / f"jobs/{name}.json", *outputs]
    commits = Counter(records[name]["code"]["commit"] for name in sorted(measured))
    seal = Seal(
        commits=tuple(commit for commit, _ in commits.most_common() if commit),
        ended=max(lineage.end(records[name]) for name in measured).replace(microsecond=0),
        files={path.relative_to(run).as_posix(): sha256(path) for path in sorted(paths)},
    )
    seal.require_same(run, read_config(run / "config.yaml"))
    return seal.model_copy(update={"sha256": seal.digest})


def read(run: Path) -> Seal | None:
    """A run's seal; None if it has none. Raises InputError if it is damaged."""
    path = run / NAME
    if not path.exists():
        return None
    try:
        seal = Seal.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{path}: cannot be read as a seal of schema 1; {RESTORE}") from error
    if seal.sha256 != seal.digest:
        raise InputError(f"{path}: is not what was written (its own SHA-256 differs); {RESTORE}")
    return seal
