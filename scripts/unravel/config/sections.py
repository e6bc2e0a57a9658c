"""The sections of a config file: what every key means, its unit, its range and its default.

Defaults are the paper's recipe on CIFAR-10, so a config file lists only what a run does otherwise.
`config/README.md` is generated from this file.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
Probability = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Settings(BaseModel):
    """A section of the config: fixed once read, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key in data:
                if key not in cls.model_fields:
                    raise PydanticCustomError("unknown_key", "{message}", {"message": _unknown_key(key, cls)})
        return data


def _unknown_key(key: object, section: type[BaseModel]) -> str:
    known = list(section.model_fields)
    nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
    suggestion = f"did you mean '{nearest[0]}'?" if nearest else f"known keys are {', '.join(known)}"
    return f"unknown key '{key}'; {suggestion}"


# --- data -----------------------------------------------------------------------------------------------------------


class DatasetSettings(Settings):
    note: str = Field("", description="A sentence on where the data comes from, printed wherever its numbers appear.")


class Digits(DatasetSettings):
    """The 1,797 handwritten 8x8 digits that ship inside scikit-learn; every third image is a test image."""

    source: Literal["digits"]
    name: Name = Field("digits", description="Folder under `data/`.")


class Download(DatasetSettings):
    """CIFAR-10, CIFAR-100 or Fashion-MNIST, downloaded from its home and checked by MD5."""

    source: Literal["cifar10", "cifar100", "fashion-mnist"]
    name: Name = Field("download", description="Folder under `data/`; the source's name if not given.")
    downloads: Path = Field(Path("results/downloads"), description="Where the archive is kept, for all runs.")

    @model_validator(mode="before")
    @classmethod
    def _name_is_source(cls, data: Any) -> Any:
        return {"name": data.get("source"), **data} if isinstance(data, Mapping) else data


class Folder(DatasetSettings):
    """Class folders `train/<class>/*` and `test/<class>/*` of png or jpeg images, or a tar or zip archive of them."""

    source: Literal["folder"]
    name: Name = Field("folder", description="Folder under `data/`.")
    path: Path = Field(description="The folder or the archive.")
    image_size: int | None = Field(
        None, ge=4, le=1024, description="Resize every image to this many pixels a side; not given: all must agree."
    )


class Arrays(DatasetSettings):
    """Two npz files with `images` (n, height, width[, channels]) uint8 and `labels` (n,); `class_names` is optional."""

    source: Literal["arrays"]
    name: Name = Field("arrays", description="Folder under `data/`.")
    train: Path = Field(description="The npz file of training images.")
    test: Path = Field(description="The npz file of test images.")


class ImageNet(DatasetSettings):
    """ImageNet, or any folder in its layout: `train/<class>/*` and `val/<class>/*` of jpeg or png images.

    Images stay where they are and are decoded while they are needed, as they do not fit into memory. Training takes
    random crops of every size, resized; tests take the centre of the resized image.
    """

    source: Literal["imagenet"]
    name: Name = Field("imagenet", description="Folder under `data/`.")
    path: Path = Field(description="The folder that holds `train` and `val`.")
    classes: int = Field(1000, ge=2, description="Classes that must be there.")
    image_size: int = Field(224, ge=4, le=1024, description="Pixels a side that a network sees.")
    resize: int = Field(256, ge=4, le=1024, description="Pixels that a test image's shorter side is resized to.")
    mean: tuple[float, float, float] = Field(
        (0.485, 0.456, 0.406), description="Subtracted from each channel (0 to 1)."
    )
    std: tuple[Positive, Positive, Positive] = Field(
        (0.229, 0.224, 0.225), description="What each channel is then divided by."
    )

    @model_validator(mode="after")
    def _centre_lies_within(self) -> "ImageNet":
        if self.resize < self.image_size:
            raise ValueError(f"resize is {self.resize}, expected at least image_size, {self.image_size}")
        return self


Dataset = Annotated[Digits | Download | Folder | Arrays | ImageNet, Field(discriminator="source")]


# --- networks -------------------------------------------------------------------------------------------------------


class AllBlocks(Settings):
    """Every block is trained on every batch."""

    scheme: Literal["all"]

    def survival(self, n_blocks: int) -> list[float]:
        """Probability of each block, first to last, to be trained on a batch."""
        return [1.0] * n_blocks


class LinearSurvival(Settings):
    """Stochastic depth: block l of n is trained with probability 1 - l/n (1 - p_n) (Huang et al. 2016, Eq. 4)."""

    scheme: Literal["linear"]
    final_survival: Probability = Field(0.5, description="Survival probability of the last block.")

    def survival(self, n_blocks: int) -> list[float]:
        """Probability of each block, first to last, to be trained on a batch."""
        return [1 - block / n_blocks * (1 - self.final_survival) for block in range(1, n_blocks + 1)]


