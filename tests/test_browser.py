"""The article in a real browser, opened from its file with the network off: reading, pointing, typing, printing.

The validity checks here are our own (ids, links, headings, names; test_article.py insists on closed elements): the Nu
checker would need Java.
"""

import csv
import io
import itertools
import json
import os
import shutil
import subprocess
from collections import Counter
from xml.etree import ElementTree

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright
from run_helpers import RUN

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
WIDE, PHONE = 1280, 320

pytestmark = pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="chromium is not installed")


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM, "install chromium: where CI is set, the page is always tested"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, finished_run):
    """Open the article in a fresh window with no network; at the end, nothing may have been asked for or gone wrong."""
    contexts, asked, wrong = [], [], []

    def visit(width=WIDE, script=None, **options):
        options = {"viewport": {"width": width, "height": 800}, "reduced_motion": "reduce", **options}
        contexts.append(browser.new_context(offline=True, **options))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        if script:
            page.add_init_script(script)
        page.goto((finished_run / RUN / "report.html").as_uri())
        return page

    yield visit
    for context in contexts:
        context.close()
    assert [url[:80] for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert wrong == []


@pytest.fixture
def values(finished_run):
    """The values file of a figure."""
    return lambda slug: json.loads((finished_run / RUN / "figures" / f"{slug}.json").read_text())


def unfold(page):
    page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")


def spoken(number):
    """A number as the page says it: at most 6 digits."""
    return float(f"{number:.6g}")


def printed(page, path):
    page.pdf(path=path, prefer_css_page_size=True, print_background=True)
    return subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True).stdout


# --- reading --------------------------------------------------------------------------------------------------------


