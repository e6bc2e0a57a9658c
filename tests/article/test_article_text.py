"""What the article says: its order, its claims, its references, and that no result is typed by hand."""

import json
import re
import subprocess

import pytest
import yaml
from article_helpers import ROOT, RUN, figures, ids, sections

from unravel.article import build
from unravel.run import read_config
from unravel.studies.base import FOLDER

SOURCE = ROOT / "report"
SETTINGS = read_config(ROOT / "config" / "ci.yaml")
CATALOGUE = build.catalogue(SETTINGS)
TEMPLATES = sorted([*SOURCE.rglob("*.html"), *FOLDER.rglob("*.html")])

# Digits that may stand in a template. All other numbers come from files, by way of template variables.
ALLOWED = re.compile(
    "|".join(
        (
            r"\b([Ff]igure|[Ss]ection|[Ee]quation|Extra figure)s? [\dA-Z][a-c]?(\.\d)?( (to|and) \d)?",  # links
            r"\bNIPS 2016\b|\bCIFAR-10\b|\bSHA-256\b|\b8x8 digits\b",  # names
            r"\b[123]x[123]\b",  # sizes of convolutions and pooling, which are part of what the networks are
            r"\b90th percentile|\b95% (t |Welch )?interval|\bat 95%",  # levels of statistics, as set in the code
            r"\b95% of the (mass|summed norms)|\bhold 95% by\b|\bat least 0\.99\b",
            r"\b2<sup>.*?</sup>",  # powers of two in formulas
        )
    )
)


def prose(template):
    """The text of a template as its author typed it: outside of expressions, and the sentences inside of them."""
    template = re.sub(r"{#.*?#}", "", template, flags=re.DOTALL)
    template = re.sub(r'formula\("[^"]*"(, "[^"]*")?\)', "", template)
    literals = re.findall(r'"([^"\n]*)"', " ".join(re.findall(r"{[{%](.*?)[%}]}", template, re.DOTALL)))
    outside = re.sub(r"{[{%].*?[%}]}", "", template, flags=re.DOTALL)
    outside = re.sub(r"<pre.*?</pre>", "", outside, flags=re.DOTALL)
    sentences = [literal for literal in literals if " " in literal and "%" not in literal]
    return [re.sub(r"<[^>]*>", "", ALLOWED.sub("", part)) for part in (outside, *sentences)]


def typed_numbers(template):
    return [word for part in prose(template) for word in re.findall(r"\S*\d\S*", part)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_number_is_typed_by_hand(path):
    assert typed_numbers(path.read_text(encoding="utf-8").rpartition("</head>")[2]) == []


def test_figure_notes_hold_no_number():
    assert [entry for entry in CATALOGUE if typed_numbers(f"{entry.title} {entry.note}")] == []


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("The error is 3.2 points.", ["3.2"]),
        ("The error is {{ error }} points.", []),
        ('{{ item("What?", "It fell by 7 points.", "single-deletion") }}', ["7"]),
        ("<p>Figure 5a and section 4.1 of NIPS 2016 use 3x3 filters.</p>", []),
        ("In figure 3, 9 of 10 layers", ["9", "10"]),
        ('{{ formula("n + 1", "n plus 1") }} of 7', ["7"]),
    ],
)
def test_the_search_for_typed_numbers_finds_them(sentence, found):
    assert typed_numbers(sentence) == found


def test_every_number_from_a_file_names_the_file_and_the_key(page, folder):
    linked = page.with_class("number")
    assert len(linked) > 100
    for link in linked:
        source, _, rounded = link.attributes["title"].partition(", rounded ")
        file, _, key = source.partition(": ")
        shown, size = read_number(link.words)
        value = value_at(RUN, file, key)
        if rounded == "down":
            assert shown <= value < shown + 2 * size, source
        elif rounded == "up":
            assert shown - 2 * size < value <= shown, source
        else:
            assert abs(shown) == pytest.approx(abs(value), abs=size), source
        assert page.by_id(link.attributes["href"][1:])
        assert link.attributes["tabindex"] == "-1"  # else some hundred presses of Tab would lead through them


@pytest.mark.parametrize("name", ["single-deletion", "random-deletion", "path-gradients", "test-errors", "claims"])
def test_results_are_linked_to_their_files(page, name):
    anchor = "#job-claims" if name == "claims" else f"#origin-{name}"
    assert len([link for link in page.with_class("number") if link.attributes["href"] == anchor]) >= 5


