"""Single deletions with and without stochastic depth (paper, section 6, Figure 8)."""

from unravel.studies.base import Figure, Study

STUDY = Study(
    order=140,
    title="Stochastic depth",
    figure=Figure(
        number="8",
        label="Figure 8",
        title="Single deletions with and without stochastic depth",
        slug="stochastic-depth",
        note="Same axes.",
        shows=lambda config: config.section("deletions").figure_8 or None,
        inputs=("deletions",),
        drawn_by="single_deletion",
    ),
    core=True,
)
