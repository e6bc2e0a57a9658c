"""Drawings: the SVG of a figure made fit for a page. What could run, or fetch something, is refused.

The SVG of a run that someone published is not trusted. It is parsed as XML and written again from what was parsed, so
that a browser reads what was checked here, and no more.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
OF_A_PICTURE = ("href", "width", "height", "preserveAspectRatio")  # the others say where it is and how it is shown
PLAIN = re.compile(r"[\w\s:;#.,'%()-]+")  # a style that is declarations only, wherever it stands


@dataclass
class Shared:
    """What the drawings on one page share: ids that are there once, a class for each style, and pictures in them.

    Ids and styles are short: thousands of shapes repeat them, and written out they are a third of a drawing's bytes. A
    picture stands once on the page, for the drawings of both widths.
    """

    ids: dict[tuple[str, str], str] = field(default_factory=dict)  # by drawing and the id there
    classes: dict[str, str] = field(default_factory=dict)  # by style
    pictures: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict)  # ids by attributes

    def id(self, slug: str, there: str) -> str:
        """An id of a drawing on the page. What draws a series keeps its name, by which the page's script finds it."""
        return (
            f"{slug}-{there}" if there.startswith("mark") else self.ids.setdefault((slug, there), f"i{len(self.ids)}")
        )

    def use_picture(self, element: Element) -> None:
        """Make an <image> with its content into a <use> of the one that `definitions` has."""
        own = [name for name in OF_A_PICTURE if name in element.attrib]
        key = tuple((name, element.attrib.pop(name)) for name in own)
        element.tag = "use"
        element.set("href", f"#{self.pictures.setdefault(key, f'p{len(self.pictures)}')}")

    def definitions(self) -> Markup:
        """The pictures, each once, as elements of an svg that is not shown."""
        made = (Element("image", {"id": name, **dict(key)}) for key, name in self.pictures.items())
        return Markup("\n".join(ElementTree.tostring(one, encoding="unicode") for one in made))

    def sheet(self) -> Markup:
        """The classes as a style sheet."""
        return Markup("\n".join(f".{name} {{ {style} }}" for style, name in self.classes.items()))


def inline(text: str, slug: str, shared: Shared) -> tuple[str, Markup]:
    """The view box and the content of a matplotlib SVG, made fit for a page, with the page's ids and classes.

    Black becomes the page's text colour, so that a dark page stays readable. Raises InputError if it is no SVG with a
    view box, or holds anything but shapes and text.
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
    children = _safe(root, slug, shared)
    return view_box, Markup("".join(ElementTree.tostring(child, encoding="unicode") for child in children))


def _safe(parent: Element, slug: str, shared: Shared, depth: int = 0) -> list[Element]:
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
        copy = Element(name, dict(_attribute(*item, slug, shared) for item in child.items()))
        if "class" not in copy.attrib and PLAIN.fullmatch(copy.get("style", "")):
            copy.set("class", shared.classes.setdefault(copy.attrib.pop("style"), f"s{len(shared.classes)}"))
        if name == "image" and "href" in copy.attrib:
            shared.use_picture(copy)
        copy.text, copy.tail = child.text, child.tail
        copy.extend(_safe(child, slug, shared, depth + 1))
        made.append(copy)
    return made


def _attribute(name: str, value: str, slug: str, shared: Shared) -> tuple[str, str]:
    name = name.replace(XLINK, "xlink:")
    if not re.fullmatch(r"(xlink:)?[a-zA-Z][\w-]*", name) or name.lower().startswith("on"):
        raise _refusal(slug, f"has the attribute {cut(name)}")
    if name == "id":
        return name, shared.id(slug, value)
    if name in ("href", "xlink:href"):
        if not value.startswith(WITHIN):
            raise _refusal(slug, f"leads to {cut(value)}")
        return "href", f"#{shared.id(slug, value[1:])}" if value.startswith("#") else "".join(value.split())
    if ELSEWHERE.search(value):
        raise _refusal(slug, f"has the {name} {cut(value)}")
    value = re.sub(r"(?<=url\(#)[^)]*", lambda there: shared.id(slug, there[0]), value)
    return name, value.replace("#000000", "currentColor")


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
