"""What follows from counting paths alone, for claims."""

import itertools
import math
from collections.abc import Iterator

from unravel.engine.combinatorics import counts_by_length, fraction_left
from unravel.studies import paper
from unravel.studies.deciding import Evidence, Statistic, Values


def closed_form_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """What follows from counting the paths of the paper's 54 blocks alone."""
    counts, left = counts_by_length(paper.BLOCKS), fraction_left(paper.BLOCKS, 10)
    shares = [float(share) for share in left]
    percent_5_to_17 = 100 * sum(counts[5:18]) / sum(counts)
    yield {
        "log2_paths_left": math.log2(sum(count * share for count, share in zip(counts, left, strict=True))),
        "share_left": 2.0**-10,
        "share_over_papers": 2.0**-10 / 1e-6,
        "percent_5_to_17": percent_5_to_17,
        "percent_5_to_17_off": abs(percent_5_to_17 - 0.45),
        "percent_19_to_35": 100 * sum(counts[19:36]) / sum(counts),
        "largest_rise_of_share": max(after - before for before, after in itertools.pairwise(shares) if before),
    }


STATISTICS = {"closed_forms": Statistic(closed_form_values, interval=False)}
