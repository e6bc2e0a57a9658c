"""Training on short paths alone: test errors by how random blocks are run at test time (paper, section 5)."""

from unravel.config import NetworkSettings, ResNet
from unravel.studies.base import Cost, Figure, Measurement, Study
from unravel.tables import NETWORK, SEED, Table, text, whole

CONVENTIONS = ("scaled", "unscaled", "recomputed")  # in the order of the figure's rows
TABLE = Table(
    {
        "network": NETWORK,
        "seed": SEED,
        "convention": text(*CONVENTIONS),
        "image": whole(),
        "label": whole(),
        "predicted": whole(),
    },
    rows={"convention": (), "image": (0,)},
)


def _conventions(network: NetworkSettings) -> int:
    """One where all blocks were trained on every batch, so that they have nothing to be scaled by."""
    all_trained = not isinstance(network, ResNet) or set(network.block_sampling.survival(network.n_blocks)) == {1.0}
    return 1 if all_trained else len(CONVENTIONS)


STUDY = Study(
    order=120,
    key="predictions",
    title="Training on short paths alone",
    measurement=Measurement(
        tables={"": TABLE},
        networks=lambda config: list(config.networks),
        decides=lambda config, _: {"evaluation": config.evaluation.model_dump(mode="json")},
        sizes=lambda config, network: {"convention": _conventions(config.networks[network])},
        message="Predict the test images' classes with {network}, seed {seed}",
        cost=Cost(
            lambda config, size: size.forward * (3 * size.test + size.train if size.random_blocks else size.test)
        ),
        random_key=10,
    ),
    figure=Figure(
        number="errors",
        title="Test errors",
        slug="test-errors",
        note="The paper gives the two numbers of its section 5 in its text, without a figure.",
        shows=lambda config: list(config.networks) if config.whole else None,
        inputs=("predictions",),
        original=False,
    ),
)
