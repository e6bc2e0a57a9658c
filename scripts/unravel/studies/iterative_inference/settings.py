"""Its section of the config."""

from collections.abc import Mapping

from pydantic import Field

from unravel.config import Name, NetworkSettings, ResNet
from unravel.studies.base import TestedInPart

FEWEST = 3  # blocks of the last stage, whose read-outs an order is looked for in


class IterativeInference(TestedInPart):
    """What each block does to the estimate that passes it, in networks as trained and with weights drawn anew."""

    networks: tuple[Name, ...] = Field((), description="Networks that are looked into; a plain one is a control.")
    batch_size: int = Field(100, ge=2, description="Images in a batch.")
    batches: int = Field(4, ge=1, description="Batches of training images that normalise the networks drawn anew.")

    @property
    def shown(self) -> tuple[str, ...]:
        return self.networks

    def check(self, key: str, networks: Mapping[str, NetworkSettings]) -> None:
        for name, network in networks.items():
            if isinstance(network, ResNet) and network.blocks_per_stage[-1] < FEWEST:
                raise ValueError(
                    f"{key} names network '{name}', whose last stage has {network.blocks_per_stage[-1]} blocks: their "
                    f"read-outs have no order to speak of; name networks with at least {FEWEST} there"
                )
