"""What tables a run must have, and what each must be, by its config."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from unravel import tables
from unravel.run import Config
from unravel.studies import MEASURED, training_curves
from unravel.tables import Table


def expected(run: Path, config: Config) -> dict[Path, Table]:
    """Every table of measurements and every history, by its file."""
    return dict([*_measurements(run, config), *_histories(run, config)])


def require(paths: Iterable[Path], run: Path, config: Config) -> None:
    """Check those of some files that are tables of a run. Raises InputError as `tables.read_whole` does."""
    known = expected(run, config)
    for path in paths:
        if path in known:
            tables.read_whole(path, known[path])


def _measurements(run: Path, config: Config) -> Iterator[tuple[Path, Table]]:
    for study in MEASURED.values():
        measurement = study.measurement
        assert measurement is not None
        for network in measurement.networks(config):
            sizes = measurement.sizes(config, network)
            for seed in measurement.seeds(config) if measurement.trained else (0,):
                same: dict[str, str | int] = {"network": network, "seed": seed} if measurement.trained else {}
                for ending, name in study.table_names(network, seed).items():
                    table = measurement.tables[ending]
                    here = {column: size for column, size in sizes.items() if column in table.rows}
                    yield run / "measurements" / name, replace(table, sizes=here, same=same)


def _histories(run: Path, config: Config) -> Iterator[tuple[Path, Table]]:
    for network in config.trained:
        table = replace(training_curves.TABLE, sizes={"epoch": config.training_of(network).epochs})
        for seed in config.seeds:
            yield run / "checkpoints" / network / f"seed{seed}.history.csv", table
