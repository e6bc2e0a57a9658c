"""How training went: loss and test error of every network over the epochs."""

from unravel.studies.base import Figure, Study

STUDY = Study(
    order=70,
    title="How training went",
    figure=Figure(
        number="training",
        label="Extra figure B",
        title="Training curves",
        slug="training-curves",
        note="Not in the paper: whether training went well.",
        shows=lambda config: config.trained if config.whole else None,
        inputs=("histories",),
        original=False,
    ),
)
