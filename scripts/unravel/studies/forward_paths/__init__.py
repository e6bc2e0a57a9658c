"""The logits by path length, and the network that keeps only short paths; not in the paper."""

from typing import TYPE_CHECKING

from unravel.studies.base import Cost, Figure, Measurement, Size, Study
from unravel.studies.forward_paths.settings import ForwardPaths
from unravel.tables import MEASURED_ERROR, NETWORK, SEED, Table, number, whole

if TYPE_CHECKING:
    from unravel.run import Config

TABLE = Table(
    {
        "network": NETWORK,
        "seed": SEED,
        "length": whole(),
        **MEASURED_ERROR,
        "share": number(),
        "norm_ratio": number(0),
        "sum_error": number(0),
    },
    rows={"length": (0,)},
)
TANGENT = 3  # times the work of a forward pass that following one term through a block takes, measured


def _multiply_adds(config: "Config", size: Size) -> float:
    settings: ForwardPaths = config.section("forward_paths")
    return TANGENT * settings.tested("forward_paths", size.test) * size.forward * (size.blocks + 3) / 2


STUDY = Study(
    order=320,
    title="What short paths say alone",
    settings=ForwardPaths(),
    settings_title="The logits by path length.",
    measurement=Measurement(
        tables={"": TABLE},
        networks=lambda config: config.section("forward_paths").networks,
        decides=lambda config, _: {
            "forward_paths": config.section("forward_paths").model_dump(
                mode="json", exclude={"networks"}, exclude_none=True
            )
        },
        sizes=lambda config, network: {"length": config.networks[network].n_blocks + 1},
        message="Split the logits of {network}, seed {seed}, by path length",
        cost=Cost(_multiply_adds),
    ),
    figure=Figure(
        number="forward",
        title="The networks that keep only short paths",
        slug="forward-paths",
        note="Not in the paper.",
        shows=lambda config: config.section("forward_paths").networks or None,
        inputs=("forward_paths",),
        original=False,
    ),
)
