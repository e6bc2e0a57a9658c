"""Test error of the network that keeps only paths up to a length, and what paths of each length say."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unravel import tables
from unravel.engine.combinatorics import counts_by_length
from unravel.studies import style
from unravel.studies.forward_paths import TABLE
from unravel.studies.forward_paths.values import summary


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/forward_paths tables of any networks and seeds."""
    table = tables.read(inputs, TABLE.columns)
    values, marks = summary(table), style.marks(table.network)
    with style.side_by_side(2, height=3.2) as (figure, (errors, shares)):
        for name, rows in table.groupby("network"):
            network, mark = str(name), marks[str(name)]
            by_length = rows.groupby("length")
            look = {"color": mark.colour, "linestyle": mark.dash, "marker": mark.marker, "markersize": 2.5}
            for panel, column, label in ((errors, "error_percent", network), (shares, "share", f"_{network}")):
                over_seeds = by_length[column].agg(["mean", "min", "max"])
                meaning = "lowest and highest seed"
                style.band(panel, over_seeds.index, over_seeds["min"], over_seeds["max"], mark, label, meaning)
                panel.plot(over_seeds.index, over_seeds["mean"], label=label, **look)
            found = values["networks"][network]
            errors.axhline(found["full_error_percent"].mean, color=mark.colour, linewidth=0.8, linestyle=":")
        for blocks in sorted({found["blocks"] for found in values["networks"].values()}):
            errors.axvline(
                blocks / 2, color=style.GREY, linewidth=0.8, linestyle="--", label=f"half of {blocks} blocks"
            )
            paths = np.array(counts_by_length(blocks), dtype=float)
            shares.bar(range(blocks + 1), paths / paths.sum(), color=style.GREY, alpha=0.5, width=0.8,
                       label=f"share of paths, {blocks} blocks")  # fmt: skip
        style.panel_title(errors, "A", "error of paths up to a length, percent")
        style.panel_title(shares, "B", "share of the logits by length")
        errors.set_ylim(0, 100)
        errors.set_xlabel("longest path kept")
        shares.set_xlabel("path length")
        style.legend(figure)
        style.note_run(figure, scale)
        return style.Drawing(figure, table, values)
