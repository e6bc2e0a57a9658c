"""How much gradient paths of each length carry (paper, section 5, Figure 6)."""

from unravel.studies.base import Cost, Figure, Measurement, Size, Study
from unravel.studies.path_gradients.settings import Gradients

SAMPLED = ("network", "seed", "batch_norm", "batch", "length", "log10_norm")
EXACT = (*SAMPLED, "cosine", "norm_ratio", "full_error")


def _multiply_adds(asked: Gradients, size: Size) -> float:
    products = (asked.samples_per_length + 1) * (size.blocks + 1) / 2  # times the network's depth
    return 2 * asked.batches * asked.batch_size * size.forward * products  # BN in train and in eval mode


STUDY = Study(
    order=110,
    key="gradients",
    title="Which paths carry the gradient",
    settings=Gradients(),
    settings_title="Gradient by path length (section 5).",
    measurement=Measurement(
        tables={"sampled": SAMPLED, "exact": EXACT},
        networks=lambda config: config.section("gradients").shown,
        decides=lambda config, _: {
            "gradients": config.section("gradients").model_dump(mode="json", exclude={"network"})
        },
        message="Measure the gradient of {network}, seed {seed}, by path length",
        cost=Cost(
            lambda config, size: _multiply_adds(config.section("gradients"), size),
            backward_images=lambda config: config.section("gradients").batch_size,
        ),
        random_key=9,
        unit="batch",
    ),
    figure=Figure(
        number="6",
        label="Figure 6",
        title="The gradient by path length",
        slug="path-gradients",
        note="Panels a, b and c in one; the exact sum over paths in panel C is ours.",
        shows=lambda config: config.section("gradients").shown or None,
        inputs=("gradients", "paths", "untrained_gradients"),
    ),
    core=True,
)
