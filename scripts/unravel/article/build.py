"""The article: a run's folder and the templates in report/ become one offline HTML file."""

import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from markupsafe import Markup

from unravel import tables
from unravel.article import drawings, graphs, live, pages, panels, references, third_party
from unravel.config import flat
from unravel.config.networks import BLOCKS
from unravel.data.preparation import Manifest, read_manifest
from unravel.evidence import checks, claims, freshness, provenance, seal, verification
from unravel.evidence.lineage import end, ending, fact, find, read_records, require_as_made, trace
from unravel.evidence.sources import sourced
from unravel.files import InputError, read_bytes, read_json, sha256
from unravel.place import here, snakemake
from unravel.run import Config, read_config, to_yaml
from unravel.statistics import mean_interval
from unravel.studies import FIGURES, STUDIES
from unravel.studies.base import NARROW_SVG, Figure

DOWNLOADS = ("svg", "pdf", "csv")  # of a figure's files
ROWS_SHOWN = 30  # of the table behind a figure; one with more is not printed
# The contents' groups with the order of their first part. Parts of the last one are folded.
GROUPS = (
    ("Summary", 0),
    ("Idea", 30),
    ("Results", 80),
    ("Beyond", 300),
    ("Discussion", 900),
    ("Appendix", 940),
)


@dataclass(frozen=True)
class Picture:
    """A figure's files, ready for the page, and the record of the job that drew it.

    drawings: its svg for a wide page and, under "narrow", that for a phone, each as view box and content. The latter is
    not there where the job did not draw it, as of a sealed figure that an earlier version drew.
    """

    slug: str
    label: str
    title: str
    rule: str
    original: bool
    measured: bool
    drawings: dict[str, tuple[str, Markup]]
    downloads: dict[str, pages.Download]
    table: pd.DataFrame
    values: dict[str, Any]
    record: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A section of the article.

    needs: the results without which it cannot be written. bitten_by: the deviations from the paper that may change what
    it says, by their names in report/macros.html.
    """

    order: int
    id: str
    heading: str
    needs: list[str]
    template: str
    bitten_by: list[str] = field(default_factory=list)

    @property
    def group(self) -> str:
        """The group of the contents that it stands in."""
        return [name for name, first in GROUPS if first <= self.order][-1]

    @property
    def folded(self) -> bool:
        """Whether its reader has to unfold it: all of the appendix but what citations lead to."""
        return self.group == GROUPS[-1][0] and self.id != "references"


def write(run: Path, source: Path) -> str:
    """The article on a run as HTML.

    A figure, the claims or the checkpoints' records may be missing or damaged: where they would stand, the article says
    which file it is and what makes it. Raises InputError without the config or the data's manifest, for a file in jobs/
    that is no record of this version, if report/ is not what it should be, and if a sealed run is not what was sealed.
    """
    settings = read_config(run / "config.yaml")
    records = read_records(run / "jobs")
    prepared = f"data/{settings.dataset.name}/manifest.json"
    require_files(run, prepared, records)
    manifest = read_manifest(run / prepared)
    sealed = read_sealed(run)
    checkout = freshness.Checkout(settings, f"{run.as_posix()}/config.yaml", sealed.jobs if sealed else ())
    shared = drawings.Shared()
    found, problems = read_results(run, settings, records, manifest, shared)
    judged, stated = found.get("claims", []), claims.read_all(settings)
    found_checks = checks.checks(run)
    citations = references.Citations(references.read(source / "references.bib"))
    html = pages.template(source, "article.html").render(
        config=settings,
        config_yaml=to_yaml(settings),
        changed=flat(settings.model_dump(mode="json", exclude_defaults=True)),
        defaults=panels.default_settings(),
        flat=flat,
        run=run.as_posix(),
        snakemake=snakemake,
        here=here(),
        manifest=manifest,
        networks=found.get("networks", {}),
        figures={slug: found[slug] for slug in FIGURES if slug in found},
        classes=shared.sheet(),
        pictures=shared.definitions(),
        live=found.get("live"),
        parts=parts(source, settings),
        sketch=drawings.sketch,
        catalogue=catalogue(settings),
        block_kinds=BLOCKS,
        sections={slug: study.section for slug, (study, _) in FIGURES.items()},
        problems=problems,
        claims=judged,
        claim={claim.id: claim for claim in judged},
        criteria={claim.id: claim.criterion for claim in stated},
        paper={claim.id: claim.paper for claim in stated},
        sensitivity=claims.sensitivity,
        criteria_history=yaml.safe_load((source / "criteria.yaml").read_text(encoding="utf-8")),
        third_party=third_party_check(source, settings, manifest.name, found),
        cards=checkpoint_cards(run, records),
        records=records,
        pipeline=graphs.graph(records, records, graphs.by_script) if records else None,
        freshness=freshness.summary(run, records, checkout),
        evidence=freshness.verdicts(run, records, checkout, {claim.id: claims.rests_on(claim) for claim in judged}),
        seal=sealed,
        drift=freshness.drift(records, checkout),
        checks=found_checks,
        masthead=masthead(records),
        inputs_of=lambda record: trace(record, records),
        origin_of=lambda file: panels.origin(file, settings.dataset.source),
        panel_of=lambda picture: panels.panel(f"figures/{picture.slug}", settings, records),
        distinct=lambda key: distinct(records, key),
        seconds_by_kind=seconds_by_kind(records),
        bytes_written=sum(file["bytes"] for record in records.values() for file in record["outputs"].values()),
        cite=citations.cite,
        citations=citations,
        script=Markup("\n".join(path.read_text(encoding="utf-8") for path in sorted(source.glob("*.js")))),
        rows_shown=ROWS_SHOWN,
    )
    if records and judged:
        inside = for_machines(provenance.build(run, html))
        html = f"{inside}\n</footer>".join(html.rsplit("</footer>", 1))
    return html


def for_machines(document: provenance.Provenance) -> Markup:
    """A link that holds provenance.json on a page, compressed to a tenth of its size."""
    packed = pages.download(provenance.to_json(document).encode(), "json")
    name = f"provenance.{packed.ending}"
    link = f'<a href="{packed.address}" download="{name}">{name}</a>'
    return Markup(f'<p class="screen">For machines, where all on this page comes from: {link}</p>')


def read_sealed(run: Path) -> seal.Seal | None:
    """A run's seal, None without. Raises InputError unless its files are intact and its verdicts follow from them."""
    sealed = seal.read(run)
    if sealed:
        sealed.require_intact(run)
        if problems := verification.recomputed_claims(run):
            raise InputError(problems[0])
    return sealed


