"""Comparison: two runs side by side, as one offline page that shows only what differs in the configs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unravel import tables
from unravel.article import pages, same_scale
from unravel.config import flat
from unravel.evidence import claims, lineage
from unravel.evidence.claims import Judged
from unravel.evidence.lineage import Records
from unravel.files import InputError, read_bytes, read_json
from unravel.run import Config, read_config
from unravel.statistics import Interval, difference_interval, mean_interval
from unravel.studies import FIGURES
from unravel.studies.base import NARROW_SVG
from unravel.tables import NETWORK, PERCENT, SEED, text


@dataclass(frozen=True)
class Run:
    """What a comparison needs of a run."""

    folder: Path
    config: Config
    records: Records
    errors: dict[str, list[float]]
    claims: dict[str, Judged]
    pictures: dict[str, bytes]
    headlines: dict[str, dict[str, float]]

    @property
    def settings(self) -> dict[str, Any]:
        """Its config, flat."""
        return flat(self.config.model_dump(mode="json"))

    @property
    def hashes(self) -> dict[str, str]:
        """The SHA-256 of what its jobs made, by path below its folder."""
        made = {path: made["sha256"] for record in self.records.values() for path, made in record["outputs"].items()}
        return {path.removeprefix(f"{self.folder.as_posix()}/"): digest for path, digest in made.items()}


@dataclass(frozen=True)
class Pair:
    """A figure in both runs: addresses of pictures, None where a run lacks it; `apart` says why their axes differ."""

    name: str
    one: str | None
    other: str | None
    apart: str = ""


@dataclass(frozen=True)
class Row:
    """A value in both runs, over seeds, and the difference: the second less the first."""

    name: str
    one: Interval | None
    other: Interval | None
    difference: Interval | None


def write(one: Path, other: Path, source: Path) -> str:
    """The page that compares two runs. Raises InputError if one lacks its config, claims or records."""
    runs = read_run(one), read_run(other)
    judged = _either(runs[0].claims, runs[1].claims)
    return pages.template(source, "comparison.html").render(
        one=runs[0],
        other=runs[1],
        settings=differences(runs[0].settings, runs[1].settings),
        rows=error_rows(*runs),
        claims=judged,
        both=[pair for pair in judged.values() if all(pair)],
        claim_rows=claim_rows,
        headlines={
            slug: {key: pair for key, pair in _either(one or {}, other or {}).items() if pair[0] != pair[1]}
            for slug, (one, other) in _either(runs[0].headlines, runs[1].headlines).items()
        },
        pictures={slug: pair(slug, *runs) for slug in _either(runs[0].pictures, runs[1].pictures)},
        identical=identical(*runs),
    )


def read_run(folder: Path) -> Run:
    """Read a run. Raises InputError if a file is missing or damaged."""
    config = read_config(folder / "config.yaml")
    records = lineage.read_records(folder / "jobs")
    drawings = [path for path in sorted((folder / "figures").glob("*.svg")) if not path.name.endswith(NARROW_SVG)]
    pictures = {path.stem: read_bytes(path) for path in drawings}
    headlines = {
        path.stem: headline_numbers(read_json(path, lineage.AGAIN))
        for path in sorted((folder / "figures").glob("*.json"))
    }
    judged = {claim.id: claim for claim in claims.read_judged(folder / "claims.json")}
    return Run(folder, config, records, test_errors(folder, records), judged, pictures, headlines)


def pair(slug: str, one: Run, other: Run) -> Pair:
    """A figure in both runs: drawn again on axes of one scale where it shows measurements, else as it lies there."""
    figure = FIGURES[slug][1] if slug in FIGURES else None  # one of another version of this code
    name = f"{figure.label}. {figure.title}" if figure else slug
    first, second = (pages.svg_address(run.pictures[slug]) if slug in run.pictures else None for run in (one, other))
    stored = Pair(name, first, second)
    if figure is None or None in (first, second) or "manifest" in figure.inputs:  # images have no axes to share
        return stored
    try:
        drawn = [same_scale.draw(slug, run.folder, run.config, run.records) for run in (one, other)]
    except InputError as reason:
        return replace(stored, apart=str(reason))
    same_scale.share(*drawn)
    return Pair(name, *(pages.svg_address(same_scale.picture(again)) for again in drawn))


def test_errors(run: Path, records: Records) -> dict[str, list[float]]:
    """Test error in percent of each network, one per seed: of the saved network, scaled, as its figure shows it.

    Where the run has no such figure, it is that which training measured after its last epoch.
    """
    drawn = run / "figures" / "test-errors.csv"
    if drawn.exists():
        table = tables.read([drawn], {"network": NETWORK, "convention": text(), "seed": SEED, "error_percent": PERCENT})
        scaled = table[table.convention == "scaled"].sort_values(["network", "seed"])
        return {str(name): rows.error_percent.tolist() for name, rows in scaled.groupby("network")}
    errors: dict[str, list[float]] = {}
    for name in records:
        if name.startswith("checkpoints/"):
            errors.setdefault(name.split("/")[1], []).append(lineage.fact(records, name, "test_error_percent"))
    return errors


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys of two flat configs whose values differ, with both values; None where a config does not have the key."""
    keys = dict.fromkeys([*one, *other])
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}


def headline_numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that a figure's caption can name, flat: its values file without the places of its points."""
    shown = {key: value for key, value in values.items() if key not in ("points", "stated")}
    numbers = {key: value for key, value in flat(shown).items() if isinstance(value, int | float)}
    return {key: value for key, value in numbers.items() if not isinstance(value, bool)}


def claim_rows(one: Judged | None, other: Judged | None) -> list[Row]:
    """A row for each value that a claim shows in either run, in the claim's words."""
    shown = (one.shown if one else {}) | (other.shown if other else {})
    return [replace(row, name=shown[row.name]) for row in rows(_seeds(one), _seeds(other), pages.ends)]


def _seeds(claim: Judged | None) -> dict[str, list[float]]:
    """The values that a claim shows, one per seed."""
    return {name: [values[name] for values in claim.per_seed] for name in claim.values} if claim else {}


def error_rows(one: Run, other: Run) -> list[Row]:
    """A row for the test error in percent of each network that either run has."""
    return rows(one.errors, other.errors, lambda _: pages.ends("percent"))


def rows(
    one: Mapping[str, list[float]], other: Mapping[str, list[float]], ends: Callable[[str], tuple[float, float]]
) -> list[Row]:
    """A row for each name that either run has values of, one per seed; `ends` says what a value of a name can be."""
    found = []
    for name in dict.fromkeys([*one, *other]):
        least, most = ends(name)
        first, second = (
            pages.within(mean_interval(run[name]), least, most) if name in run else None for run in (one, other)
        )
        difference = None
        if first and second:
            difference = pages.within(difference_interval(one[name], other[name]), least - most, most - least)
        found.append(Row(name, first, second, difference))
    return found


def identical(one: Run, other: Run) -> bool:
    """Whether the two runs have the same results, file by file, from the same settings but for the run's name."""
    changed = set(differences(one.settings, other.settings)) - {"run"}
    return not changed and one.hashes == other.hashes


def _either(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (one.get(key), other.get(key)) for key in dict.fromkeys([*one, *other])}
