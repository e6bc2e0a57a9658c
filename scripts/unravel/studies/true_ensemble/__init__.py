"""The residual network losing blocks beside a true ensemble of shallow ones losing members; not in the paper."""

from typing import TYPE_CHECKING

from unravel.studies.base import Cost, Figure, Measurement, Size, Study
from unravel.studies.true_ensemble.settings import TrueEnsemble
from unravel.tables import MEASURED_ERROR, NETWORK, SEED, Table, number, text, whole

if TYPE_CHECKING:
    from unravel.run import Config

SYSTEMS = ("residual", "ensemble")

_OF = {"network": NETWORK, "seed": SEED, "removed": whole()}  # in members, or as many blocks as one has
ERRORS = Table(
    {**_OF, "system": text(*SYSTEMS), "draw": whole(1), **MEASURED_ERROR, "loss": number(0, 2), "distance": number(0)},
    rows={"system": (), "removed": (0,), "draw": (1,)},
)
IMAGES = Table(
    {**_OF, "image": whole(), "residual": number(0, 1), "ensemble": number(0, 1)},
    rows={"removed": (0,), "image": (0,)},
)


def _multiply_adds(config: "Config", size: Size) -> float:
    settings: TrueEnsemble = config.section("true_ensemble")
    trained = (settings.epochs or config.training.epochs) * (3 * size.train + size.test)
    lesioned = (settings.members + 1) / 2 * settings.draws + 1  # half of the blocks are there on average
    return size.forward * (trained + settings.tested("true_ensemble", size.test) * lesioned)


STUDY = Study(
    order=344,
    title="Beside a true ensemble",
    settings=TrueEnsemble(),
    settings_title="An ensemble of shallow networks beside the residual network.",
    measurement=Measurement(
        tables={"": ERRORS, "images": IMAGES},
        networks=lambda config: config.section("true_ensemble").networks,
        decides=lambda config, _: {
            "evaluation": config.evaluation.model_dump(mode="json"),
            "true_ensemble": config.section("true_ensemble").model_dump(
                mode="json", exclude={"networks"}, exclude_none=True
            ),
        },
        sizes=lambda config, _: {
            "system": len(SYSTEMS),
            "removed": config.section("true_ensemble").members,
            "draw": config.section("true_ensemble").draws,
        },
        message="Train an ensemble beside {network}, seed {seed}, and take members away",
        first_seed=True,
        cost=Cost(_multiply_adds, trains=True),
    ),
    figure=Figure(
        number="ensemble",
        title="A residual network beside a true ensemble",
        slug="true-ensemble",
        note="Not in the paper, which has Figure 5a alone.",
        shows=lambda config: config.section("true_ensemble").networks or None,
        inputs=("true_ensemble",),
        original=False,
    ),
)