def read_number(words):
    """The number that a text begins with, in seconds if it is a time, and half a unit of its last digit."""
    digits, power, unit = re.match(r"([-\d.,]+)(?:e([-+]\d+))?(?: (min|h)\b)?", words).groups()
    scale = 10.0 ** int(power or 0) * {"min": 60, "h": 3600}.get(unit, 1)
    return float(digits.replace(",", "")) * scale, 0.501 * scale * 10.0 ** -len(digits.partition(".")[2])


def value_at(run, file, key):
    """The number under a dotted key of a file, or the mean over files; a mean over seeds is none of a file's keys."""
    found = [json.loads(path.read_text()) for path in run.glob(file)]
    assert found, file
    for name in key.removesuffix(".mean").split(".") if "*" in file else key.split("."):
        found = [inner[int(name)] if isinstance(inner, list) else inner[name] for inner in found]
    return sum(found) / len(found)


# --- order ----------------------------------------------------------------------------------------------------------


def test_the_contents_are_the_headings_in_their_order(page):
    listed = [(link.attributes["href"][1:], link.words) for link in page.all("nav")[0].all("a")]
    main = page.by_id("article")
    assert [(heading.attributes["id"], heading.words) for heading in main.all("h2")] == listed
    assert len(page.all("h1")) == 1
    assert main.children[0].tag == "h1"


def test_the_article_reads_as_a_paper(page):
    order = list(sections(page))
    expected = [
        "question",
        "abstract",
        "claims",
        "unraveled-view",
        "lost-paths",
        "networks",
        "single-deletion",
        "random-deletion",
        "live-network",
        "reordering",
    ]
    expected += [
        "path-gradients",
        "short-training",
        "paths-left",
        "stochastic-depth",
        "beyond",
        "exact-sum",
        "exact-estimate",
        "forward-paths",
        "paths-in-training",
        "lesion-kinds",
        "deletion-scaling",
        "lesion-predictors",
        "true-ensemble",
        "iterative-inference",
        "vision-transformer",
        "discussion",
        "reproduce",
    ]
    appendix = ["scorecard", "robustness", "deviations", "methods", "class-overview", "training-curves"]
    appendix += ["figure-map", "checkpoints", "provenance", "checklist"]
    assert order == [*expected, *appendix, "references"]
    folded = [name for name, section in sections(page).items() if section.children[0].tag == "details"]
    assert folded == appendix


def test_the_contents_are_six_groups_of_neighbours(page):
    groups = [group.all("summary")[0].words for group in page.all("nav")[0].all("details")]
    assert groups == ["Summary", "Idea", "Results", "Beyond", "Discussion", "Appendix"]


def test_the_main_text_is_read_in_half_an_hour(page):
    """Prose and captions, without tables, code, formulas and what is folded."""
    passed_over = {"table", "svg", "pre", "details", "button", "output", "ol", "script"}

    def words(element):
        inside = [part if isinstance(part, str) else words(part) for part in element.inside]
        return "" if element.tag in passed_over else " ".join(inside)

    def prose(element):
        """Without what stands with every figure: its chips, the verdicts on it, its files."""
        if element.attributes.get("class") in ("chips", "conclusion", "files"):
            return ""
        inside = [part if isinstance(part, str) else prose(part) for part in element.inside]
        return "" if element.tag in passed_over else " ".join(inside)

    length = {name: len(words(section).split()) for name, section in sections(page).items()}
    beyond = {part.id for part in build.parts(SOURCE, SETTINGS) if part.group == "Beyond"}
    assert sum(length[name] for name in length.keys() - beyond) <= 4450
    assert {"exact-estimate", "forward-paths", "lesion-kinds", "true-ensemble", "vision-transformer"} < beyond
    own = {name: len(prose(section).split()) for name, section in sections(page).items()}
    assert {name: own[name] for name in beyond - {"exact-sum", "beyond"} if own[name] > 300} == {}


def test_the_first_screen_asks_finds_three_things_and_says_how_far_to_trust_them(page):
    first = sections(page)["question"]
    (asked,) = first.with_class("question")
    assert len(re.findall(r"[.?](?: |$)", asked.words)) == 2
    findings = first.with_class("findings")[0].all("li")
    assert len(findings) == 3
    for finding in findings:
        assert finding.all("strong")
        assert finding.with_class("number")
    (trust,) = first.with_class("trust")
    for said in ("48 training", "n = 1 seed", "checks of the science passed", "6 blocks where the paper has 54"):
        assert said in trust.words
    values = json.loads((RUN / "figures" / "single-deletion.json").read_text())["points"]
    shown = json.loads(first.with_class("picture")[0].attributes["data-points"])
    assert [one["y"] for one in shown] == [one["y"] for one in values if not one["series"].startswith("paper")]


