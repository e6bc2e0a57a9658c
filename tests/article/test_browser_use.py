"""The article in use, in a real browser: theme, contents, previews, exact values, the view to cut, copying."""

import csv
from collections import Counter

import numpy as np
import pytest
from article_helpers import RUN
from browser_helpers import BACKGROUND, DARK, LIGHT, NEEDS_CHROMIUM, PHONE, WIDE

pytestmark = NEEDS_CHROMIUM


def spoken(number):
    """A number as the page says it: at most 6 digits."""
    return float(f"{number:.6g}")


# --- theme, contents, links -----------------------------------------------------------------------------------------


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


def test_the_contents_mark_the_present_section_and_unfold_its_group(visit):
    page = visit()
    for part in ("reordering", "networks"):
        page.evaluate("(id) => document.getElementById(id).scrollIntoView()", part)
        page.wait_for_function("(id) => document.querySelector('nav a[aria-current]')?.hash === `#${id}`", arg=part)
        assert page.locator("nav a[aria-current]").count() == 1
    assert page.locator("nav").bounding_box()["y"] >= 0  # it stays in the window
    assert page.locator("nav details[open] > summary").all_inner_texts() == ["Idea"]


def test_on_a_phone_the_contents_stay_in_reach_and_unfold_a_group_at_a_time(visit):
    page = visit(PHONE)
    page.evaluate("document.getElementById('reordering').scrollIntoView()")
    assert page.locator("nav").bounding_box()["y"] == pytest.approx(0, abs=1)
    assert not any(group.is_visible() for group in page.locator("nav ul").all())
    for name in ("Summary", "Results"):
        page.locator("nav summary", has_text=name).click()
        assert page.locator("nav details[open] > summary").all_inner_texts() == [name]
    page.locator("nav a", has_text="Deleting several blocks").click()
    assert page.url.endswith("#random-deletion")
    assert page.locator("nav details[open]").count() == 0
    top = page.locator("#random-deletion").bounding_box()["y"]
    bar = page.locator("nav").bounding_box()["height"]
    assert bar <= top <= bar + 40


def test_nothing_moves_by_itself_for_those_who_do_not_want_it(visit):
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert visit(reduced_motion="reduce").evaluate(behaviour) == "auto"
    assert visit(reduced_motion="no-preference").evaluate(behaviour) == "smooth"


def test_a_link_opens_what_is_folded(visit):
    page = visit()
    job = page.locator("[id='job-claims']")
    assert not job.is_visible()
    page.evaluate("location.hash = 'job-claims'")
    job.wait_for(state="visible")


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


def test_a_key_leads_past_the_table_of_claims(visit):
    page = visit()
    past = page.locator("a.past")
    past.focus()
    assert past.bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    follows = "document.getElementById('table-claims').compareDocumentPosition(document.activeElement)"
    assert page.evaluate(follows) == 4  # DOCUMENT_POSITION_FOLLOWING, and not inside


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


def test_a_number_says_where_it_comes_from_and_leads_there(visit):
    page = visit()
    number = page.locator("main a.number[href='#origin-single-deletion']").first
    said = "figures/single-deletion.json: networks.resnet."
    number.hover()
    assert page.locator("#preview").inner_text().startswith(said)
    page.locator("h1").hover()
    page.locator("#preview").wait_for(state="hidden")
    page.keyboard.press("Tab")
    number.focus()
    assert page.locator("#preview").inner_text().startswith(said)
    page.keyboard.press("Enter")
    assert page.locator("#origin-single-deletion").is_visible()


def test_the_arrow_keys_step_through_the_values_of_a_figure(visit, figure_values):
    page = visit()
    picture = page.locator("#fig-single-deletion .picture")
    output = picture.locator("output")
    one, other = figure_values("single-deletion")["points"][:2]

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
    ring = picture.locator("svg.wide .ring")
    assert (float(ring.get_attribute("cx")), float(ring.get_attribute("cy"))) == (one["left"][0], one["down"][0])
    page.keyboard.press("Escape")
    assert ring.count() == 0
    assert "arrow keys" in output.inner_text()


def test_on_a_phone_the_figure_moves_to_the_value(visit):
    page = visit(PHONE)
    picture = page.locator("#fig-random-deletion .picture")
    picture.focus()
    for key in ("End", "Home"):
        page.keyboard.press(key)
        mark, window, output = (
            part.bounding_box() for part in (picture.locator(".ring"), picture, picture.locator("output"))
        )
        assert window["x"] <= mark["x"] + 1
        assert mark["x"] + mark["width"] <= window["x"] + window["width"] + 1
        assert output["x"] == pytest.approx(window["x"], abs=1)
    assert page.evaluate("scrollX") == 0


