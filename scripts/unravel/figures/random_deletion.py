"""Figure 5a of the paper: test error after deleting several random blocks at once."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from unravel import summaries, tables
from unravel.figures import style
from unravel.summaries import PAPER_DELETIONS
from unravel.summaries import RANDOM_DELETION as COLUMNS


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/random_deletions tables of any networks and seeds."""
    table = tables.read(inputs, COLUMNS)
    marks = style.marks(table.network)
    with style.axes(height=3.2) as (figure, panel):
        for network, rows in table.groupby("network"):
            style.median_and_quartiles(
                panel, rows.groupby("deleted_blocks").error_percent, marks[str(network)], str(network)
            )
        stated = PAPER_DELETIONS if (table.deleted_blocks == PAPER_DELETIONS["deleted_blocks"]).any() else None
        if stated:
            style.stated(panel, [stated["deleted_blocks"]], [stated["error_percent"]])
        panel.set_xlabel("blocks deleted at once")
        panel.set_ylabel("test error, percent")
        panel.set_ylim(0, 100)
        panel.set_xlim(left=0)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside upper center", ncols=4)
        style.note_run(figure, scale)
        return style.Drawing(figure, table, {**summaries.random_deletion(table), "stated": stated})