def test_the_scorecard_adds_up(page):
    claims = json.loads((RUN / "claims.json").read_text())
    rows = page.by_id("table-scorecard").all("tbody")[0].all("tr")
    claims = [claim for claim in claims if claim["kind"] != "extra"]  # which the paper does not make
    for row, claim in zip(rows, claims, strict=True):
        made, ran, matches = (cell.words for cell in row.all("td"))
        assert (made, ran) == (str(int(claim["statistic"] is not None)), str(int(bool(claim["values"]))))
        known = {"supported": "1", "partly supported": "0.5", "not supported": "0", "not tested": "–"}
        assert matches == known[claim["verdict"]]
    score = sum({"supported": 1, "partly supported": 0.5}.get(claim["verdict"], 0) for claim in claims)
    tested = sum(claim["verdict"] != "not tested" for claim in claims)
    assert (
        page.by_id("table-scorecard").all("tfoot")[0].words.endswith(f"{tested} of {len(claims)} {score:g} of {tested}")
    )


def test_claims_are_called_by_their_sentence_and_never_by_their_name(page):
    names = {claim["id"] for claim in json.loads((RUN / "claims.json").read_text())}
    # names of networks and figures, and words that a sentence may hold
    names -= {*SETTINGS.networks, *figures(page), "binomial", "decay", "downsampling", "imagenet", "unraveled"}
    said = {
        part.strip()
        for section in sections(page).values()
        for one in section.all()
        for part in one.inside
        if isinstance(part, str)
    }
    words = {word.strip(".,:;()“”") for text in said for word in text.split()}
    assert len(names) > 8
    assert words & names == set()


def test_the_abstract_has_an_abstracts_length(page):
    (paragraph,) = sections(page)["abstract"].all("p")
    assert 150 <= len(paragraph.words.split()) <= 200


def test_every_figure_is_mentioned_in_the_text_before_it_appears(page):
    for name, section in sections(page).items():
        for figure in section.all("figure"):
            link = "#" + figure.attributes["id"]
            before = section.all()[: section.all().index(figure)]
            assert link in [element.attributes.get("href") for element in before], name


def test_every_result_asks_says_what_was_done_and_what_would_change_our_mind(page):
    for name in (
        "single-deletion",
        "random-deletion",
        "reordering",
        "path-gradients",
        "short-training",
        "stochastic-depth",
    ):
        strong = [element.words for element in sections(page)[name].all("strong")]
        wanted = ["The question.", "What was done.", "What came out.", "What would have changed our mind."]
        assert [words for words in strong if words in wanted] == wanted


def test_every_formula_has_a_text_alternative(page):
    formulas = page.with_class("formula")
    assert len(formulas) >= 8
    for formula in formulas:
        assert formula.attributes["role"] == "img"
        assert re.fullmatch(r".*[a-zA-Z].*", formula.attributes["aria-label"])
    assert page.all("math") == []  # which looks as the reader's fonts happen to be


# --- captions -------------------------------------------------------------------------------------------------------


def test_a_caption_stands_alone(page):
    for slug, figure in figures(page).items():
        caption = figure.all("p")[1]
        assert len(caption.words.split()) >= 40, slug
        assert "(n = " in caption.words or "othing was measured" in caption.words, slug
        (finding,) = caption.with_class("finding")
        assert finding.words == figure.all("desc")[0].words


def test_a_figure_and_its_claims_link_to_each_other(page):
    claims = json.loads((RUN / "claims.json").read_text())
    for claim in claims:
        row = page.by_id(f"claim-{claim['id']}")
        evidence = [link.attributes["href"] for link in row.all("td")[-1].all("a")]
        assert evidence == ([f"#fig-{claim['figure']}"] if claim["figure"] else [])
    for slug, figure in figures(page).items():
        conclusions = figure.with_class("conclusion")
        linked = [link.attributes["href"] for line in conclusions for link in line.all("a")]
        resting = [claim for claim in claims if claim["figure"] == slug]
        assert linked == [f"#claim-{claim['id']}" for claim in resting]
        assert all(claim["verdict"] in line.words for line, claim in zip(conclusions, resting, strict=True))
        assert "tiny run: its numbers mean nothing" in figure.with_class("chips")[0].words


# --- claims ---------------------------------------------------------------------------------------------------------


def judged(kind):
    return [claim for claim in json.loads((RUN / "claims.json").read_text()) if claim["kind"] == kind]


