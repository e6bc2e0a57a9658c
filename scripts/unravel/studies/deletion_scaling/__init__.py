"""Size of the residual branches and price of deleting blocks against depth and width (Chang et al. 2018)."""

from typing import TYPE_CHECKING

from unravel.studies.base import Cost, Figure, Measurement, Size, Study
from unravel.studies.deletion_scaling.settings import DeletionScaling
from unravel.tables import MEASURED_ERROR, NETWORK, SEED, Table, number, whole

if TYPE_CHECKING:
    from unravel.run import Config

_OF = {"network": NETWORK, "seed": SEED, "shape": whole(), "blocks": whole(1), "width": number(0)}
SHAPES = Table(
    {**_OF, "branch_norm": number(0), "relative_norm": number(0), **MEASURED_ERROR},
    rows={"shape": (0,)},
)
DELETIONS = Table(
    {**_OF, "deleted_blocks": whole(1), "draw": whole(1), **MEASURED_ERROR},
    rows={"shape": (0,), "deleted_blocks": (), "draw": (1,)},
)


def _multiply_adds(config: "Config", size: Size) -> float:
    settings: DeletionScaling = config.section("deletion_scaling")
    tested = settings.tested("deletion_scaling", size.test)
    wirings = 2 + len(settings.deleted) * settings.draws / 2  # of a deletion, half of the network is shared
    training = config.training.epochs * (3 * size.train + size.test) + tested * wirings
    networks = {name: config.networks[name] for name in settings.networks}
    stages = max(len(network.channels) for network in networks.values())  # type: ignore[union-attr, arg-type]
    trained = sum(stages * blocks for blocks in settings.blocks_per_stage) * (1 + sum(settings.widths))
    return size.forward * (tested * wirings + trained / size.blocks * training)


STUDY = Study(
    order=335,
    title="Depth, width and the price of a deletion",
    settings=DeletionScaling(),
    settings_title="Branches and deletions in networks of other depth and width.",
    measurement=Measurement(
        tables={"shapes": SHAPES, "deletions": DELETIONS},
        networks=lambda config: config.section("deletion_scaling").networks,
        decides=lambda config, _: {
            "evaluation": config.evaluation.model_dump(mode="json"),
            "deletion_scaling": config.section("deletion_scaling").model_dump(
                mode="json", exclude={"networks"}, exclude_none=True
            ),
        },
        sizes=lambda config, _: {
            "shape": 1 + len(config.section("deletion_scaling").others),
            "deleted_blocks": len(config.section("deletion_scaling").deleted),
            "draw": config.section("deletion_scaling").draws,
        },
        message="Train networks of other depth and width than {network}, seed {seed}, and delete blocks",
        cost=Cost(_multiply_adds, trains=True),
    ),
    figure=Figure(
        number="scaling",
        title="Branches and deletions against depth",
        slug="deletion-scaling",
        note="Not in the paper.",
        shows=lambda config: config.section("deletion_scaling").networks or None,
        inputs=("deletion_scaling",),
        original=False,
    ),
)
