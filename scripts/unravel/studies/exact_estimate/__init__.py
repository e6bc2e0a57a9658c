"""How far the paper's estimate of the gradient by path length is from the exact sum; from tables of path_gradients."""

from unravel.studies.base import Figure, Study
from unravel.studies.exact_estimate.settings import ExactEstimate

STUDY = Study(
    order=315,
    title="How many paths an estimate needs",
    settings=ExactEstimate(),
    settings_title="The sampled estimate of the gradient by path length against the exact sum.",
    figure=Figure(
        number="estimate",
        title="The sampled estimate against the exact sum",
        slug="exact-estimate",
        note="Not in the paper, whose Figure 6c is the estimate.",
        shows=lambda config: (
            config.section("gradients").shown or None if config.section("exact_estimate").compared else None
        ),
        inputs=("gradients",),
        original=False,
    ),
)
