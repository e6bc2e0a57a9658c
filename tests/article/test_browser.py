"""The article in a real browser, opened from its file with the network off: what it shows, on screen and on paper.

Validity is checked by what Chromium makes of the pages: nothing that it had to mend, ids, links, headings, names. The
Nu checker says more; it needs Java and is called if VNU_JAR names its jar (npm: vnu-jar).
"""

import csv
import gzip
import io
import itertools
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from xml.etree import ElementTree

import pytest
from article_helpers import ROOT, RUN, parse
from browser_helpers import BACKGROUND, DARK, LIGHT, NEEDS_CHROMIUM, PHONE, WIDE, unfold, violations

from unravel.article import build, comparison, overview
from unravel.files import sha256

pytestmark = NEEDS_CHROMIUM
HEADS = "main :is(h2, h3, summary, caption, thead tr, .appendix)"


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


SHIFT = """window.shift = 0; new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });"""


@pytest.mark.parametrize("width", [WIDE, 390, PHONE])
def test_nothing_moves_while_the_page_loads(visit, width):
    page = visit(width, script=SHIFT)
    page.wait_for_timeout(500)
    assert page.evaluate("shift") < 0.01


@pytest.mark.parametrize("width", [WIDE, 390])
def test_nothing_moves_while_values_are_read(visit, width):
    page = visit(width)
    unfold(page)
    height = page.evaluate("document.documentElement.scrollHeight")
    moved = page.locator(".picture[role=application]").evaluate_all("""(pictures) => pictures.map((picture) => {
      const output = picture.querySelector("output");
      const before = document.documentElement.scrollHeight;
      const found = new Set();
      for (let step = 0; step < 60; step += 1) {
        const key = step % 20 === 19 ? "ArrowDown" : "ArrowRight";
        picture.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        found.add(document.documentElement.scrollHeight - before);
        if (output.scrollHeight > output.clientHeight + 1) found.add(output.textContent);
      }
      return [...found];
    })""")
    assert moved == [[0]] * len(moved)
    assert len(moved) >= 8
    assert page.evaluate("document.documentElement.scrollHeight") == height


LOOKS = pytest.mark.parametrize(("scheme", "width"), [("light", WIDE), ("dark", PHONE)])  # axe takes half a minute


