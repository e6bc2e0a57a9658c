"""How training went: loss and test error of every network over the epochs."""

from unravel.studies.base import Figure, Study
from unravel.tables import PERCENT, Table, number, whole

TABLE = Table(  # what training writes
    {
        "epoch": whole(1),
        "step": whole(1),
        "learning_rate": number(0),
        "train_loss": number(0),
        "train_error_percent": PERCENT,
        "test_error_percent": PERCENT,
    },
    rows={"epoch": (1,)},
)

STUDY = Study(
    order=971,
    title="How training went",
    figure=Figure(
        number="training",
        title="Training curves",
        slug="training-curves",
        note="Not in the paper: whether training went well.",
        shows=lambda config: config.trained if config.whole else None,
        inputs=("histories",),
        original=False,
    ),
)
