"""Checks of the science: what must be true of a run whatever it finds, read from its manifest, records and tables.

A run with a failed check has its report, whose first line says so; `make verify` and Snakemake then end with an error.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from unravel import tables
from unravel.data.preparation import Manifest, read_manifest
from unravel.evidence.lineage import read_records
from unravel.files import InputError, read_bytes
from unravel.run import Config, read_config
from unravel.studies.base import TestedInPart
from unravel.studies.expected import expected
from unravel.tables import Table

WRITTEN = 1e-6  # percent: a history has ten digits
SUM_ERROR = 1e-5  # relative: what fp32 leaves of a sum over all paths
# Share of test images whose class may come out otherwise on another machine or in larger batches, where one training
# and one measurement differ by their roundings alone; of 12 networks in results/cifar10-short, in bf16, at most 0.001.
ROUNDED = {"fp32": 0.0005, "bf16": 0.005}


@dataclass(frozen=True)
class Check:
    """passed: None if there was nothing to compare. compared: what was, with the numbers, or why nothing was."""

    name: str
    passed: bool | None
    compared: str


def checks(run: Path) -> list[Check]:
    """Every check of a run. One whose files are damaged has failed. Raises InputError without the config."""
    found = _Run(run, read_config(run / "config.yaml"))
    return [_tried(name, check, found) for name, check in CHECKS.items()]


def failed(found: list[Check]) -> list[str]:
    """A line for each check that failed."""
    return [f"{check.name}: {check.compared}" for check in found if check.passed is False]


def _tried(name: str, check: "Callable[[_Run], Outcome]", run: "_Run") -> Check:
    try:
        return Check(name, *check(run))
    except InputError as error:
        return Check(name, False, str(error))


Outcome = tuple[bool | None, str]


@dataclass(frozen=True)
class _Run:
    folder: Path
    config: Config

    @cached_property
    def manifest(self) -> Manifest:
        return read_manifest(self.folder / "data" / self.config.dataset.name / "manifest.json")

    @cached_property
    def records(self) -> Mapping[str, dict[str, Any]]:
        return read_records(self.folder / "jobs")

    @cached_property
    def expected(self) -> dict[Path, Table]:
        """Those tables that are there."""
        return {path: table for path, table in expected(self.folder, self.config).items() if path.exists()}

    @cached_property
    def tables(self) -> dict[Path, pd.DataFrame]:
        """The content of those tables that are whole."""
        return {path: content for path, content in self._read.items() if isinstance(content, pd.DataFrame)}

    @cached_property
    def damaged(self) -> list[str]:
        """What is wrong with the others."""
        return [str(content) for content in self._read.values() if isinstance(content, InputError)]

    @cached_property
    def _read(self) -> dict[Path, pd.DataFrame | InputError]:
        found: dict[Path, pd.DataFrame | InputError] = {}
        for path, table in self.expected.items():
            try:
                found[path] = tables.read_whole(path, table)
            except InputError as error:
                found[path] = error
        return found

    def having(self, column: str) -> Iterator[tuple[Path, pd.DataFrame]]:
        """The tables that have a column."""
        return ((path, content) for path, content in self.tables.items() if column in content)

    def intact(self, path: Path, content: pd.DataFrame) -> tuple[int, int] | None:
        """Wrong images and test images with nothing deleted, by a table; None if it does not say."""
        column = self.expected[path].intact
        if "predicted" in content:
            scaled = content[content.convention == "scaled"]
            return int((scaled.predicted != scaled.label).sum()), len(scaled)
        if not column:
            return None
        row = content[content[column] == 0].iloc[0]
        return int(row.wrong_images), int(row.test_images)

    def asked(self, path: Path) -> int:
        """How many test images a table must rest on."""
        section = getattr(self.config, path.parent.name, None)
        available = self.manifest.test.images
        return section.tested(path.parent.name, available) if isinstance(section, TestedInPart) else available


def _tables(run: _Run) -> Outcome:
    if run.damaged:
        return False, "; ".join(run.damaged[:3])
    said = f"{len(run.tables)} tables: kinds and ranges of cells, and every row once"
    return (True, said) if run.tables else (None, "there is no table yet")


def _disjoint(run: _Run) -> Outcome:
    same = run.manifest.identical
    if same is None:
        return None, "images were not compared when they were prepared"
    said = (
        f"{run.manifest.train.images} training and {run.manifest.test.images} test images by SHA-256: {same.in_both} "
        f"test images are training images, too; {same.in_train} training and {same.in_test} test images repeat another"
    )
    return same.in_both == 0, said


def _all_test_images(run: _Run) -> Outcome:
    found = {path: set(content.test_images) for path, content in run.having("test_images")}
    found |= {path: {content.image.nunique()} for path, content in run.having("image")}
    odd = [f"{path} rests on {sorted(seen)}, expected {run.asked(path)}" for path, seen in found.items()
           if seen != {run.asked(path)}]  # fmt: skip
    if odd:
        return False, "; ".join(odd[:3])
    said = f"{len(found)} tables rest on the {run.manifest.test.images} test images, or on as many as the config says"
    return (True, said) if found else (None, "nothing is measured on test images yet")


def _recorded_errors(run: _Run) -> Outcome:
    share, compared, largest = ROUNDED[run.config.evaluation.precision], 0, 0.0
    for path, content in run.tables.items():
        same = run.expected[path].same
        record = run.records.get(f"checkpoints/{same.get('network')}/seed{same.get('seed')}")
        found = run.intact(path, content)
        if record is None or found is None or found[1] != run.manifest.test.images:
            continue
        (wrong, images), recorded = found, record["facts"]["test_error_percent"]
        apart = abs(100 * wrong / images - recorded)
        if apart > 100 * share + 100 / images:
            return False, f"{path}: {100 * wrong / images:.4g}% with nothing deleted, training recorded {recorded:.4g}%"
        compared, largest = compared + 1, max(largest, apart)
    said = f"{compared} measurements, at most {largest:.2g} points apart, {100 * share:g} and one image allowed"
    return (True, said) if compared else (None, "nothing to compare yet")


def _same_facts(run: _Run) -> Outcome:
    """What stands in a job's record, on the checkpoint's card and in its history."""
    compared = 0
    for network in run.config.networks:
        for seed in run.config.seeds:
            path = run.folder / "checkpoints" / network / f"seed{seed}.safetensors"
            record = run.records.get(f"checkpoints/{network}/seed{seed}")
            if record is None or not path.is_file():
                continue
            card, epochs = read_card(path), run.tables.get(path.with_suffix(".history.csv"))
            errors = [record["facts"]["test_error_percent"], card["test_error_percent"]]
            if epochs is not None:
                errors.append(float(epochs.test_error_percent.iloc[-1]))
            if max(errors) - min(errors) > WRITTEN:
                said = " and ".join(f"{error:.6g}%" for error in errors)
                return False, f"{path}: the test error in its job's record, on its card and in its history is {said}"
            if (card["name"], card["seed"], card["dataset_sha256"]) != (network, seed, run.manifest.identity):
                return False, f"{path}: its card is that of {card['name']}, seed {card['seed']}, or of other images"
            compared += 1
    return (True, f"{compared} checkpoints") if compared else (None, "there is no checkpoint yet")


def _sums_over_paths(run: _Run) -> Outcome:
    errors = [float(content.full_error.max()) for _, content in run.having("full_error")]
    if not errors:
        return None, "no gradient is measured"
    worst = max(errors)
    return worst <= SUM_ERROR, f"relative difference at most {worst:.2g} in {len(errors)} tables, {SUM_ERROR:g} allowed"


def _seeds_differ(run: _Run) -> Outcome:
    seen: dict[str, Path] = {}
    compared = 0
    for network in run.config.trained:
        for seed in run.config.seeds:
            path = run.folder / "checkpoints" / network / f"seed{seed}.safetensors"
            if path.is_file():
                compared += 1
                first = seen.setdefault(weights_sha256(path), path)
                if first != path:
                    return False, f"{path} has the weights of {first}"
    return (
        (True, f"the weights of {compared} checkpoints by SHA-256") if compared > 1 else (None, "one network, or none")
    )


def weights_sha256(path: Path) -> str:
    """SHA-256 of a safetensors file but for its header, which names the seed. Raises InputError if it is none."""
    return hashlib.sha256(_parts(path)[1]).hexdigest()


def read_card(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself, read without torch. Raises InputError if it says nothing."""
    try:
        card: dict[str, Any] = json.loads(json.loads(_parts(path)[0])["__metadata__"]["unravel"])
        return {key: card[key] for key in ("name", "seed", "dataset_sha256", "test_error_percent")}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: its card cannot be read ({error}); delete it and train again") from error


def _parts(path: Path) -> tuple[bytes, bytes]:
    """Header and tensors of a safetensors file."""
    content = read_bytes(path, "train it again")
    header = 8 + int.from_bytes(content[:8], "little")
    if not 8 < header <= len(content):
        raise InputError(f"{path}: is no safetensors file; delete it and train again")
    return content[8:header], content[header:]


CHECKS: dict[str, Callable[[_Run], Outcome]] = {
    "Tables are whole": _tables,
    "No test image is a training image": _disjoint,
    "All test images are evaluated": _all_test_images,
    "With nothing deleted, the error is that of training": _recorded_errors,
    "Records, cards and histories say the same": _same_facts,
    "Sums over paths are full gradients": _sums_over_paths,
    "No two trained networks are equal": _seeds_differ,
}