class ExactlyBlocks(Settings):
    """Effective paths: exactly this many distinct blocks, drawn anew for each batch, are trained (paper, section 5)."""

    scheme: Literal["exactly"]
    blocks: int = Field(23, ge=1, description="Blocks trained on each batch.")

    def survival(self, n_blocks: int) -> list[float]:
        """Probability of each block, first to last, to be trained on a batch."""
        return [self.blocks / n_blocks] * n_blocks


BlockSampling = Annotated[AllBlocks | LinearSurvival | ExactlyBlocks, Field(discriminator="scheme")]


OwnEpochs = Annotated[
    int | None,
    Field(
        ge=1,
        exclude_if=lambda epochs: epochs is None,
        description="Passes over the training images for this network; not given: `training.epochs`.",
    ),
]


class ResNet(Settings):
    """Pre-activation residual network (He et al. 2016b)."""

    architecture: Literal["resnet"]
    block: Literal["basic", "bottleneck"] = Field(
        "basic",
        exclude_if=lambda block: block == "basic",
        description="Two 3x3 convolutions per block, or a 3x3 one between two of 1x1 (a quarter as wide inside).",
    )
    stem: Literal["3x3", "7x7"] = Field(
        "3x3",
        exclude_if=lambda stem: stem == "3x3",
        description="The first convolution; the 7x7 one, ImageNet's, and the pooling after it quarter the resolution.",
    )
    blocks_per_stage: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (18, 18, 18), min_length=1, description="Blocks in each stage; every stage but the first halves the resolution."
    )
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (16, 32, 64), min_length=1, description="Channels of each stage; those inside of bottleneck blocks."
    )
    block_sampling: BlockSampling = Field(
        AllBlocks(scheme="all"), description="Which blocks are trained on a batch: `all`, `linear` or `exactly`."
    )
    epochs: OwnEpochs = None

    @property
    def n_blocks(self) -> int:
        """Blocks in all stages."""
        return sum(self.blocks_per_stage)

    @model_validator(mode="after")
    def _stages_agree(self) -> "ResNet":
        if len(self.channels) != len(self.blocks_per_stage):
            raise ValueError(
                f"{len(self.blocks_per_stage)} stages in blocks_per_stage, {len(self.channels)} in channels"
            )
        sampling = self.block_sampling
        if isinstance(sampling, ExactlyBlocks) and sampling.blocks > self.n_blocks:
            raise ValueError(f"block_sampling.blocks is {sampling.blocks}, but there are only {self.n_blocks} blocks")
        return self


class VGG(Settings):
    """Plain network of 3x3 convolutions, each with BN and ReLU, and max pooling between stages (paper, section 4.1)."""

    architecture: Literal["vgg"]
    layers_per_stage: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (5, 5, 5), min_length=1, description="Layers in each stage; 2x2 max pooling after every stage but the last."
    )
    channels: int = Field(128, ge=1, description="Channels of every layer.")
    epochs: OwnEpochs = None

    @property
    def n_blocks(self) -> int:
        """Layers that can be deleted: all but the first."""
        return sum(self.layers_per_stage) - 1

    @model_validator(mode="after")
    def _has_a_block(self) -> "VGG":
        if self.n_blocks < 1:
            raise ValueError("one layer in layers_per_stage, expected at least 2: the first is the stem, no block")
        return self


class Pretrained(Settings):
    """A residual network of torchvision or timm with the weights that its library downloads; nothing is trained."""

    architecture: Literal["pretrained"]
    name: str = Field(description="Such as `timm:resnetv2_101.a1h_in1k` or `torchvision:resnet152`.")
    blocks: int = Field(ge=1, description="Residual blocks that it must have.")
    sha256: str | None = Field(
        None, description="SHA-256 that its weights must have; not given, the job's record tells what it is."
    )

    @property
    def n_blocks(self) -> int:
        """Residual blocks."""
        return self.blocks


NetworkSettings = Annotated[ResNet | VGG | Pretrained, Field(discriminator="architecture")]


# --- training and measurement ---------------------------------------------------------------------------------------


class Augmentation(Settings):
    pad: int = Field(4, ge=0, le=64, description="Zero padding, in pixels a side, before a random crop back to size.")
    flip: bool = Field(True, description="Mirror half of the images left to right.")
    crop_area: Probability = Field(
        0.08,
        exclude_if=lambda area: area == 0.08,
        description="Source `imagenet` has no padding: least share of an image's area in its random crop.",
    )


