"""Figure 1: a residual network of three blocks, unraveled into all its paths."""

from unravel.studies.base import Figure, Measurement, Study
from unravel.tables import FLAG, NETWORK, Table, text, whole

BLOCKS = 3  # of the networks that the paper's Figures 1 and 2 draw, whatever the run's own are
CASES: dict[str, dict[str, object]] = {
    "residual-intact": {"network": "residual", "blocks": BLOCKS, "deleted": []},
    "residual-without-block-2": {"network": "residual", "blocks": BLOCKS, "deleted": [2]},
    "plain-without-block-2": {"network": "plain", "blocks": BLOCKS, "deleted": [2]},
}

TABLE = Table(
    {"network": NETWORK, "deleted": text(), "path": text(), "branches": text(), "length": whole(), "left": FLAG},
    rows={"path": ()},
)

STUDY = Study(
    order=30,
    key="single_paths",
    title="The idea in one picture",
    measurement=Measurement(
        tables={"": TABLE},
        networks=lambda _: list(CASES),
        decides=lambda _, case: CASES[case],
        sizes=lambda _, case: {"path": 2**BLOCKS if case.startswith("residual") else 1},
        message="List the paths of a small network, {network}",
        trained=False,
    ),
    figure=Figure(
        number="1",
        label="Figure 1",
        title="A residual network, unraveled",
        slug="unraveled-view",
        note="Redrawn from lists of paths.",
        shows=lambda config: ["residual-intact"] if config.whole else None,
        inputs=("single_paths",),
        measured=False,
    ),
)
