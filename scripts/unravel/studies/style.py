"""How every figure looks, and how it is saved so that the same table gives the same bytes.

A figure is drawn twice by the same code: as wide as a page's text, and for a phone. What a study draws with the
functions here suits both; where it has to know, it asks `is_narrow`.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation
from PIL import Image

from unravel import tables
from unravel.files import atomic
from unravel.studies.base import NARROW_SVG

WIDE = 7.2  # inches: a page's text width, so that 9 pt in the figure is 9 pt in print
NARROW = 3.4  # inches: what a phone shows of a page without scrolling sideways
_width = ContextVar("width", default=WIDE)
RUN_NOTES = {
    "ci": "ci run: for tests only, the numbers mean nothing",
    "demo": "demo run: 8x8 digits, not the paper's CIFAR-10",
    "own": "own network or data, not the paper's",
    "short": "short run: fewer blocks or epochs than the paper's",
    "paper": "",
}
# Picture formats with the metadata to leave out: what differs from one call to the next, and what no page shows.
PICTURES: dict[str, dict[str, None]] = {
    ".svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    ".pdf": {"CreationDate": None, "ModDate": None},
    ".png": {"Software": None},
}
SUFFIXES = (*PICTURES, NARROW_SVG, ".csv", ".json")
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


# Four of Okabe and Ito's colours, and three more that stay apart from them under the common colour-vision deficiencies.
# All have a contrast of 3 to 1 with the article's light page and its dark one, so none is lighter than the pink.
KNOWN_MARKS = {
    "resnet": Mark("#0072B2", "o", "-"),
    "vgg": Mark("#D55E00", "s", (0, (4, 1.5))),
    "stochastic-depth": Mark("#009E73", "^", (0, (1, 1))),
    "effective-paths": Mark("#CC79A7", "D", (0, (4, 1, 1, 1))),
}
SPARE_MARKS = (Mark("#9C18FC", "v", "-"), Mark("#A85430", "P", (0, (4, 1.5))), Mark("#F03CFC", "X", (0, (1, 1))))
GREY = "#767676"  # for what is no network's own
PART_OF = " of "  # in a label, between what is drawn and the series that it belongs to


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
def for_a_phone() -> Iterator[None]:
    """Within it, figures are drawn for a phone."""
    before = _width.set(NARROW)
    try:
        yield
    finally:
        _width.reset(before)


def is_narrow() -> bool:
    """Whether what is drawn now is for a phone."""
    return _width.get() == NARROW


@contextmanager
def axes(rows: int = 1, columns: int = 1, height: float = 3.2, **options: Any) -> Iterator[tuple[Figure, Any]]:
    """Axes in the project's style, as wide as the page; `height` is in inches."""
    with mpl.rc_context(SETTINGS):
        figure, panels = plt.subplots(rows, columns, figsize=(_width.get(), height), **options)
        try:
            yield figure, panels
        finally:
            plt.close(figure)


