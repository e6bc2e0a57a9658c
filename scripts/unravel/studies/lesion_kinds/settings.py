"""Its section of the config."""

from pydantic import Field

from unravel.config import Name
from unravel.studies.base import TestedInPart


class LesionKinds(TestedInPart):
    """Single deletions made in several ways, with what they need from training images without augmentation."""

    networks: tuple[Name, ...] = Field((), description="Networks, residual or plain, in which lesions are made.")
    positions: int = Field(
        54, ge=1, description="Blocks or layers lesioned in turn, spread evenly over the network; all if it has fewer."
    )
    batch_size: int = Field(128, ge=2, description="Training images in a batch that statistics are taken over.")
    batches: int = Field(8, ge=1, description="Such batches, whose means and variances are averaged.")

    @property
    def shown(self) -> tuple[str, ...]:
        return self.networks
