"""Figure 5b of the paper: test error after swapping blocks, against how much of the order is left."""

from collections.abc import Sequence
from pathlib import Path

from unravel import tables
from unravel.studies import style
from unravel.studies.reordering import TABLE
from unravel.studies.reordering.values import summary

COLUMNS = TABLE.only("network", "seed", "swaps", "draw", "kendall_tau", "test_images", "error_percent")


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/reorderings tables of any networks and seeds."""
    table = tables.read(inputs, COLUMNS)
    marks = style.marks(table.network)
    with style.axes(height=3.2) as (figure, panel):
        for network, rows in table.groupby("network"):
            mark, name = marks[str(network)], str(network)
            tau = rows.groupby("swaps").kendall_tau.transform("median")
            style.median_and_quartiles(panel, rows.groupby(tau).error_percent, mark, name)
            panel.plot(rows.kendall_tau, rows.error_percent, ".", color=mark.colour, markersize=3, alpha=0.5, zorder=1,
                       label=style.part("draws", name))  # fmt: skip
        panel.set_xlabel("Kendall's tau between the old and the new order of blocks")
        panel.set_ylabel("test error, percent")
        panel.set_ylim(0, 100)
        panel.invert_xaxis()  # from the old order on the left to more and more disorder
        figure.legend(loc="outside upper center", ncols=4)
        style.note_run(figure, scale)
        return style.Drawing(figure, table, summary(table))
