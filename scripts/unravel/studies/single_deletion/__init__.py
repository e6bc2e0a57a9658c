"""Delete each block or layer in turn (paper, section 4.1, Figure 3)."""

from unravel.studies.base import Cost, Figure, Measurement, Study
from unravel.studies.single_deletion.settings import Deletions
from unravel.tables import FLAG, MEASURED_ERROR, NETWORK, PERCENT, SEED, Table, whole

TABLE = Table(
    {
        "network": NETWORK,
        "seed": SEED,
        "deleted_position": whole(),
        "downsampling": FLAG,
        **MEASURED_ERROR,
        "chance_error_percent": PERCENT,
    },
    rows={"deleted_position": (1, 2)},  # a plain network's first layer is no block
    intact="deleted_position",
)

STUDY = Study(
    order=80,
    key="deletions",
    title="Deleting one block",
    settings=Deletions(),
    settings_title="Single deletions (paper, section 4.1).",
    measurement=Measurement(
        tables={"": TABLE},
        networks=lambda config: config.section("deletions").shown,
        decides=lambda config, _: {"evaluation": config.evaluation.model_dump(mode="json")},
        sizes=lambda config, network: {"deleted_position": config.networks[network].n_blocks},
        message="Measure single deletions of {network}, seed {seed}",
        cost=Cost(lambda config, size: size.test * size.forward * (size.blocks + 1), shared=0.52),
        lesions=True,
        random_key=0,
    ),
    figure=Figure(
        number="3",
        label="Figure 3",
        title="Test error after deleting each block in turn",
        slug="single-deletion",
        note="Same axes.",
        shows=lambda config: config.section("deletions").figure_3 or None,
        inputs=("deletions",),
    ),
    core=True,
)
