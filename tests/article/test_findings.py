"""No sentence of a study's section states the opposite of the numbers or verdicts that it stands beside.

The real templates are rendered from figures of small tables, their numbers turned round and their verdicts changed.
"""

import copy
import re
from functools import cache
from types import SimpleNamespace

import jinja2
import pandas as pd
import pytest
from article_helpers import ROOT, parse
from figure_helpers import read_values

from unravel.article import build, drawings, pages
from unravel.evidence.claims import Judged, read_all
from unravel.evidence.sources import sourced
from unravel.run import parse_config, read_config
from unravel.statistics import Interval
from unravel.studies import FIGURES, STUDIES

SOURCE = ROOT / "report"
SETTINGS = read_config(ROOT / "config" / "ci.yaml")
VERDICTS = ("supported", "partly supported", "not supported", "not tested")
SIGNS = (1, -1)
UNJUDGED = ("unraveled_view", "lost_paths", "class_overview", "live_network")  # no claim stands on these
TOLD = [study for study in STUDIES.values() if study.has("section.html") and study.name not in UNJUDGED]
FIGURE_MACRO = re.compile(r"{% macro figure\(.*?{% endmacro %}", re.DOTALL)
BARE_FIGURE = '{% macro figure(picture, finding) %}<p class="finding">{{ finding }}</p>{{ caller() }}{% endmacro %}'

