"""Swap blocks of equal shape (paper, section 4.3, Figure 5b)."""

from unravel.studies.base import Cost, Figure, Measurement, Study
from unravel.studies.reordering.settings import Reorderings

COLUMNS = ("network", "seed", "swaps", "draw", "kendall_tau", "error_percent")


def _wirings(settings: Reorderings) -> int:
    return settings.most * settings.draws + 1


STUDY = Study(
    order=100,
    key="reorderings",
    title="Changing the order of blocks",
    settings=Reorderings(),
    settings_title="Swapped blocks (section 4.3).",
    measurement=Measurement(
        tables={"": COLUMNS},
        networks=lambda config: config.section("reorderings").networks,
        decides=lambda config, _: {
            "evaluation": config.evaluation.model_dump(mode="json"),
            "reorderings": config.section("reorderings").model_dump(mode="json", exclude={"networks"}),
        },
        message="Measure swapped blocks of {network}, seed {seed}",
        cost=Cost(lambda config, size: size.test * size.forward * _wirings(config.section("reorderings")), shared=0.56),
        lesions=True,
        random_key=2,
        unit="draw",
        intact="swaps",
    ),
    figure=Figure(
        number="5b",
        label="Figure 5b",
        title="Test error after swapping blocks",
        slug="reordering",
        note="Same axes; the band is ours.",
        shows=lambda config: config.section("reorderings").networks or None,
        inputs=("reorderings",),
    ),
    core=True,
)
