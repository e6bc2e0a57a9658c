"""Formulas: TeX as an inline SVG of outlines, the same in every browser, whatever fonts its reader has."""

import math
from functools import cache

import numpy as np
from markupsafe import Markup
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath, TextToPath

EM = 250  # units of the SVG: a rounded place is off by a five-hundredth of the letters' size
MARGIN = EM // 25
FONT = FontProperties(math_fontfamily="stix", size=EM)  # ships inside matplotlib
COMMANDS = {Path.MOVETO: "m", Path.LINETO: "l", Path.CURVE3: "q", Path.CURVE4: "c"}


@cache
def formula(tex: str, words: str = "") -> Markup:
    """A formula in the part of TeX that matplotlib knows, on the line of the text around it and as large.

    Screen readers read `words`, the TeX itself where there are none. Raises ValueError for what is no such formula.
    """
    outline = TextPath((0, 0), f"${tex}$", prop=FONT)
    width, _, _ = TextToPath().get_text_width_height_descent(f"${tex}$", FONT, ismath=True)
    (left, bottom), (right, top) = outline.get_extents().get_points()
    below, above = MARGIN - round(bottom), MARGIN + round(top)
    left, right = min(0, math.floor(left)), math.ceil(max(width, right))  # slanted letters lean out of their widths
    box = f"{left} {-above} {right - left} {above + below}"
    size = f"width:{(right - left) / EM:.3f}em;height:{(above + below) / EM:.3f}em;vertical-align:{-below / EM:.3f}em"
    return Markup(
        '<svg class="formula" role="img" aria-label="{}" viewBox="{}" style="{}"><path d="{}"/></svg>'
    ).format(words or tex, box, size, _commands(outline))


def _commands(outline: Path) -> str:
    """A path as an SVG writes it: every place counted from the one before it, y downwards."""
    parts, at, start = [], np.zeros(2, int), np.zeros(2, int)
    for vertices, code in outline.iter_segments():
        if code == Path.CLOSEPOLY:
            parts.append("z")
            at = start
            continue
        places = np.rint(vertices.reshape(-1, 2) * (1, -1)).astype(int)
        parts.append(COMMANDS[code] + " ".join(map(str, (places - at).ravel())).replace(" -", "-"))
        at = places[-1]
        if code == Path.MOVETO:
            start = at
    return "".join(parts)
