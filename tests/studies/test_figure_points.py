"""Where a figure's values are, against the marks in its svg; and colours that all readers can see and tell apart."""

import itertools
import json
import re
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from run_helpers import ROOT

from unravel.studies import style

# Machado, Oliveira and Fernandes (2009), Table 1: full colour-vision deficiency in linear RGB, (RGB seen, RGB shown).
SEEN = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
COLOURS = {mark.colour for mark in (*style.KNOWN_MARKS.values(), *style.SPARE_MARKS)}
PAGES = ("#ffffff", "#16181a")


def linear(colour):
    """Linear RGB of an sRGB hex colour (IEC 61966-2-1)."""
    encoded = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """Contrast ratio (WCAG 2.2)."""
    low, high = sorted(XYZ[1] @ linear(colour) + 0.05 for colour in (one, other))
    return high / low


def lab(rgb):
    """CIE L*a*b* of linear RGB under D65."""
    ratio = XYZ @ np.clip(rgb, 0, 1) / XYZ.sum(axis=1)
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_the_measures_of_colour_know_black_white_and_red():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert lab(linear("#ffffff")) == pytest.approx([100, 0, 0], abs=0.01)
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.05)


@pytest.mark.parametrize("page", PAGES)
def test_every_mark_stands_out_from_the_page(page):
    assert f"--page: light-dark({', '.join(PAGES)})" in (ROOT / "report" / "style.css").read_text()
    for colour in {*COLOURS, style.GREY}:
        assert contrast(colour, page) >= 3, colour


@pytest.mark.parametrize("page", PAGES)
def test_a_band_has_an_outline_that_stands_out_from_the_page(page):
    for mark in (*style.KNOWN_MARKS.values(), *style.SPARE_MARKS):
        with style.axes() as (_, panel):
            style.band(panel, [0, 1], [0, 1], [2, 3], mark, "one", "seeds")
            (band,) = panel.collections
            ((*outline, opacity),) = band.get_edgecolor()
        assert (opacity, band.get_linewidth()[0] > 0) == (1, True)
        assert contrast(mpl.colors.to_hex(outline), page) >= 3


@pytest.mark.parametrize("eyes", SEEN)
def test_marks_stay_apart_for_all_eyes(eyes):
    for one, other in itertools.combinations([*COLOURS, style.GREY, "#000000"], 2):
        difference = np.linalg.norm(
            np.subtract(*(lab(np.array(SEEN[eyes]) @ linear(colour)) for colour in (one, other)))
        )
        assert difference >= 10, (one, other)  # CIE76; about 2 is the smallest that can be seen side by side


def test_no_two_marks_differ_by_colour_alone():
    known = list(style.KNOWN_MARKS.values())
    assert len({mark.marker for mark in (*known, *style.SPARE_MARKS)}) == len(known) + len(style.SPARE_MARKS)
    assert len({mark.dash for mark in known}) == len(known)


@pytest.fixture
def saved(tmp_path):
    """The two svgs of a figure, and the points of its values file."""

    def save(paint, columns=1):
        def draw():
            with style.axes(columns=columns, height=3) as (figure, panels):
                paint(panels)
                style.note_run(figure, "demo")
                return style.Drawing(figure, pd.DataFrame({"a": [1]}), {"found": 1})

        style.save(draw, tmp_path / "figure.svg")
        svg, narrow = ((tmp_path / f"figure{ending}").read_text() for ending in (".svg", ".narrow.svg"))
        values = json.loads((tmp_path / "figure.json").read_text())
        assert values["found"] == 1
        return svg, narrow, values["points"]

    return save


def marks_of(svg, colour):
    """The places of an svg's round marks of a colour."""
    return np.array(re.findall(rf'<use xlink:href="[^"]*" x="([\d.]+)" y="([\d.]+)" style="fill: {colour}', svg), float)


def places(points):
    return np.column_stack([points["left"], points["down"]])


