"""Its section of the config."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from unravel.config import AllBlocks, Name, NetworkSettings, ResNet
from unravel.studies.base import TestedInPart


class DeletionScaling(TestedInPart):
    """Networks of other depth and width, trained anew beside a named one by its recipe, and blocks deleted in all."""

    networks: tuple[Name, ...] = Field(
        (), description="Residual networks, beside each seed of which others are trained."
    )
    blocks_per_stage: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (2, 6), min_length=1, description="Blocks of each stage of the networks trained here, the shallowest first."
    )
    widths: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), description="Shares of the channels with which the shallowest is trained once more."
    )
    deleted: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1, 2, 4), min_length=1, description="Numbers of random blocks that are deleted at once."
    )
    draws: int = Field(12, ge=1, description="Random choices of so many blocks.")

    @property
    def shown(self) -> tuple[str, ...]:
        return self.networks

    @property
    def others(self) -> list[tuple[int, float]]:
        """Blocks of each stage and share of the channels of each network that is trained here."""
        depths = [(blocks, 1.0) for blocks in self.blocks_per_stage]
        return [*depths, *((self.blocks_per_stage[0], width) for width in self.widths)]

    def check(self, key: str, networks: Mapping[str, NetworkSettings]) -> None:
        for name, network in networks.items():
            if not isinstance(network, ResNet) or not isinstance(network.block_sampling, AllBlocks):
                raise ValueError(
                    f"{key} names network '{name}', expected a resnet that trains all blocks on every batch, so that "
                    "others can be trained by its recipe; name such a one"
                )
            depths = [*(blocks * len(network.channels) for blocks in self.blocks_per_stage), network.n_blocks]
            if depths != sorted(set(depths)):
                raise ValueError(
                    f"{key}.blocks_per_stage gives networks of {depths[:-1]} blocks beside '{name}' of {depths[-1]}, "
                    "expected depths that rise up to it; leave out what is as deep or deeper"
                )
            if max(self.deleted) > depths[0]:
                raise ValueError(
                    f"{key}.deleted asks for {max(self.deleted)} blocks, but the shallowest network has {depths[0]}; "
                    "lower it"
                )
