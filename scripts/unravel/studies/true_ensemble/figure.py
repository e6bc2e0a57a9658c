"""Test error of the residual network without blocks and of a true ensemble without members, and their diversity."""

from collections.abc import Sequence
from pathlib import Path

from unravel import tables
from unravel.studies import style
from unravel.studies.true_ensemble import ERRORS, IMAGES, SYSTEMS
from unravel.studies.true_ensemble.values import MOST_SHARE, ambiguity, summary


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/true_ensemble tables of any networks, one seed each."""
    images = [path for path in inputs if path.name.endswith(".images.csv")]
    errors = tables.read([path for path in inputs if path not in images], ERRORS.columns)
    values, spread = summary(errors, tables.read(images, IMAGES.columns)), ambiguity(errors)
    names = {(name, system): name if system == "residual" else f"ensemble beside {name}"
             for name in values["networks"] for system in SYSTEMS}  # fmt: skip
    marks = style.marks(names.values())
    with style.side_by_side(2, height=3.2) as (figure, (left, right)):
        for (network, system), label in names.items():
            percent = 100 / values["networks"][network]["members"]
            rows = errors[(errors.network == network) & (errors.system == system)]
            style.median_and_quartiles(left, rows.groupby(percent * rows.removed).error_percent, marks[label], label)
            rows, mark = spread[(spread.network == network) & (spread.system == system)], marks[label]
            right.plot(percent * rows.removed, rows.percent_ambiguity, color=mark.colour, linestyle=mark.dash,
                       marker=mark.marker, markersize=3.5, label=f"_{label}")  # fmt: skip
        left.axvline(100 / MOST_SHARE, color=style.GREY, linewidth=0.8, linestyle="--", label="a third")
        style.panel_title(left, "A", "test error, percent")
        style.panel_title(right, "B", "ambiguity, percent of the loss")
        for panel in (left, right):
            panel.set_ylim(0, 100)
            panel.set_xlabel("taken away, percent of blocks or members")
        style.legend(figure)
        style.note_run(figure, scale)
        return style.Drawing(figure, errors, values)
