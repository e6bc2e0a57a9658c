"""Its section of the config."""

from collections.abc import Mapping

from pydantic import Field

from unravel.config import Name, NetworkSettings, ResNet
from unravel.studies.base import StudySettings


class Gradients(StudySettings):
    """Gradient by path length (paper, section 5, Figure 6), on training images without augmentation."""

    network: Name | None = Field("resnet", description="The residual network shown in Figures 6 and 7.")
    samples_per_length: int = Field(1000, ge=1, description="Random paths of each length.")
    batch_size: int = Field(128, ge=2, description="Training images whose mean loss is followed back.")
    batches: int = Field(1, ge=1, description="Such batches, each with its own paths.")

    @property
    def shown(self) -> tuple[str, ...]:
        return () if self.network is None else (self.network,)

    def check(self, key: str, networks: Mapping[str, NetworkSettings]) -> None:
        for name, network in networks.items():
            if not isinstance(network, ResNet):
                raise ValueError(f"{key}.network is '{name}', which is not of architecture resnet")