# What a section says, and when it may: of a scenario's sign of all changes and its verdict on all claims.
WORDS = {
    ("single-deletion", r"\braises the error"): lambda sign, verdict: sign > 0,
    ("single-deletion", r"\blowers the error"): lambda sign, verdict: sign < 0,
    ("stochastic-depth", r"\braises the error"): lambda sign, verdict: sign > 0,
    ("stochastic-depth", r"\blowers the error"): lambda sign, verdict: sign < 0,
    ("stochastic-depth", r"costs [\d.]+ points less with"): lambda sign, verdict: sign > 0,
    ("stochastic-depth", r"costs [\d.]+ points more with"): lambda sign, verdict: sign < 0,
    ("stochastic-depth", r"it leaves is higher than"): lambda sign, verdict: sign > 0,
    ("stochastic-depth", r"it leaves is no higher than"): lambda sign, verdict: sign < 0,
    ("path-gradients", r"\bfalls by"): lambda sign, verdict: sign > 0,
    ("path-gradients", r"\brises by"): lambda sign, verdict: sign < 0,
    ("path-gradients", r"Untrained networks pass"): lambda sign, verdict: sign > 0,
    ("path-gradients", r"^Almost all of the gradient.* short paths\."): lambda sign, verdict: verdict == "supported",
    ("path-gradients", r"^Short paths carry less of the gradient"): lambda sign, verdict: verdict == "not supported",
    ("paths-left", r"both are supported, so it follows here"): lambda sign, verdict: verdict == "supported",
    ("paths-left", r"not both are supported, so it does not follow here"): lambda sign, verdict: verdict != "supported",
    ("single-deletion", r"it hardly matters\."): lambda sign, verdict: verdict == "supported",
    ("single-deletion", r"worse off for the loss"): lambda sign, verdict: verdict == "not supported",
    ("random-deletion", r"as that of an ensemble does"): lambda sign, verdict: verdict == "supported",
    ("random-deletion", r"does not grow smoothly"): lambda sign, verdict: verdict == "not supported",
    ("reordering", r"the higher the error, without jumps"): lambda sign, verdict: verdict == "supported",
    ("reordering", r"does not follow the disorder of the blocks smoothly"): lambda s, verdict: (
        verdict == "not supported"
    ),
    ("short-training", r"ends as well as full training"): lambda sign, verdict: verdict == "supported",
    ("short-training", r"matches full training is not shown"): lambda sign, verdict: verdict == "not supported",
    ("stochastic-depth", r"loses less when one is deleted\."): lambda sign, verdict: verdict == "supported",
    ("stochastic-depth", r"does not lose less when one is deleted"): lambda sign, verdict: verdict == "not supported",
    ("forward-paths", r"^Short paths alone.* as well as the whole network\."): lambda s, verdict: (
        verdict == "supported"
    ),
    ("forward-paths", r"do not classify as well"): lambda sign, verdict: verdict == "not supported",
    ("exact-estimate", r"often judge .* otherwise than the exact sum\."): lambda sign, verdict: verdict == "supported",
    ("exact-estimate", r"carry the gradient as the exact sum does"): lambda sign, verdict: verdict == "not supported",
    ("exact-estimate", r"is cancellation more than chance\."): lambda sign, verdict: verdict == "supported",
    ("exact-estimate", r"parts them no more than chance"): lambda sign, verdict: verdict == "not supported",
    ("deletion-scaling", r"step of each block, in inverse proportion\."): lambda sign, verdict: verdict == "supported",
    ("deletion-scaling", r"do not take steps smaller in inverse"): lambda sign, verdict: verdict == "not supported",
    ("deletion-scaling", r"A deletion costs less in a deeper one\."): lambda sign, verdict: verdict == "supported",
    ("deletion-scaling", r"A deletion does not cost less"): lambda sign, verdict: verdict == "not supported",
    ("deletion-scaling", r"\braises the error"): lambda sign, verdict: sign > 0,
    ("deletion-scaling", r"\blowers the error"): lambda sign, verdict: sign < 0,
    ("paths-in-training", r"moves it to longer ones\."): lambda sign, verdict: verdict == "supported",
    ("paths-in-training", r"moves to longer ones is not shown"): lambda sign, verdict: verdict == "not supported",
    ("paths-in-training", r"the mean length grows"): lambda sign, verdict: sign > 0,
    ("paths-in-training", r"the mean length falls"): lambda sign, verdict: sign < 0,
    ("paths-in-training", r"Training moves it to shorter ones"): lambda sign, verdict: (
        sign < 0 and verdict == "not supported"
    ),
    ("iterative-inference", r"comes nearer to the answer\."): lambda sign, verdict: verdict == "supported",
    ("iterative-inference", r"does not come nearer to the answer"): lambda sign, verdict: verdict == "not supported",
    ("iterative-inference", r"Each stage refines one estimate\."): lambda sign, verdict: verdict == "supported",
    ("iterative-inference", r"Not every stage refines one estimate"): lambda sign, verdict: verdict == "not supported",
    ("true-ensemble", r"loses as little by the loss of blocks"): lambda sign, verdict: verdict == "supported",
    ("true-ensemble", r"as little as a true ensemble is not shown"): lambda sign, verdict: verdict == "not supported",
    ("vision-transformer", r"hardly notices the loss of any one"): lambda sign, verdict: verdict == "supported",
    ("vision-transformer", r"does notice the loss of an attention"): lambda sign, verdict: verdict == "not supported",
    ("vision-transformer", r"Almost all of its gradient comes"): lambda sign, verdict: verdict == "supported",
    ("vision-transformer", r"Much of its gradient comes"): lambda sign, verdict: verdict == "not supported",
    ("vision-transformer", r"\braises the error"): lambda sign, verdict: sign > 0,
    ("vision-transformer", r"\blowers the error"): lambda sign, verdict: sign < 0,
    ("lesion-kinds", r"loses less by it than VGG\."): lambda sign, verdict: verdict == "supported",
    ("lesion-kinds", r"depends on how a block is taken out"): lambda sign, verdict: verdict == "not supported",
    ("lesion-kinds", r"VGG is at chance after a lesion"): lambda sign, verdict: verdict == "supported",
    ("lesion-kinds", r"VGG is not at chance after every kind"): lambda sign, verdict: verdict == "not supported",
    ("lesion-kinds", r"\braises the error"): lambda sign, verdict: sign > 0,
    ("lesion-kinds", r"\blowers the error"): lambda sign, verdict: sign < 0,
    ("lesion-predictors", r"slope of the loss predicts .* delete\."): lambda sign, verdict: verdict == "supported",
    ("lesion-predictors", r"does not predict well enough"): lambda sign, verdict: verdict == "not supported",
    ("lesion-predictors", r"put back part of what a deleted one added\."): lambda s, verdict: verdict == "supported",
    ("lesion-predictors", r"do not put back what"): lambda sign, verdict: verdict == "not supported",
    ("lesion-predictors", r"put back a share of"): lambda sign, verdict: sign < 0,
    ("lesion-predictors", r"put back nothing but add"): lambda sign, verdict: sign > 0,
    ("question", r"hardly notices the loss of one block\."): lambda sign, verdict: verdict == "supported",
    ("question", r"hardly notices the loss of one block \(partly"): lambda sign, verdict: verdict == "partly supported",
    ("question", r"loss of one block does harm"): lambda sign, verdict: verdict == "not supported",
    ("question", r"error grows smoothly as more blocks are deleted\."): (lambda sign, verdict: verdict == "supported"),
    ("question", r"Almost all of the training signal comes through short paths\."): (
        lambda sign, verdict: verdict == "supported"
    ),
    ("question", r"Short paths carry less of the training signal"): lambda sign, verdict: verdict == "not supported",
    ("question", r"deleting one raises the error"): lambda sign, verdict: sign > 0,
    ("question", r"deleting one lowers the error"): lambda sign, verdict: sign < 0,
}
# Sentences of a result that are the same whatever was found, since they say how a number is meant, or hold by counting.
MEANINGS = (
    "Medians and percentiles are over a network's blocks or layers; all these numbers are means over seeds.",
    "Medians are taken as for Figure 5a.",
    "The table has the same with batch normalisation in eval mode.",
    "Medians are over the draws of one seed, then averaged over seeds; the line of the figure is over the draws of all "
    "seeds together.",
    "Deleting blocks takes away long paths first.",
    "That is counting, and true of any residual network.",
    "The paper says of 10 of 54 blocks deleted: 2⁴⁴, which the text calls a share of about 10⁻⁶.",
)


