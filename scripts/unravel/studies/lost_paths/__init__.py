"""Figure 2: which paths deleting one block leaves, in a residual network and in a plain one."""

from unravel.studies.base import Figure, Study

STUDY = Study(
    order=40,
    title="What a deletion takes away",
    figure=Figure(
        number="2",
        label="Figure 2",
        title="The paths that deleting one block leaves",
        slug="unraveled-deletion",
        note="Redrawn from lists of paths.",
        shows=lambda config: ["residual-without-block-2", "plain-without-block-2"] if config.whole else None,
        inputs=("single_paths",),
        measured=False,
        drawn_by="unraveled_view",
    ),
)
