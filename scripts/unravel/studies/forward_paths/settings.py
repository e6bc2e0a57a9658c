"""Its section of the config."""

from collections.abc import Mapping

from pydantic import Field

from unravel.config import Name, NetworkSettings, Pretrained, ResNet
from unravel.studies.base import TestedInPart


class ForwardPaths(TestedInPart):
    """Logits by path length with the gates of the intact pass frozen, and the error of paths up to each length."""

    networks: tuple[Name, ...] = Field(
        (), description="Residual networks whose logits are split: those of ReLUs and batch normalisation."
    )

    @property
    def shown(self) -> tuple[str, ...]:
        return self.networks

    def check(self, key: str, networks: Mapping[str, NetworkSettings]) -> None:
        for name, network in networks.items():
            of_relus = isinstance(network, Pretrained) and network.name.startswith("torchvision:")
            if not isinstance(network, ResNet) and not of_relus:
                raise ValueError(
                    f"{key} names network '{name}', whose gates cannot be frozen: that takes residual blocks bent by "
                    "ReLUs alone; name networks of architecture resnet, or pretrained ones of torchvision:resnet*"
                )
