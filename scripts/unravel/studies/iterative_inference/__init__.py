"""Whether blocks refine one estimate step by step (Greff et al. 2017; Jastrzebski et al. 2018); not in the paper."""

from typing import TYPE_CHECKING

from unravel.studies.base import Cost, Figure, Measurement, Size, Study
from unravel.studies.iterative_inference.settings import IterativeInference
from unravel.tables import MEASURED_ERROR, NETWORK, SEED, Table, number, text, whole

if TYPE_CHECKING:
    from unravel.run import Config

_OF = {"network": NETWORK, "seed": SEED, "weights": text("trained", "untrained")}
COSINES = Table({**_OF, "position": whole(1), "cosine": number(-1.001, 1.001)}, rows={"weights": (), "position": ()})
ESTIMATES = Table(
    {
        **_OF,
        "place": whole(),
        "stage": whole(1),
        "step": whole(),
        "mean_in_deviations": number(0),
        "channel_mean": number(0),
        "deviation": number(0),
    },
    rows={"weights": (), "place": (0,)},
)
READOUTS = Table({**_OF, "step": whole(), **MEASURED_ERROR}, rows={"weights": (), "step": (0,)})


def _multiply_adds(config: "Config", size: Size) -> float:
    settings: IterativeInference = config.section("iterative_inference")
    images = 3 * settings.tested("iterative_inference", size.test) + settings.batches * settings.batch_size
    return 2 * size.forward * images  # trained and untrained


STUDY = Study(
    order=350,
    title="Step by step, or not",
    settings=IterativeInference(),
    settings_title="Blocks as steps of one estimate.",
    measurement=Measurement(
        tables={"cosines": COSINES, "estimates": ESTIMATES, "readouts": READOUTS},
        networks=lambda config: config.section("iterative_inference").networks,
        decides=lambda config, _: {
            "iterative_inference": config.section("iterative_inference").model_dump(
                mode="json", exclude={"networks"}, exclude_none=True
            )
        },
        sizes=lambda config, network: {"weights": 2, "place": config.networks[network].n_blocks + 1},
        message="Look for steps of one estimate in {network}, seed {seed}",
        cost=Cost(_multiply_adds, backward_images=lambda config: config.section("iterative_inference").batch_size),
    ),
    figure=Figure(
        number="steps",
        title="Blocks as steps of one estimate",
        slug="iterative-inference",
        note="Not in the paper.",
        shows=lambda config: config.section("iterative_inference").networks or None,
        inputs=("iterative_inference",),
        original=False,
    ),
)
