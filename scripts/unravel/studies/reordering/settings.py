"""Its section of the config."""

from pydantic import Field

from unravel.config import Name
from unravel.studies.base import TestedInPart


class Reorderings(TestedInPart):
    """Random swaps of blocks of equal shape, never downsampling blocks (paper, section 4.3, Figure 5b)."""

    networks: tuple[Name, ...] = Field(("resnet",), description="Networks shown in Figure 5b.")
    most: int = Field(20, ge=1, description="Swaps made one after the other: from 1 to this many.")
    draws: int = Field(100, ge=1, description="Random orders for each number of swaps.")

    @property
    def shown(self) -> tuple[str, ...]:
        return self.networks
