"""What claims are decided by: a run's tables as evidence, and statistics that make named values of them."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from unravel import tables
from unravel.studies.base import Study
from unravel.tables import Table

Values = dict[str, float]


@dataclass(frozen=True)
class Evidence:
    """What claims are decided by: a run's tables, and what has to be known to read them.

    blocks: of each network. networks: those that each study, by its key, was made of or shows. source: the dataset's.
    expected: what each table must be. samples: how many a bootstrap takes. draw: None for the tables as they are; a
    number for tables drawn from them again, as a bootstrap does.
    """

    measurements: Path
    seeds: Sequence[int]
    blocks: Mapping[str, int]
    networks: Mapping[str, Sequence[str]]
    source: str
    studies: Mapping[str, Study] = field(repr=False)
    expected: Mapping[Path, Table] = field(repr=False)
    samples: int
    draw: int | None = None
    _read: dict[tuple[Path, ...], pd.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    def table(self, key: str, networks: Sequence[str], ending: str = "") -> pd.DataFrame:
        """The tables of one study, by its key, for these networks and all seeds that it measures.

        Raises InputError as `tables.read_whole` does.
        """
        study = next(study for study in self.studies.values() if study.key == key)
        assert study.measurement is not None
        seeds = (self.seeds[:1] if study.measurement.first_seed else self.seeds) if study.measurement.trained else (0,)
        names = [study.table_names(network, seed)[ending] for network in networks for seed in seeds]
        paths = tuple(self.measurements / name for name in names)
        if paths not in self._read:
            self._read[paths] = pd.concat(
                [tables.read_whole(path, self.expected[path]) for path in paths], ignore_index=True
            )
        table = self._read[paths]
        if self.draw is None:
            return table
        # The tables of one measurement share their draws, those of others do not.
        generator = np.random.default_rng((self.draw, zlib.crc32(" ".join((key, *networks)).encode())))
        return drawn_again(table, study.measurement.unit, study.measurement.intact, generator)

    def drawn(self, draw: int) -> "Evidence":
        """The same evidence, its tables drawn again; the same number gives the same tables."""
        return replace(self, draw=draw)


def drawn_again(table: pd.DataFrame, unit: str, intact: str, generator: np.random.Generator) -> pd.DataFrame:
    """One bootstrap sample of a table: each network and seed keeps as many of its units, drawn with replacement.

    unit, intact: as a `Measurement` says. Without a unit, each row is an error over test images, and its wrong images
    are drawn from a binomial distribution (the parametric bootstrap); rows are taken as independent, though all saw
    the same images, so that intervals of differences are rather too wide than too narrow.
    """
    if not unit:
        wrong = generator.binomial(table.test_images, table.wrong_images / table.test_images)
        return table.assign(wrong_images=wrong, error_percent=100 * wrong / table.test_images)
    kept = table[table[intact] == 0] if intact else table[:0]
    drawn = [kept]
    for _, rows in table.drop(kept.index).groupby(["network", "seed"], sort=False):
        by_unit = rows.groupby(unit).indices
        names = list(by_unit)
        picked = [by_unit[names[place]] for place in generator.integers(len(names), size=len(names))]
        numbers = np.repeat(np.arange(1, len(picked) + 1), [len(one) for one in picked])
        drawn.append(rows.iloc[np.concatenate(picked)].assign(**{unit: numbers}))
    return pd.concat(drawn, ignore_index=True)


@dataclass(frozen=True)
class Statistic:
    """Named values for claims: one dictionary per seed, or a single one where nothing is random.

    values: from the evidence and the claim's network. studies: the keys of those that it rests on.
    networks: those that it needs; the claim's own if not given. interval: whether its values have an interval; a
    closed form has none, nor has the margin of an equivalence, which is an end of one.
    """

    values: Callable[[Evidence, str], Iterator[Values]]
    studies: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    interval: bool = True
