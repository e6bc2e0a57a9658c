"""A small vision transformer as a residual network: its lesions, and its gradient by path length; not in the paper."""

from typing import TYPE_CHECKING

from unravel.studies.base import Cost, Figure, Measurement, Size, Study
from unravel.studies.vision_transformer.settings import VisionTransformer
from unravel.tables import LOG_NORM, MEASURED_ERROR, NETWORK, SEED, Table, number, text, whole

if TYPE_CHECKING:
    from unravel.run import Config

SYSTEMS = ("transformer", "residual")
KINDS = ("attention", "mlp")  # of the transformer's blocks, in turn

_OF = {"network": NETWORK, "seed": SEED}
_OF_SYSTEM = {**_OF, "system": text(*SYSTEMS)}
DELETIONS = Table(
    {**_OF_SYSTEM, "position": whole(), "kind": text("intact", "block", *KINDS), **MEASURED_ERROR},
    rows={"system": (), "position": (0,)},
)
SWAPS = Table({**_OF_SYSTEM, "draw": whole(1), **MEASURED_ERROR}, rows={"system": (), "draw": (1,)})
LENGTHS = Table(
    {**_OF_SYSTEM, "length": whole(), "log10_norm": LOG_NORM, "sum_error": number(0)},
    rows={"system": (), "length": (0,)},
)
BY_KIND = Table(
    {**_OF, "attention": whole(), "mlp": whole(), "log10_norm": LOG_NORM, "sum_error": number(0)},
    rows={"attention": (0,), "mlp": (0,)},
)


def _multiply_adds(config: "Config", size: Size) -> float:
    """By the residual network that it stands beside: the transformer takes about as much for each branch."""
    settings: VisionTransformer = config.section("vision_transformer")
    trained = (settings.epochs or config.training.epochs) * (3 * size.train + size.test)
    lesioned = settings.tested("vision_transformer", size.test) * (settings.branches + settings.swaps + 1)
    gradients = settings.images * (settings.branches / 2 + 1) ** 2
    return 2 * size.forward * settings.branches / size.blocks * (trained + lesioned + gradients)


def _sizes(asked: VisionTransformer) -> dict[str, int]:
    return {
        "system": len(SYSTEMS),
        "position": asked.branches + 1,
        "draw": asked.swaps,
        "length": asked.branches + 1,
        **dict.fromkeys(KINDS, asked.layers + 1),
    }


STUDY = Study(
    order=383,
    title="A small vision transformer",
    settings=VisionTransformer(),
    settings_title="A small vision transformer beside a residual network.",
    measurement=Measurement(
        tables={"deletions": DELETIONS, "swaps": SWAPS, "lengths": LENGTHS, "by_kind": BY_KIND},
        networks=lambda config: config.section("vision_transformer").networks,
        decides=lambda config, _: {
            "evaluation": config.evaluation.model_dump(mode="json"),
            "vision_transformer": config.section("vision_transformer").model_dump(
                mode="json", exclude={"networks"}, exclude_none=True
            ),
        },
        sizes=lambda config, _: _sizes(config.section("vision_transformer")),
        message="Train a vision transformer beside {network}, seed {seed}, and lesion it",
        first_seed=True,
        cost=Cost(
            _multiply_adds, backward_images=lambda config: config.section("vision_transformer").images, trains=True
        ),
    ),
    figure=Figure(
        number="vit",
        title="A vision transformer's branches",
        slug="vision-transformer",
        note="Not in the paper.",
        shows=lambda config: config.section("vision_transformer").networks or None,
        inputs=("vision_transformer",),
        original=False,
    ),
)
