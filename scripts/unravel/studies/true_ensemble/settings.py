"""Its section of the config."""

from collections.abc import Mapping

from pydantic import Field

from unravel.config import AllBlocks, Name, NetworkSettings, ResNet
from unravel.studies.base import TestedInPart


class TrueEnsemble(TestedInPart):
    """An ensemble of shallow networks, trained by the recipe of the residual network that they have the blocks of."""

    networks: tuple[Name, ...] = Field(
        (),
        description="Residual networks, each of whose first seed gets an ensemble beside it; as costly as training it.",
    )
    members: int = Field(
        9, ge=2, description="Members, each with an equal share of the blocks of every stage, which this must divide."
    )
    epochs: int | None = Field(
        None,
        ge=1,
        description="Passes over the training images for each member; not given: as many as the network had.",
    )
    rounds: int = Field(
        1, ge=1, description="Random orders of members and of blocks; each is rotated, so that any comes first once."
    )

    @property
    def draws(self) -> int:
        """Choices of what is taken away, for each number of members."""
        return self.rounds * self.members

    @property
    def shown(self) -> tuple[str, ...]:
        return self.networks

    def check(self, key: str, networks: Mapping[str, NetworkSettings]) -> None:
        for name, network in networks.items():
            if not isinstance(network, ResNet) or not isinstance(network.block_sampling, AllBlocks):
                raise ValueError(
                    f"{key} names network '{name}', expected a residual network that is trained here, with all blocks "
                    "on every batch; name such a one"
                )
            stages = list(network.blocks_per_stage)
            if any(blocks % self.members for blocks in stages):
                raise ValueError(
                    f"{key}.members is {self.members}, which does not divide the blocks of every stage of '{name}', "
                    f"{stages}; choose a number that does"
                )
