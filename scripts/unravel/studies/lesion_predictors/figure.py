"""The price of deleting each block, how well predictors rank it, and what later blocks put back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from unravel import tables
from unravel.studies import style
from unravel.studies.lesion_predictors import PREDICTORS, TABLE
from unravel.studies.lesion_predictors.values import priced, summary

SEEDS = "lowest and highest seed"
LINEAR = 0.01  # nats: prices up to that are drawn to scale, larger ones by their logarithm


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/lesion_predictors tables of any networks and seeds."""
    table = tables.read(inputs, TABLE.columns)
    rows, values, marks = priced(table), summary(table), style.marks(table.network)
    with style.side_by_side(3, height=3.3) as (figure, panels):
        prices, correlations, compensations = three = list(panels)
        for place, (name, of_network) in enumerate(rows.groupby("network")):
            network, mark = str(name), marks[str(name)]
            _draw_by_position(prices, of_network, "price", mark, f"{network}, measured")
            _draw_by_position(prices, of_network, "first_order", mark, f"{network}, first order", fill="none")
            followed = of_network[of_network.later_change > 0]
            _draw_by_position(compensations, followed, "compensated", mark, f"_{network}, put back")
            _draw_correlations(correlations, values["networks"][network], place, len(marks), mark, network)
        prices.set_yscale("symlog", linthresh=LINEAR)
        correlations.set_xticks(range(len(PREDICTORS)), list(PREDICTORS.values()), rotation=30, ha="right")
        correlations.set_ylim(-1, 1)
        titles = ("rise of the test loss, nats", "rank correlation with it", "share put back")
        for panel, letter, title in zip(three, "ABC", titles, strict=True):
            style.panel_title(panel, letter, title)
            panel.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
        for panel in (prices, compensations):
            panel.set_xlabel("position of the deleted block")
            panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        style.legend(figure)
        style.note_run(figure, scale)
        return style.Drawing(figure, rows, values)


def _draw_by_position(panel: Axes, rows: Any, column: str, mark: style.Mark, label: str, fill: str = "full") -> None:
    over_seeds = rows.groupby("deleted_position")[column].agg(["mean", "min", "max"])
    style.band(panel, over_seeds.index, over_seeds["min"], over_seeds["max"], mark, label, SEEDS)
    panel.plot(over_seeds.index, over_seeds["mean"], color=mark.colour, linestyle=mark.dash, marker=mark.marker,
               markersize=3, fillstyle=fill, linewidth=1, label=label)  # fmt: skip


def _draw_correlations(
    panel: Axes, found: dict[str, Any], place: int, networks: int, mark: style.Mark, network: str
) -> None:
    """A bar for each predictor, with its interval over blocks; networks stand side by side."""
    width = 0.8 / networks
    height = np.array([found[f"{name}_correlation"] for name in PREDICTORS])
    ends = np.array([[found["intervals"][name][end] for name in PREDICTORS] for end in ("low", "high")])
    left = np.arange(len(height)) + width * (place - (networks - 1) / 2)
    panel.bar(left, height, width, color=mark.colour, alpha=0.7, label=f"_{network}, rank correlation")
    panel.vlines(left, *ends, color="#000000", linewidth=1)
