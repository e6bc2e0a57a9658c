"""What the images look like, and how many there are."""

from unravel.studies.base import Figure, Study

STUDY = Study(
    order=970,
    title="Setup at a glance",
    figure=Figure(
        number="classes",
        title="The images",
        slug="class-overview",
        note="Not in the paper: what the networks look at.",
        shows=lambda config: [] if config.whole else None,
        inputs=("manifest",),
        original=False,
    ),
)
