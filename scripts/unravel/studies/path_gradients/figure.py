"""Figure 6 of the paper: how many paths have each length, what gradient one carries, and what they carry together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from unravel import tables
from unravel.studies import style
from unravel.studies.path_gradients import EXACT, SAMPLED
from unravel.studies.path_gradients.values import DECAY, by_length, decay, mean_norms, spread, summary
from unravel.tables import number, whole

UNTRAINED = style.Mark(style.GREY, "", "--")
EXACT_SUM, PROJECTION = style.Mark("#000000", "", "-"), style.Mark("#A85430", "", (0, (4, 1.5)))
BAND = "lowest and highest batch"
_UNTRAINED = SAMPLED.only("network", "seed", "batch", "length", "log10_norm")
_SAMPLED = SAMPLED.only("network", "seed", "batch_norm", "batch", "length", "log10_norm")


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements of one network: sampled and exact gradients, path counts, and those of its untrained copies.

    Without the last, which a network of a user's own does not have, there is no control to draw.
    """
    sampled = tables.read([path for path in inputs if path.name.endswith(".sampled.csv")], _SAMPLED)
    exact = tables.read([path for path in inputs if path.name.endswith(".exact.csv")], EXACT.columns)
    counts = tables.read(
        [path for path in inputs if path.parent.name == "paths"],
        {"deleted_blocks": whole(), "length": whole(), "paths": number(1)},
    )
    controls = [path for path in inputs if path.parent.name == "untrained_gradients"]
    untrained = tables.read(controls, _UNTRAINED) if controls else None
    paths = counts[counts.deleted_blocks == 0].set_index("length").paths.astype(float)
    table = by_length(sampled, exact, paths).merge(spread(sampled, exact, paths), on=["batch_norm", "length"])
    shown = table[table.batch_norm == "train"].set_index("length")
    values = summary(table, sampled, exact, paths)
    if untrained is not None:
        control = pd.DataFrame([decay(rows) for _, rows in untrained.groupby("seed")], columns=DECAY).mean()
        values["untrained"] = control.to_dict()
    mark = style.marks(sampled.network)[sampled.network.iloc[0]]
    with style.side_by_side(3, height=3.2) as (figure, panels):
        panels[0].bar(shown.index, shown.share_of_paths, color=style.GREY, width=0.8, label="all paths, counted")
        _draw_norms(panels[1], shown, untrained, mark)
        _draw_shares(panels[2], shown, values["papers_range"], mark)
        titles = ("share of all paths", "log10 of the norm of one path", "share by length")
        for panel, letter, title in zip(panels, "ABC", titles, strict=True):
            style.panel_title(panel, letter, title)
            panel.set_xlabel("path length")
            panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            style.legend_below(panel)
        style.note_run(figure, scale)
        return style.Drawing(figure, table, values)


def _draw_norms(panel: Axes, shown: pd.DataFrame, untrained: pd.DataFrame | None, mark: style.Mark) -> None:
    _draw_line(panel, shown, "log10_mean_norm", mark, "one path" if untrained is None else "one path, trained")
    if untrained is None:
        return
    before = pd.concat(mean_norms(rows) for _, rows in untrained.groupby(["seed", "batch"])).groupby("length")
    control = pd.DataFrame({"mean": mean_norms(untrained), "mean_low": before.min(), "mean_high": before.max()})
    _draw_line(panel, control, "mean", UNTRAINED, "one path, untrained")


def _draw_shares(panel: Axes, shown: pd.DataFrame, papers_range: tuple[int, int], mark: style.Mark) -> None:
    grey: Any = {"facecolor": (style.GREY, 0.15), "edgecolor": style.GREY, "linewidth": 0.5}
    panel.axvspan(*papers_range, label="the paper's range", **grey)
    dotted = replace(mark, dash=":")
    _draw_line(panel, shown, "estimated_share", dotted, "paths x mean norm of one")
    _draw_line(panel, shown, "exact_share", EXACT_SUM, "norm of the exact sum")
    _draw_line(panel, shown, "projected_share", PROJECTION, "projection on the gradient")


def _draw_line(panel: Axes, rows: pd.DataFrame, column: str, mark: style.Mark, label: str) -> None:
    style.band(panel, rows.index, rows[f"{column}_low"], rows[f"{column}_high"], mark, label, BAND)
    panel.plot(rows[column], color=mark.colour, linestyle=mark.dash, marker=mark.marker, markersize=2.5, label=label)
