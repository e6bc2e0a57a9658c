"""Figure 5b of the paper: test error after swapping blocks, against how much of the order is left."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

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
            by_tau = rows.groupby(tau).error_percent
            style.median_and_quartiles(panel, by_tau, mark, f"{name}, median and quartiles")
            panel.plot(rows.kendall_tau, rows.error_percent, ".", color=mark.colour, markersize=2.5, zorder=1,
                       label=f"{name}, one draw")  # fmt: skip
            if table.network.nunique() == 1:
                _write_n(panel, by_tau.size())
        between = "between the old\nand" if style.is_narrow() else "between the old and"
        panel.set_xlabel(f"Kendall's tau {between} the new order of blocks")
        panel.set_ylabel("test error, percent")
        panel.set_ylim(0, 100)
        panel.invert_xaxis()  # from the old order on the left to more and more disorder
        style.legend(figure)
        style.note_run(figure, scale)
        return style.Drawing(figure, table, summary(table))


def _write_n(panel: Axes, sizes: pd.Series) -> None:
    """Write below each point how many draws it is of, in rows by turns, since points stand close together."""
    rows = 3 if style.is_narrow() else 2
    sizes = sizes.sort_index(ascending=False)
    for place, (tau, n) in enumerate(zip(sizes.index.tolist(), sizes, strict=True)):
        text, side = (f"n = {n}", "left") if place == 0 else (n, "center")  # the first stands beside the axis
        panel.text(tau, 2 + 5 * (place % rows), text, fontsize=7, ha=side)
