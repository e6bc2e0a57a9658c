"""How much less a deletion costs after training with stochastic depth, for claims."""

from collections.abc import Iterator

from unravel.statistics import increase_after_deletion
from unravel.studies.deciding import Evidence, Statistic, Values

PLAIN, DROPPED = "resnet", "stochastic-depth"  # the two networks that the paper's Figure 8 compares


def stochastic_depth_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Points of mean increase that stochastic depth saves, over all blocks and over downsampling ones, by seed."""
    table = increase_after_deletion(evidence.table("deletions", [PLAIN, DROPPED]))
    for _, rows in table.groupby("seed"):
        every = rows.groupby("network").increase_points.mean()
        halving = rows[rows.downsampling].groupby("network").increase_points.mean().reindex([PLAIN, DROPPED])
        yield {
            "saved_points": every[PLAIN] - every[DROPPED],
            "saved_at_downsampling_points": halving[PLAIN] - halving[DROPPED],
        }


STATISTICS = {"stochastic_depth": Statistic(stochastic_depth_values, study="deletions", networks=(PLAIN, DROPPED))}
