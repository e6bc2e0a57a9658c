"""Section `networks`: architectures, block kinds and which blocks are trained on each batch."""

import ast
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from unravel.config.base import Probability, Settings

# The block kinds by name, each with the first line of its file's docstring: a file there is a kind. They are read and
# not imported, since a config is read without torch.
BLOCKS = {
    path.stem: (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0].rstrip(".")
    for path in sorted((Path(__file__).parents[1] / "networks" / "blocks").glob("[a-z]*.py"))
}


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
    block: Literal[*BLOCKS] = Field(  # type: ignore[valid-type]
        "basic",
        exclude_if=lambda block: block == "basic",
        description="The kind of block: " + "; ".join(f"`{name}`: {about}" for name, about in BLOCKS.items()) + ".",
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
