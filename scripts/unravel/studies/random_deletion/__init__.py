"""Delete several random blocks at once (paper, section 4.2, Figure 5a)."""

from typing import TYPE_CHECKING

from unravel.studies.base import Cost, Figure, Measurement, Size, Study
from unravel.studies.random_deletion.settings import RandomDeletions
from unravel.tables import MEASURED_ERROR, NETWORK, SEED, Table, whole

if TYPE_CHECKING:
    from unravel.run import Config

TABLE = Table(
    {
        "network": NETWORK,
        "seed": SEED,
        "deleted_blocks": whole(),
        "draw": whole(1),
        **MEASURED_ERROR,
    },
    rows={"deleted_blocks": (1,), "draw": (1,)},
    intact="deleted_blocks",
)


def _multiply_adds(config: "Config", size: Size) -> float:
    settings: RandomDeletions = config.section("random_deletions")
    return settings.tested("random_deletions", size.test) * size.forward * (settings.most * settings.draws + 1)


def _sizes(asked: RandomDeletions) -> dict[str, int]:
    return {"deleted_blocks": asked.most, "draw": asked.draws}


STUDY = Study(
    order=90,
    key="random_deletions",
    title="Deleting several blocks",
    settings=RandomDeletions(),
    settings_title="Several deletions (section 4.2).",
    measurement=Measurement(
        tables={"": TABLE},
        networks=lambda config: config.section("random_deletions").networks,
        decides=lambda config, _: {
            "evaluation": config.evaluation.model_dump(mode="json"),
            "random_deletions": config.section("random_deletions").model_dump(
                mode="json", exclude={"networks"}, exclude_none=True
            ),
        },
        sizes=lambda config, _: _sizes(config.section("random_deletions")),
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
