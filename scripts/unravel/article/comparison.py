"""Comparison: two runs side by side, as one offline page that shows only what differs in the configs."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unravel import tables
from unravel.article import pages
from unravel.config import flat
from unravel.evidence import claims, lineage
from unravel.evidence.claims import Judged
from unravel.evidence.lineage import Records
from unravel.files import read_bytes, read_json
from unravel.run import read_config
from unravel.statistics import Interval, difference_interval, mean_interval
from unravel.studies.base import NARROW_SVG
from unravel.tables import NETWORK, PERCENT, SEED, text


@dataclass(frozen=True)
class Run:
    """What a comparison needs of a run."""

    folder: Path
    settings: dict[str, Any]
    errors: dict[str, list[float]]
    claims: dict[str, Judged]
    pictures: dict[str, str]
    headlines: dict[str, dict[str, float]]
    hashes: dict[str, str]


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
    return pages.template(source, "comparison.html").render(
        one=runs[0],
        other=runs[1],
        settings=differences(runs[0].settings, runs[1].settings),
        rows=rows(runs[0].errors, runs[1].errors),
        claims=_either(runs[0].claims, runs[1].claims),
        claim_rows=claim_rows,
        headlines={
            slug: {key: pair for key, pair in _either(one or {}, other or {}).items() if pair[0] != pair[1]}
            for slug, (one, other) in _either(runs[0].headlines, runs[1].headlines).items()
        },
        pictures=_either(runs[0].pictures, runs[1].pictures),
        identical=identical(*runs),
    )


def read_run(folder: Path) -> Run:
    """Read a run. Raises InputError if a file is missing or damaged."""
    settings = read_config(folder / "config.yaml").model_dump(mode="json")
    records = lineage.read_records(folder / "jobs")
    pictures = {
        path.stem: "data:image/svg+xml;base64," + base64.b64encode(read_bytes(path)).decode()
        for path in sorted((folder / "figures").glob("*.svg"))
        if not path.name.endswith(NARROW_SVG)
    }
    headlines = {
        path.stem: headline_numbers(read_json(path, lineage.AGAIN))
        for path in sorted((folder / "figures").glob("*.json"))
    }
    judged = {claim.id: claim for claim in claims.read_judged(folder / "claims.json")}
    made = {path: made["sha256"] for record in records.values() for path, made in record["outputs"].items()}
    hashes = {path.removeprefix(f"{folder.as_posix()}/"): digest for path, digest in made.items()}
    return Run(folder, flat(settings), test_errors(folder, records), judged, pictures, headlines, hashes)


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
    seeds = [
        {claim.shown[name]: [values[name] for values in claim.per_seed] for name in claim.values} if claim else {}
        for claim in (one, other)
    ]
    return rows(*seeds)


def rows(one: Mapping[str, list[float]], other: Mapping[str, list[float]]) -> list[Row]:
    """A row for each name that either run has values of, one per seed."""
    return [
        Row(
            name,
            mean_interval(one[name]) if name in one else None,
            mean_interval(other[name]) if name in other else None,
            difference_interval(one[name], other[name]) if name in one and name in other else None,
        )
        for name in dict.fromkeys([*one, *other])
    ]


def identical(one: Run, other: Run) -> bool:
    """Whether the two runs have the same results, file by file, from the same settings but for the run's name."""
    changed = set(differences(one.settings, other.settings)) - {"run"}
    return not changed and one.hashes == other.hashes


def _either(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (one.get(key), other.get(key)) for key in dict.fromkeys([*one, *other])}