def test_on_a_phone_values_are_read_from_the_narrow_drawing(visit, figure_values):
    page = visit(390)
    svg = page.locator("#fig-random-deletion .picture svg.narrow")
    (series, *_) = figure_values("random-deletion")["points"]
    svg.scroll_into_view_if_needed()
    scale = svg.evaluate("(svg) => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width")
    for point, deleted in enumerate(series["x"]):
        left, down = (series["narrow"][axis][point] for axis in ("left", "down"))
        svg.hover(position={"x": left * scale + 1, "y": down * scale - 1})
        ring = svg.locator(".ring")
        assert (float(ring.get_attribute("cx")), float(ring.get_attribute("cy"))) == (left, down)
        said = page.locator("#fig-random-deletion output").inner_text().split(" · ")
        assert said[1] == f"blocks deleted at once: {deleted:g}"
    page.set_viewport_size({"width": WIDE, "height": 800})  # the other drawing
    assert page.locator("#fig-random-deletion .ring").count() == 0


def test_the_pointer_finds_the_nearest_value(visit, figure_values):
    page = visit()
    svg = page.locator("#fig-random-deletion .picture svg.wide")
    measured = figure_values("random-deletion")["points"]
    (series,) = [points for points in measured if points["series"] != "paper, as stated"]
    svg.scroll_into_view_if_needed()
    scale = svg.evaluate("(svg) => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width")
    for point, deleted in enumerate(series["x"]):
        svg.hover(position={"x": series["left"][point] * scale + 2, "y": series["down"][point] * scale - 2})
        said = page.locator("#fig-random-deletion output").inner_text().split(" · ")
        low, high = spoken(series["low"][point]), spoken(series["high"][point])
        assert said[1:3] == [
            f"blocks deleted at once: {deleted:g}",
            f"test error, percent: {spoken(series['y'][point]):g}",
        ]
        assert said[3:] == ([f"quartiles: {low:g} to {high:g}"] if low < high else [])
    assert np.less(series["low"], series["high"]).any()


def test_a_hidden_series_is_neither_drawn_nor_found(visit, figure_values):
    page = visit()
    one, other = figure_values("single-deletion")["points"][:2]
    figure = page.locator("#fig-single-deletion")
    button = figure.get_by_role("button", name=one["series"])
    marks = [page.locator(f"#single-deletion-{mark}") for mark in one["marks"]]
    narrow = [page.locator(f"#single-deletion-narrow-{mark}") for mark in one["marks"]]
    assert all(mark.is_visible() for mark in marks)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert not any(mark.is_visible() for mark in marks)
    page.set_viewport_size({"width": 390, "height": 800})
    assert not any(mark.is_visible() for mark in narrow)
    page.set_viewport_size({"width": WIDE, "height": 800})
    figure.locator(".picture").focus()
    page.keyboard.press("ArrowRight")
    assert figure.locator("output").inner_text().startswith(f"{other['series']} · ")
    button.click()
    assert all(mark.is_visible() for mark in marks)
    page.emulate_media(media="print")
    assert not button.is_visible()


def test_deleting_blocks_kills_the_paths_through_them(visit, finished_run, figure_values):
    page = visit()
    with (finished_run / RUN / "figures" / "unraveled-view.csv").open() as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    measured = figure_values("random-deletion")["networks"]
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


def test_the_length_up_to_which_paths_are_kept_can_be_moved(visit, finished_run, figure_values):
    """Cosine and projection are of all paths up to a length already, shares of each length add up."""
    with (finished_run / RUN / "figures" / "path-gradients.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["batch_norm"] == "train"]
    shares = ("share_of_paths", "estimated_share", "exact_share")
    added = [np.cumsum([float(row[name]) for row in rows]) for name in shares]
    up_to = [[float(row[name]) for row in rows] for name in ("projected_up_to", "cosine_up_to")]
    expected = np.array([*added, *up_to])
    at = figure_values("path-gradients")["modes"]["train"]["explained_at"]

    def shown(page):
        return [float(text.replace("−", "-")) for text in page.locator(".up-to td").all_inner_texts()]

    assert shown(visit(java_script_enabled=False)) == pytest.approx(expected[:, at], abs=0.0006)
    page = visit()
    slide = page.get_by_label("Longest path kept")
    assert slide.input_value() == str(at)
    slide.focus()
    page.keyboard.press("Home")
    for length in range(len(rows)):
        assert shown(page) == pytest.approx(expected[:, length], abs=0.0006)
        assert page.locator(".up-to .length").inner_text() == str(length)
        points = page.locator(".up-to polyline").first.get_attribute("points").split()
        at = float(page.locator(".up-to .at").get_attribute("x1"))
        assert at == pytest.approx(float(points[length].split(",")[0]), abs=0.01)
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize("clipboard", [True, False])
def test_a_command_can_be_copied(visit, clipboard):
    page = visit(script=None if clipboard else "Object.defineProperty(navigator, 'clipboard', { value: undefined });")
    if clipboard:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#fig-single-deletion summary", has_text="Draw again").click()
    button = page.locator("#fig-single-deletion button.copy").first
    button.click()
    if clipboard:
        page.wait_for_function("(button) => button.textContent === 'Copied'", arg=button.element_handle())
        got = page.evaluate("navigator.clipboard.readText()")
    else:
        assert button.inner_text() == "Selected"
        got = page.evaluate("String(getSelection())")
    assert got.startswith("snakemake figure_3 --cores all --configfile results/tiny/config.yaml")
