"""Its section of the config."""

from collections.abc import Mapping

from pydantic import Field

from unravel.config import AllBlocks, Name, NetworkSettings, ResNet
from unravel.studies.base import StudySettings


class PathsInTraining(StudySettings):
    """Gradient by path length at moments of a training of the study's own, by the recipe of the network it names."""

    networks: tuple[Name, ...] = Field(
        (), description="Residual networks, like each of which one is trained anew for every seed."
    )
    blocks_per_stage: int | None = Field(
        None,
        ge=1,
        description="Blocks of each stage of the networks trained here; not given: as many as the named has.",
    )
    epochs: int | None = Field(
        None, ge=1, description="Passes over the training images; not given: those of the named network."
    )
    moments: int = Field(
        12,
        ge=2,
        description="When it is looked at: before the first step, after the last, and evenly by log step between.",
    )
    batch_size: int = Field(64, ge=2, description="Training images whose mean loss is followed back, always the same.")

    @property
    def shown(self) -> tuple[str, ...]:
        return self.networks

    def shape(self, network: ResNet) -> ResNet:
        """The network that is trained here in place of a named one."""
        if self.blocks_per_stage is None:
            return network
        return network.model_copy(update={"blocks_per_stage": (self.blocks_per_stage,) * len(network.channels)})

    def check(self, key: str, networks: Mapping[str, NetworkSettings]) -> None:
        for name, network in networks.items():
            if not isinstance(network, ResNet) or not isinstance(network.block_sampling, AllBlocks):
                raise ValueError(
                    f"{key} names network '{name}', expected a resnet that trains all blocks on every batch, "
                    "so that another like it can be trained; name such a one"
                )
