"""The config of a run: its sections made one, read from a file, checked, and written back with its defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from unravel.config.sections import (
    VGG,
    AllBlocks,
    Arrays,
    Augmentation,
    BlockSampling,
    Dataset,
    Deletions,
    Digits,
    Download,
    Evaluation,
    ExactlyBlocks,
    Execution,
    Experiment,
    Folder,
    Gradients,
    ImageNet,
    LinearSurvival,
    Name,
    NetworkSettings,
    Pretrained,
    RandomDeletions,
    Reorderings,
    ResNet,
    Settings,
    Training,
)
from unravel.files import InputError

__all__ = [
    "VGG",
    "AllBlocks",
    "Arrays",
    "Augmentation",
    "BlockSampling",
    "Config",
    "Dataset",
    "Deletions",
    "Digits",
    "Download",
    "Evaluation",
    "ExactlyBlocks",
    "Execution",
    "Experiment",
    "Folder",
    "Gradients",
    "ImageNet",
    "LinearSurvival",
    "Name",
    "NetworkSettings",
    "Pretrained",
    "RandomDeletions",
    "Reorderings",
    "ResNet",
    "Settings",
    "Training",
    "flat",
    "network",
    "parse",
    "read",
    "to_yaml",
]


class Config(Settings):
    """A run. The keys below are the sections of a config file."""

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
    deletions: Deletions = Field(Deletions(), description="Single deletions (paper, section 4.1).")
    random_deletions: RandomDeletions = Field(RandomDeletions(), description="Several deletions (section 4.2).")
    reorderings: Reorderings = Field(Reorderings(), description="Swapped blocks (section 4.3).")
    gradients: Gradients = Field(Gradients(), description="Gradient by path length (section 5).")
    execution: Execution = Field(Execution(), description="How jobs run.")

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        repeated = sorted({seed for seed in seeds if seeds.count(seed) > 1})
        if repeated:
            raise ValueError(f"seed {repeated[0]} is listed more than once; list each seed once")
        return seeds

    @model_validator(mode="after")
    def _experiments_fit_networks(self) -> "Config":
        named = {
            "deletions": self.deletions.networks,
            "random_deletions": self.random_deletions.networks,
            "reorderings": self.reorderings.networks,
            "gradients": tuple(filter(None, [self.gradients.network])),
        }
        for section, names in named.items():
            for name in names:
                if name not in self.networks:
                    raise ValueError(f"{section} names network '{name}'; networks has {', '.join(self.networks)}")
        if self.gradients.network and not isinstance(self.networks[self.gradients.network], ResNet):
            raise ValueError(f"gradients.network is '{self.gradients.network}', which is not of architecture resnet")
        for name in self.random_deletions.networks:
            if self.random_deletions.most > self.networks[name].n_blocks:
                raise ValueError(
                    f"random_deletions.most is {self.random_deletions.most}, but {name} has only "
                    f"{self.networks[name].n_blocks} blocks to delete"
                )
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

    @property
    def whole(self) -> bool:
        """Whether the run makes all of the paper's experiments but ImageNet's, which the report tells of."""
        deletions = self.deletions.figure_3 and self.deletions.figure_8
        others = self.random_deletions.networks and self.reorderings.networks
        return bool(deletions and others and self.gradients.network)

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

    def prediction_part(self) -> dict[str, Any]:
        """What decides a network's predictions, apart from the checkpoint and the data."""
        return {"evaluation": self.evaluation.model_dump(mode="json")}

    def lesion_part(self, experiment: Experiment) -> dict[str, Any]:
        """What decides a lesion study's table, apart from the checkpoint and the data."""
        part = self.prediction_part()
        if experiment != "deletions":  # which networks a figure shows decides no measurement
            part[experiment] = getattr(self, experiment).model_dump(mode="json", exclude={"networks"})
        return part

    def gradient_part(self) -> dict[str, Any]:
        """What decides a network's gradient tables, apart from the checkpoint and the data."""
        return self.gradients.model_dump(mode="json", exclude={"network"})


def network(config: Config, name: str) -> ResNet | VGG | Pretrained:
    """The settings of a network. Raises InputError if the config has none of that name."""
    if name not in config.networks:
        raise InputError(f"config: networks has no '{name}'; it has {', '.join(config.networks)}")
    return config.networks[name]


def flat(part: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted keys, such as training.learning_rate."""
    leaves: dict[str, Any] = {}
    for key, value in part.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return leaves


def parse(raw: Mapping[str, Any]) -> Config:
    """Check a raw config and fill in the defaults. Raises InputError with one line per mistake."""
    try:
        return Config.model_validate(raw)
    except ValidationError as invalid:
        errors = invalid.errors()
        # A list with a wrong item is also reported as too short: the item is what to mend.
        inner = {error["loc"][:end] for error in errors for end in range(len(error["loc"]))}
        lines = [_line(error, raw) for error in errors if error["loc"] not in inner]
        raise InputError("\n".join(lines)) from invalid


def _line(error: Any, raw: Mapping[str, Any]) -> str:
    path: list[str] = []
    node: Any = raw
    for i, part in enumerate(error["loc"]):
        here = part in node if isinstance(node, Mapping) else isinstance(node, list | tuple) and isinstance(part, int)
        if here:
            node = node[part]
        # What is neither a key of the file nor a missing one names a union's member; a reader does not know it.
        if here or (i == len(error["loc"]) - 1 and error["type"] == "missing"):
            path.append(str(part))
    where = ".".join(path) or "top level"
    message = error["msg"].removeprefix("Value error, ")
    value = "" if error["type"] in ("missing", "unknown_key", "value_error") else f" (given: {error['input']!r})"
    return f"config: {where}: {message}{value}"


def read(path: Path | str) -> Config:
    """Read a config file. Raises InputError if it cannot be read or is no valid config."""
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path}: holds {type(raw).__name__}, expected keys and values")
    return parse(raw)


def to_yaml(config: Config) -> str:
    """The resolved config, defaults filled in, as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