@contextmanager
def side_by_side(panels: int, height: float) -> Iterator[tuple[Figure, Any]]:
    """Axes of several panels in a row, `height` inches high, or, on a phone, one below the other."""
    rows, each = (panels, 0.85 * height) if is_narrow() else (1, height)
    with axes(rows, panels // rows, each * rows, squeeze=False) as (figure, found):
        yield figure, found.flat


def legend(figure: Figure, **options: Any) -> None:
    """A legend above the panels, in as many columns as fit."""
    for columns in (4, 3, 2, 1):
        made = figure.legend(loc="outside upper center", ncols=columns, **options)
        if columns == 1 or _fits(made):
            return
        made.remove()


def legend_below(panel: Axes) -> None:
    """A panel's own legend, below its axis, for a figure whose panels do not share their series."""
    below = ScaledTranslation(-22 / 72, -34 / 72, panel.figure.dpi_scale_trans)  # the numbers and name of the axis
    panel.legend(loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=panel.transAxes + below, borderaxespad=0)


def _fits(legend: Legend) -> bool:
    figure = legend.get_figure()
    assert figure is not None
    return legend.get_window_extent(figure.canvas.get_renderer()).width <= figure.bbox.width  # type: ignore[attr-defined]


def note_run(figure: Figure, scale: str) -> None:
    """Write on the figure itself which kind of run it shows, unless it is the paper's own scale."""
    if RUN_NOTES[scale]:
        figure.text(0.995, 0.005, RUN_NOTES[scale], ha="right", va="bottom", fontsize=7, style="italic", alpha=0.8)
        figure.get_layout_engine().set(rect=(0, 0.04, 1, 0.96))  # type: ignore[union-attr, call-arg]


def median_and_quartiles(panel: Axes, groups: Any, mark: Mark, label: str) -> None:
    """Draw the median of each group of a pandas groupby over its key, with the band between the quartiles."""
    middle = groups.median()
    band(panel, middle.index, groups.quantile(0.25), groups.quantile(0.75), mark, label, "quartiles")
    panel.plot(
        middle.index, middle, color=mark.colour, linestyle=mark.dash, marker=mark.marker, markersize=3.5, label=label
    )


def part(meaning: str, label: str) -> str:
    """A label, kept out of the legend, for what belongs to the series of this label: `meaning` says what it is."""
    return f"_{meaning}{PART_OF}{label}"


def band(panel: Axes, x: Any, low: Any, high: Any, mark: Mark, label: str, meaning: str) -> None:
    """Draw the band around the series of this label; `meaning` says what its ends are.

    Its outline stands out from a light page and from a dark one, on which its inside is faint.
    """
    look: Any = {"facecolor": (mark.colour, 0.2), "edgecolor": mark.colour, "linewidth": 0.5}
    panel.fill_between(x, low, high, label=part(meaning, label), **look)


def stated(panel: Axes, x: Sequence[float], y: Sequence[float]) -> list[Line2D]:
    """Mark what the paper states as numbers: open stars in the colour of the text, unlike any network's mark."""
    look: Any = {"color": "#000000", "markersize": 7, "markeredgewidth": 0.8, "fillstyle": "none", "zorder": 4}
    return panel.plot(x, y, "*", label="paper, as stated", **look)


def panel_title(panel: Axes, letter: str, text: str, **options: Any) -> None:
    """Title a panel: a bold letter and what it shows."""
    panel.set_label(text)
    title = panel.set_title(letter, fontweight="bold", **options)
    look: Any = {"fontsize": title.get_fontsize(), "va": "bottom", "annotation_clip": False}
    panel.annotate(text, (1, 0), (6, 0), xycoords=title, textcoords="offset points", **look)


class Series(NamedTuple):
    """A labelled line or row of bars: its values (n, 2), the band around it, and all that is drawn of it."""

    label: str
    values: np.ndarray
    band: PolyCollection | None
    artists: list[Artist]


def points(figure: Figure) -> list[dict[str, Any]]:
    """The values to be seen in a figure and where they are: one entry per labelled line or row of bars.

    A label with an underscore before it, which keeps it out of the legend, counts; those that matplotlib gives itself
    do not. `left` and `down` are points (1/72 inch) from the corner of the figure as it was last drawn: the units of
    its svg; `marks` are the ids in it, if `name_marks` gave some. A panel's title stands in for the name of its
    vertical axis. `low` and `high` are the ends of a band. Values that the limits of a panel cut off, or that have no
    place on a logarithmic axis, are left out.
    """
    found = []
    inches = figure.get_size_inches()
    for panel in figure.axes:
        for series in _series(panel):
            places = panel.transData.transform(series.values)
            within = panel.transAxes.inverted().transform(places)
            seen = np.isfinite(places).all(axis=1) & (abs(within - 0.5) < 0.501).all(axis=1)
            right, up = (figure.transFigure.inverted().transform(places[seen]) * inches * 72).T
            x, y = series.values[seen].T
            entry = {
                "series": series.label,
                "x_name": panel.get_xlabel(),
                "y_name": panel.get_ylabel() or panel.get_label(),
                "x": _rounded(x),
                "y": _rounded(y),
                "left": right.round(2).tolist(),
                "down": (inches[1] * 72 - up).round(2).tolist(),
                "marks": [str(artist.get_gid()) for artist in series.artists if artist.get_gid()],
            }
            if series.band is not None:
                low, high = _ends(series.band, x)
                name = str(series.band.get_label()).removeprefix("_").partition(PART_OF)[0]
                entry |= {"band_name": name, "low": _rounded(low), "high": _rounded(high)}
            found.append(entry)
    return found


def name_marks(figure: Figure) -> None:
    """Give what draws a series an id, which the svg keeps, so that a page can hide it."""
    drawn = [artist for panel in figure.axes for series in _series(panel) for artist in series.artists]
    for number, artist in enumerate(drawn):
        artist.set_gid(f"mark{number}")


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.10g}") for value in values]


def _ends(band: PolyCollection, x: np.ndarray) -> np.ndarray:
    """Lower and upper end of a band at each of these places, (2, n)."""
    outline = np.vstack([np.asarray(path.vertices) for path in band.get_paths()])
    at = [outline[outline[:, 0] == place, 1] for place in x]
    return np.array([[ends.min() for ends in at], [ends.max() for ends in at]])


