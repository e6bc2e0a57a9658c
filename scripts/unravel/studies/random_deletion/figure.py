"""Figure 5a of the paper: test error after deleting several random blocks at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from unravel import tables
from unravel.studies import style
from unravel.studies.paper import DELETIONS, in_proportion
from unravel.studies.random_deletion import TABLE
from unravel.studies.random_deletion.values import summary
from unravel.tables import whole

COLUMNS = TABLE.only("network", "seed", "deleted_blocks", "draw", "test_images", "error_percent")


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/random_deletions tables of any networks and seeds.

    With their path counts (measurements/paths) beside them, the networks' depth is known, and the paper's number stands
    at the share of blocks that it is of.
    """
    counts = [path for path in inputs if path.parent.name == "paths"]
    table = tables.read([path for path in inputs if path not in counts], COLUMNS)
    marks = style.marks(table.network)
    with style.axes(height=3.2) as (figure, panel):
        for network, rows in table.groupby("network"):
            style.median_and_quartiles(
                panel, rows.groupby("deleted_blocks").error_percent, marks[str(network)], str(network)
            )
        stated = stated_number(counts)
        if stated:
            style.stated(panel, [stated["place"]], [stated["error_percent"]])
        panel.set_xlabel("blocks deleted at once")
        panel.set_ylabel("test error, percent")
        panel.set_ylim(0, 100)
        panel.set_xlim(left=0)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        style.legend(figure)
        style.note_run(figure, scale)
        return style.Drawing(figure, table, {**summary(table), "stated": stated})


def stated_number(counts: Sequence[Path]) -> dict[str, Any] | None:
    """The paper's number of deletions and its place among networks of one depth; None where that is not known."""
    depths = {int(table.length.max()) for table in (tables.read([path], {"length": whole()}) for path in counts)}
    if len(depths) != 1:
        return None
    return {**DELETIONS, "place": in_proportion(DELETIONS["deleted_blocks"], *depths)}
