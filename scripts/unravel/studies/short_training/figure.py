"""The test error of every network, by each convention of running all blocks at test time (paper, section 5)."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

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
    names = [f"{name}, {how}" if len(values["networks"][name]) > 1 else name for name, how in rows]
    with style.axes(height=1.1 + 0.32 * len(rows)) as (figure, panel):
        for place, (network, convention) in enumerate(rows):
            shown = errors[(errors.network == network) & (errors.convention == convention)]
            mark = marks[network]
            panel.plot(
                shown.error_percent,
                [place] * len(shown),
                mark.marker,
                color=mark.colour,
                alpha=0.6,
                ms=5,
                label=names[place],
            )
            _draw_interval(panel, values["networks"][network][convention], place)
        stated = {TEST_ERRORS[name]: place for place, (name, how) in enumerate(rows)
                  if name in TEST_ERRORS and how == "scaled"}  # fmt: skip
        if stated:
            marks_stated = style.stated(panel, list(stated), list(stated.values()))
            figure.legend(handles=marks_stated, loc="outside upper center")
        panel.set_yticks(range(len(rows)), names)
        panel.invert_yaxis()
        panel.set_xscale("symlog", linthresh=1)  # from tenths of a point to chance, and zero has a place
        panel.set_xlim(0, 100)
        panel.xaxis.set_major_formatter("{x:g}")
        panel.set_xlabel("test error, percent (logarithmic above 1)")
        panel.grid(axis="y", visible=False)
        style.note_run(figure, scale)
        return style.Drawing(figure, errors, {**values, "stated": TEST_ERRORS if stated else None})


def _draw_interval(panel: Axes, interval: Interval, place: int) -> None:
    low, high = max(0, interval.low), min(100, interval.high)
    panel.plot([low, high], [place, place], color="#000000", linewidth=1)
    panel.plot([interval.mean] * 2, [place - 0.25, place + 0.25], color="#000000", linewidth=1.5)