def test_points_are_where_the_svg_has_its_marks(saved):
    def paint(panels):
        panels[0].plot([1, 2, 5], [3, 4.5, -2], "o", color="#0072b2", label="one")
        panels[0].plot([1, 2], [0, 1], "o", color="#d55e00", label="_two")
        panels[0].set_xlabel("along")
        panels[0].set_ylabel("up")
        panels[1].plot([1, 10, 100], [1e-3, 1, 1e3], "o", color="#009e73", label="three")
        panels[1].set_yscale("log")
        style.panel_title(panels[1], "B", "on a log scale")
        panels[0].figure.legend(loc="outside upper center")  # takes room when the layout is made

    svg, narrow, (one, two, three) = saved(paint, columns=2)
    assert [(points["series"], points["x_name"], points["y_name"]) for points in (one, two, three)] == [
        ("one", "along", "up"),
        ("two", "along", "up"),
        ("three", "", "on a log scale"),
    ]
    assert (one["x"], one["y"]) == ([1, 2, 5], [3, 4.5, -2])
    legend = {"one": 1, "two": 0, "three": 1}  # marks in the legend come last
    for points, colour in ((one, "#0072b2"), (two, "#d55e00"), (three, "#009e73")):
        found = marks_of(svg, colour)
        assert len(found) == len(points["x"]) + legend[points["series"]]
        assert places(points) == pytest.approx(found[: len(points["x"])], abs=0.011)  # rounded to 0.01 of a point
        found = marks_of(narrow, colour)
        assert places(points["narrow"]) == pytest.approx(found[: len(points["x"])], abs=0.011)


def test_points_leave_out_what_is_not_to_be_seen_or_has_no_name(saved):
    def paint(panel):
        panel.plot([0, 1, 2], [10, 0, float("nan")], label="named")  # zero has no place on a logarithmic axis
        panel.plot([0, 1], [1, 1])
        panel.axhline(5, label="across")  # stands at no value of the horizontal axis
        panel.set_yscale("log")

    *_, (points,) = saved(paint)
    assert (points["series"], points["x"], points["y"]) == ("named", [0], [10])


def test_a_bar_has_its_value_at_its_top(saved):
    svg, _, (points,) = saved(lambda panel: panel.bar([2, 4], [1, 3], width=1, label="_bars", color="#767676"))
    assert (points["series"], points["x"], points["y"]) == ("bars", [2, 4], [1, 3])
    corners = re.findall(r'd="M ([\d. LMz\n]+)"[^>]*style="fill: #767676', svg)
    tops = []
    for corner in corners:
        x, y = np.array(re.findall(r"([\d.]+) ([\d.]+)", corner), float).T
        tops.append(((x.min() + x.max()) / 2, y.min()))
    assert places(points) == pytest.approx(np.array(tops), abs=0.011)


def test_a_series_knows_the_ends_of_its_band(saved):
    groups = pd.DataFrame({"at": [1, 1, 1, 4, 4, 4], "value": [0, 1, 2, 5, 7, 8]}).groupby("at").value

    def paint(panel):
        style.median_and_quartiles(panel, groups, style.KNOWN_MARKS["vgg"], "vgg")
        panel.plot([1, 4], [3, 3], label="bare")

    *_, (banded, bare) = saved(paint)
    assert (banded["x"], banded["y"]) == ([1, 4], [1, 7])
    assert (banded["band_name"], banded["low"], banded["high"]) == ("quartiles", [0.5, 6], [1.5, 7.5])
    assert "low" not in bare


def test_the_marks_of_a_series_are_groups_of_the_svg_that_draw_nothing_else(saved):
    def paint(panel):
        panel.plot([1, 2], [3, 4], color="#111111", label="line")
        style.band(panel, [1, 2], [2, 3], [4, 5], style.Mark("#222222", "o", "-"), "line", "range")
        panel.plot([1], [3], "o", color="#444444", label=style.part("first", "line"))
        panel.bar([1, 2], [1, 2], color="#333333", label="bars")

    svg, narrow, (line, bars) = saved(paint)

    def colours(root, series):
        groups = [root.find(f".//*[@id='{mark}']") for mark in series["marks"]]
        return {colour for group in groups for colour in re.findall(r"#\d{6}", ElementTree.tostring(group).decode())}

    for root in map(ElementTree.fromstring, (svg, narrow)):
        assert colours(root, line) == {"#111111", "#222222", "#444444"}
        assert colours(root, bars) == {"#333333"}
    assert len({*line["marks"], *bars["marks"]}) == 3 + 2
