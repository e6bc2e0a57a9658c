"""Its section of the config."""

from pydantic import Field

from unravel.studies.base import StudySettings


class LiveNetwork(StudySettings):
    """The networks of Figure 3, with the first seed, put into the report for its reader to cut."""

    most_weights: int = Field(
        2_000_000,
        ge=0,
        description="Weights of its blocks beyond which a network is left out of the page, where each takes a byte.",
    )
