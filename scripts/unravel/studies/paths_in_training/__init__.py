"""How the lengths of the paths that carry the gradient shift while a network trains (Littwin & Wolf 2016)."""

from typing import TYPE_CHECKING

from unravel.config import ResNet
from unravel.studies.base import Cost, Figure, Measurement, Size, Study
from unravel.studies.paths_in_training.settings import PathsInTraining
from unravel.tables import LOG_NORM, NETWORK, PERCENT, SEED, Table, number, whole

if TYPE_CHECKING:
    from unravel.run import Config

_OF = {"network": NETWORK, "seed": SEED, "moment": whole(), "step": whole()}
LENGTHS = Table(
    {
        **_OF,
        "length": whole(),
        "log10_norm": LOG_NORM,
        "share": number(),
        "full_error": number(0),
        "end_error_percent": PERCENT,
    },
    rows={"moment": (0,), "length": (0,)},
)
GAINS = Table({**_OF, "position": whole(1), "gain": number(0)}, rows={"moment": (0,), "position": (1,)})


def _blocks(config: "Config", network: str) -> int:
    settings: PathsInTraining = config.section("paths_in_training")
    named = config.networks[network]
    assert isinstance(named, ResNet)
    return settings.shape(named).n_blocks


def _multiply_adds(config: "Config", size: Size) -> float:
    settings: PathsInTraining = config.section("paths_in_training")
    blocks = max(_blocks(config, name) for name in settings.networks)
    epochs = settings.epochs or config.training.epochs
    looks = settings.moments * settings.batch_size * (blocks + 3) / 2
    return size.forward * blocks / size.blocks * (epochs * (3 * size.train + size.test) + looks)


STUDY = Study(
    order=325,
    title="Path lengths while a network trains",
    settings=PathsInTraining(),
    settings_title="The gradient by path length during a training.",
    measurement=Measurement(
        tables={"lengths": LENGTHS, "gains": GAINS},
        networks=lambda config: config.section("paths_in_training").networks,
        decides=lambda config, _: {
            "paths_in_training": config.section("paths_in_training").model_dump(
                mode="json", exclude={"networks"}, exclude_none=True
            )
        },
        sizes=lambda config, network: {
            "moment": config.section("paths_in_training").moments,
            "length": _blocks(config, network) + 1,
            "position": _blocks(config, network),
        },
        message="Train a network like {network}, seed {seed}, and watch the lengths of its paths",
        cost=Cost(
            _multiply_adds,
            backward_images=lambda config: config.section("paths_in_training").batch_size,
            trains=True,
        ),
    ),
    figure=Figure(
        number="lengthening",
        title="The gradient by path length while a network trains",
        slug="paths-in-training",
        note="Not in the paper.",
        shows=lambda config: config.section("paths_in_training").networks or None,
        inputs=("paths_in_training",),
        original=False,
    ),
)
