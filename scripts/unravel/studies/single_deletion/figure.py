"""Figure 3 of the paper: test error after deleting each block in turn, residual network against VGG."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from unravel import tables
from unravel.statistics import increase_after_deletion
from unravel.studies import style
from unravel.studies.paper import VGG_ERROR
from unravel.studies.single_deletion import TABLE
from unravel.studies.single_deletion.values import summary


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/deletions tables of any networks and seeds."""
    table = tables.read(inputs, TABLE.columns)
    deleted = increase_after_deletion(table)
    marks = style.marks(table.network)
    with style.axes(height=3.4) as (figure, panel):
        for network, rows in deleted.groupby("network"):
            _draw_network(panel, str(network), rows, marks[str(network)])
        halving = deleted[deleted.downsampling]
        for _, rows in halving.groupby("deleted_position"):
            _name_block(panel, rows, deleted[deleted.network.isin(rows.network)])
        chance, last = deleted.chance_error_percent.iloc[0], deleted.deleted_position.max()
        layers = deleted[deleted.network == "vgg"].deleted_position
        if len(layers):
            _draw_papers_vgg(panel, layers.min(), layers.max())
        panel.axhline(chance, color=style.GREY, linewidth=0.8, zorder=1)
        panel.text(last + 1, chance - 1, "guessing", fontsize=8, ha="right", va="top")
        panel.set_xlabel("position of the deleted block or layer")
        panel.set_ylabel("test error, percent")
        panel.set_ylim(0, 108)  # room for a line's name above errors of up to 97
        panel.set_xlim(0, last + 1)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        handles, _ = panel.get_legend_handles_labels()
        ring = Line2D([], [], color="#000000", marker="o", linestyle="", markersize=8, fillstyle="none")
        ring.set_label("the resolution halves")
        style.legend(figure, handles=[*handles, *([ring] if len(halving) else [])])
        style.note_run(figure, scale)
        values = {**summary(deleted), "stated_vgg_error_percent": VGG_ERROR if len(layers) else None}
        return style.Drawing(figure, deleted[[*TABLE.columns, "increase_points"]], values)


def _draw_network(panel: Axes, network: str, rows: pd.DataFrame, mark: style.Mark) -> None:
    by_position = rows.groupby("deleted_position")
    errors = by_position.error_percent.agg(["mean", "min", "max"])
    downsampling = by_position.downsampling.first()
    label = f"{network}, one deleted"
    style.band(panel, errors.index, errors["min"], errors["max"], mark, label, "lowest and highest seed")
    panel.plot(
        errors.index,
        errors["mean"],
        color=mark.colour,
        linestyle=mark.dash,
        linewidth=1,
        label=style.part("line", label),
    )
    panel.plot(errors.index, errors["mean"], mark.marker, color=mark.colour, markersize=3.5, label=label)
    halving = errors["mean"][downsampling]
    rings = style.part("downsampling", label)
    panel.plot(halving.index, halving, mark.marker, color=mark.colour, markersize=8, fillstyle="none", label=rings)
    intact = rows.groupby("seed").intact_error_percent.first().mean()
    panel.axhline(
        intact, color=mark.colour, linewidth=1.6, linestyle=":", label=f"{network}, nothing deleted: {intact:.1f}%"
    )


def _name_block(panel: Axes, rows: pd.DataFrame, deleted: pd.DataFrame) -> None:
    """Name what halves the resolution, once for all networks that do it there: above their bands, below high ones.

    A name is as wide as five positions: it must not touch the bands two positions to the left and right, either.
    """
    position = rows.deleted_position.iloc[0]
    near = deleted.error_percent[(deleted.deleted_position - position).abs() <= 2]
    low, high = near.min(), near.max()
    kind = "layer" if set(rows.network) == {"vgg"} else "block"
    above = high < 80
    panel.annotate(
        str(position) if style.is_narrow() else f"{kind} {position}",
        (position, high if above else low),
        (0, 4 if above else -4),
        textcoords="offset points",
        fontsize=8,
        ha="center",
        va="bottom" if above else "top",
    )


def _draw_papers_vgg(panel: Axes, first: int, last: int) -> None:
    """A line with its name for what the paper states of every layer of VGG, from the first that can be deleted on."""
    panel.plot([first, last], [VGG_ERROR] * 2, color="#000000", linewidth=1.4, linestyle=(0, (5, 3)), zorder=4,
               label="_paper, any VGG layer deleted")  # fmt: skip
    panel.text(first, VGG_ERROR + 8.5, f"the paper's VGG: about {VGG_ERROR:.0f}%", fontsize=8, va="bottom")
