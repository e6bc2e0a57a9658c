"""Its section of the config."""

from pydantic import Field

from unravel.studies.base import StudySettings


class ExactEstimate(StudySettings):
    """The estimate by sampled paths against the exact sum, from the tables of `gradients`; nothing more is measured."""

    compared: bool = Field(False, description="Whether the report compares them, for the network of `gradients`.")
