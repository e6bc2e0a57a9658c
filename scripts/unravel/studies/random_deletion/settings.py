"""Its section of the config."""

from collections.abc import Mapping

from pydantic import Field

from unravel.config import Name, NetworkSettings
from unravel.studies.base import TestedInPart


class RandomDeletions(TestedInPart):
    """Deletion of several random blocks at once (paper, section 4.2, Figure 5a)."""

    networks: tuple[Name, ...] = Field(("resnet",), description="Networks shown in Figure 5a.")
    most: int = Field(20, ge=1, description="Blocks deleted at once: from 1 to this many.")
    draws: int = Field(100, ge=1, description="Random choices of blocks for each number of deleted blocks.")

    @property
    def shown(self) -> tuple[str, ...]:
        return self.networks

    def check(self, key: str, networks: Mapping[str, NetworkSettings]) -> None:
        for name, network in networks.items():
            if self.most > network.n_blocks:
                raise ValueError(f"{key}.most is {self.most}, but {name} has only {network.n_blocks} blocks to delete")
