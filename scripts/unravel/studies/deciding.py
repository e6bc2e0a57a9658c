"""What claims are decided by: a run's tables as evidence, and statistics that make named values of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from unravel import tables
from unravel.studies.base import Study

Values = dict[str, float]


@dataclass(frozen=True)
class Evidence:
    """What claims are decided by: a run's tables, and what has to be known to read them.

    blocks: of each network. networks: those that each study, by its key, was made of or shows. source: the dataset's.
    """

    measurements: Path
    seeds: Sequence[int]
    blocks: Mapping[str, int]
    networks: Mapping[str, Sequence[str]]
    source: str
    studies: Mapping[str, Study] = field(repr=False)

    def table(self, key: str, networks: Sequence[str], ending: str = "") -> pd.DataFrame:
        """The tables of one study, by its key, for these networks and all seeds. Raises InputError as `tables.read`."""
        study = next(study for study in self.studies.values() if study.key == key)
        assert study.measurement is not None
        seeds = self.seeds if study.measurement.trained else (0,)
        names = [study.table_names(network, seed)[ending] for network in networks for seed in seeds]
        return tables.read([self.measurements / name for name in names], study.measurement.tables[ending])


@dataclass(frozen=True)
class Statistic:
    """Named values for claims: one dictionary per seed, or a single one where nothing is random.

    values: from the evidence and the claim's network. study: the key of the study that it rests on, if one.
    networks: those that it needs; the claim's own if not given.
    """

    values: Callable[[Evidence, str], Iterator[Values]]
    study: str = ""
    networks: tuple[str, ...] = ()
