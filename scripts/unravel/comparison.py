"""Comparison: two runs side by side, as one offline page that shows only what differs in the configs."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unravel import config, lineage, pages
from unravel.config import flat
from unravel.lineage import Records
from unravel.statistics import Interval, difference_interval, mean_interval


@dataclass(frozen=True)
class Run:
    """What a comparison needs of a run."""

    folder: Path
    settings: dict[str, Any]
    errors: dict[str, list[float]]
    claims: dict[str, dict[str, Any]]
    pictures: dict[str, str]
    hashes: dict[str, str]


@dataclass(frozen=True)
class Row:
    """A network's test error in percent in both runs, over seeds, and the difference in points."""

    network: str
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
        pictures=_either(runs[0].pictures, runs[1].pictures),
        identical=identical(*runs),
    )


def read_run(folder: Path) -> Run:
    """Read a run. Raises InputError if a file is missing or damaged."""
    settings = config.read(folder / "config.yaml").model_dump(mode="json")
    records = lineage.read_records(folder / "jobs")
    pictures = {
        path.stem: "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
        for path in sorted((folder / "figures").glob("*.svg"))
    }
    claims = {claim["id"]: claim for claim in lineage.read_json(folder / "claims.json")}
    made = {path: made["sha256"] for record in records.values() for path, made in record["outputs"].items()}
    hashes = {path.removeprefix(f"{folder.as_posix()}/"): digest for path, digest in made.items()}
    return Run(folder, flat(settings), test_errors(records), claims, pictures, hashes)


def test_errors(records: Records) -> dict[str, list[float]]:
    """Test error in percent of each network, one per seed."""
    errors: dict[str, list[float]] = {}
    for name, record in records.items():
        if name.startswith("checkpoints/"):
            errors.setdefault(name.split("/")[1], []).append(record["facts"]["test_error_percent"])
    return errors


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys of two flat configs whose values differ, with both values; None where a config does not have the key."""
    keys = dict.fromkeys([*one, *other])
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}


def rows(one: Mapping[str, list[float]], other: Mapping[str, list[float]]) -> list[Row]:
    """A row for each network of either run."""
    return [
        Row(
            network,
            mean_interval(one[network]) if network in one else None,
            mean_interval(other[network]) if network in other else None,
            difference_interval(one[network], other[network]) if network in one and network in other else None,
        )
        for network in dict.fromkeys([*one, *other])
    ]


def identical(one: Run, other: Run) -> bool:
    """Whether the two runs have the same results, file by file, from the same settings but for the run's name."""
    changed = set(differences(one.settings, other.settings)) - {"run"}
    return not changed and one.hashes == other.hashes


def _either(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (one.get(key), other.get(key)) for key in dict.fromkeys([*one, *other])}