@pytest.fixture(scope="module")
def values(drawn):
    """The values of each figure, by its slug, as small tables give them."""
    return {
        study.figure.slug: read_values(drawn / f"{study.figure.drawn_by or name}.svg")
        for name, study in STUDIES.items()
        if study.figure and (drawn / f"{study.figure.drawn_by or name}.svg").exists()
    }


def turned(found, sign):
    """The same numbers, those that say a change times `sign`, and everything a little larger if the sign is negative.

    What does not change between both is typed, not read from the file.
    """
    if isinstance(found, dict):
        return {name: _turned(name, inner, sign) for name, inner in found.items()}
    return found


def _turned(name, inner, sign):
    if isinstance(inner, dict):
        return turned(inner, sign)
    if not isinstance(inner, float):
        return inner
    if name.endswith(("_points", "_rise")) or name == "decades_per_block":
        return sign * inner
    return inner + (0 if sign > 0 else 0.5)


def figures_of(values, sign):
    found = copy.deepcopy(values)
    networks = found["stochastic-depth"]["networks"]
    plain, other = networks["resnet"], networks.pop("vgg")
    # with a positive sign, stochastic depth halves what a deletion costs, from a higher error
    dropped = other | {name: value / 2 for name, value in plain.items() if name.endswith("increase_points")}
    networks["stochastic-depth"] = dropped | {"mean_error_percent": plain["mean_error_percent"] + sign}
    short = found["test-errors"]["networks"]["effective-paths"]
    short["recomputed"] = short["unscaled"]
    return {
        slug: SimpleNamespace(
            slug=slug,
            label=FIGURES[slug][1].label,
            values=sourced(turned(one, sign), f"figures/{slug}.json", f"origin-{slug}"),
        )
        for slug, one in found.items()
    }


def context(values, sign, verdict, settings=SETTINGS, uncertainty=0.5):
    stated = read_all(settings)
    value = Interval(2.0 - sign, 0.5, 3.5, 3)
    rise = Interval(sign, sign - uncertainty, sign + uncertainty, 3)
    judged = [
        Judged(
            **one.model_dump(),
            verdict=verdict,
            crossed=[],
            values={name: rise if name.endswith("_rise") else value for name in one.shown},
            per_seed=[dict.fromkeys(one.shown, value.mean)] * 3,
        )
        for one in stated
    ]
    manifest = SimpleNamespace(
        name="cifar10",
        origin="",
        classes=["a", "b"],
        image_shape=(8, 8),
        train=SimpleNamespace(images=40),
        test=SimpleNamespace(images=20),
    )
    return {
        "config": settings,
        "manifest": manifest,
        "figures": figures_of(values, sign),
        "claims": judged,
        "claim": {one.id: one for one in judged},
        "criteria": {one.id: one.criterion for one in stated},
        "paper": {one.id: one.paper for one in stated},
        "networks": {},
        "problems": {},
        "changed": {},
        "defaults": {},
        "parts": [],
        "block_kinds": {},
        "cite": lambda key: f"[{key}]",
        "sketch": drawings.sketch,
        "seal": None,
        "checks": [],
    }


