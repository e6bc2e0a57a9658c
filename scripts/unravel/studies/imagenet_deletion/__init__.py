"""The same single deletions on ImageNet, in a run of its own (paper, section 4.1, Figure 4)."""

from unravel.studies.base import Figure, Study

STUDY = Study(
    order=85,
    title="Deleting one block, on ImageNet",
    figure=Figure(
        number="4",
        label="Figure 4",
        title="Single deletions on ImageNet",
        slug="imagenet-deletion",
        note="Same axes.",
        shows=lambda config: config.section("deletions").figure_4 or None,
        inputs=("deletions",),
        drawn_by="single_deletion",
    ),
    not_attempted=(
        "Figure 4",
        "Single deletions on ImageNet",
        "Not attempted: config/imagenet.yaml makes it from ImageNet, in a run of its own. Its claim counts as not "
        "tested.",
    ),
)
