"""The third-party check: lesions of a network that others trained and coded, beside the same numbers of this run.

Theirs are facts of report/third_party.yaml, measured outside this repository; ours are the captions' and the claims'.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

NETWORK = "resnet"  # the claims' own


@dataclass(frozen=True)
class Row:
    """One measure of both networks, None where this run does not have it.

    digits: that are shown. loss: whether more of it is a greater loss by a lesion, by which the networks are compared.
    """

    measure: str
    theirs: float
    ours: float | None
    digits: int = 2
    loss: bool = False


def rows(facts: Mapping[str, Any], blocks: int, shown: Mapping[str, Any], claimed: Mapping[str, Any]) -> list[Row]:
    """The measures of both networks, ours of `blocks` blocks.

    shown: what each figure's caption says, by slug. claimed: the values of each claim, by its id. Theirs with so many
    blocks deleted stands beside ours with the same share, the nearest number of blocks, at least 1.
    """

    def of(slug: str) -> Mapping[str, Any]:
        networks: Mapping[str, Mapping[str, Any]] = shown.get(slug, {}).get("networks", {})
        return networks.get(NETWORK, {})

    def mean(claim: str, value: str) -> float | None:
        held = claimed.get(claim, {}).get(value)
        return None if held is None else held.mean

    single, medians = of("single-deletion"), of("random-deletion").get("median_error_percent", {})
    intact, increase = single.get("intact_error_percent"), facts["ordinary_increase_points"]
    median, p90 = (single.get(f"ordinary_{name}_increase_points") for name in ("median", "p90"))
    largest, halving = mean("delete-resnet", "highest_increase_points"), single.get("downsampling_mean_increase_points")
    found = [
        Row("error with nothing deleted, percent", facts["intact_error_percent"], intact and intact["mean"]),
        Row("increase by an ordinary block, median, points", increase["median"], median, loss=True),
        Row("increase by an ordinary block, 90th percentile, points", increase["p90"], p90),
        Row("increase by an ordinary block, largest, points", increase["largest"], largest),
    ]
    for place, theirs in enumerate(facts["downsampling_increase_points"], 1):
        found.append(Row(f"increase by a downsampling block, their number {place}, our mean, points", theirs, halving))
    for one in facts["random_deletions"]:
        number = max(1, round(one["deleted"] * blocks / facts["blocks"]))
        share = f"{one['deleted']} of {facts['blocks']} blocks deleted, ours {number} of {blocks}"
        found.append(
            Row(f"median error, {share}, percent", one["error_percent"], medians.get(str(number)), digits=0, loss=True)
        )
    correlations = {
        "random deletions, number and median error": ("random_deletion", "smooth-deletion"),
        "re-ordering, disorder and error": ("reordering", "smooth-reordering"),
    }
    for words, (name, claim) in correlations.items():
        theirs, ours = facts[f"{name}_rank_correlation"], mean(claim, "rank_correlation")
        found.append(Row(f"rank correlation, {words}", theirs, ours, digits=3))
    return found


def loses(compared: Iterable[Row]) -> str:
    """Whether their network loses "more" than ours by every loss that both have, "less", or neither: "" without any."""
    signs = {(row.theirs > row.ours) - (row.theirs < row.ours) for row in compared if row.loss and row.ours is not None}
    if not signs:
        return ""
    return {frozenset({1}): "more", frozenset({-1}): "less"}.get(frozenset(signs), "neither")
