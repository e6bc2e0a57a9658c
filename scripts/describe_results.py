"""Write README.md's results, tables and sentences on the runs in this repository: every number from their files."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from unravel import overview, pages, summaries
from unravel.files import InputError, atomic, run_command_line
from unravel.lineage import read_json
from unravel.overview import Run
from unravel.records import REPOSITORY

PUBLISHED = ("cifar10-short",)  # folders of results/ that git tracks; .gitignore names them too
BEGIN, END = "<!-- results: begin, written by scripts/describe_results.py -->\n", "<!-- results: end -->\n"


def main() -> None:
    readme = REPOSITORY / "README.md"
    text = rewritten(readme.read_text(encoding="utf-8"))
    with atomic(readme) as partial:
        partial.write_text(text, encoding="utf-8")


def rewritten(readme: str) -> str:
    """README.md with its results as the files have them. Raises InputError if it lacks the marks around them."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"README.md: lacks the lines '{BEGIN.strip()}' and '{END.strip()}' around its results")
    return f"{before}{BEGIN}{section()}{END}{after}"


def section() -> str:
    """The results as Markdown."""
    folders = [REPOSITORY / "results" / name for name in PUBLISHED]
    return pages.template(REPOSITORY / "report", "results.md").render(
        runs=[overview.read_run(folder) for folder in folders],
        figures={folder.name: figure_values(folder) for folder in folders},
        trainings=trainings,
        paper_errors=summaries.PAPER_TEST_ERRORS,
        figure_rules=figure_rules(),
    )


def figure_values(folder: Path) -> dict[str, Any]:
    """What each figure's JSON file says in numbers, by the figure's slug."""
    return {path.stem: read_json(path) for path in sorted((folder / "figures").glob("*.json"))}


def trainings(run: Run, network: str) -> Mapping[str, Any]:
    """Median seconds of a network's trainings, and the most memory that one took: of the GPU, if it ran on one."""
    jobs = [job for job in run.provenance.jobs if job.id.startswith(f"checkpoints/{network}/")]
    return {
        "seconds": statistics.median(job.seconds for job in jobs),
        "memory_gb": max(job.facts.get("peak_gpu_memory_mb", job.peak_memory_mb) for job in jobs) / 1000,
    }


def figure_rules() -> dict[str, str]:
    """The rule that draws each figure, by the figure's slug."""
    catalogue = yaml.safe_load((REPOSITORY / "report" / "figures.yaml").read_text(encoding="utf-8"))
    return {entry["slug"]: entry["rule"] for entry in catalogue if "slug" in entry}


if __name__ == "__main__":
    run_command_line(main)
