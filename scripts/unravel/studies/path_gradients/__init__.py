"""How much gradient paths of each length carry (paper, section 5, Figure 6)."""

from unravel.studies.base import Cost, Figure, Measurement, Size, Study
from unravel.studies.path_gradients.settings import Gradients
from unravel.tables import LOG_NORM, NETWORK, SEED, Table, number, text, whole

_KEYS = {
    "network": NETWORK,
    "seed": SEED,
    "batch_norm": text("train", "eval"),
    "batch": whole(1),
    "length": whole(),
}
SAMPLED = Table(
    {**_KEYS, "sample": whole(1), "log10_norm": LOG_NORM},
    rows={"batch_norm": (), "batch": (1,), "length": (0,), "sample": (1,)},
)
EXACT = Table(
    {
        **_KEYS,
        "log10_norm": LOG_NORM,
        "cosine": number(-1.001, 1.001),
        "norm_ratio": number(0),
        "full_error": number(0),
    },
    rows={"batch_norm": (), "batch": (1,), "length": (0,)},
)


def _multiply_adds(asked: Gradients, size: Size) -> float:
    products = (asked.samples_per_length + 1) * (size.blocks + 1) / 2  # times the network's depth
    return 2 * asked.batches * asked.batch_size * size.forward * products  # BN in train and in eval mode


def _sizes(asked: Gradients, blocks: int) -> dict[str, int]:
    lengths = {"batch_norm": 2, "batch": asked.batches, "length": blocks + 1}
    return {**lengths, "sample": asked.samples_per_length}


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
        sizes=lambda config, network: _sizes(config.section("gradients"), config.networks[network].n_blocks),
        message="Measure the gradient of {network}, seed {seed}, by path length",
        cost=Cost(
            lambda config, size: _multiply_adds(config.section("gradients"), size),
            backward_images=lambda config: config.section("gradients").batch_size,
        ),
        lesions=True,
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
