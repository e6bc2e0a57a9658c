"""Path lengths at moments of a training, the gradient by length and each branch's gain at its start and end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from unravel import tables
from unravel.studies import style
from unravel.studies.paths_in_training import GAINS, LENGTHS
from unravel.studies.paths_in_training.values import by_moment, summary

BAND = "lowest and highest seed"


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/paths_in_training tables of any networks and seeds."""
    lengths, gains = (
        tables.read([path for path in inputs if path.name.endswith(f".{name}.csv")], table.columns)
        for name, table in (("lengths", LENGTHS), ("gains", GAINS))
    )
    values, marks = summary(lengths, gains), style.marks(lengths.network)
    norms = 10.0 ** (lengths.log10_norm - lengths.groupby(["network", "seed", "moment"]).log10_norm.transform("max"))
    shown = lengths.assign(
        norm_share=norms / norms.groupby([lengths.network, lengths.seed, lengths.moment]).transform("sum")
    )
    moments = by_moment(lengths, gains)
    with style.side_by_side(3, height=3.1) as (figure, (when, shares, by_block)):
        for network, mark in marks.items():
            rows = moments[moments.network == network].groupby("step")
            _draw_line(when, rows.mean_length, mark, f"{network}, mean length")
            _draw_line(
                when, rows["mode"], mark, f"{network}, length of the largest gradient", fillstyle="none", linestyle=":"
            )
            for panel, table, x, y in ((shares, shown, "length", "norm_share"), (by_block, gains, "position", "gain")):
                of_network = table[table.network == network]
                for moment, word, fill in (
                    (0, "before training", "none"),
                    (table.moment.max(), "after training", "full"),
                ):
                    there = of_network[of_network.moment == moment].groupby(x)[y]
                    label = f"{network}, {word}"
                    _draw_line(panel, there, mark, label if panel is shares else f"_{label}", fillstyle=fill)
        for panel in (when, shares):
            _draw_halves(panel, {found["blocks"] for found in values["networks"].values()}, panel is shares)
        _finish((when, shares, by_block), values["steps"])
        style.legend(figure)
        style.note_run(figure, scale)
        table = pd.concat([shown.assign(table="lengths"), gains.assign(table="gains")], ignore_index=True)
        return style.Drawing(figure, table, values)


def _draw_line(panel: Axes, groups: Any, mark: style.Mark, label: str, **look: Any) -> None:
    over_seeds = groups.agg(["mean", "min", "max"])
    style.band(panel, over_seeds.index, over_seeds["min"], over_seeds["max"], mark, label, BAND)
    look = {"linestyle": mark.dash, "marker": mark.marker, "markersize": 3, "linewidth": 1, **look}
    panel.plot(over_seeds.index, over_seeds["mean"], color=mark.colour, label=label, **look)


def _draw_halves(panel: Axes, depths: set[int], upright: bool) -> None:
    for blocks in sorted(depths):
        look: Any = {"color": style.GREY, "linewidth": 0.8, "linestyle": "--"}
        if upright:
            panel.axvline(blocks / 2, **look)
        else:
            panel.axhline(blocks / 2, label=f"half of {blocks} blocks", **look)


def _finish(panels: Sequence[Axes], steps: int) -> None:
    titles = ("length, in blocks", "share of the summed norms", "gain of a branch")
    for panel, letter, title, name in zip(
        panels, "ABC", titles, ("steps of training", "path length", "position of the block"), strict=True
    ):
        style.panel_title(panel, letter, title)
        panel.set_xlabel(name)
        panel.set_ylim(bottom=0)
    for panel in panels[1:]:
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    panels[0].set_xscale("symlog", linthresh=1)
    panels[0].set_xlim(-0.2, 1.5 * steps)
    panels[0].xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:g}"))