def _series(panel: Axes) -> Iterator[Series]:
    """The lines and bars of a panel that stand at values on both axes."""
    lines = [line for line in panel.get_lines() if line.get_transform() == panel.transData]
    parts: dict[str, list[Artist]] = {}
    for artist in (*lines, *panel.collections):
        meaning, _, whole = str(artist.get_label()).partition(PART_OF)
        if meaning.startswith("_") and whole:
            parts.setdefault(whole, []).append(artist)
    drawn: list[tuple[str, Any, list[Artist]]] = [(str(line.get_label()), line.get_xydata(), [line]) for line in lines]
    for bars in panel.containers:
        if isinstance(bars, BarContainer):
            tops = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in bars]
            drawn.append((str(bars.get_label()), tops, list(bars)))
    for label, values, artists in drawn:
        is_part = label.startswith("_") and PART_OF in label
        if not is_part and not label.startswith(("_child", "_container")):
            name = label.removeprefix("_")
            belonging = parts.get(name, [])
            bands = [artist for artist in belonging if isinstance(artist, PolyCollection)]
            yield Series(name, np.asarray(values, float), bands[0] if bands else None, [*artists, *belonging])


def save(draw: Callable[[], Drawing], output: Path) -> None:
    """Draw for a page and for a phone, and write `output` and its siblings, one per suffix.

    No file holds a date or a random id.
    """
    with for_a_phone():
        narrow = draw().figure
    drawing = draw()
    found = _save_svg(drawing.figure, output)
    places = _save_svg(narrow, output.with_suffix(NARROW_SVG))
    values = {
        **drawing.values,
        "points": [
            one | {"narrow": {axis: other[axis] for axis in ("left", "down")}}
            for one, other in zip(found, places, strict=True)
        ],
    }
    with mpl.rc_context(SETTINGS):
        with atomic(output.with_suffix(".pdf")) as partial:
            drawing.figure.savefig(partial, format="pdf", metadata=PICTURES[".pdf"], transparent=True)
        with atomic(
            output.with_suffix(".png")
        ) as partial:  # for any page, also a dark one: it cannot change its colours
            drawing.figure.savefig(partial, format="png", metadata=PICTURES[".png"], dpi=200)
            if not any(panel.images for panel in drawing.figure.axes):
                _use_a_palette(partial)
    tables.write(output.with_suffix(".csv"), drawing.table)
    with atomic(output.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(values, default=_plain, indent=1) + "\n", encoding="utf-8")


def _save_svg(figure: Figure, output: Path) -> list[dict[str, Any]]:
    """Write a figure as svg, and give the points in it, as `points` does."""
    name_marks(figure)
    with mpl.rc_context(SETTINGS), atomic(output) as partial:
        figure.savefig(partial, format="svg", metadata=PICTURES[".svg"], transparent=True)
        partial.write_text(_trimmed(partial.read_text(encoding="utf-8")), encoding="utf-8")
    return points(figure)  # now: the next format may lay text out a little differently


SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
WORDS = (f"{{{SVG}}}text", f"{{{SVG}}}tspan")


def _trimmed(svg: str) -> str:
    """The same picture in two thirds of the bytes, of which a page holds three drawings of each figure.

    Left out are white space, ids that nothing refers to, shapes without paint, turns by nothing, groups of nothing in
    common, and what a mark's own shape says already of its style. Places are rounded to 0.01 of a point.
    """
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    root = ElementTree.fromstring(svg)
    used = set(re.findall(r"(?<=#)[\w.-]+", svg))
    styles = {f"#{one.get('id')}": one.get("style") for one in root.iter(f"{{{SVG}}}path")}
    for parent in reversed(list(root.iter())):  # from the inside out
        if parent.tag in WORDS:
            continue
        parent.text = parent.text and parent.text.strip()
        kept: list[ElementTree.Element] = []
        for child in parent:
            child.tail = None
            _trim(child, used, styles)
            if child.tag == f"{{{SVG}}}g" and not child.attrib:
                kept += child
            elif child.get("style") != "fill: none" or child.tag != f"{{{SVG}}}path" or "id" in child.attrib:
                kept.append(child)
        parent[:] = kept
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _trim(element: ElementTree.Element, used: set[str], styles: Mapping[str, str | None]) -> None:
    attributes = element.attrib
    if attributes.get("id", "") not in used and not attributes.get("id", "").startswith("mark"):
        attributes.pop("id", None)
    if attributes.get("transform", "").startswith("rotate(-0 "):
        del attributes["transform"]
    if "style" in attributes and styles.get(attributes.get(f"{{{XLINK}}}href", "")) == attributes["style"]:
        del attributes["style"]
    for place in [name for name in ("d", "x", "y", "transform") if name in attributes]:
        attributes[place] = " ".join(re.sub(r"-?\d+\.\d+", _hundredths, attributes[place]).split())


def _hundredths(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _use_a_palette(png: Path) -> None:
    """Write a bitmap of few colours anew with 256 of them: the same to the eye, in two fifths of the bytes."""
    with Image.open(png) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(png, format="png", optimize=True)


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value.item()
