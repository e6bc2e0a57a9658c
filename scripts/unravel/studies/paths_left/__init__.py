"""How many paths there are of each length, and how many deletions leave, in closed form (paper, Eq. 8, Figure 7)."""

from unravel.studies.base import Figure, Measurement, Study
from unravel.tables import Table, number, whole

TABLE = Table(
    {"deleted_blocks": whole(), "length": whole(), "paths": number(1), "fraction_left": number(0, 1)},
    rows={"deleted_blocks": (), "length": (0,)},
)

STUDY = Study(
    order=130,
    key="paths",
    title="Which paths a deletion leaves",
    measurement=Measurement(
        tables={"": TABLE},
        networks=lambda config: list(config.networks),
        decides=lambda config, network: {"blocks": config.networks[network].n_blocks},
        sizes=lambda config, network: {"length": config.networks[network].n_blocks + 1},
        message="Count the paths of {network}",
        trained=False,
    ),
    figure=Figure(
        number="7",
        label="Figure 7",
        title="Paths that deletions leave",
        slug="paths-left",
        note="Closed form in both.",
        shows=lambda config: config.section("gradients").shown or None,
        inputs=("paths",),
        measured=False,
    ),
)
