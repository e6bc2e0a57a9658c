"""Its section of the config."""

from collections.abc import Mapping

from pydantic import Field

from unravel.config import Name, NetworkSettings, ResNet
from unravel.studies.base import TestedInPart

FEWEST = 3  # blocks, so that there is an order to predict


class LesionPredictors(TestedInPart):
    """What each single deletion costs, what would have foretold it, and what later blocks do about it."""

    networks: tuple[Name, ...] = Field((), description="Residual networks whose blocks are deleted in turn.")
    batch_size: int = Field(100, ge=1, description="Test images in a batch, whose graph is kept for a backward pass.")
    nodes: int = Field(
        8, ge=1, description="Gains between 0 and 1 at which the Gauss-Legendre rule takes the slope of the loss."
    )

    @property
    def shown(self) -> tuple[str, ...]:
        return self.networks

    def check(self, key: str, networks: Mapping[str, NetworkSettings]) -> None:
        for name, network in networks.items():
            if not isinstance(network, ResNet):
                raise ValueError(f"{key} names network '{name}', which is not of architecture resnet")
            if network.n_blocks < FEWEST:
                raise ValueError(
                    f"{key} names network '{name}' of {network.n_blocks} blocks, which have no order to predict; name "
                    f"networks with at least {FEWEST}"
                )
