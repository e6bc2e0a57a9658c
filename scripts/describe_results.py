"""Write the generated parts of README.md and docs/: what the published runs found, from their files, and figures."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unravel.article import overview, pages
from unravel.article.overview import Run
from unravel.files import InputError, atomic, read_json, run_command_line
from unravel.place import REPOSITORY
from unravel.studies import FIGURES, paper

# Folders of results/ that git tracks, which .gitignore names, too. README tells of the first.
PUBLISHED = ("cifar10-quarter", "cifar10-short")
MARKS = "<!-- {0}: begin, written by scripts/describe_results.py -->\n", "<!-- {0}: end -->\n"


def main() -> None:
    for name, parts in pages_and_parts().items():
        page = REPOSITORY / name
        text = rewritten(name, page.read_text(encoding="utf-8"), parts)
        with atomic(page) as partial:
            partial.write_text(text, encoding="utf-8")


def pages_and_parts() -> dict[str, dict[str, str]]:
    """The generated parts of each page by their names, as Markdown."""
    return {
        "README.md": {"picture": picture(), "findings": of_runs("findings.md")},
        "docs/results.md": {"results": of_runs("results.md")},
        "docs/usage.md": {"figures": figures_table()},
    }


def rewritten(name: str, text: str, parts: Mapping[str, str]) -> str:
    """A page with its generated parts anew. Raises InputError if it lacks the marks around one."""
    for part, generated in parts.items():
        begin, end = (mark.format(part) for mark in MARKS)
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise InputError(f"{name}: lacks the lines '{begin.strip()}' and '{end.strip()}' around its {part}")
        text = f"{before}{begin}{generated}{end}{after}"
    return text


def figures_table() -> str:
    """Every study's figure with the command that makes it, as Markdown."""
    rows = ["| figure | shows | command |", "| --- | --- | --- |"]
    for study, figure in FIGURES.values():
        elsewhere = " CONFIG=config/imagenet.yaml" if study.not_attempted else ""
        rows.append(f"| {figure.label} | {figure.title} | `make figure FIG={figure.number}{elsewhere}` |")
    return "\n".join(rows) + "\n"


def picture() -> str:
    """The first published run's Figure 3 with its caption, as Markdown."""
    folder = REPOSITORY / "results" / PUBLISHED[0]
    template, deletions = pages.template(REPOSITORY / "report", "picture.md"), figure_values(folder)["single-deletion"]
    return template.render(run=overview.read_run(folder, folder.parent), deletions=deletions) + "\n"


def of_runs(name: str) -> str:
    """A template of report/ on the published runs, as Markdown."""
    folders = [REPOSITORY / "results" / name for name in PUBLISHED]
    return pages.template(REPOSITORY / "report", name).render(
        runs=[overview.read_run(folder, folder.parent) for folder in folders],
        figures={folder.name: figure_values(folder) for folder in folders},
        trainings=trainings,
        paper_errors=paper.TEST_ERRORS,
        figure_rules=figure_rules(),
    )


def figure_values(folder: Path) -> dict[str, Any]:
    """What each figure's JSON file says in numbers, by the figure's slug."""
    return {path.stem: read_json(path) for path in sorted((folder / "figures").glob("*.json"))}


def trainings(run: Run, network: str) -> Mapping[str, Any]:
    """Median seconds of a network's trainings, and the most memory that one took: of the GPU, if it ran on one.

    epochs: of how many, and timed: how many of them the records time; the others were trained before a restart.
    """
    jobs = [job for job in run.provenance.jobs if job.id.startswith(f"checkpoints/{network}/")]
    epochs = run.settings.training_of(network).epochs
    return {
        "epochs": epochs,
        "timed": min(job.facts.get("epochs_here", epochs) for job in jobs),
        "seconds": statistics.median(job.seconds for job in jobs),
        "memory_gb": max(job.facts.get("peak_gpu_memory_mb", job.peak_memory_mb) for job in jobs) / 1000,
    }


def figure_rules() -> dict[str, str]:
    """The rule that draws each figure, by the figure's slug."""
    return {slug: f"figure_{figure.number}" for slug, (_, figure) in FIGURES.items()}


if __name__ == "__main__":
    run_command_line(main)