class Training(Settings):
    """SGD with momentum and a step schedule (He et al. 2016b); a network may have a number of epochs of its own."""

    epochs: int = Field(164, ge=1, description="Passes over the training images.")
    batch_size: int = Field(128, ge=2, description="Images per step.")
    parts: int = Field(
        1,
        ge=1,
        exclude_if=lambda parts: parts == 1,
        description="Equal parts of a batch, computed in turn or by several processes; each has its own BN statistics.",
    )
    learning_rate: float = Field(0.1, gt=0, description="Learning rate after the warm-up.")
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.5, 0.75), description="Fractions of the training after which the learning rate is divided by 10."
    )
    warmup_steps: int = Field(400, ge=0, description="Steps at the warm-up learning rate.")
    warmup_learning_rate: float = Field(0.01, gt=0, description="Learning rate during the warm-up.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD.")
    weight_decay: float = Field(1e-4, ge=0, description="L2 penalty on all weights.")
    precision: Literal["fp32", "bf16"] = Field("bf16", description="Arithmetic of the forward and backward pass.")
    augmentation: Augmentation = Field(Augmentation(), description="Random changes of the training images.")

    @model_validator(mode="after")
    def _parts_are_equal(self) -> "Training":
        if self.batch_size % self.parts or self.batch_size < 2 * self.parts:
            raise ValueError(
                f"batch_size {self.batch_size} has no {self.parts} equal parts of at least 2 images; change batch_size "
                "or parts"
            )
        return self

    @field_validator("milestones")
    @classmethod
    def _milestones_rise(cls, milestones: tuple[float, ...]) -> tuple[float, ...]:
        if list(milestones) != sorted(set(milestones)):
            raise ValueError(f"milestones {list(milestones)} must rise")
        return milestones


class Evaluation(Settings):
    batch_size: int = Field(500, ge=1, description="Test images evaluated at once.")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="Arithmetic of the evaluation.")


class Deletions(Settings):
    """Deletion of every single block or layer in turn (paper, sections 4.1 and 6)."""

    figure_3: tuple[Name, ...] = Field(("resnet", "vgg"), description="Networks shown in Figure 3.")
    figure_4: tuple[Name, ...] = Field((), description="Networks shown in Figure 4, the paper's on ImageNet.")
    figure_8: tuple[Name, ...] = Field(("resnet", "stochastic-depth"), description="Networks shown in Figure 8.")

    @property
    def networks(self) -> tuple[str, ...]:
        """All networks that blocks are deleted from."""
        return tuple(dict.fromkeys(self.figure_3 + self.figure_4 + self.figure_8))


class RandomDeletions(Settings):
    """Deletion of several random blocks at once (paper, section 4.2, Figure 5a)."""

    networks: tuple[Name, ...] = Field(("resnet",), description="Networks shown in Figure 5a.")
    most: int = Field(20, ge=1, description="Blocks deleted at once: from 1 to this many.")
    draws: int = Field(100, ge=1, description="Random choices of blocks for each number of deleted blocks.")


class Reorderings(Settings):
    """Random swaps of blocks of equal shape, never downsampling blocks (paper, section 4.3, Figure 5b)."""

    networks: tuple[Name, ...] = Field(("resnet",), description="Networks shown in Figure 5b.")
    most: int = Field(20, ge=1, description="Swaps made one after the other: from 1 to this many.")
    draws: int = Field(100, ge=1, description="Random orders for each number of swaps.")


class Execution(Settings):
    """How jobs run. A change here redoes nothing."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="`auto` takes CUDA where there is a GPU.")
    threads: int = Field(1, ge=1, description="CPU threads of each job.")
    processes: int = Field(
        1, ge=1, description="Processes that train a network together, each on a GPU of its own where there are any."
    )
    nodes: int = Field(
        1, ge=1, description="Machines of a SLURM cluster that train a network together, each with so many processes."
    )
    workers: int = Field(
        0, ge=0, description="Further processes of each job that decode images, where the source is `imagenet`."
    )
    checkpoint_every: int = Field(10, ge=1, description="Epochs between two saved states to resume from.")

    @property
    def members(self) -> int:
        """Processes that train a network together, on all machines."""
        return self.nodes * self.processes


class Gradients(Settings):
    """Gradient by path length (paper, section 5, Figure 6), on training images without augmentation."""

    network: Name | None = Field("resnet", description="The residual network shown in Figures 6 and 7.")
    samples_per_length: int = Field(1000, ge=1, description="Random paths of each length.")
    batch_size: int = Field(128, ge=2, description="Training images whose mean loss is followed back.")
    batches: int = Field(1, ge=1, description="Such batches, each with its own paths.")


Experiment = Literal["deletions", "random_deletions", "reorderings"]
