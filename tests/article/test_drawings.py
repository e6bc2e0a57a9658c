"""The SVG of a figure on a page: shapes and text, and nothing that could run or fetch something."""

import pytest

from unravel.article import drawings
from unravel.files import InputError

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 7 3">'
PNG = "data:image/png;base64,AAAA"


def svg(content):
    return f'<?xml version="1.0" encoding="utf-8"?>\n{HEAD}\n<metadata>date</metadata>{content}</svg>'


def test_a_picture_is_made_fit_for_the_page():
    shared = drawings.Shared()
    view_box, content = drawings.inline(
        svg(
            '<defs><style type="text/css">*{stroke-linecap: butt}</style></defs>'
            '<g id="a" clip-path="url(#p)"><use xlink:href="#m" style="stroke: #000000"/>a &lt; b'
            f'<image xlink:href="{PNG[:-2]}\n{PNG[-2:]}" width="4" x="1" style="opacity: 1"/></g><g id="mark1"/>'
        ),
        "fig",
        shared,
    )
    assert view_box == "0 0 7 3"
    assert content == (
        '<defs /><g id="i0" clip-path="url(#i1)"><use href="#i2" class="s0" />a &lt; b'
        '<use x="1" class="s1" href="#p0" /></g><g id="fig-mark1" />'
    )
    assert shared.sheet() == ".s0 { stroke: currentColor }\n.s1 { opacity: 1 }"
    assert shared.definitions() == f'<image id="p0" href="{PNG}" width="4" />'


def test_drawings_on_a_page_share_their_styles_and_no_id():
    shared = drawings.Shared()
    text = svg('<path id="m" style="fill: red"/><use xlink:href="#m" style="fill: #0072b2"/><path style="fill: red"/>')
    assert [drawings.inline(text, slug, shared)[1] for slug in ("one", "other")] == [
        f'<path id="{name}" class="s0" /><use href="#{name}" class="s1" /><path class="s0" />' for name in ("i0", "i1")
    ]
    assert shared.sheet() == ".s0 { fill: red }\n.s1 { fill: #0072b2 }"


def test_a_picture_in_several_drawings_stands_once_on_the_page():
    shared = drawings.Shared()
    for slug, at in (("one", 1), ("one-narrow", 2)):
        text = svg(f'<image href="{PNG}" width="4" x="{at}"/><image href="{PNG}" width="5"/>')
        drawn = drawings.inline(text, slug, shared)
        assert drawn[1] == f'<use x="{at}" href="#p0" /><use href="#p1" />'
    assert shared.definitions().count(PNG) == 2  # one of each width


def test_a_style_that_is_more_than_declarations_gets_into_no_style_sheet():
    shared = drawings.Shared()
    drawn = drawings.inline(svg('<g style="} * { display: none"/><g class="x" style="fill: red"/>'), "fig", shared)
    assert drawn[1] == '<g style="} * { display: none" /><g class="x" style="fill: red" />'
    assert shared.sheet() == ""


def test_what_an_html_parser_would_read_otherwise_is_written_as_text():
    hidden = svg("<desc><![CDATA[<img src=x onerror=alert(1)>]]></desc><!-- <script> -->")
    _, content = drawings.inline(hidden, "fig", drawings.Shared())
    assert content == "<desc>&lt;img src=x onerror=alert(1)&gt;</desc>"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<script>alert(1)</script>", "holds <script>"),
        ("<g><SCRIPT/></g>", "holds <SCRIPT>"),
        ('<x:script xmlns:x="http://www.w3.org/1999/xhtml"/>', "holds <{http://www.w3.org/1999/xhtml}script>"),
        ("<foreignObject/>", "holds <foreignObject>"),
        ('<a href="javascript:alert(1)"/>', "holds <a>"),
        ('<set attributeName="href" to="javascript:alert(1)"/>', "holds <set>"),
        ('<g onload="alert(1)"/>', "has the attribute onload"),
        ('<g ONLOAD="alert(1)"/>', "has the attribute ONLOAD"),
        ('<use href="https://example.org/x.svg#a"/>', "leads to https://example.org/x.svg#a"),
        ('<image xlink:href="//example.org/x.png"/>', "leads to //example.org/x.png"),
        ('<image href="data:image/svg+xml;base64,AAAA"/>', "leads to data:image/svg+xml"),
        ('<g style="fill: url(https://example.org/)"/>', "has the style fill: url(https"),
        ('<g style="fill: URL( #p)"/>', "has the style fill: URL( #p)"),
        (r'<g style="fill: u\\72l(x)"/>', r"has the style fill: u"),
        ('<g filter="url(x.svg#f)"/>', "has the filter url(x.svg#f)"),
        ('<g style="cursor: image-set(1)"/>', "has the style cursor: image-set(1)"),
        ("<g>" * 60 + "</g>" * 60, "has more than 50 levels"),
        ("<g>", "is damaged"),
    ],
)
def test_what_could_run_or_fetch_is_refused_in_one_line(content, message):
    with pytest.raises(InputError) as caught:
        drawings.inline(svg(content), "fig", drawings.Shared())
    assert str(caught.value).startswith(f"figure fig: the svg {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'<!DOCTYPE svg [<!ENTITY a "b">]>{HEAD}&a;</svg>', "declares an entity"),
        ("<svg></svg>", "has no viewBox"),
        (HEAD.replace(' viewBox="0 0 7 3"', "") + "</svg>", "has no viewBox"),
        ('<html viewBox="0 0 7 3"/>', "has no viewBox"),
        ("", "is damaged"),
    ],
)
def test_what_is_no_picture_is_refused(text, message):
    with pytest.raises(InputError, match=f"figure fig: the svg {message}"):
        drawings.inline(text, "fig", drawings.Shared())


def test_a_sketch_puts_percent_where_its_rules_are_and_leaves_out_what_the_paper_states():
    measured = {"series": "resnet, one deleted", "x": [1, 2, 5], "y": [0, 50, 100]}
    stated = {"series": "paper, as stated", "x": [1], "y": [90]}
    empty = {"series": "vgg, one deleted", "x": [], "y": []}
    (one,) = drawings.sketch([measured, stated, empty], width=144, height=128)
    assert one["left"] == [36, 61, 136]  # 100 of the width for 4 positions
    assert one["down"] == [108, 58, 8]
    assert one["y"] == measured["y"]
