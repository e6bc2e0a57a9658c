"""How every figure looks, and how it is saved so that the same table gives the same bytes."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unravel import tables
from unravel.files import atomic

WIDTH = 7.2  # inches: a page's text width, so that 9 pt in the figure is 9 pt in print
RUN_NOTES = {
    "ci": "ci run: for tests only, the numbers mean nothing",
    "demo": "demo run: 8x8 digits, not the paper's CIFAR-10",
    "own": "own network and data, not the paper's",
    "short": "short run: fewer blocks and epochs than the paper's",
    "paper": "",
}
# Picture formats with the metadata to leave out: what differs from one call to the next.
PICTURES: dict[str, dict[str, None]] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None, "ModDate": None},
    ".png": {"Software": None},
}
SUFFIXES = (*PICTURES, ".csv", ".json")
SETTINGS: Any = {
    "font.family": "DejaVu Sans",  # ships inside matplotlib: the same on every machine
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "grid.alpha": 0.4,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.constrained_layout.use": True,
    "savefig.transparent": True,  # the article shows figures on a light or a dark page
    "svg.fonttype": "none",  # text stays text: it can be selected, searched and read aloud
    "svg.hashsalt": "unravel",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class Mark:
    """How a network is drawn everywhere: never by colour alone."""

    colour: str
    marker: str
    dash: str | tuple[int, tuple[float, ...]]


# Okabe and Ito's palette, which stays apart under the common colour-vision deficiencies.
KNOWN_MARKS = {
    "resnet": Mark("#0072B2", "o", "-"),
    "vgg": Mark("#D55E00", "s", (0, (4, 1.5))),
    "stochastic-depth": Mark("#009E73", "^", (0, (1, 1))),
    "effective-paths": Mark("#CC79A7", "D", (0, (4, 1, 1, 1))),
}
SPARE_MARKS = (Mark("#E69F00", "v", "-"), Mark("#56B4E9", "P", (0, (4, 1.5))), Mark("#999999", "X", (0, (1, 1))))


def marks(networks: Iterable[str]) -> dict[str, Mark]:
    """A mark for each network: the known ones always the same, others in the order of their names."""
    chosen, spare = {}, 0
    for name in sorted(set(networks)):
        if name in KNOWN_MARKS:
            chosen[name] = KNOWN_MARKS[name]
        else:
            chosen[name] = SPARE_MARKS[spare % len(SPARE_MARKS)]
            spare += 1
    return chosen


@dataclass(frozen=True)
class Drawing:
    """A figure, the table that was plotted, and the values that its caption names."""

    figure: Figure
    table: pd.DataFrame
    values: Mapping[str, Any]


@contextmanager
def axes(rows: int = 1, columns: int = 1, height: float = 3.2, **options: Any) -> Iterator[tuple[Figure, Any]]:
    """Axes in the project's style."""
    with mpl.rc_context(SETTINGS):
        figure, panels = plt.subplots(rows, columns, figsize=(WIDTH, height), **options)
        try:
            yield figure, panels
        finally:
            plt.close(figure)


def note_run(figure: Figure, scale: str) -> None:
    """Write on the figure itself which kind of run it shows, unless it is the paper's own scale."""
    if RUN_NOTES[scale]:
        figure.text(0.995, 0.005, RUN_NOTES[scale], ha="right", va="bottom", fontsize=7, style="italic", alpha=0.8)
        figure.get_layout_engine().set(rect=(0, 0.04, 1, 0.96))  # type: ignore[union-attr, call-arg]


def median_and_quartiles(panel: Axes, groups: Any, mark: Mark, label: str) -> None:
    """Draw the median of each group of a pandas groupby over its key, with the band between the quartiles."""
    middle, low, high = groups.median(), groups.quantile(0.25), groups.quantile(0.75)
    panel.fill_between(middle.index, low, high, color=mark.colour, alpha=0.2, linewidth=0)
    panel.plot(
        middle.index, middle, color=mark.colour, linestyle=mark.dash, marker=mark.marker, markersize=3.5, label=label
    )


def panel_title(panel: Axes, letter: str, text: str, **options: Any) -> None:
    """Title a panel: a bold letter and what it shows."""
    panel.set_title(f"$\\bf{{{letter}}}$  {text}", **options)


def save(drawing: Drawing, output: Path) -> None:
    """Write `output` and its siblings, one per suffix. No file holds a date or a random id."""
    with mpl.rc_context(SETTINGS):
        for suffix, metadata in PICTURES.items():
            with atomic(output.with_suffix(suffix)) as partial:
                drawing.figure.savefig(partial, format=suffix[1:], metadata=metadata, dpi=200)
    tables.write(output.with_suffix(".csv"), drawing.table)
    with atomic(output.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(drawing.values, default=_plain, indent=1) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value.item()