def test_the_claims_table_says_what_the_files_say(page):
    rows = [row for row in page.by_id("table-claims").all("tr") if "id" in row.attributes]
    claims = [*judged("measured"), *judged("counting"), *judged("extra")]
    assert [row.attributes["id"] for row in rows] == [f"claim-{claim['id']}" for claim in claims]
    for row, claim in zip(rows, claims, strict=True):
        text, paper, ours, verdict = (cell.words for cell in row.all("td"))
        assert text.startswith(claim["claim"])
        assert claim["criterion"] in text
        assert paper == f"{claim['paper']} ({claim['where']})"
        one = " \\(one network\\)" if claim["kind"] != "counting" and claim["verdict"] != "not tested" else ""
        assert re.match(rf"\S {claim['verdict']}{one}(The means|Figure|Extra|$)", verdict)  # a sign before the word
        assert ("The means keep every bound" in verdict) == bool(claim["crossed"])
        for place, (name, value) in enumerate(claim["values"].items()):
            said = f"{claim['shown'][name]}: {value['mean']:.3g}"
            assert said in text
            assert (said in ours) == (place == 0)
        for name, stated in claim["paper_values"].items():
            if name in claim["values"]:
                assert f"{claim['shown'][name]}: {claim['values'][name]['mean'] - stated:+.3g}" in text


def test_measured_claims_are_counted_apart_from_counting_ones(page):
    measured, _, counting = sections(page)["claims"].all("p")[0].words.partition("from counting alone")
    assert f"Of the paper's {len(judged('measured'))} claims that a trained network can fail" in measured
    for kind, words in (("measured", measured), ("counting", counting)):
        for verdict in ("partly supported", "not supported", "not tested"):
            n = sum(claim["verdict"] == verdict for claim in judged(kind))
            assert re.search(rf"\b{n} \S {verdict}", words), (kind, verdict)


def test_the_papers_slips_are_told_with_the_verdicts(page):
    words = sections(page)["claims"].all("p")[0].words
    slips = [claim["finding"] for claim in judged("counting") if claim["finding"]]
    assert len(slips) == 2
    assert all(slip in words for slip in slips)


def test_firm_verdicts_are_counted_among_those_whose_bounds_can_be_moved(page):
    rows = page.by_id("table-robustness").all("tbody")[0].all("tr")
    moved = [row for row in rows if "no bound can be moved" not in row.words]
    assert 0 < len(moved) < len(rows)
    firm = [row for row in moved if len({cell.words for cell in row.all("td")[:3]}) == 1]
    words = sections(page)["robustness"].words
    assert f"Of {len(moved)} verdicts whose bounds can be moved, {len(firm)} stay" in words
    assert all(
        row.all("th")[0].words in words.partition("so nothing is said of")[2] for row in rows if row not in moved
    )


def test_the_history_of_the_criteria_is_that_of_their_files(page):
    """Each commit that it names changed a claims file; a checkout without its history cannot say so."""
    listed = yaml.safe_load((SOURCE / "criteria.yaml").read_text(encoding="utf-8"))
    words = sections(page)["robustness"].words
    for change in listed:
        assert f"commit {change['commit']}" in words
        shown = subprocess.run(
            ["git", "show", "--name-only", "--format=", change["commit"]], cwd=ROOT, capture_output=True, text=True
        )
        assert shown.returncode != 0 or "claims.yaml" in shown.stdout, change


def test_the_discussion_names_every_doubted_claim_and_the_deviations_of_its_section(page):
    entries = page.by_id("doubted").all("li")
    doubted = [claim for claim in judged("measured") if claim["verdict"] in ("partly supported", "not supported")]
    assert len(doubted) > 2
    sections_of = {"test-errors": "short-training"}
    for entry, claim in zip(entries, doubted, strict=True):
        assert entry.words.startswith(f"“{claim['claim'].strip('.')}”")
        part = sections_of.get(claim["figure"], claim["figure"])
        links = [link.attributes["href"][1:] for link in entry.all("a")]
        linked = [name for name in links if name.startswith("deviation-")]
        listed = sections(page)["deviations"].all("li")
        biting = [one for one in listed if f"#{part}" in [link.attributes["href"] for link in one.all("a")]]
        assert linked == [one.attributes["id"] for one in biting]


# --- figures of the paper, deviations, checklist --------------------------------------------------------------------


def test_every_figure_of_the_paper_is_listed_with_ours_or_why_not(page):
    rows = [[cell.words for cell in row.all("td")] for row in page.by_id("table-figures").all("tbody")[0].all("tr")]
    listed = {row[0]: row[2:] for row in rows}
    assert {f"Figure {number}" for number in ("1", "2", "3", "4", "5a", "5b", "6", "7", "8")} <= set(listed)
    assert [name for name, (here, _) in listed.items() if here == "not attempted"] == [
        "Figure 4",
        "Section 6, highway gates",
    ]
    assert all(note.startswith("Not attempted: ") for here, note in listed.values() if here == "not attempted")
    assert {entry.slug for entry in CATALOGUE} - {None} == set(figures(page))