@dataclass(frozen=True)
class Entry:
    """A figure of this report or of the paper; one without a slug was not attempted, and the note says why."""

    label: str
    title: str
    note: str
    original: bool
    slug: str | None = None


def catalogue(settings: Config) -> list[Entry]:
    """Every figure of this report, in its order, and every figure of the paper (arXiv 1605.06431)."""
    entries = []
    for study in STUDIES.values():
        if study.not_attempted:
            entries.append(Entry(*study.not_attempted, original=True))
        elif (figure := study.figure) and study.told(settings):
            entries.append(Entry(figure.label, figure.title, figure.note, figure.original, figure.slug))
    return entries


def parts(source: Path, settings: Config) -> list[Part]:
    """The article's parts in their order: the page's own, as report/parts.yaml has them, and the studies'."""
    own = yaml.safe_load((source / "parts.yaml").read_text(encoding="utf-8"))
    found = [Part(**part, template=f"sections/{part['id'].replace('-', '_')}.html") for part in own]
    for study in STUDIES.values():
        if study.has("section.html") and study.told(settings):
            template = f"{study.name}/section.html"
            bitten_by = pages.constant(study.folder / "section.html", "bitten_by", default=[])
            found.append(Part(study.order, study.section, study.title, list(study.results), template, bitten_by))
    return sorted(found, key=lambda part: part.order)


