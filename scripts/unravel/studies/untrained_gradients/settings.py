"""Its section of the config."""

from pydantic import Field

from unravel.studies.base import StudySettings


class UntrainedGradients(StudySettings):
    """Gradient along single paths before any training, for the networks of the gradient by path length."""

    samples_per_length: int = Field(30, ge=1, description="Random paths of each length.")
    batch_size: int = Field(64, ge=2, description="Training images whose mean loss is followed back.")
    batches: int = Field(2, ge=1, description="Such batches, each with its own paths.")
