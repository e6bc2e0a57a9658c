"""Drawings: the SVG of a figure made fit for a page. What could run, or fetch something, is refused.

The SVG of a run that someone published is not trusted. It is parsed as XML and written again from what was parsed, so
that a browser reads what was checked here, and no more.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from markupsafe import Markup

from unravel.files import InputError, cut

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
# What matplotlib draws with, and the like. Not among them: script, foreignObject, animations, links.
ELEMENTS = {
    *("g", "defs", "path", "use", "clipPath", "rect", "circle", "ellipse", "line", "polyline", "polygon"),
    *("text", "tspan", "image", "title", "desc", "linearGradient", "radialGradient", "stop", "pattern"),
}
PASSED_OVER = {f"{SVG}metadata", f"{SVG}style"}  # the page's own style sheet says what matplotlib's does
WITHIN = ("#", "data:image/png;base64,")  # how an address begins that leads nowhere else
ELSEWHERE = re.compile(
    r"url\((?!#)|image\(|image-set\(|src\(|\\", re.IGNORECASE
)  # of styles; \ would hide one of these
DEEPEST = 50


def inline(text: str, slug: str) -> tuple[str, Markup]:
    """The view box and the content of a matplotlib SVG, made fit for a page.

    Ids get the figure's prefix (an id may be there once on a page, and figures share most of theirs), and black becomes
    the page's text colour, so that a dark page stays readable. Raises InputError if it is no SVG with a view box, or
    holds anything but shapes and text.
    """
    if "<!ENTITY" in text:
        raise _refusal(slug, "declares an entity")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise _refusal(slug, f"is damaged ({error})") from error
    view_box = root.get("viewBox")
    if root.tag != f"{SVG}svg" or not view_box:
        raise _refusal(slug, "has no viewBox")
    children = _safe(root, slug)
    return view_box, Markup("".join(ElementTree.tostring(child, encoding="unicode") for child in children))


def _safe(parent: Element, slug: str, depth: int = 0) -> list[Element]:
    """Copies of an element's children, checked and changed."""
    if depth > DEEPEST:
        raise _refusal(slug, f"has more than {DEEPEST} levels")
    made = []
    for child in parent:
        if child.tag in PASSED_OVER:
            continue
        name = child.tag.removeprefix(SVG)
        if name not in ELEMENTS:
            raise _refusal(slug, f"holds <{cut(name)}>")
        copy = Element(name, dict(_attribute(*item, slug) for item in child.items()))
        copy.text, copy.tail = child.text, child.tail
        copy.extend(_safe(child, slug, depth + 1))
        made.append(copy)
    return made


def _attribute(name: str, value: str, slug: str) -> tuple[str, str]:
    name = name.replace(XLINK, "xlink:")
    if not re.fullmatch(r"(xlink:)?[a-zA-Z][\w-]*", name) or name.lower().startswith("on"):
        raise _refusal(slug, f"has the attribute {cut(name)}")
    if name == "id":
        return name, f"{slug}-{value}"
    if name in ("href", "xlink:href"):
        if not value.startswith(WITHIN):
            raise _refusal(slug, f"leads to {cut(value)}")
        return name, value.replace("#", f"#{slug}-", 1) if value.startswith("#") else "".join(value.split())
    if ELSEWHERE.search(value):
        raise _refusal(slug, f"has the {name} {cut(value)}")
    return name, value.replace("url(#", f"url(#{slug}-").replace("#000000", "currentColor")


def _refusal(slug: str, what: str) -> InputError:
    return InputError(f"figure {slug}: the svg {what}, which no figure of this project does; draw the figure again")


def sketch(series: Sequence[Mapping[str, Any]], width: float = 360, height: float = 190) -> list[dict[str, Any]]:
    """The measured series of a figure, percent over positions, with their places in a small drawing of this size.

    What the paper states is left out, and so are series without points. The places keep a margin for the labels.
    """
    measured = [one for one in series if one["x"] and not one["series"].startswith("paper")]
    left, right, top, bottom = 36, 8, 8, 20
    last = max((max(one["x"]) for one in measured), default=1)
    first = min((min(one["x"]) for one in measured), default=0)
    across = (width - left - right) / ((last - first) or 1)
    placed = []
    for one in measured:
        down = [round(top + (1 - y / 100) * (height - top - bottom), 1) for y in one["y"]]
        ending = down[-max(3, len(down) // 4) :]
        above, below = min(ending) - 9, max(ending) + 18  # for the label, clear of the last marks
        places = {"left": [round(left + (x - first) * across, 1) for x in one["x"]], "down": down}
        placed.append({**one, **places, "label": above if above > 2 * top else below})
    return placed