@cache
def environment():
    """The article's templates, compiled once, with figures that lack their pictures."""
    found = pages.template(SOURCE, "article.html").environment
    macros = FIGURE_MACRO.sub(lambda _: BARE_FIGURE, (SOURCE / "macros.html").read_text(encoding="utf-8"), count=1)
    bare = jinja2.DictLoader({"macros.html": macros, "explorer.html": ""})
    return found.overlay(loader=jinja2.ChoiceLoader([bare, found.loader]))


def render(name, found):
    """A template of the article alone."""
    return parse(environment().get_template(name).render(found, style="", stated=pages.paper, formula=pages.formula))


@pytest.fixture(scope="module")
def told(values, drawn):
    """Every study's section, rendered by sign and verdict."""
    rows = pd.read_csv(drawn / "path_gradients.csv")
    scenarios = {}
    for sign in SIGNS:
        for verdict in VERDICTS:
            found = context(values, sign, verdict)
            found["figures"]["path-gradients"].table = rows  # the slider reads the rows, not the summary
            told = {study.section: render(f"{study.name}/section.html", found) for study in TOLD}
            scenarios[sign, verdict] = told | {"question": render("sections/question.html", found)}
    return scenarios


@pytest.mark.parametrize(("section", "words"), list(WORDS))
def test_a_sentence_is_said_where_it_is_true_and_nowhere_else(told, section, words):
    said = {case: bool(re.search(words, sections[section].words)) for case, sections in told.items()}
    assert said == {case: WORDS[section, words](*case) for case in told}
    assert set(said.values()) == {True, False}


def test_a_fall_whose_interval_holds_no_change_is_not_a_finding(values):
    found = context(values, -1, "not supported", uncertainty=1.5)
    assert "moves it to shorter ones" not in render("paths_in_training/section.html", found).words


@pytest.mark.parametrize(
    ("study", "pair"),
    [
        ("single_deletion", ("resnet", "vgg")),
        ("stochastic_depth", ("resnet", "stochastic-depth")),
        ("short_training", ("resnet", "effective-paths")),
    ],
)
def test_a_comparison_says_how_long_its_networks_were_trained_where_that_differs(values, study, pair):
    config = SETTINGS.model_dump(mode="json")
    assert "equally long" not in render(f"{study}/section.html", context(values, 1, "supported")).words
    long, short = pair
    config["training"]["epochs"] = 41
    config["networks"][short]["epochs"] = 28
    told = render(f"{study}/section.html", context(values, 1, "supported", parse_config(config))).words
    said = re.search(r"They were not trained equally long \((.*?)\)", told)
    assert {f"{long} for 41 epochs", f"{short} for 28 epochs"} <= set(said[1].split(", "))


def results(page):
    """The sentences of a section that say what came out: in captions in bold, and after those words."""
    found = [one.words for one in [*page.with_class("meaning"), *page.with_class("finding")]]
    found += [
        one.words.removeprefix("What came out.") for one in page.all("p") if one.words.startswith("What came out.")
    ]
    return [sentence.strip() for text in found for sentence in re.split(r"(?<=[.])\s+(?=[A-Z])", text) if sentence]


@pytest.mark.parametrize("section", [study.section for study in TOLD if study.figure])
def test_no_sentence_on_a_result_is_fixed(told, section):
    """Each changes with the numbers or the verdicts, or says no more than how a number is meant."""
    always = set.intersection(*(set(results(sections[section])) for sections in told.values()))
    assert always <= set(MEANINGS)
    assert set(results(told[1, "supported"][section])) - always


@pytest.mark.parametrize(
    "section", [study.section for study in TOLD if study.figure and study.name != "training_curves"]
)
def test_a_result_begins_with_one_sentence_on_what_it_means(told, section):
    for page in (sections[section] for sections in told.values()):
        first, *others = page.all("p")
        assert first.attributes["class"] == "meaning"
        assert 6 <= len(first.words.split()) <= 40
        assert not [one for one in others if one.attributes.get("class") == "meaning"]


