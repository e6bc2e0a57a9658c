"""The config of a run: its sections and those of the studies made one, read from a file, checked, written back."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, create_model, field_validator, model_validator

from unravel.config import Dataset, Evaluation, Execution, Name, NetworkSettings, Pretrained, Settings, Training
from unravel.config.base import LONGEST_NAME, NAME
from unravel.config.reading import read_yaml
from unravel.files import InputError, cut
from unravel.studies import STUDIES
from unravel.studies.base import StudySettings

LINES = 10  # mistakes told at once


class Config(Settings):
    """A run. The keys below are the sections of a config file that belong to no study."""

    run: Name = Field(description="Name of the run: everything is written to `results/<run>`.")
    scale: Literal["ci", "demo", "short", "own", "paper"] = Field(
        description="Said at the top of the report and on figures."
    )
    dataset: Dataset = Field(description="The images.")
    networks: dict[Name, NetworkSettings] = Field(min_length=1, description="The networks to train, by name.")
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = Field(
        (1, 2, 3), min_length=1, description="Every network is trained once per seed."
    )
    training: Training = Field(Training(), description="The recipe.")
    evaluation: Evaluation = Field(Evaluation(), description="How errors are measured.")
    bootstrap_samples: int = Field(
        200, ge=10, description="Samples that a claim's intervals rest on where there are fewer than three seeds."
    )
    execution: Execution = Field(Execution(), description="How jobs run.")

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        repeated = sorted({seed for seed in seeds if seeds.count(seed) > 1})
        if repeated:
            raise ValueError(f"seed {repeated[0]} is listed more than once; list each seed once")
        return seeds

    @model_validator(mode="after")
    def _studies_fit_networks(self) -> "Config":
        for key in SECTIONS:
            section = self.section(key)
            for name in section.shown:
                if name not in self.networks:
                    raise ValueError(f"{key} names network '{name}'; networks has {', '.join(self.networks)}")
            section.check(key, {name: self.networks[name] for name in section.shown})
        return self

    @model_validator(mode="after")
    def _processes_share_the_parts(self) -> "Config":
        how = self.execution
        if self.training.parts % how.members:
            on_each = f" on each of {how.nodes} nodes" if how.nodes > 1 else ""
            raise ValueError(
                f"execution.processes is {how.processes}{on_each}, which does not divide the {self.training.parts} "
                f"parts of a batch; choose training.parts as a multiple of {how.members}"
            )
        return self

    def section(self, key: str) -> Any:
        """The settings of a study, by its key; what a config file does not say stands at its default."""
        return getattr(self, key)

    @property
    def whole(self) -> bool:
        """Whether the run makes all of the studies that the report is about."""
        return all(study.figure.shows(self) for study in STUDIES.values() if study.core and study.figure)

    def network(self, name: str) -> NetworkSettings:
        """The settings of a network. Raises InputError if the config has none of that name."""
        if name not in self.networks:
            raise InputError(f"config: networks has no '{name}'; it has {', '.join(self.networks)}")
        return self.networks[name]

    @property
    def trained(self) -> list[str]:
        """The networks that are trained here."""
        return [name for name, settings in self.networks.items() if not isinstance(settings, Pretrained)]

    def training_of(self, network: str) -> Training:
        """The recipe of one network: the run's, with the network's own number of epochs if it has one."""
        own = getattr(self.networks[network], "epochs", None)
        return self.training if own is None else self.training.model_copy(update={"epochs": own})

    # The part of the config that decides a job's result. Rules take these as params, so that a change of one key
    # redoes just what depends on it; scripts read nothing else.

    def dataset_part(self) -> dict[str, Any]:
        """What decides the prepared data."""
        return self.dataset.model_dump(mode="json", exclude={"note"})

    def training_part(self, network: str) -> dict[str, Any]:
        """What decides a network's checkpoint, apart from the data and the seed."""
        part: dict[str, Any] = {"network": self.networks[network].model_dump(mode="json", exclude={"epochs"})}
        if network in self.trained:
            part["training"] = self.training_of(network).model_dump(mode="json")
        return part

    def claims_part(self) -> dict[str, Any]:
        """What decides the claims' intervals, apart from the measurements."""
        return {"bootstrap_samples": self.bootstrap_samples}


SECTIONS: dict[str, StudySettings] = {
    study.key: study.settings for study in STUDIES.values() if study.settings is not None
}
"""The sections of the config that studies add, by their keys, each at its default."""

_SECTIONS: dict[str, Any] = {
    study.key: (type(study.settings), Field(study.settings, description=study.settings_title))
    for study in STUDIES.values()
    if study.settings is not None
}
WHOLE: type[Config] = create_model("Config", __base__=Config, **_SECTIONS)
"""A config file with every section: those above, and the studies'."""


def parse_config(raw: Mapping[str, Any]) -> Config:
    """Check a raw config and fill in the defaults. Raises InputError with one line per mistake."""
    try:
        return WHOLE.model_validate(raw)
    except ValidationError as invalid:
        errors = invalid.errors()
        # A list with a wrong item is also reported as too short: the item is what to mend.
        inner = {error["loc"][:end] for error in errors for end in range(len(error["loc"]))}
        lines = [_line(error, raw) for error in errors if error["loc"] not in inner]
        more = [f"config: and {len(lines) - LINES} more mistakes"] if len(lines) > LINES else []
        raise InputError("\n".join([*lines[:LINES], *more])) from invalid


def _line(error: Any, raw: Mapping[str, Any]) -> str:
    path: list[str] = []
    node: Any = raw
    for i, part in enumerate(error["loc"]):
        here = (
            part in node if isinstance(node, Mapping) else isinstance(node, list | tuple) and part in range(len(node))
        )
        if here:
            node = node[part]
        # What is neither a key of the file nor a missing one names a union's member; a reader does not know it.
        if here or (i == len(error["loc"]) - 1 and error["type"] == "missing"):
            path.append(cut(str(part)))
    where = ".".join(path) or "top level"
    message = cut(error["msg"].removeprefix("Value error, "), 500)
    if error["type"] == "union_tag_not_found":
        message = f"lacks the key {error['ctx']['discriminator']}, which says what it is"
    value = (
        "" if error["type"] in ("missing", "unknown_key", "value_error") else f" (given: {cut(repr(error['input']))})"
    )
    return f"config: {where}: {message}{value}"


def read_config(path: Path | str) -> Config:
    """Read a config file. Raises InputError if it cannot be read or is no valid config."""
    return parse_config(read_yaml(path))


def require_name(name: str) -> str:
    """The name, which becomes part of paths and commands. Raises InputError if no run can be called so."""
    if not re.fullmatch(NAME, name) or len(name) > LONGEST_NAME:
        raise InputError(f"{cut(ascii(name))}: is no name of a run; expected that of a folder in results, such as demo")
    return name


def require_made(folder: Path) -> None:
    """Check that a folder holds a run. Raises InputError, which names those beside it, if it does not."""
    if not (folder / "config.yaml").is_file():
        made = ", ".join(sorted(path.parent.name for path in folder.parent.glob("*/config.yaml")))
        others = f"there {'are' if ',' in made else 'is'} {made}" if made else "there is none yet"
        raise InputError(f"{cut(str(folder))}: there is no such run, {others}; to make the demo run, run `make report`")


def to_yaml(config: Config) -> str:
    """The resolved config, defaults filled in, as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
