"""The test error of every network, by each convention of running all blocks at test time (paper, section 5)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from unravel import tables
from unravel.statistics import Interval
from unravel.studies import style
from unravel.studies.paper import TEST_ERRORS
from unravel.studies.short_training import CONVENTIONS, TABLE
from unravel.studies.short_training.values import summary, test_errors


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/predictions tables of any networks and seeds."""
    predictions = tables.read(inputs, TABLE.columns)
    errors, values = test_errors(predictions), summary(predictions)
    marks = style.marks(errors.network)
    rows = [(name, how) for name, found in values["networks"].items() for how in CONVENTIONS if how in found]
    comma = ",\n" if style.is_narrow() else ", "
    names = [f"{name}{comma}{how}" if len(values["networks"][name]) > 1 else name for name, how in rows]
    stated = {TEST_ERRORS[name]: place for place, (name, how) in enumerate(rows)
              if name in TEST_ERRORS and how == "scaled"}  # fmt: skip
    with style.axes(height=1.1 + 0.34 * len(rows)) as (figure, panel):
        for place, (network, convention) in enumerate(rows):
            shown = errors[(errors.network == network) & (errors.convention == convention)].error_percent
            mark, above = (
                marks[network],
                np.linspace(-0.35, 0, len(shown)),
            )  # so that none hides another, or the interval
            name = f"{network}, {convention}"
            panel.plot(shown, place + above, mark.marker, color=mark.colour, markersize=4.5, label=name)
            _draw_interval(panel, values["networks"][network][convention], place)
        if stated:
            style.legend(figure, handles=style.stated(panel, list(stated), list(stated.values())))
        panel.set_yticks(range(len(rows)), names)
        panel.invert_yaxis()
        _crop(panel, [*errors.error_percent, *stated])
        panel.set_xlabel("test error, percent")
        panel.grid(axis="y", visible=False)
        style.note_run(figure, scale)
        return style.Drawing(figure, errors, {**values, "stated": TEST_ERRORS if stated else None})


def _draw_interval(panel: Axes, interval: Interval, place: int) -> None:
    low, high, below = max(0, interval.low), min(100, interval.high), place + 0.28
    panel.plot([low, high], [below, below], color="#000000", linewidth=1)
    panel.plot([interval.mean] * 2, [below - 0.1, below + 0.1], color="#000000", linewidth=1.5)


def _crop(panel: Axes, errors: Sequence[float]) -> None:
    """Show no more of the axis than has errors: logarithmic from 1 on and linear below, so that 0 has a place."""
    low, high = min(errors), max(errors)
    panel.set_xscale("symlog", linthresh=1)
    panel.set_xlim(low / 1.25 if low > 1 else 0, min(100, max(2, high * 1.25)))
    panel.xaxis.set_major_locator(FixedLocator([0, 0.5, 1, 2, 5, 10, 20, 50, 100]))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter("{x:g}")
