"""Swap blocks of equal shape (paper, section 4.3, Figure 5b)."""

from typing import TYPE_CHECKING

from unravel.studies.base import Cost, Figure, Measurement, Size, Study
from unravel.studies.reordering.settings import Reorderings
from unravel.tables import MEASURED_ERROR, NETWORK, SEED, Table, number, whole

if TYPE_CHECKING:
    from unravel.run import Config

TABLE = Table(
    {
        "network": NETWORK,
        "seed": SEED,
        "swaps": whole(),
        "draw": whole(1),
        "kendall_tau": number(-1, 1),
        **MEASURED_ERROR,
    },
    rows={"swaps": (1,), "draw": (1,)},
    intact="swaps",
)


def _multiply_adds(config: "Config", size: Size) -> float:
    settings: Reorderings = config.section("reorderings")
    return settings.tested("reorderings", size.test) * size.forward * (settings.most * settings.draws + 1)


def _sizes(asked: Reorderings) -> dict[str, int]:
    return {"swaps": asked.most, "draw": asked.draws}


STUDY = Study(
    order=100,
    key="reorderings",
    title="Changing the order of blocks",
    settings=Reorderings(),
    settings_title="Swapped blocks (section 4.3).",
    measurement=Measurement(
        tables={"": TABLE},
        networks=lambda config: config.section("reorderings").networks,
        decides=lambda config, _: {
            "evaluation": config.evaluation.model_dump(mode="json"),
            "reorderings": config.section("reorderings").model_dump(
                mode="json", exclude={"networks"}, exclude_none=True
            ),
        },
        sizes=lambda config, _: _sizes(config.section("reorderings")),
        message="Measure swapped blocks of {network}, seed {seed}",
        cost=Cost(_multiply_adds, shared=0.56),
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
