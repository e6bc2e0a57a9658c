"""Its section of the config."""

from pydantic import Field

from unravel.config import Name
from unravel.studies.base import StudySettings


class Deletions(StudySettings):
    """Deletion of every single block or layer in turn (paper, sections 4.1 and 6)."""

    figure_3: tuple[Name, ...] = Field(("resnet", "vgg"), description="Networks shown in Figure 3.")
    figure_4: tuple[Name, ...] = Field((), description="Networks shown in Figure 4, the paper's on ImageNet.")
    figure_8: tuple[Name, ...] = Field(("resnet", "stochastic-depth"), description="Networks shown in Figure 8.")

    @property
    def shown(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.figure_3 + self.figure_4 + self.figure_8))
