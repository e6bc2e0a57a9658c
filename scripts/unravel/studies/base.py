"""What a study is, as data. Each folder beside this file holds one; docs/adding-a-study.md says how to add another.

    __init__.py    STUDY, an object of the class below
    settings.py    its section of the config
    measure.py     a network, data, settings and a generator -> tables; the only part that may import torch
    figure.py      tables -> a drawing, the table behind it, and what its caption says
    values.py      tables -> named values per seed, which claims are decided by
    claims.yaml    the paper's claims, with their criteria
    section.html   its section of the article

A study has those parts that it needs, and knows other studies only by their tables.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from unravel.config import NetworkSettings, Settings
from unravel.files import InputError
from unravel.tables import Table

if TYPE_CHECKING:  # the config of a run is made of the studies' sections, so it stands above them
    from unravel.run import Config

FOLDER = Path(__file__).parent
NARROW_SVG = ".narrow.svg"  # how a figure's drawing for a phone ends


class StudySettings(Settings):
    """A study's section of the config."""

    @property
    def shown(self) -> tuple[str, ...]:
        """The networks that it names."""
        return ()

    def check(self, key: str, networks: Mapping[str, NetworkSettings]) -> None:
        """Raise ValueError if the study, whose section is called `key`, cannot be made of the networks it names."""


class TestedInPart(StudySettings):
    """A section of a study that is costly, so that it may be measured on a part of the test set."""

    test_images: int | None = Field(
        None,
        ge=1,
        description="Test images that errors are measured on, evenly spaced in the test set sorted by class, so that "
        "each class keeps its share; the same for every network, seed and lesion. Not given: the whole test set.",
    )

    def tested(self, key: str, available: int) -> int:
        """How many of the test images are used. Raises InputError, which names `key`, if there are fewer than asked."""
        if self.test_images is None:
            return available
        if self.test_images > available:
            raise InputError(
                f"{key}.test_images is {self.test_images}, expected at most the {available} images of the test set; "
                "lower it, or leave it out to use all of them"
            )
        return self.test_images


@dataclass(frozen=True)
class Size:
    """What a job's cost depends on: multiply-adds of a forward pass, blocks, and images.

    random_blocks: the network was trained on random blocks.
    """

    forward: int
    blocks: int
    train: int
    test: int
    random_blocks: bool


@dataclass(frozen=True)
class Cost:
    """What a measurement costs.

    multiply_adds: of one job, if nothing were shared. shared: what is left of it where lesions share their prefixes.
    backward_images: images whose graph is kept for a backward pass at once; None where there is none.
    trains: most of it is the training of networks of its own, in the training's precision.
    """

    multiply_adds: Callable[["Config", Size], float]
    shared: float = 1.0
    backward_images: Callable[["Config"], int] | None = None
    trains: bool = False


@dataclass(frozen=True)
class Measurement:
    """What a study measures: one job per network and seed, or per network alone where no trained network is needed.

    tables: what each table is, by the ending of its file: <network>-seed<k>[.<ending>].csv.
    sizes: of a network's tables, how many values those columns have whose number the config decides.
    networks: those that it is made of; where none is trained, any names of cases.
    decides: the settings that decide its tables, beside checkpoint and data; they are also the arguments of a
    `measure` without a trained network. They are nested as in the config.
    message: what Snakemake's plan says.
    first_seed: of each trained network, that of the first seed alone is measured.
    lesions: the command `lesion` makes it of networks of a user's own, and draws it.
    random_key: the number that its random draws are keyed by; not given, it follows from the study's name.
    unit: the column that numbers what its rows were drawn as, such as "draw", which a bootstrap draws again; "" where
    each row is an error over test images. intact: the column that is 0 in the rows of the intact network, which belong
    to no unit.
    """

    tables: Mapping[str, Table]
    networks: Callable[["Config"], Sequence[str]]
    decides: Callable[["Config", str], dict[str, Any]]
    message: str
    sizes: Callable[["Config", str], Mapping[str, int]]
    trained: bool = True
    first_seed: bool = False
    cost: Cost | None = None
    lesions: bool = False
    random_key: int | None = None
    unit: str = ""
    intact: str = ""

    def seeds(self, config: "Config") -> Sequence[int]:
        """The seeds of the trained networks that it is made of."""
        return config.seeds[:1] if self.first_seed else config.seeds


@dataclass(frozen=True)
class Figure:
    """A figure: `label` is how the text calls it, `slug` names its files, `number` its rule and `make figure FIG=`.

    Those that the paper does not have get their label, with a letter, by their place in the article.

    note: how it relates to the paper's figure. original: the paper has it too. measured: it depends on data.
    shows: the networks in it, none for a figure without; None if the run does not want it.
    inputs: keys of the studies whose tables it is drawn from, "histories" of trainings, or the "manifest" of the data.
    drawn_by: the study whose figure.py draws it, if not its own.
    """

    number: str
    title: str
    slug: str
    note: str
    shows: Callable[["Config"], Sequence[str] | None]
    inputs: tuple[str, ...]
    label: str = ""
    original: bool = True
    measured: bool = True
    drawn_by: str = ""


@dataclass(frozen=True)
class Study:
    """A study. `name` is its folder's, `key` that of its section in the config and of its folder of measurements.

    order: its place in the article and among the claims, where the page's own parts have places too.
    title: heading of its section. settings: what its section is by default; a study with such a default of its own is
    made unless the config says otherwise. needs: results without which its section cannot be written; its own figure
    if not given. core: a run's report is about this study, so that a run without it has no report.
    not_attempted: label, title and reason of an entry in the list of the paper's figures that the report does not show.
    """

    order: int
    title: str
    settings: StudySettings | None = None
    settings_title: str = ""
    measurement: Measurement | None = None
    figure: Figure | None = None
    needs: tuple[str, ...] = ()
    core: bool = False
    not_attempted: tuple[str, str, str] | None = None
    key: str = ""
    name: str = ""

    @property
    def folder(self) -> Path:
        """Where its parts lie."""
        return FOLDER / self.name

    def has(self, part: str) -> bool:
        """Whether it has a part, such as `values.py`."""
        return (self.folder / part).is_file()

    def module(self, part: str) -> str:
        """The name to import a part by, such as `measure`."""
        return f"{__package__}.{self.name}.{part}"

    @property
    def section(self) -> str:
        """The anchor of its section in the article."""
        return self.name.replace("_", "-")

    @property
    def results(self) -> tuple[str, ...]:
        """The results without which its section cannot be written."""
        return self.needs or ((self.figure.slug,) if self.figure else ())

    def told(self, config: "Config") -> bool:
        """Whether a run's report and claims are about it: the paper's studies always, others if the run makes them."""
        figure = self.figure
        return self.settings is None or figure is None or figure.original or figure.shows(config) is not None

    def stem(self, network: str, seed: int | str) -> str:
        """A job of its measurement, by its place below `measurements/` and `jobs/measurements/`, without a suffix."""
        assert self.measurement is not None
        return f"{self.key}/{network}-seed{seed}" if self.measurement.trained else f"{self.key}/{network}"

    def table_names(self, network: str, seed: int | str) -> dict[str, str]:
        """The files of one job below `measurements/`, by their ending."""
        assert self.measurement is not None
        stem = self.stem(network, seed)
        return {ending: f"{stem}.{ending}.csv" if ending else f"{stem}.csv" for ending in self.measurement.tables}

    @property
    def random_key(self) -> int:
        """The number that keeps its random draws apart from those of other studies."""
        assert self.measurement is not None
        if self.measurement.random_key is not None:
            return self.measurement.random_key
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4])
