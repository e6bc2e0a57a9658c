"""The article: a run's folder and the templates in report/ become one offline HTML file."""

import base64
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from unravel import config, tables
from unravel.data.preparation import read_manifest
from unravel.files import InputError
from unravel.statistics import Interval, mean_interval

MEDIA_TYPES = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png", "csv": "text/csv"}
ROWS_SHOWN = 200


@dataclass(frozen=True)
class Picture:
    """A figure's files, ready for the page, and the record of the job that drew it."""

    slug: str
    view_box: str
    svg: Markup
    downloads: dict[str, str]
    table: pd.DataFrame
    values: dict[str, Any]
    record: dict[str, Any]


def write(run: Path, source: Path) -> str:
    """The article on a run as HTML. Raises InputError if a result is missing or not what it should be."""
    settings = config.read(run / "config.yaml")
    records = read_records(run / "jobs")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,  # a number that no file holds fails the build
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"points": points, "interval": interval, "duration": duration, "size": size}
    claims = read_json(run / "claims.json")
    article = environment.get_template("article.html")
    return article.render(
        config=settings,
        config_yaml=config.to_yaml(settings),
        run=run.as_posix(),
        manifest=read_manifest(run / "data" / settings.dataset.name / "manifest.json"),
        networks={name: network_summary(run, name, settings.seeds, records) for name in settings.networks},
        figures=Pictures(run, records),
        claims=claims,
        criteria={claim["id"]: claim["criterion"] for claim in claims},
        records=records,
        masthead=masthead(records),
        inputs_of=lambda record: trace(record, records),
        style=Markup((source / "style.css").read_text(encoding="utf-8")),
        script=Markup("\n".join(path.read_text(encoding="utf-8") for path in sorted(source.glob("*.js")))),
        rows_shown=ROWS_SHOWN,
    )


def read_json(path: Path) -> Any:
    """A JSON file that a job wrote. Raises InputError if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); delete it and run its job again") from error


def read_records(jobs: Path) -> dict[str, dict[str, Any]]:
    """Every job record of a run, by the record's path below jobs/, without its suffix."""
    records = {}
    for path in sorted(jobs.rglob("*.json")):
        try:
            records[path.relative_to(jobs).with_suffix("").as_posix()] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: not a job record ({error}); delete it and run its job again") from error
    return records