def test_only_projections_are_called_a_share_of_the_gradient(told):
    for section in ("path-gradients", "exact-sum"):
        words = told[1, "supported"][section].words
        for sentence in re.split(r"(?<=[.;])\s", words):
            if re.search(r"% of the gradient|percent of the gradient|share of the gradient", sentence):
                assert "projection" in sentence, sentence


def test_phrases_that_presume_a_finding_are_gone(told):
    presumed = (
        "Why does a deletion hurt so little",
        "hurt less",
        "If short paths do the work",
        "If short paths carry the gradient",
        "matter even more",
    )
    for sections in told.values():
        for section, page in sections.items():
            assert not [phrase for phrase in presumed if phrase in page.words], section


# --- deviations ------------------------------------------------------------------------------------------------------


def deviations(values, change=lambda config: config, lengths=None):
    settings = parse_config(change(SETTINGS.model_dump(mode="json")))
    found = context(values, 1, "supported", settings)
    found["parts"] = build.parts(SOURCE, settings)
    if lengths:
        found["figures"]["path-gradients"].values["modes"]["train"] |= lengths
    entries = render("sections/deviations.html", found).all("li")
    return {entry.attributes["id"].removeprefix("deviation-"): entry.words for entry in entries}


def changed(section, **keys):
    return lambda config: config | {section: config[section] | keys}


def with_blocks(depth, blocks):
    def change(config):
        network = config["networks"]["effective-paths"]
        sampling = {"scheme": "exactly", "blocks": blocks}
        network |= {"blocks_per_stage": [depth // 3] * 3, "block_sampling": sampling}
        return config

    return change


def test_the_papers_own_words_on_vgg_and_on_images_are_not_denied(values):
    said = deviations(values)
    assert "15 layers of 3x3 convolutions with 128 channels" in said["vgg"]
    (vgg,) = [network for network in SETTINGS.networks.values() if network.architecture == "vgg"]
    assert f"Here vgg has {sum(vgg.layers_per_stage)} of {vgg.channels}." in said["vgg"]
    assert "random batches from the training set" in said["gradient"]
    assert "nor on what images" not in said["gradient"]
    assert "after the first convolution" in said["gradient"]
    assert "right after the first convolution" in said["stem"]


@pytest.mark.parametrize(("batches", "said"), [(1, "1 batch of 7 images"), (4, "4 batches of 7 images")])
def test_the_number_of_gradient_batches_is_the_configs(values, batches, said):
    assert said in deviations(values, changed("gradients", batches=batches, batch_size=7))["gradient"]


@pytest.mark.parametrize(("size", "is_one"), [(128, True), (64, False)])
def test_batch_normalisation_deviates_where_its_statistics_are_over_other_numbers_of_images(values, size, is_one):
    said = deviations(values, changed("training", batch_size=size))["batchnorm"]
    assert (" None: " in said, f"over {size} images" in said) == (not is_one, True)


@pytest.mark.parametrize(("precision", "is_one"), [("bf16", True), ("fp32", False)])
def test_bf16_is_told_where_a_run_trains_in_it(values, precision, is_one):
    said = deviations(values, changed("training", precision=precision))["precision"]
    assert ("bf16" in said, " None: " in said) == (is_one, not is_one)


@pytest.mark.parametrize(
    ("depth", "trained", "mean", "is_one"),
    [(18, 8, 5.5, True), (18, 11, 5.5, False), (54, 23, 9.0, False), (54, 20, 9.0, True)],
)
def test_blocks_per_batch_deviate_where_they_are_not_twice_the_measured_mean_length(
    values, depth, trained, mean, is_one
):
    """The paper's own 23 of 54 are no deviation, whatever was measured."""
    lengths = {"mean_effective_length": mean, "twice_mean_effective_length": round(2 * mean)}
    said = deviations(values, with_blocks(depth, trained), lengths)["blocks"]
    assert (" None: " in said) != is_one
    assert (f"that mean is {mean:.1f}, and twice it {round(2 * mean)}." in said) == is_one
    assert (f"effective-paths was trained on {trained} of its {depth} blocks" in said) == is_one