@LOOKS
def test_the_page_is_accessible_and_fits(visit, scheme, width):
    page = visit(width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contents, article = (page.locator(part).bounding_box() for part in ("nav", "main"))
    below = contents["y"] + contents["height"] <= article["y"]
    assert below or contents["x"] + contents["width"] <= article["x"]
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # axe takes seconds for each thousand cells: of what all figures and jobs have in common, one of each is enough
    alike = "main details:not(.actions > *, main > section > *) ~ details:not(.actions > *)"
    alike += ", .figure:not(#fig-single-deletion) details"
    page.locator(alike).evaluate_all("(folds) => folds.forEach((fold) => (fold.open = false))")
    page.locator("main a[href^='#fig-']").first.focus()  # with a preview open
    assert violations(page) == []


@pytest.fixture(scope="module")
def index(finished_run, tmp_path_factory):
    """The page on all runs: three copies of the small run, one of which comes from another version."""
    results = tmp_path_factory.mktemp("results")
    for name in ("one", "other", "older"):
        shutil.copytree(finished_run / RUN, results / name)
    (results / "older/provenance.json").write_text("{}")
    for name, verdict in (("one", "supported"), ("other", "not supported")):
        config, claims = results / name / "config.yaml", results / name / "claims.json"
        config.write_text(config.read_text().replace("scale: ci", "scale: demo"))
        judged = json.loads(claims.read_text())
        claims.write_text(json.dumps([judged[0] | {"verdict": verdict}, *judged[1:]]))
    (results / "index.html").write_text(overview.write(results, ROOT / "report", results), encoding="utf-8")
    return results / "index.html"


@LOOKS
def test_the_index_is_accessible_fits_and_leads_to_the_claims(visit, index, scheme, width):
    page = visit(width, file=index, color_scheme=scheme)
    assert page.evaluate(BACKGROUND) == {"light": LIGHT, "dark": DARK}[scheme]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("main li").count() == 2  # a run that cannot be read, and a disagreement
    assert violations(page) == []
    page.locator("#claim-decay td a").first.click()
    page.wait_for_url("**/one/report.html#claim-decay")
    assert page.locator("#claim-decay").is_visible()


SMALLEST = """(picture) => [...picture.children].filter((svg) => svg.getClientRects().length && svg.viewBox)
  .map((svg) => [svg.getAttribute("class"), Math.min(...[...svg.querySelectorAll("text")].map((text) =>
    (parseFloat(getComputedStyle(text).fontSize) * svg.getBoundingClientRect().width) / svg.viewBox.baseVal.width))])"""


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize(
    ("width", "drawing", "pixels"),
    [(WIDE, "wide", 10), (700, "wide", 8.5), (390, "narrow", 9.9), (PHONE, "narrow", 7.9)],
)
def test_figures_are_drawn_for_the_width_they_are_read_at(visit, scripts, width, drawing, pixels):
    page = visit(width, java_script_enabled=scripts)
    if scripts:
        unfold(page)
    seen = 0
    for picture in page.locator(".figure .picture").all():
        if picture.is_visible():
            ((shown, smallest),) = picture.evaluate(SMALLEST)
            assert shown == drawing
            assert smallest >= pixels
            assert picture.evaluate("(picture) => picture.scrollWidth <= picture.clientWidth")
            seen += 1
    assert seen >= (12 if scripts else 8)


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_no_formula_is_clipped(visit, width):
    page = visit(width)
    unfold(page)
    within = """(formulas) => formulas.map((formula) => {
      const { x, y, width, height } = formula.querySelector("path").getBBox();
      const box = formula.viewBox.baseVal;
      const around = formula.closest(".equations, p").getBoundingClientRect();
      const here = formula.getBoundingClientRect();
      return [x >= box.x && x + width <= box.x + box.width && y > box.y && y + height < box.y + box.height,
        here.top >= around.top - 1 && here.bottom <= around.bottom + 1];
    })"""
    found = page.locator(".formula").evaluate_all(within)
    assert len(found) >= 8
    assert found == [[True, True]] * len(found)


def test_on_a_phone_claims_are_cards_with_the_verdict_first(visit):
    page = visit(PHONE)
    cards = page.locator("#table-claims tr[id]")
    assert cards.count() > 10
    for card in cards.all()[:3]:
        box, verdict = card.bounding_box(), card.locator(".verdict").bounding_box()
        assert box["width"] <= PHONE - 40
        assert verdict["y"] - box["y"] < 15
        tops = [cell.bounding_box()["y"] for cell in card.locator("td").all()]
        assert tops[3] < tops[0] < tops[1] < tops[2]
    assert page.locator(".scroll:has(#table-claims)").evaluate("(part) => part.scrollWidth <= part.clientWidth")
    (first, *_) = visit(WIDE).locator("#table-claims tr[id]").all()
    assert len({cell.bounding_box()["y"] for cell in first.locator("td").all()}) == 1  # a row of the table


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
  for (const part of document.querySelectorAll(".picture > svg :is(text, path, use)")) {
    if (part.closest("defs, clipPath") || !part.getClientRects().length) continue;
    const style = getComputedStyle(part);
    for (const [paint, own] of [["fill", style.fillOpacity], ["stroke", style.strokeOpacity]]) {
      if (style[paint] === "none" || style[paint].startsWith("url")) continue;
      const opacity = style.opacity * own;
      const [low, high] = [page, seen(style[paint], opacity)].sort((one, other) => one - other);
      found.push({ kind: part.tagName, paint, opacity, contrast: high / low, html: part.outerHTML.slice(0, 150) });
    }
  }
  return found;
}"""


@pytest.mark.parametrize("width", [WIDE, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_stand_out_from_the_page(visit, scheme, width):
    found = visit(width, color_scheme=scheme).evaluate(CONTRASTS)
    texts = [one for one in found if one["kind"] == "text"]
    marks = [one for one in found if one["kind"] != "text" and one["opacity"] == 1]  # bands and grids are faint
    assert min(len(texts), len(marks)) > 100
    assert [one for one in texts if one["contrast"] < 4.5] == []
    assert [one for one in marks if one["contrast"] < 3] == []


def test_without_javascript_everything_is_there_and_nothing_is_offered_that_needs_it(visit):
    page = visit(java_script_enabled=False)
    figures = page.locator("figure.figure")
    assert figures.count() >= 11
    folded = figures.first.locator("details").nth(1)
    assert not folded.locator("table").is_visible()
    folded.locator("summary").click()
    assert folded.locator("table").is_visible()
    for summary in page.locator("main > section > details > summary").all():
        summary.click()
    for figure in figures.all():
        assert figure.locator(".picture > svg.wide").bounding_box()["height"] > 50
        assert figure.locator("figcaption").is_visible()
    for table in page.locator("main > section > .scroll table").all():
        assert table.is_visible()
    for needing in ("button", ".explorer", ".theme", "output"):
        assert not any(part.is_visible() for part in page.locator(needing).all()), needing


def test_parts_have_names_ids_and_places(visit):
    page = visit()
    counts = Counter(page.evaluate("[...document.querySelectorAll('[id]')].map((part) => part.id)"))
    assert [name for name, count in counts.items() if count > 1] == []
    links = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map((link) => link.getAttribute('href'))")
    assert len(links) > 40
    assert {link[1:] for link in links} <= set(counts)
    unlinked = """(parts) => parts.filter((part) => !(part.closest("summary")?.parentElement ?? part)
        .querySelector(`a.permalink[href="#${part.id}"]`))
        .map((part) => part.outerHTML.slice(0, 80))"""
    assert page.locator("main :is(h2, figure, table[id], tr[id])").evaluate_all(unlinked) == []
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map((part) => Number(part.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1
    assert page.evaluate("document.documentElement.lang + document.compatMode") == "enCSS1Compat"
    assert all(figure.get_attribute("aria-label") for figure in page.locator("figure.figure").all())
    names = page.locator("main a.permalink[aria-label]").evaluate_all("(links) => links.map((link) => link.ariaLabel)")
    assert len(names) > 40
    assert [name for name in names if not re.match(r"Permalink to: \w.*", name)] == []
    assert set(page.locator(".picture > svg").evaluate_all("(svgs) => svgs.map((svg) => svg.role)")) == {"img"}
    for picture in page.locator(".picture > svg:not(.narrow)").all():
        assert all(text.strip() for text in picture.locator("> :is(title, desc)").all_text_contents())
    assert set(page.locator("nav a").evaluate_all("(links) => links.map((link) => link.hash.slice(1))")) == set(
        page.locator("main h2").evaluate_all("(parts) => parts.map((part) => part.id)")
    )


TREE = """() => {
  const walk = (part, depth) =>
    [[depth, part.localName.toLowerCase()], ...[...part.children].flatMap((child) => walk(child, depth + 1))];
  return walk(document.documentElement, 0);
}"""


@pytest.fixture(scope="module", params=["report", "index", "comparison"])
def written(request, folder, index):
    """Each kind of page there is."""
    if request.param == "comparison":
        page = index.with_name("comparison.html")
        page.write_text(
            comparison.write(index.parent / "one", index.parent / "other", ROOT / "report"), encoding="utf-8"
        )
        return page
    return index if request.param == "index" else folder / RUN / "report.html"


def test_the_browser_had_nothing_to_mend(visit, written):
    def walk(element, depth):
        return [[depth, element.tag], *(one for child in element.children for one in walk(child, depth + 1))]

    (typed,) = parse(written.read_text(encoding="utf-8")).all("html")
    assert visit(file=written, java_script_enabled=False).evaluate(TREE) == walk(typed, 0)


PLANTED = """
<script>document.title = "run"</script>
<img src="data:image/png;base64,AAAA" alt="" onerror="document.title = 'run'">
<img src="https://example.org/picture.png" alt="">
<link rel="stylesheet" href="https://example.org/style.css">
<p style="background: url(https://example.org/background.png)">text</p>
<iframe srcdoc="text" title="text"></iframe>
<style>main { display: none }</style>
"""


def test_what_came_into_a_page_from_a_runs_files_neither_runs_nor_fetches(browser, written, tmp_path):
    page_file = tmp_path / "page.html"
    page_file.write_text(written.read_text(encoding="utf-8").replace("</main>", f"{PLANTED}</main>"), encoding="utf-8")
    answered, refused = [], []
    with browser.new_context(offline=True) as context:
        page = context.new_page()
        page.on("response", lambda response: answered.append(response.url))
        page.on("requestfailed", lambda request: refused.append(request.failure))
        page.on("console", lambda message: refused.append(message.text))
        page.goto(page_file.as_uri())
        assert page.title() != "run"
        assert page.locator("main").is_visible()
    assert {url for url in answered if not url.startswith("data:")} == {page_file.as_uri()}
    assert refused.count("csp") == 3  # the addresses: not for want of a network
    assert sum("Content Security Policy" in text for text in refused) >= 6


@pytest.mark.skipif("VNU_JAR" not in os.environ, reason="VNU_JAR does not name the Nu checker's jar")
def test_the_nu_checker_finds_nothing(written):
    command = ["java", "-jar", os.environ["VNU_JAR"], "--format", "gnu", written]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_download_is_the_file_it_says(visit, finished_run, tmp_path):
    """Those of two figures and the provenance: Chromium starts ten or more for one visit of a page, and then no more;
    test_article.py reads what is behind each."""
    page = visit()
    unfold(page)
    links = page.locator("a[download]")
    assert links.count() >= 36
    for place in (*range(6), links.count() - 1):
        with page.expect_download() as download:
            links.nth(place).click()
        name = download.value.suggested_filename
        download.value.save_as(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        if name == "provenance.json.gz":
            records = (finished_run / RUN / "jobs").rglob("*.json")
            assert len(json.loads(gzip.decompress(content))["jobs"]) == len([*records])
            continue
        assert content == (finished_run / RUN / "figures" / name).read_bytes()
        match name.rpartition(".")[2]:
            case "csv":
                rows = list(csv.reader(io.StringIO(content.decode())))
                assert len({len(row) for row in rows}) == 1
                assert len(rows) > 1
            case "svg":
                assert ElementTree.fromstring(content).tag.endswith("}svg")
            case "pdf":
                assert content.startswith(b"%PDF-")
                subprocess.run(["pdftotext", tmp_path / name, "-"], capture_output=True, check=True)


# --- printing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_the_printed_page_holds_what_is_folded_and_no_buttons(visit, finished_run, tmp_path, scripts):
    page = visit(color_scheme="dark", java_script_enabled=scripts)
    opened = page.locator("details[open]").count()
    text = printed(page, tmp_path / "article.pdf")
    together = "".join(text.split())
    for path in (finished_run / RUN / "jobs" / "figures").glob("*.json"):
        record = json.loads(path.read_text())
        assert "".join(record["command"].split()) in together, path.name
        assert {made["sha256"] for made in record["outputs"].values()} <= set(re.findall("[0-9a-f]{64}", together))
    assert "SHA-256" in text
    pages = text.count("\f")
    assert pages < 3.2 * len([*(finished_run / RUN / "jobs" / "figures").glob("*.json")])
    assert [f"{number} / {pages}" in text for number in (1, pages)] == [True, True]
    for label in ("Copy", "Theme", "Try it", "Exact values", "Skip to", "Contents"):
        assert label not in text, label
    assert page.locator("details[open]").count() == opened <= 1  # at most a group of the contents


def test_no_printed_page_ends_with_a_heading(visit, tmp_path):
    page = visit()
    heads = {" ".join(head.split()) for head in page.locator(HEADS).all_text_contents()}
    assert len(heads) > 20
    for number, text in enumerate(printed(page, tmp_path / "article.pdf").split("\f")[:-1], 1):
        *_, last, _ = [" ".join(line.split()) for line in text.splitlines() if line.strip()]  # then the page's number
        assert last not in heads, number


def test_a_long_table_is_not_printed_but_named(visit, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "ROWS_SHOWN", 8)
    (tmp_path / "report.html").write_text(build.write(RUN, ROOT / "report"), encoding="utf-8")
    text = printed(visit(file=tmp_path / "report.html"), tmp_path / "article.pdf")
    tables = {path: path.read_text().splitlines() for path in (RUN / "figures").glob("*.csv")}
    assert 0 < sum(len(lines) > 9 for lines in tables.values()) < len(tables)
    for path, (head, *rows) in tables.items():
        long = len(rows) > 8 or head.count(",") >= 12  # a table of so many columns is wider than paper
        said = f"Data: {len(rows)} rows, not printed: {path} ("
        assert (said in text) == long
        assert "".join(text.split()).count(sha256(path)) >= (2 if long else 1)  # once among the outputs
        assert (f"{path.name}\n" in text) == (not long)  # the table's caption


def test_before_printing_everything_is_unfolded_and_afterwards_folded_again(visit):
    page = visit()
    folds = page.locator("main details")
    before = folds.evaluate_all("(folds) => folds.map((fold) => fold.open)")
    assert not all(before)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")  # browsers that cannot do it by style sheet need this
    assert all(folds.evaluate_all("(folds) => folds.map((fold) => fold.open)"))
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert folds.evaluate_all("(folds) => folds.map((fold) => fold.open)") == before


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