def read_results(
    run: Path, settings: Config, records: Mapping[str, dict[str, Any]], manifest: Manifest, shared: drawings.Shared
) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """What the article's sections need, by name: "claims", "networks", "live", and each figure by its slug.

    What cannot be read is in the second dictionary instead: {"label", "problem": one line, "command": what makes it}.
    """
    readers: dict[str, tuple[str, str, str, Callable[[], Any]]] = {
        "claims": ("The verdicts", "claims", "claims.json", lambda: read_claims(run / "claims.json")),
        "networks": (
            "The networks",
            "all",
            "checkpoints/*/*.history.csv",
            lambda: {name: network_summary(run, name, settings.seeds, records) for name in settings.networks},
        ),
    }
    if live.STUDY.told(settings):
        readers["live"] = (
            "The networks to cut",
            "figure_cut",
            f"measurements/{live.STUDY.key}/*.csv",
            lambda: live.read(run, settings, manifest, records),
        )
    for slug, (study, figure) in FIGURES.items():
        if study.not_attempted is None and study.told(settings):
            label, rule = f"{figure.label}. {figure.title}", f"figure_{figure.number}"
            readers[slug] = (label, rule, f"figures/{slug}.*", partial(read_picture, run, figure, records, shared))
    found, problems = {}, {}
    for name, (label, rule, files, read) in readers.items():
        try:
            require_files(run, files, records)
            found[name] = read()
        except InputError as error:
            command = snakemake(rule, "--cores", "all", "--configfile", f"{run.as_posix()}/config.yaml")
            problems[name] = {"label": label, "problem": str(error), "command": command}
    return found, problems


def require_files(run: Path, pattern: str, records: Mapping[str, dict[str, Any]]) -> None:
    """Check files of a run by their jobs' records. Raises InputError for one that is not as its job made it."""
    require_as_made({str(path): sha256(path) for path in run.glob(pattern) if path.is_file()}, records, run)


