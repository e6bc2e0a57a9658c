"""What highway networks carry through (paper, section 6): a claim that is not tested here."""

from unravel.studies.base import Study

STUDY = Study(
    order=145,
    title="Highway gates",
    not_attempted=(
        "Section 6, highway gates",
        "What highway networks carry through",
        "Not attempted: the paper gives it in its text, without a figure; highway networks are not among this code's. "
        "Its claim counts as not tested.",
    ),
)
