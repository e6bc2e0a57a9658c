"""The gradient along single paths of networks that were never trained: a control for Figure 6b."""

from unravel.studies.base import Cost, Measurement, Size, Study
from unravel.studies.untrained_gradients.settings import UntrainedGradients
from unravel.tables import LOG_NORM, NETWORK, SEED, Table, whole

TABLE = Table(
    {
        "network": NETWORK,
        "seed": SEED,
        "batch": whole(1),
        "length": whole(),
        "sample": whole(1),
        "log10_norm": LOG_NORM,
    },
    rows={"batch": (1,), "length": (0,), "sample": (1,)},
)


def _multiply_adds(asked: UntrainedGradients, size: Size) -> float:
    return asked.batches * asked.batch_size * size.forward * asked.samples_per_length * (size.blocks + 1) / 2


def _sizes(asked: UntrainedGradients, blocks: int) -> dict[str, int]:
    return {"batch": asked.batches, "length": blocks + 1, "sample": asked.samples_per_length}


STUDY = Study(
    order=111,
    title="The gradient of untrained networks",
    settings=UntrainedGradients(),
    settings_title="Control for the gradient by path length.",
    measurement=Measurement(
        tables={"": TABLE},
        networks=lambda config: config.section("gradients").shown,
        decides=lambda config, _: {
            "untrained_gradients": config.section("untrained_gradients").model_dump(mode="json")
        },
        sizes=lambda config, network: _sizes(config.section("untrained_gradients"), config.networks[network].n_blocks),
        message="Measure the gradient of {network} before training, seed {seed}, by path length",
        cost=Cost(
            lambda config, size: _multiply_adds(config.section("untrained_gradients"), size),
            backward_images=lambda config: config.section("untrained_gradients").batch_size,
        ),
        unit="batch",
    ),
)
