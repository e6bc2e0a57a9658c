"""Pages: what every page made from the templates in report/ shares, and how they word numbers."""

import base64
import gzip
import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.nodes import Assign, Expr
from markupsafe import Markup

from unravel.article.formulas import formula
from unravel.evidence.sources import quoted
from unravel.statistics import Interval
from unravel.studies import paper
from unravel.studies.base import FOLDER

ABSENT = "n/a"


def template(source: Path, name: str) -> jinja2.Template:
    """A template of the folder `source`, with the functions below as filters.

    It knows the style sheet as `style`, what papers state, `unravel.studies.paper`, as `stated`, `policy` as below, and
    `formula`.
    Values are escaped in HTML, and a name that has no value fails.
    """
    style = Markup("\n".join(path.read_text(encoding="utf-8") for path in sorted(source.glob("*.css"))))
    environment = _environment(source, escaped=not name.endswith(".md"))
    known = {"style": style, "stated": paper, "policy": policy, "formula": formula}
    return environment.get_template(name, globals=known)


@cache
def _environment(source: Path, escaped: bool) -> jinja2.Environment:
    """Made once in a process, so that several pages share compiled templates."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([source, FOLDER]),  # a study's section lies in its folder
        autoescape=escaped,
        undefined=jinja2.StrictUndefined,  # a number that no file holds fails the build
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = (
        points,
        at_least,
        at_most,
        significant,
        p_value,
        interval,
        claim_value,
        counted,
        listed,
        duration,
        size,
        quoted,
    )
    environment.filters |= {function.__name__: function for function in words}
    return environment


def constant(path: Path, name: str, default: Any) -> Any:
    """What a template sets a name to with `{% set name = ... %}`, where that is a constant; no template is rendered."""
    for found in jinja2.Environment().parse(path.read_text(encoding="utf-8")).find_all(Assign):
        if getattr(found.target, "name", "") == name and isinstance(found.node, Expr):
            return found.node.as_const()
    return default


def policy(style: str, *scripts: str) -> str:
    """The Content-Security-Policy of a page: this style sheet, these scripts and its own pictures, and nothing else.

    Whatever came into a page from a run's files could neither run nor fetch. Styles of single elements are allowed,
    since matplotlib writes its colours so; what they would fetch is not. A worker may be made of what a script that is
    allowed holds itself, and works under the same policy.
    """
    allowed = {
        "default-src": ["'none'"],
        "script-src": [_hash(script) for script in scripts] or ["'none'"],
        "worker-src": ["blob:"] if scripts else ["'none'"],
        "style-src-elem": [_hash(style)],
        "style-src-attr": ["'unsafe-inline'"],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    return "; ".join(" ".join([name, *sources]) for name, sources in allowed.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def svg_address(svg: bytes) -> str:
    """The address of a picture that is part of the page; nothing in it can run or fetch."""
    return _address(svg, "image/svg+xml")


def _address(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


@dataclass(frozen=True)
class Download:
    """A file to save from a page: its address, and how its name ends."""

    address: str
    ending: str


def download(content: bytes, suffix: str) -> Download:
    """A file in the page, text compressed to a quarter: the page's script saves it as it was."""
    if suffix == "pdf":
        return Download(_address(content, "application/pdf"), suffix)
    return Download(_address(gzip.compress(content, mtime=0), "application/gzip"), f"{suffix}.gz")


def points(value: float | None, digits: int = 2) -> str:
    """A number as prose shows it."""
    return ABSENT if value is None or math.isnan(value) else quoted(f"{value:.{digits}f}", value)


def at_least(value: float | None, digits: int = 2) -> str:
    """A number rounded down, for a sentence that says "at least", "over" or "never under" it."""
    return _bound(value, digits, ROUND_FLOOR)


def at_most(value: float | None, digits: int = 2) -> str:
    """A number rounded up, for a sentence that says "at most", "under" or "never over" it."""
    return _bound(value, digits, ROUND_CEILING)


def _bound(value: float | None, digits: int, rounding: str) -> str:
    if value is None or math.isnan(value):
        return ABSENT
    # repr is the shortest decimal that is this float: 79.6 stays 79.6, though the float lies a little below
    rounded = Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-digits), rounding)
    direction = "down" if rounding == ROUND_FLOOR else "up"
    return quoted(f"{rounded + 0:f}", value, direction)  # + 0 makes 0 of -0


def significant(value: float, digits: int = 4) -> str:
    """A number of a closed form, which has as many digits as one likes, to so many significant ones."""
    return quoted(f"{value:.{digits}g}", value)


def p_value(log10: float) -> str:
    """A p value that is given as its log10, since it may be smaller than any float but 0: 2.5e-400."""
    power = math.floor(log10)
    if power >= -4:
        return f"{10**log10:.2g}"
    mantissa = f"{10 ** (log10 - power):.1f}"
    return f"1.0e{power + 1:03d}" if mantissa == "10.0" else f"{mantissa}e{power:03d}"


def interval(value: Interval | Mapping[str, Any], digits: int | None = None) -> str:
    """A mean error in percent with its 95% interval, cut to 0 to 100, and n, as prose shows it.

    Not told otherwise, it has the digits that the interval allows: two of half its width.
    """
    held = value if isinstance(value, Interval) else Interval(**value)
    if digits is None:
        half = (held.high - held.low) / 2
        digits = max(0, 1 - math.floor(math.log10(half))) if half > 1e-9 else 2  # less is rounding
    if held.n == 1 or math.isnan(held.mean):
        mean = points(float(held.mean), digits)
        return quoted(f"{mean} (n = {held.n})", held.mean)
    held = within(held, *ends("percent"))
    words = f"{held.mean:.{digits}f} (95% interval {held.low:.{digits}f} to {held.high:.{digits}f}, n = {held.n})"
    return quoted(words, held.mean)


# What a value can be at all; a t interval knows of no such ends.
ENDS = {
    "projected": (-math.inf, math.inf),  # a share by projection may be negative
    "percent": (0.0, 100.0),
    "rank_correlation": (-1.0, 1.0),
    "r_squared": (0.0, 1.0),
    "largest_jump": (0.0, 100.0),
}


def claim_value(value: Interval, name: str) -> str:
    """A claim's value with its 95% interval, cut to what the value can be, and n; without them where nothing varies."""
    if value.low == value.high:
        return quoted(f"{value.mean:.3g}", value.mean)
    held = within(value, *ends(name))
    return quoted(f"{held.mean:.3g} ({held.low:.3g} to {held.high:.3g}, n\u00a0=\u00a0{held.n})", held.mean)


def ends(name: str) -> tuple[float, float]:
    """The least and the most that a claim's value of this name can be."""
    return next((ends for part, ends in ENDS.items() if part in name), (-math.inf, math.inf))


def within(value: Interval, least: float, most: float) -> Interval:
    """An interval, cut to what its value can be."""
    return replace(value, low=max(value.low, least), high=min(value.high, most))


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
