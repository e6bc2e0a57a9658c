"""Steps of an estimate: their cosines with the gradient, the distance to where the stage ends, and read-outs."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from unravel import tables
from unravel.studies import style
from unravel.studies.iterative_inference import COSINES, ESTIMATES, READOUTS
from unravel.studies.iterative_inference.values import summary

_PANELS = {
    "cosines": ("position", "cosine", "cosine of step and gradient"),
    "estimates": ("place", "deviation", "deviation from the stage's end"),
    "readouts": ("step", "error_percent", "error of read-outs, percent"),
}
_ACROSS = {"position": "position of the block", "place": "blocks passed", "step": "step of the last stage"}


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/iterative_inference tables of any networks and seeds."""
    found = {
        name: tables.read([path for path in inputs if path.name.endswith(f".{name}.csv")], table.columns)
        for name, table in (("cosines", COSINES), ("estimates", ESTIMATES), ("readouts", READOUTS))
    }
    marks = style.marks(found["cosines"].network)
    with style.side_by_side(3, height=3.1) as (figure, panels):
        for panel, letter, (name, (x, y, title)) in zip(panels, "ABC", _PANELS.items(), strict=True):
            for network, rows in found[name].groupby("network"):
                _draw_network(panel, rows.groupby(["weights", x])[y], str(network), marks[str(network)])
            style.panel_title(panel, letter, title)
            panel.set_xlabel(_ACROSS[x])
        panels[0].axhline(0, color=style.GREY, linewidth=0.8)
        panels[2].set_ylim(0, 100)
        handles, labels = panels[0].get_legend_handles_labels()
        style.legend(figure, handles=handles, labels=labels)
        style.note_run(figure, scale)
        table = pd.concat([one.assign(table=name) for name, one in found.items()], ignore_index=True)
        return style.Drawing(figure, table, summary(found))


def _draw_network(panel: Axes, groups: object, network: str, mark: style.Mark) -> None:
    over_seeds = groups.agg(["mean", "min", "max"])  # type: ignore[attr-defined]
    for weights, fill in (("trained", "full"), ("untrained", "none")):
        rows, label = over_seeds.loc[weights], network if weights == "trained" else f"{network}, weights drawn anew"
        style.band(panel, rows.index, rows["min"], rows["max"], mark, label, "lowest and highest seed")
        panel.plot(rows.index, rows["mean"], color=mark.colour, linestyle=mark.dash, marker=mark.marker, markersize=3,
                   fillstyle=fill, linewidth=1, label=label)  # fmt: skip
