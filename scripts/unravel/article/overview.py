"""Overview: every finished run of a folder on one offline page, its verdicts side by side and linked to its report."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from unravel.article import pages
from unravel.article.comparison import test_errors
from unravel.data.preparation import Manifest, read_manifest
from unravel.evidence import claims, lineage, provenance
from unravel.evidence.claims import Judged
from unravel.evidence.provenance import Provenance
from unravel.files import InputError, read_bytes, read_text
from unravel.run import Config, read_config
from unravel.statistics import Interval, mean_interval

SHOWN = ("single-deletion.narrow.svg", "single-deletion.svg")  # of each run, in small: the first that there is
ORDER = ("paper", "short", "own", "demo", "ci")  # of the runs: the nearer to the paper, the further left


@dataclass(frozen=True)
class Run:
    """What the overview shows of a run. `report` is the address of its report, None if there is none; so is `picture`,
    that of its Figure 3."""

    name: str
    settings: Config
    manifest: Manifest
    provenance: Provenance
    errors: Mapping[str, Interval]
    claims: Mapping[str, Judged]
    report: str | None
    picture: str | None
    anchors: frozenset[str]

    @property
    def seconds(self) -> float:
        """Of all jobs together."""
        return sum(job.seconds for job in self.provenance.jobs)

    @property
    def machines(self) -> list[tuple[str, int]]:
        """The kinds of machine that jobs ran on, each with its number of jobs, the most frequent first."""
        return Counter(machine(job.hardware) for job in self.provenance.jobs).most_common()

    def link(self, anchor: str) -> str | None:
        """The address of a part of the report, or of the report where that part has no anchor in it."""
        return f"{self.report}#{anchor}" if self.report and anchor in self.anchors else self.report


@dataclass(frozen=True)
class Disagreement:
    """A claim on which runs that tested it come to different verdicts: the runs' names by verdict."""

    claim: Judged
    verdicts: Mapping[str, list[str]]
    same_criterion: bool


def write(results: Path, source: Path, beside: Path) -> str:
    """The page on all finished runs below `results`: those with claims.json and provenance.json.

    Its links are good for a page in the folder `beside`. A run that cannot be read, because a file is damaged or
    another version of this code wrote it, is one line that says so. Raises InputError if there is no finished run.
    """
    folders = sorted({path.parent for path in results.glob("*/provenance.json")})
    finished = [folder for folder in folders if (folder / "claims.json").exists()]
    runs, problems = [], {}
    for folder in finished:
        try:
            runs.append(read_run(folder, beside))
        except InputError as error:
            problems[folder.name] = str(error)
    if not finished:
        raise InputError(f"{results}: holds no finished run; make one with `make report`")
    runs.sort(key=lambda run: ORDER.index(run.settings.scale))
    every: dict[str, Judged] = {}
    for run in runs:
        every = {**run.claims, **every}
    return pages.template(source, "index.html").render(
        runs=runs,
        problems=problems,
        networks=list(dict.fromkeys(name for run in runs for name in run.errors)),
        claims=every,
        compared=compared(runs),
        disagreements=disagreements(compared(runs)),
    )


def read_run(folder: Path, beside: Path) -> Run:
    """Read a finished run, for a page in the folder `beside`.

    Raises InputError if a file is missing, damaged or of another version of this code.
    """
    settings = read_config(folder / "config.yaml")
    report = folder / "report.html"
    text = read_text(report, "write it again") if report.exists() else ""
    errors = test_errors(folder, lineage.read_records(folder / "jobs"))
    pictures = [path for name in SHOWN if (path := folder / "figures" / name).exists()]
    return Run(
        name=folder.name,
        settings=settings,
        manifest=read_manifest(folder / "data" / settings.dataset.name / "manifest.json"),
        provenance=provenance.read(folder / "provenance.json"),
        errors={network: mean_interval(values) for network, values in errors.items()},
        claims={claim.id: claim for claim in claims.read_judged(folder / "claims.json")},
        report=quote(os.path.relpath(report, beside)) if text else None,
        picture=pages.svg_address(read_bytes(pictures[0])) if pictures else None,
        anchors=frozenset(re.findall(r'\bid="([\w-]+)"', text)),
    )


def machine(hardware: Mapping[str, Any]) -> str:
    """A kind of machine in words."""
    cores, memory = hardware.get("cores"), hardware.get("memory_gb")
    parts = [hardware.get("cpu"), f"{cores} cores", f"{memory} GB", hardware.get("gpu")]
    return ", ".join(str(part) for part in parts if part)


def compared(runs: Iterable[Run]) -> list[Run]:
    """The runs whose verdicts mean something: all but test runs."""
    return [run for run in runs if run.settings.scale != "ci"]


def disagreements(runs: Sequence[Run]) -> list[Disagreement]:
    """The claims on which these runs, where they tested them, disagree."""
    found = []
    for id in dict.fromkeys(id for run in runs for id in run.claims):
        judged = [(run.name, run.claims[id]) for run in runs if id in run.claims]
        tested = [(name, claim) for name, claim in judged if claim.verdict != "not tested"]
        verdicts: dict[str, list[str]] = {}
        for name, claim in tested:
            verdicts.setdefault(claim.verdict, []).append(name)
        if len(verdicts) > 1:
            found.append(Disagreement(tested[0][1], verdicts, len({claim.criterion for _, claim in tested}) == 1))
    return found
