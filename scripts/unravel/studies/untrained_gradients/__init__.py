"""The gradient along single paths of networks that were never trained: a control for Figure 6b."""

from unravel.studies.base import Cost, Measurement, Size, Study
from unravel.studies.untrained_gradients.settings import UntrainedGradients

COLUMNS = ("network", "seed", "batch", "length", "sample", "log10_norm")


def _multiply_adds(asked: UntrainedGradients, size: Size) -> float:
    return asked.batches * asked.batch_size * size.forward * asked.samples_per_length * (size.blocks + 1) / 2


STUDY = Study(
    order=111,
    title="The gradient of untrained networks",
    settings=UntrainedGradients(),
    settings_title="Control for the gradient by path length.",
    measurement=Measurement(
        tables={"": COLUMNS},
        networks=lambda config: config.section("gradients").shown,
        decides=lambda config, _: {
            "untrained_gradients": config.section("untrained_gradients").model_dump(mode="json")
        },
        message="Measure the gradient of {network} before training, seed {seed}, by path length",
        cost=Cost(
            lambda config, size: _multiply_adds(config.section("untrained_gradients"), size),
            backward_images=lambda config: config.section("untrained_gradients").batch_size,
        ),
        unit="batch",
    ),
)
