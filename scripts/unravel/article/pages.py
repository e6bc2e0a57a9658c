"""Pages: what every page made from the templates in report/ shares, and how they word numbers."""

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from unravel.evidence.sources import quoted
from unravel.statistics import Interval
from unravel.studies.base import FOLDER

ABSENT = "n/a"


def template(source: Path, name: str) -> jinja2.Template:
    """A template of the folder `source`, with the style sheet as `style` and the functions below as filters.

    Values are escaped in HTML, and a name that has no value fails.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([source, FOLDER]),  # a study's section lies in its folder
        autoescape=not name.endswith(".md"),
        undefined=jinja2.StrictUndefined,  # a number that no file holds fails the build
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = (points, interval, claim_value, counted, listed, duration, size, quoted)
    environment.filters |= {function.__name__: function for function in words}
    style = Markup((source / "style.css").read_text(encoding="utf-8"))
    return environment.get_template(name, globals={"style": style})


def points(value: float | None, digits: int = 2) -> str:
    """A number as prose shows it."""
    return ABSENT if value is None or math.isnan(value) else quoted(f"{value:.{digits}f}", value)


def interval(value: Interval | Mapping[str, Any], digits: int = 2) -> str:
    """A mean error in percent with its 95% interval, cut to 0 to 100, and n, as prose shows it."""
    held = value if isinstance(value, Interval) else Interval(**value)
    if held.n == 1 or math.isnan(held.mean):
        mean = points(float(held.mean), digits)
        return quoted(f"{mean} (n = {held.n})", held.mean)
    low, high = max(0, held.low), min(100, held.high)
    words = f"{held.mean:.{digits}f} (95% interval {low:.{digits}f} to {high:.{digits}f}, n = {held.n})"
    return quoted(words, held.mean)


# What a value can be at all; a t interval knows of no such ends.
ENDS = {
    "percent": (0.0, 100.0),
    "rank_correlation": (-1.0, 1.0),
    "r_squared": (0.0, 1.0),
    "largest_jump": (0.0, 100.0),
}


def claim_value(value: Interval, name: str) -> str:
    """A claim's value with its 95% interval, cut to what the value can be, and n; without them where nothing varies."""
    if value.low == value.high:
        return quoted(f"{value.mean:.3g}", value.mean)
    low_end, high_end = next((ends for part, ends in ENDS.items() if part in name), (-math.inf, math.inf))
    low, high = max(value.low, low_end), min(value.high, high_end)
    return quoted(f"{value.mean:.3g} ({low:.3g} to {high:.3g}, n\u00a0=\u00a0{value.n})", value.mean)


def counted(number: int, word: str) -> str:
    """A number with its noun, in the plural unless it is one."""
    return quoted(f"{number} {word}{'' if number == 1 else 's'}", number)


def listed(values: Collection[Any], word: str) -> str:
    """Values after their noun, in the plural unless there is one: seed 1; seeds 1, 2, 3."""
    return f"{word}{'' if len(values) == 1 else 's'} {', '.join(map(str, values))}"


def duration(seconds: float) -> str:
    """Seconds as a reader says them."""
    if seconds < 90:
        return quoted(f"{seconds:.1f} s", seconds)
    return quoted(f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h", seconds)


def size(n_bytes: int) -> str:
    """Bytes as a reader says them."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= factor / 10:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{n_bytes} bytes"
