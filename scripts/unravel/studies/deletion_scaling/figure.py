"""Mean norm of the residual branches, and what deleting blocks costs, against the number of blocks."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator

from unravel import tables
from unravel.studies import style
from unravel.studies.deletion_scaling import DELETIONS, SHAPES
from unravel.studies.deletion_scaling.values import prices, summary


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/deletion_scaling tables of any networks and seeds."""
    shapes, deletions = (
        tables.read([path for path in inputs if path.name.endswith(f".{name}.csv")], table.columns)
        for name, table in (("shapes", SHAPES), ("deletions", DELETIONS))
    )
    values, marks, price = summary(shapes, deletions), style.marks(shapes.network), prices(shapes, deletions)
    with style.side_by_side(2, height=3.2) as (figure, (norms, costs)):
        for network, mark in marks.items():
            rows = shapes[shapes.network == network]
            _draw_widths(norms, rows, "branch_norm", mark, f"{network}, branches", mark.dash)
            _draw_reciprocal(norms, values["networks"][network]["shapes"], f"{network}, in inverse proportion")
            for deleted, dash in zip(values["deleted"], itertools.cycle(("-", "--", ":", "-."))):
                full = price[(price.network == network) & (price.deleted_blocks == deleted) & (price.width == 1)]
                _draw_widths(costs, full, "price_points", mark, f"{network}, {deleted} deleted", dash)
        norms.set_yscale("log")
        norms.yaxis.set_minor_formatter(NullFormatter())
        norms.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        norms.yaxis.set_major_formatter("{x:g}")
        costs.axhline(0, color=style.GREY, linewidth=0.8)
        style.panel_title(norms, "A", "mean norm of the branches")
        style.panel_title(costs, "B", "increase in error, points")
        for panel in (norms, costs):
            panel.set_xscale("log")
            panel.set_xlabel("blocks")
            depths = sorted(shapes.blocks.unique())
            panel.xaxis.set_major_locator(FixedLocator(depths))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.xaxis.set_major_formatter("{x:g}")
        style.legend(figure)
        style.note_run(figure, scale)
        table = pd.concat([shapes.assign(table="shapes"), price.assign(table="prices")], ignore_index=True)
        return style.Drawing(figure, table, values)


def _draw_widths(panel: Axes, rows: pd.DataFrame, column: str, mark: style.Mark, label: str, dash: Any) -> None:
    """A line over the depths of full width, and a hollow mark for each other width."""
    for width, of_width in rows.groupby("width", sort=False):
        over_seeds = of_width.groupby("blocks")[column].agg(["mean", "min", "max"])
        full = width == 1
        name = label if full else f"{label}, {100 * float(str(width)):g}% of the channels"
        look: Any = {
            "marker": mark.marker,
            "markersize": 4,
            "color": mark.colour,
            "fillstyle": "full" if full else "none",
        }
        style.band(panel, over_seeds.index, over_seeds["min"], over_seeds["max"], mark, name, "lowest and highest seed")
        panel.plot(over_seeds.index, over_seeds["mean"], linestyle=dash, label=name, **look)


def _draw_reciprocal(panel: Axes, shapes: Sequence[dict[str, Any]], label: str) -> None:
    """What the shallowest network of full width would say of the others, by Chang et al. (2018, Eq. 5)."""
    full = [one for one in shapes if one["width"] == 1]
    blocks = np.array([one["blocks"] for one in full])
    panel.plot(blocks, full[0]["branch_norm"] * blocks[0] / blocks, color=style.GREY, linestyle="--", label=label)