def test_the_page_is_small_and_shows_its_text_at_once(visit, finished_run):
    assert (finished_run / RUN / "report.html").stat().st_size < 5e6
    page = visit()
    page.mouse.wheel(0, 100_000)  # all of it: whatever is loaded late is asked for now
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    assert page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") < 1000


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_and_fits(visit, scheme, width):
    page = visit(width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contents, article = (page.locator(part).bounding_box() for part in ("nav", "main"))
    below = contents["y"] + contents["height"] <= article["y"]
    assert below or contents["x"] + contents["width"] <= article["x"]
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # axe takes seconds for each thousand cells: of what all figures and jobs have in common, one of each is enough
    page.locator("main :is(.figure, details) ~ details, .figure:not(#fig-single-deletion) details").evaluate_all(
        "(folds) => folds.forEach((fold) => (fold.open = false))"
    )
    page.locator("main a[href^='#fig-']").first.focus()  # with a preview open
    found = Axe().run(page, options={"runOnly": list(RULES), "resultTypes": ["violations"]}).response["violations"]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == []


CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const seen = (colour, opacity) => {
    canvas.globalAlpha = 1;
    canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
    canvas.fillRect(0, 0, 1, 1);
    canvas.globalAlpha = opacity;
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const light = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2] + 0.05;
  };
  const page = seen("transparent", 0);
  const found = [];
  for (const part of document.querySelectorAll(".picture svg :is(text, path, use)")) {
    if (part.closest("defs, clipPath") || !part.getClientRects().length) continue;
    const style = getComputedStyle(part);
    for (const [paint, own] of [["fill", style.fillOpacity], ["stroke", style.strokeOpacity]]) {
      if (style[paint] === "none" || style[paint].startsWith("url")) continue;
      const opacity = style.opacity * own;
      const [low, high] = [page, seen(style[paint], opacity)].sort((one, other) => one - other);
      found.push({ kind: part.tagName, opacity, contrast: high / low, html: part.outerHTML.slice(0, 150) });
    }
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_stand_out_from_the_page(visit, scheme):
    found = visit(color_scheme=scheme).evaluate(CONTRASTS)
    texts = [one for one in found if one["kind"] == "text"]
    marks = [one for one in found if one["kind"] != "text" and one["opacity"] == 1]  # bands and grids are faint
    assert min(len(texts), len(marks)) > 100
    assert [one for one in texts if one["contrast"] < 4.5] == []
    assert [one for one in marks if one["contrast"] < 3] == []


def test_without_javascript_everything_is_there_and_nothing_is_offered_that_needs_it(visit):
    page = visit(java_script_enabled=False)
    figures = page.locator("figure.figure")
    assert figures.count() >= 11
    for figure in figures.all():
        assert figure.locator("svg").bounding_box()["height"] > 50
        assert figure.locator("figcaption").is_visible()
    for table in page.locator("main > section > .scroll table").all():
        assert table.is_visible()
    folded = figures.first.locator("details").first
    assert not folded.locator("table").is_visible()
    folded.locator("summary").click()
    assert folded.locator("table").is_visible()
    for needing in ("button", ".explorer", ".theme", "output"):
        assert not any(part.is_visible() for part in page.locator(needing).all()), needing


def test_parts_have_names_ids_and_places(visit):
    page = visit()
    counts = Counter(page.evaluate("[...document.querySelectorAll('[id]')].map((part) => part.id)"))
    assert [name for name, count in counts.items() if count > 1] == []
    links = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map((link) => link.getAttribute('href'))")
    assert len(links) > 40
    assert {link[1:] for link in links} <= set(counts)
    unlinked = """(parts) => parts.filter((part) => !part.querySelector(`a.permalink[href="#${part.id}"]`))
        .map((part) => part.outerHTML.slice(0, 80))"""
    assert page.locator("main :is(h2, figure, table[id], tr[id])").evaluate_all(unlinked) == []
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map((part) => Number(part.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1
    assert page.evaluate("document.documentElement.lang + document.compatMode") == "enCSS1Compat"
    for picture in page.locator(".picture > svg").all():
        assert picture.get_attribute("role") == "img"
        assert all(text.strip() for text in picture.locator("> :is(title, desc)").all_text_contents())
    assert set(page.locator("nav a").evaluate_all("(links) => links.map((link) => link.hash.slice(1))")) == set(
        page.locator("main h2").evaluate_all("(parts) => parts.map((part) => part.id)")
    )


def test_every_download_is_the_file_it_says(visit, finished_run, tmp_path):
    page = visit()
    links = page.locator("a[download]")
    assert links.count() >= 44
    for place in range(links.count()):
        if place % 10 == 9:
            page.reload()  # Chromium starts some twenty downloads for one visit of a page, and then no more
        with page.expect_download() as download:
            links.nth(place).click()
        name = download.value.suggested_filename
        download.value.save_as(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        assert content == (finished_run / RUN / "figures" / name).read_bytes()
        match name.rpartition(".")[2]:
            case "csv":
                rows = list(csv.reader(io.StringIO(content.decode())))
                assert len({len(row) for row in rows}) == 1
                assert len(rows) > 1
            case "svg":
                assert ElementTree.fromstring(content).tag.endswith("}svg")
            case "png":
                Image.open(io.BytesIO(content)).verify()
            case "pdf":
                assert content.startswith(b"%PDF-")
                subprocess.run(["pdftotext", tmp_path / name, "-"], capture_output=True, check=True)


# --- theme, contents, links -----------------------------------------------------------------------------------------

BACKGROUND = "getComputedStyle(document.body).backgroundColor"
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(22, 24, 26)"


def test_the_theme_follows_the_system_until_the_reader_chooses(visit):
    page = visit(color_scheme="dark")
    assert page.evaluate(BACKGROUND) == DARK
    for choice, background in (("light", LIGHT), ("auto", DARK), ("light", LIGHT)):
        page.get_by_label("Theme").select_option(choice)
        assert page.evaluate(BACKGROUND) == background
    # what is there when the first element of the body is: nothing was painted before
    page.add_init_script("""new MutationObserver((_, observer) => {
        if (document.body) { window.first = document.documentElement.dataset.theme; observer.disconnect(); }
    }).observe(document, { childList: true, subtree: true });""")
    page.reload()
    assert page.evaluate("first") == "light"
    assert page.evaluate(BACKGROUND) == LIGHT
    assert page.get_by_label("Theme").input_value() == "light"


def test_the_theme_can_be_chosen_where_nothing_is_kept(visit):
    refuse = (
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });"
    )
    page = visit(script=refuse)
    page.get_by_label("Theme").select_option("dark")
    assert page.evaluate(BACKGROUND) == DARK


def test_the_contents_mark_the_present_section_and_fold_on_a_phone(visit):
    page = visit()
    for part in ("reordering", "setup"):
        page.evaluate("(id) => document.getElementById(id).scrollIntoView()", part)
        page.wait_for_function("(id) => document.querySelector('nav a[aria-current]')?.hash === `#${id}`", arg=part)
        assert page.locator("nav a[aria-current]").count() == 1
    assert page.locator("nav").bounding_box()["y"] >= 0  # it stays in the window
    assert not visit(PHONE).locator("nav ol").is_visible()


def test_nothing_moves_by_itself_for_those_who_do_not_want_it(visit):
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert visit(reduced_motion="reduce").evaluate(behaviour) == "auto"
    assert visit(reduced_motion="no-preference").evaluate(behaviour) == "smooth"


def test_a_link_opens_what_is_folded(visit):
    page = visit()
    job = page.locator("[id='job-claims']")
    assert job.get_attribute("open") is None
    page.evaluate("location.hash = 'job-claims'")
    page.wait_for_function("document.getElementById('job-claims').open")


# --- pointing and typing --------------------------------------------------------------------------------------------


def test_the_first_key_leads_to_the_article(visit):
    page = visit()
    page.keyboard.press("Tab")
    skip = page.locator("a.skip")
    assert skip.evaluate("(link) => link === document.activeElement")
    box = skip.bounding_box()
    assert min(box["x"], box["y"]) >= 0
    assert skip.evaluate("(link) => getComputedStyle(link).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.url.endswith("#article")


def test_links_within_the_page_show_where_they_lead(visit):
    page = visit()
    preview = page.locator("#preview")
    citation, figure = (
        page.locator(f"main a[href='#{target}']").first for target in ("ref-veit2016", "fig-reordering")
    )
    page.keyboard.press("Tab")  # from here on, focus comes from the keyboard
    citation.focus()
    assert preview.is_visible()
    assert "Residual Networks Behave Like Ensembles" in preview.inner_text()
    assert citation.get_attribute("aria-describedby") == "preview"
    page.keyboard.press("Escape")
    assert not preview.is_visible()
    assert citation.get_attribute("aria-describedby") is None
    figure.hover()
    assert preview.locator("svg").is_visible()
    assert preview.locator("[id], a, button").count() == 0
    box = preview.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= WIDE
    page.mouse.move(box["x"] + 20, box["y"] + 20)  # a reader may point into the preview
    page.wait_for_timeout(400)
    assert preview.is_visible()
    page.mouse.move(5, 5)
    page.locator("h1").hover()
    preview.wait_for(state="hidden")


def test_the_arrow_keys_step_through_the_values_of_a_figure(visit, values):
    page = visit()
    picture = page.locator("#fig-single-deletion .picture")
    output = picture.locator("output")
    one, other = values("single-deletion")["points"][:2]

    def said(series, point):
        names = (series["x_name"], spoken(series["x"][point])), (series["y_name"], spoken(series["y"][point]))
        return [series["series"], *(f"{name}: {value:g}" for name, value in names)]

    assert output.get_attribute("role") or output.evaluate("(part) => part.tagName") == "OUTPUT"  # announces itself
    picture.focus()
    for key, expected in (
        ("ArrowRight", said(one, 0)),
        ("ArrowRight", said(one, 1)),
        ("End", said(one, -1)),
        ("ArrowRight", said(one, -1)),
        ("Home", said(one, 0)),
        ("ArrowDown", said(other, 0)),  # the other series' nearest to it
        ("ArrowUp", said(one, one["x"].index(other["x"][0]))),
        ("ArrowLeft", said(one, 0)),
    ):
        page.keyboard.press(key)
        assert output.inner_text().split(" · ") == expected
    ring = picture.locator(".ring")
    assert (float(ring.get_attribute("cx")), float(ring.get_attribute("cy"))) == (one["left"][0], one["down"][0])
    page.keyboard.press("Escape")
    assert ring.count() == 0
    assert "arrow keys" in output.inner_text()


def test_the_pointer_finds_the_nearest_value(visit, values):
    page = visit()
    svg = page.locator("#fig-random-deletion .picture svg")
    (series,) = values("random-deletion")["points"]
    svg.scroll_into_view_if_needed()
    scale = svg.evaluate("(svg) => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width")
    for point, deleted in enumerate(series["x"]):
        svg.hover(position={"x": series["left"][point] * scale + 2, "y": series["down"][point] * scale - 2})
        said = page.locator("#fig-random-deletion output").inner_text().split(" · ")
        assert said[1:] == [
            f"blocks deleted at once: {deleted:g}",
            f"test error, percent: {spoken(series['y'][point]):g}",
        ]


def test_deleting_blocks_kills_the_paths_through_them(visit, finished_run, values):
    page = visit()
    with (finished_run / RUN / "figures" / "unraveled-view.csv").open() as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    measured = values("random-deletion")["networks"]
    explorer = page.locator(".explorer")
    deleted = set()
    for block in (2, 1, 3, 2):
        explorer.get_by_role("checkbox").nth(block - 1).focus()
        page.keyboard.press("Space")
        deleted ^= {block}
        lost = [path for path in paths if any(path[block - 1] == "1" for block in deleted)]
        found = explorer.locator(".path.lost").evaluate_all("(lost) => lost.map((path) => path.dataset.path)")
        assert sorted(found) == sorted(lost)
        left, before = (Counter(path.count("1") for path in some) for some in (set(paths) - set(lost), paths))
        assert explorer.locator(".count").all_text_contents() == [
            f"{left[length]} of {before[length]}" for length in range(4)
        ]
        full = explorer.locator(".length .all").evaluate_all("(bars) => bars.map((bar) => bar.height.baseVal.value)")
        bars = explorer.locator(".length .left").evaluate_all("(bars) => bars.map((bar) => bar.height.baseVal.value)")
        assert bars == pytest.approx([full[length] * left[length] / before[length] for length in range(4)], abs=0.01)
        said = explorer.locator("output").inner_text()
        assert f"{len(paths) - len(lost)} of {len(paths)} paths left" in said
        for name, network in measured.items():
            error = network["median_error_percent"].get(str(len(deleted)))
            assert (f"{name} with {len(deleted)} of its" in said) == (error is not None)
            assert error is None or f"median test error of {error:.2f}%" in said


@pytest.mark.parametrize("clipboard", [True, False])
def test_a_command_can_be_copied(visit, clipboard):
    page = visit(script=None if clipboard else "Object.defineProperty(navigator, 'clipboard', { value: undefined });")
    if clipboard:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    unfold(page)
    button = page.locator("#fig-single-deletion button.copy").first
    button.click()
    if clipboard:
        page.wait_for_function("(button) => button.textContent === 'Copied'", arg=button.element_handle())
        got = page.evaluate("navigator.clipboard.readText()")
    else:
        assert button.inner_text() == "Selected"
        got = page.evaluate("String(getSelection())")
    assert got.startswith("snakemake figure_3 --cores all --configfile results/tiny/config.yaml")


# --- printing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_the_printed_page_holds_what_is_folded_and_no_buttons(visit, finished_run, tmp_path, scripts):
    page = visit(color_scheme="dark", java_script_enabled=scripts)
    text = printed(page, tmp_path / "article.pdf")
    together = "".join(text.split())
    for path in (finished_run / RUN / "jobs" / "figures").glob("*.json"):
        record = json.loads(path.read_text())
        assert "".join(record["command"].split()) in together, path.name
    for row in ("resnet", "single-deletion.csv", "SHA-256"):
        assert row in text
    pages = text.count("\f")
    assert [f"{number} / {pages}" in text for number in (1, pages)] == [True, True]
    for label in ("Copy", "Theme", "Try it", "Exact values", "Skip to", "Contents"):
        assert label not in text, label
    if scripts:
        assert page.evaluate("document.querySelectorAll('details[open]').length") == 1  # the contents, as before


def test_paper_is_white_figures_stay_whole_and_addresses_are_written_out(visit):
    page = visit(color_scheme="dark")
    page.get_by_label("Theme").select_option("dark")
    page.evaluate("document.querySelector('main p').innerHTML = '<a href=\"https://example.org/\">a link</a>'")
    page.emulate_media(media="print")
    assert page.evaluate(BACKGROUND) == LIGHT
    style = "(part) => getComputedStyle(part).breakInside"
    assert {picture.evaluate(style) for picture in page.locator(".picture").all()} == {"avoid"}
    shown = page.locator("main p a").first.evaluate("(link) => getComputedStyle(link, '::after').content")
    assert "https://example.org/" in shown
