"""Delete several random blocks at once (paper, section 4.2, Figure 5a)."""

from typing import TYPE_CHECKING

from unravel.studies.base import Cost, Figure, Measurement, Size, Study
from unravel.studies.random_deletion.settings import RandomDeletions

if TYPE_CHECKING:
    from unravel.run import Config

COLUMNS = ("network", "seed", "deleted_blocks", "draw", "test_images", "error_percent")


def _multiply_adds(config: "Config", size: Size) -> float:
    settings: RandomDeletions = config.section("random_deletions")
    return settings.tested("random_deletions", size.test) * size.forward * (settings.most * settings.draws + 1)


STUDY = Study(
    order=90,
    key="random_deletions",
    title="Deleting several blocks",
    settings=RandomDeletions(),
    settings_title="Several deletions (section 4.2).",
    measurement=Measurement(
        tables={"": COLUMNS},
        networks=lambda config: config.section("random_deletions").networks,
        decides=lambda config, _: {
            "evaluation": config.evaluation.model_dump(mode="json"),
            "random_deletions": config.section("random_deletions").model_dump(
                mode="json", exclude={"networks"}, exclude_none=True
            ),
        },
        message="Measure random deletions of {network}, seed {seed}",
        cost=Cost(_multiply_adds, shared=0.49),
        lesions=True,
        random_key=1,
        unit="draw",
        intact="deleted_blocks",
    ),
    figure=Figure(
        number="5a",
        label="Figure 5a",
        title="Test error after deleting several random blocks",
        slug="random-deletion",
        note="Same axes; the band is ours.",
        shows=lambda config: config.section("random_deletions").networks or None,
        inputs=("random_deletions", "paths"),
    ),
    core=True,
)
