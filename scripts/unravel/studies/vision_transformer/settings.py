"""Its section of the config."""

from collections.abc import Mapping

from pydantic import Field, model_validator

from unravel.config import AllBlocks, Name, NetworkSettings, ResNet
from unravel.studies.base import TestedInPart


class VisionTransformer(TestedInPart):
    """A small vision transformer and a residual network with as many branches, trained beside a network of the run."""

    networks: tuple[Name, ...] = Field(
        (), description="Residual networks, beside whose first seed both are trained, by its recipe."
    )
    layers: int = Field(12, ge=1, description="Layers of the transformer, of an attention and an MLP branch each.")
    width: int = Field(64, ge=1, description="Channels of a token, which `heads` must divide.")
    heads: int = Field(4, ge=1, description="Heads of each attention.")
    patch: int = Field(2, ge=1, description="Side of a patch, in pixels, which must divide those of the images.")
    epochs: int | None = Field(
        None,
        ge=1,
        description="Passes over the training images for the transformer; not given: as many as the network had.",
    )
    learning_rate: float = Field(0.01, gt=0, description="Learning rate of the transformer after the warm-up.")
    swaps: int = Field(20, ge=1, description="Random pairs of blocks of one kind and shape that change places in turn.")
    images: int = Field(32, ge=1, description="Training images in the batch whose gradient is split by path length.")

    @property
    def branches(self) -> int:
        """Residual branches of the transformer."""
        return 2 * self.layers

    @property
    def shown(self) -> tuple[str, ...]:
        return self.networks

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> "VisionTransformer":
        if self.width % self.heads:
            raise ValueError(f"heads is {self.heads}, which does not divide width {self.width}; choose one that does")
        return self

    def check(self, key: str, networks: Mapping[str, NetworkSettings]) -> None:
        for name, network in networks.items():
            if not isinstance(network, ResNet) or not isinstance(network.block_sampling, AllBlocks):
                raise ValueError(
                    f"{key} names network '{name}', expected a residual network that is trained here, with all blocks "
                    "on every batch; name such a one"
                )
            blocks = network.n_blocks
            uneven = any(stage * self.branches % blocks for stage in network.blocks_per_stage)
            if self.branches > blocks or uneven:
                raise ValueError(
                    f"{key}.layers is {self.layers}: '{name}' cannot be cut to {self.branches} of its {blocks} blocks "
                    "with the same share of every stage; choose a number of layers for which it can"
                )
