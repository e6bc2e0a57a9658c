"""The paper's estimate of the gradient by path length against the exact sum: its bias, its error, and its share."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from unravel import tables
from unravel.studies import style
from unravel.studies.exact_estimate.values import BOUND, summary, tables_of
from unravel.tables import LOG_NORM, NETWORK, SEED, text, whole

COLUMNS = {
    "network": NETWORK,
    "seed": SEED,
    "batch_norm": text("train", "eval"),
    "batch": whole(1),
    "length": whole(),
    "log10_norm": LOG_NORM,
}
EXACT = style.Mark("#000000", "", "-")
ERRORS = {10: (0, (1, 1)), 100: (0, (4, 1.5)), 1000: "-"}  # numbers of samples, and their dashes


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/gradients tables of one network and any seeds."""
    sampled, exact = (
        tables.read([path for path in inputs if path.name.endswith(f".{ending}.csv")], COLUMNS)
        for ending in ("sampled", "exact")
    )
    found, network = tables_of(sampled, exact), str(sampled.network.iloc[0])
    samples = int(sampled.groupby(["seed", "batch_norm", "batch", "length"]).size().max())
    values = summary(found) | {"network": network, "samples_per_length": samples}
    mark = style.marks([network])[network]
    with style.side_by_side(3, height=3.2) as (figure, panels):
        _draw_factors(panels[0], found["lengths"], mark)
        _draw_errors(panels[1], found["lengths"], mark)
        _draw_shares(panels[2], found, mark)
        titles = ("log10 of estimate over exact sum", "error of a mean, percent", "paper's range, percent")
        for panel, letter, title in zip(panels, "ABC", titles, strict=True):
            style.panel_title(panel, letter, title)
            style.legend_below(panel)
        style.note_run(figure, scale)
        table = pd.concat([part.assign(table=name) for name, part in found.items()], ignore_index=True)
        return style.Drawing(figure, table, values)


def _draw_factors(panel: Axes, lengths: pd.DataFrame, mark: style.Mark) -> None:
    factors, label = lengths.groupby("length").log10_factor, "estimate over exact sum"
    style.band(panel, factors.mean().index, factors.min(), factors.max(), mark, label, "lowest and highest batch")
    panel.plot(factors.mean(), color=mark.colour, linestyle=mark.dash, marker=mark.marker, markersize=2.5, label=label)
    panel.axhline(0, color=style.GREY, linewidth=0.8)
    _count_lengths(panel)


def _draw_errors(panel: Axes, lengths: pd.DataFrame, mark: style.Mark) -> None:
    one = lengths.groupby("length").deviation_percent.mean()
    for size, dash in ERRORS.items():
        panel.plot(one / np.sqrt(size), color=mark.colour, linestyle=dash, label=f"{size} samples")
    panel.set_ylim(bottom=0)
    _count_lengths(panel)


def _count_lengths(panel: Axes) -> None:
    panel.set_xlabel("path length")
    panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _draw_shares(panel: Axes, found: dict[str, pd.DataFrame], mark: style.Mark) -> None:
    of_size, label = found["sizes"].groupby("samples"), "estimate, 95% of draws"
    mean = of_size.mean_percent.mean()
    style.band(panel, mean.index, of_size.low_percent.mean(), of_size.high_percent.mean(), mark, label, "95% of draws")
    panel.plot(mean, color=mark.colour, linestyle=mark.dash, marker=mark.marker, markersize=2.5, label=label)
    exact = pd.Series(found["shares"].exact_percent.mean(), mean.index)
    panel.plot(exact, color=EXACT.colour, linestyle=EXACT.dash, label="exact sum")
    panel.axhline(BOUND, color=style.GREY, linewidth=0.8, linestyle="--")
    panel.set_xscale("log")
    panel.set_xlabel("sampled paths of each length")