def third_party_check(source: Path, settings: Config, data: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """What report/third_party.yaml holds, beside what was found in this run; nothing where it is not of CIFAR-10."""
    network = settings.networks.get(third_party.NETWORK)
    if data != "cifar10" or network is None:
        return {}
    facts = yaml.safe_load((source / "third_party.yaml").read_text(encoding="utf-8"))
    shown = {slug: picture.values for slug, picture in found.items() if isinstance(picture, Picture)}
    claimed = {claim.id: claim.values for claim in found.get("claims", [])}
    rows = third_party.rows(facts, network.n_blocks, shown, claimed)
    return {
        "facts": facts,
        "network": third_party.NETWORK,
        "blocks": network.n_blocks,
        "rows": rows,
        "loses": third_party.loses(rows),
    }


def distinct(records: Mapping[str, Mapping[str, Any]], key: str) -> list[tuple[Any, int]]:
    """The values that records have under a key, each once, with how many records have it; the most frequent first.

    Which files of the code a job imported is left out: it differs from script to script.
    """
    found: dict[str, int] = {}
    for record in records.values():
        text = json.dumps({name: part for name, part in record[key].items() if name != "modules"}, sort_keys=True)
        found[text] = found.get(text, 0) + 1
    return [(json.loads(text), n) for text, n in sorted(found.items(), key=lambda item: -item[1])]


def seconds_by_kind(records: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Seconds of all jobs together, by what they make: data, checkpoints, measurements, figures, claims."""
    found: dict[str, float] = {}
    for name, record in records.items():
        kind = name.partition("/")[0]
        found[kind] = found.get(kind, 0) + record["seconds"]
    return found


def masthead(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the head of the page says of the jobs together: commits, uncommitted changes, the end, and seconds in all.

    SOURCE_DATE_EPOCH (seconds since 1970), if set, stands in for the end of the last job; without jobs there is none.
    Raises InputError if it is no such number.
    """
    ended = max(map(end, records.values()), default=None)
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        try:
            ended = datetime.fromtimestamp(int(epoch), UTC)
        except (ValueError, OverflowError) as error:
            raise InputError(f"SOURCE_DATE_EPOCH: '{epoch}' is no number of seconds since 1970; unset it") from error
    codes = [record["code"] for record in records.values()]
    return {
        "commits": sorted({code["commit"] for code in codes if code["commit"]}),
        "dirty": any(code["dirty"] for code in codes),
        "ended": ended,
        "seconds": sum(record["seconds"] for record in records.values()),
    }


def network_summary(run: Path, name: str, seeds: tuple[int, ...], records: Mapping[str, Any]) -> dict[str, Any]:
    """A network's size, test error over seeds, training time and speed, from its checkpoints' job records."""
    names = [f"checkpoints/{name}/seed{seed}" for seed in seeds]
    jobs = [find(records, job) for job in names]
    rates = [rate for job in names if (rate := fact(records, job, "images_per_second"))]
    found = {
        "facts": {
            "parameters": fact(records, names[0], "parameters"),
            "test_error_percent": mean_interval([fact(records, job, "test_error_percent") for job in names]),
            # none where a killed job had only its outputs left to write
            "images_per_second": sum(rates) / len(rates) if rates else None,
        },
        "seconds": sum(job["seconds"] for job in jobs) / len(jobs),
    }
    known = sourced(found, f"jobs/checkpoints/{name}/seed*.json", "checkpoints")
    return {**known["facts"], "seconds": known["seconds"]}


def read_claims(path: Path) -> list[claims.Judged]:
    """The judged claims, whose values know where they stand. Raises InputError as `claims.read_judged` does."""
    return [
        claim.model_copy(update={"values": sourced(claim.values, path.name, "job-claims", f"{place}.values")})
        for place, claim in enumerate(claims.read_judged(path))
    ]


def checkpoint_cards(run: Path, records: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """What is known of each checkpoint: its job's record, its file, and whether the file is still there."""
    cards = []
    for name, record in records.items():
        if name.startswith("checkpoints/"):
            path = ending(record["outputs"], ".safetensors")
            cards.append(
                {
                    "name": name.removeprefix("checkpoints/"),
                    "path": path,
                    **record["outputs"][path],
                    "here": (run / name).with_suffix(".safetensors").is_file(),
                    "record": record,
                }
            )
    return cards


def read_picture(run: Path, figure: Figure, records: Mapping[str, dict[str, Any]], shared: drawings.Shared) -> Picture:
    """Read a figure's files. Raises InputError if one is missing or damaged."""
    slug = figure.slug
    path = run / "figures" / slug
    again = "draw the figure again"
    contents = {suffix: read_bytes(path.with_suffix(f".{suffix}"), again) for suffix in DOWNLOADS}
    values = read_json(path.with_suffix(".json"), again)
    try:
        # names are text, also what pandas takes for a missing value ("null")
        table = pd.read_csv(io.BytesIO(contents["csv"]), dtype=tables.TEXT, keep_default_na=False)
    except ValueError as error:
        raise InputError(f"{path}.csv: is damaged ({error}); {again}") from error
    record = find(records, f"figures/{slug}")
    made = {"wide": drawings.inline(contents["svg"].decode(errors="replace"), slug, shared)}
    if any(output.endswith(f"/{slug}{NARROW_SVG}") for output in record["outputs"]):
        narrow = read_bytes(path.with_suffix(NARROW_SVG), again).decode(errors="replace")
        made["narrow"] = drawings.inline(narrow, f"{slug}-narrow", shared)
    return Picture(
        slug=slug,
        label=figure.label,
        title=figure.title,
        rule=f"figure_{figure.number}",
        original=figure.original,
        measured=figure.measured,
        drawings=made,
        downloads={suffix: pages.download(content, suffix) for suffix, content in contents.items()},
        table=table,
        values=sourced(values, f"figures/{slug}.json", f"origin-{slug}"),
        record=record,
    )