def test_deviations_are_numbered_cited_and_say_what_they_do(page):
    (entries,) = sections(page)["deviations"].all("ol")
    numbers = {entry.attributes["id"]: number for number, entry in enumerate(entries.children, 1)}
    outside = [
        (link.attributes["href"][1:], link.words)
        for name, section in sections(page).items()
        if name != "deviations"
        for link in section.all("a")
        if link.attributes["href"].startswith("#deviation-")
    ]
    assert all(words in (f"deviation {numbers[name]}", f"{numbers[name]}") for name, words in outside)
    assert {name for name, _ in outside} == set(numbers)
    for entry in entries.children:
        assert "Expected effect:" in entry.words
        assert "Bites in:" in entry.words or " None: " in entry.words
    bitten = {part.id: {f"deviation-{name}" for name in part.bitten_by} for part in build.parts(SOURCE, SETTINGS)}
    assert set().union(*bitten.values()) == set(numbers)
    assert "deviation-swaps" in bitten["reordering"]
    (swaps,) = [entry for entry in entries.children if entry.attributes["id"] == "deviation-swaps"]
    assert swaps.words.endswith("Bites in: Changing the order of blocks.")
    assert "networks.resnet.channels is [4, 8, 16]" in entries.words
    assert "training.epochs 1 (164)" in entries.words


def test_the_checklist_answers_every_question_and_links_its_evidence(page):
    rows = page.by_id("table-checklist").all("tbody")[0].all("tr")
    assert len(rows) == 16
    known = set(ids(page))
    for row in rows:
        answer, reason = row.all("td")
        assert answer.words in ("Yes", "No", "NA")
        assert len(reason.words.split()) >= 6
        assert reason.all("a")
        assert {link.attributes["href"][1:] for link in reason.all("a")} <= known
    assert sections(page)["checklist"].words.count("replication attempt") == 1


def test_lesions_on_a_part_of_the_test_set_are_said_to_be_wherever_their_numbers_are(page):
    captions = {slug: figures(page)[slug].all("figcaption")[0].words for slug in ("random-deletion", "reordering")}
    assert "Measured on the 30 test images of arrays." in captions["random-deletion"]
    assert "Measured on 12 of the 30 test images of arrays, the same for every network" in captions["reordering"]
    (table,) = [table for table in page.all("table") if table.attributes.get("id") == "table-claims"]
    (caption,) = table.all("caption")
    assert "Some claims rest on a part of the 30 test images: those of Figure 5b on 12, " in caption.words
    assert "on all test images (swaps on 12 of them), with" in sections(page)["methods"].words
    assert "reorderings.test_images 12 (not set)" in sections(page)["deviations"].words
    assert "12 of the" not in captions["random-deletion"]


# --- references -----------------------------------------------------------------------------------------------------


def test_references_are_numbered_as_they_are_cited(page):
    cited = page.by_id("article").with_class("citation")
    first = list(dict.fromkeys(link.attributes["href"][1:] for link in cited))
    listed = [entry.attributes["id"] for entry in page.by_id("article").with_class("references")[0].children]
    assert listed == first
    assert {link.words for link in cited} == {str(number) for number in range(1, len(listed) + 1)}
    assert all(int(link.words) == listed.index(link.attributes["href"][1:]) + 1 for link in cited)


def test_every_reference_is_cited_or_is_the_article_itself(page):
    keys = set(re.findall(r"^@\w+\{(.*),$", (SOURCE / "references.bib").read_text(encoding="utf-8"), re.MULTILINE))
    of_data = {"ref-idelbayev2018", "ref-pedregosa2011"}  # cited in runs of CIFAR-10, and of the digits
    assert {f"ref-{key}" for key in keys} - set(ids(page)) == {"ref-unravel"} | of_data


def test_the_bibtex_to_copy_is_that_of_the_files(page):
    bibtex = [block.all("code")[0].text for block in page.with_class("bibtex")]
    known = (SOURCE / "references.bib").read_text(encoding="utf-8")
    assert all(entry in known for entry in bibtex)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert f"title = {{{citation['title']}}}" in bibtex[1]
    assert f"version = {{{citation['version']}}}" in bibtex[1]
    assert citation["authors"][0]["name"] in bibtex[1]
    assert "eprint = {1605.06431}" in bibtex[0]
