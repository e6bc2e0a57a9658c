"""Figure 3 of the paper: test error after deleting each block in turn, residual network against VGG."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
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
        chance, last = deleted.chance_error_percent.iloc[0], deleted.deleted_position.max()
        layers = deleted[deleted.network == "vgg"].deleted_position.unique().tolist()
        if layers:
            style.stated(panel, layers, [VGG_ERROR] * len(layers))
        panel.axhline(chance, color=style.GREY, linewidth=0.8)
        panel.text(last + 1, chance - 1, "guessing", fontsize=7, alpha=0.7, ha="right", va="top")
        panel.set_xlabel("position of the deleted block or layer")
        panel.set_ylabel("test error, percent")
        panel.set_ylim(bottom=0)
        panel.set_xlim(0, last + 1)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside upper center", ncols=3)
        style.note_run(figure, scale)
        values = {**summary(deleted), "stated_vgg_error_percent": VGG_ERROR if layers else None}
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
    panel.axhline(intact, color=mark.colour, linewidth=0.8, linestyle=":", label=f"{network}, nothing deleted")