def find(records: Mapping[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """A job's record. Raises InputError if there is none."""
    if name not in records:
        raise InputError(f"jobs/{name}.json: is missing from the run's folder; run that job again")
    return records[name]


def trace(record: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every file that a job's result rests on, nearest first: path, hash, size and the job that made it, if one did."""
    makers = {path: name for name, maker in records.items() for path in maker["outputs"]}
    found: dict[str, dict[str, Any]] = {}
    waiting = [record]
    while waiting:
        for path, description in waiting.pop(0)["inputs"].items():
            if path not in found:
                found[path] = {"path": path, **description, "maker": makers.get(path)}
                if path in makers:
                    waiting.append(records[makers[path]])
    return list(found.values())


def masthead(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the head of the page says of the jobs together: commits, uncommitted changes, the end, and seconds in all.

    SOURCE_DATE_EPOCH (seconds since 1970), if set, stands in for the end of the last job. Raises InputError if it is no
    such number.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        ended = datetime.fromtimestamp(int(epoch), UTC) if epoch else max(map(_end, records.values()))
    except (ValueError, OverflowError) as error:
        raise InputError(f"SOURCE_DATE_EPOCH: '{epoch}' is no number of seconds since 1970; unset it") from error
    codes = [record["code"] for record in records.values()]
    return {
        "commits": sorted({code["commit"] for code in codes if code["commit"]}),
        "dirty": any(code["dirty"] for code in codes),
        "ended": ended,
        "seconds": sum(record["seconds"] for record in records.values()),
    }


def _end(record: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(record["started"]) + timedelta(seconds=record["seconds"])


def network_summary(run: Path, name: str, seeds: tuple[int, ...], records: Mapping[str, Any]) -> dict[str, Any]:
    """A network's size, test error over seeds, training time and speed, from its checkpoints' job records."""
    jobs = [find(records, f"checkpoints/{name}/seed{seed}") for seed in seeds]
    rates = [job["facts"]["images_per_second"] for job in jobs if job["facts"]["images_per_second"]]
    return {
        "parameters": jobs[0]["facts"]["parameters"],
        "test_error_percent": mean_interval([job["facts"]["test_error_percent"] for job in jobs]),
        "seconds": sum(job["seconds"] for job in jobs) / len(jobs),
        # none where a killed job had only its outputs left to write
        "images_per_second": sum(rates) / len(rates) if rates else None,
        "checkpoints": [f"{run.as_posix()}/checkpoints/{name}/seed{seed}.safetensors" for seed in seeds],
    }


class Pictures(dict[str, Picture]):
    """A run's figures by slug, each read when the article first names it, so that a missing one is an InputError."""

    def __init__(self, run: Path, records: Mapping[str, dict[str, Any]]) -> None:
        super().__init__()
        self.run, self.records = run, records

    def __missing__(self, slug: str) -> Picture:
        self[slug] = read_picture(self.run, slug, self.records)
        return self[slug]


def read_picture(run: Path, slug: str, records: Mapping[str, dict[str, Any]]) -> Picture:
    """Read a figure's files. Raises InputError if one is missing."""
    path = run / "figures" / slug
    try:
        contents = {suffix: path.with_suffix(f".{suffix}").read_bytes() for suffix in MEDIA_TYPES}
        values = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: is missing; draw the figure again") from error
    view_box, svg = inline_svg(contents["svg"].decode(), slug)
    return Picture(
        slug=slug,
        view_box=view_box,
        svg=svg,
        downloads={
            suffix: f"data:{MEDIA_TYPES[suffix]};base64,{base64.b64encode(content).decode()}"
            for suffix, content in contents.items()
        },
        # names are text, also what pandas takes for a missing value ("null")
        table=pd.read_csv(path.with_suffix(".csv"), dtype=tables.TEXT, keep_default_na=False),
        values=values,
        record=find(records, f"figures/{slug}"),
    )


def inline_svg(text: str, slug: str) -> tuple[str, Markup]:
    """The view box and the content of a matplotlib SVG, made fit for a page.

    Ids get the figure's prefix (an id may be there once on a page, and figures share most of theirs), and black becomes
    the page's text colour, so that a dark page stays readable. Raises InputError if it is no SVG with a view box.
    """
    parts = re.search(r'<svg[^>]*viewBox="([^"]+)"[^>]*>(.*)</svg>', text, re.DOTALL)
    if parts is None:
        raise InputError(f"figure {slug}: the svg has no viewBox; draw the figure again")
    content = re.sub(r"<metadata>.*?</metadata>", "", parts[2], flags=re.DOTALL)
    content = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{slug}-", content)
    return parts[1], Markup(content.replace("#000000", "currentColor"))


def points(value: float, digits: int = 2) -> str:
    """A number as prose shows it."""
    return f"{value:.{digits}f}"


def interval(value: Interval | Mapping[str, Any], digits: int = 2) -> str:
    """A mean error in percent with its 95% interval, cut to 0 to 100, and n, as prose shows it."""
    held = value if isinstance(value, Interval) else Interval(**value)
    if held.n == 1:
        return f"{held.mean:.{digits}f} (n = 1)"
    low, high = max(0, held.low), min(100, held.high)
    return f"{held.mean:.{digits}f} (95% interval {low:.{digits}f} to {high:.{digits}f}, n = {held.n})"


def duration(seconds: float) -> str:
    """Seconds as a reader says them."""
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def size(n_bytes: int) -> str:
    """Bytes as a reader says them."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= factor / 10:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{n_bytes} bytes"
