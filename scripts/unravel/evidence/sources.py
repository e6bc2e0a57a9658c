"""Numbers that know which file of a run holds them, and under which key: a page links each to where that comes from."""

from dataclasses import dataclass
from typing import Any, Self

from markupsafe import Markup

from unravel.statistics import Interval


@dataclass(frozen=True)
class Source:
    """A file below the run's folder (* for several, of which a mean was taken), a dotted key, and the page's anchor."""

    file: str
    key: str
    anchor: str


class Known:
    """A number that knows its source."""

    source: Source

    def __new__(cls, value: float, source: Source) -> Self:
        number = super().__new__(cls, value)  # type: ignore[call-arg]  # of float or int
        number.source = source
        return number

    def __html__(self) -> str:
        return quoted(str(self), self)


class Real(Known, float):
    """A float that knows its source."""

    def __neg__(self) -> "Real":
        return Real(-float(self), self.source)

    def __abs__(self) -> "Real":
        return Real(abs(float(self)), self.source)


class Whole(Known, int):
    """An integer that knows its source."""


def sourced(value: Any, file: str, anchor: str, key: str = "") -> Any:
    """`value`, as read from a file, with every number in it knowing its source; `key` is where it stands itself."""
    inside = f"{key}." if key else ""
    match value:
        case bool():
            return value
        case int():
            return Whole(value, Source(file, key, anchor))
        case float():
            return Real(value, Source(file, key, anchor))
        case Interval():
            return Interval(**sourced(vars(value), file, anchor, key))
        case dict():
            return {name: sourced(inner, file, anchor, f"{inside}{name}") for name, inner in value.items()}
        case list():
            return [sourced(inner, file, anchor, f"{inside}{place}") for place, inner in enumerate(value)]
    return value


def quoted(text: str, number: object, rounded: str = "to nearest") -> str:
    """`text`, which says a number, as a link to where the number comes from; as it is, if the number does not know.

    rounded: how the text's digits were made of the number's; said in the link if it is not to the nearest.
    The Tab key passes such links by, of which a page has hundreds: the panel below each figure leads to the same place.
    """
    if not isinstance(number, Known):
        return text
    title = f"{number.source.file}: {number.source.key}" + ("" if rounded == "to nearest" else f", rounded {rounded}")
    link = Markup('<a class="number" tabindex="-1" href="#{}" title="{}">{}</a>')
    return link.format(number.source.anchor, title, text)
