"""How many paths there are of each length, and how many deletions leave, in closed form (paper, Eq. 8, Figure 7)."""

from unravel.studies.base import Figure, Measurement, Study

COLUMNS = ("deleted_blocks", "length", "paths", "fraction_left")

STUDY = Study(
    order=130,
    key="paths",
    title="Which paths a deletion leaves",
    measurement=Measurement(
        tables={"": COLUMNS},
        networks=lambda config: list(config.networks),
        decides=lambda config, network: {"blocks": config.networks[network].n_blocks},
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
