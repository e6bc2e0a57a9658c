"""What predicts the price of deleting a block, and what later blocks do about it; not in the paper."""

from typing import TYPE_CHECKING

from unravel.studies.base import Cost, Figure, Measurement, Size, Study
from unravel.studies.lesion_predictors.settings import LesionPredictors
from unravel.tables import FLAG, MEASURED_ERROR, NETWORK, SEED, Table, number, whole

if TYPE_CHECKING:
    from unravel.run import Config

PREDICTORS = {
    "first_order": "first order",
    "branch_ratio": "size of branch",
    "influence": "block influence",
    "path_share": "share of the loss",
}
"""What may predict a price, by its column in the table, as a figure words it."""

TABLE = Table(
    {
        "network": NETWORK,
        "seed": SEED,
        "deleted_position": whole(),
        "downsampling": FLAG,
        "loss": number(0),
        **MEASURED_ERROR,
        "first_order": number(),
        "branch_ratio": number(0),
        "influence": number(-0.001, 2.001),
        "path_share": number(),
        "frozen_loss": number(0),
        "later_change": number(0),
        "compensated": number(),
        "share_error": number(0),
    },
    rows={"deleted_position": (1,)},
    intact="deleted_position",
)


def _multiply_adds(config: "Config", size: Size) -> float:
    settings: LesionPredictors = config.section("lesion_predictors")
    forward_and_back = 3 * (settings.nodes + 1)
    return settings.tested("lesion_predictors", size.test) * size.forward * (forward_and_back + (size.blocks + 1) / 2)


STUDY = Study(
    order=340,
    title="What predicts the price of a deletion",
    settings=LesionPredictors(),
    settings_title="Predictors of single deletions, and how later blocks take them.",
    measurement=Measurement(
        tables={"": TABLE},
        networks=lambda config: config.section("lesion_predictors").networks,
        decides=lambda config, _: {
            "lesion_predictors": config.section("lesion_predictors").model_dump(
                mode="json", exclude={"networks"}, exclude_none=True
            )
        },
        sizes=lambda config, network: {"deleted_position": config.networks[network].n_blocks},
        message="Predict and measure the price of deleting each block of {network}, seed {seed}",
        cost=Cost(_multiply_adds, backward_images=lambda config: config.section("lesion_predictors").batch_size),
        unit="deleted_position",
        intact="deleted_position",
    ),
    figure=Figure(
        number="predictors",
        title="The price of a deletion, and what predicts it",
        slug="lesion-predictors",
        note="Not in the paper.",
        shows=lambda config: config.section("lesion_predictors").networks or None,
        inputs=("lesion_predictors",),
        original=False,
    ),
)
