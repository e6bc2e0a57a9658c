"""The networks to cut, in a real browser: they compute what torch computes, and the page says what follows."""

import csv

import numpy as np
import pytest
import torch
from article_helpers import ROOT, RUN
from browser_helpers import NEEDS_CHROMIUM, PHONE, WIDE

from unravel import tables
from unravel.data.batches import random_generator, read_split
from unravel.data.preparation import read_manifest
from unravel.engine.combinatorics import fraction_left
from unravel.engine.wiring import delete, swap
from unravel.run import read_config
from unravel.studies import live_network
from unravel.studies.live_network import measure
from unravel.training import checkpoints

pytestmark = NEEDS_CHROMIUM

NAMES = ("resnet", "vgg")
KNOWN = "() => document.querySelector('#cutting').dataset.right0 && document.querySelector('#cutting').dataset.right1"
COMPUTE = """([data, wirings]) => {
  data ??= JSON.parse(document.getElementById("cutting-data").textContent);
  const computing = networksOf();
  computing.load(data);
  return wirings.map((of, network) =>
    of.map((wiring) => data.pictures.map((_, picture) => computing.logits(network, picture, wiring))));
}"""
NO_WORKERS = "window.Worker = class { constructor() { throw new DOMException('no', 'SecurityError'); } };"


def table(name, ending, kind, folder=RUN):
    return tables.read([folder / f"measurements/live_network/{name}-seed1.{ending}.csv"], kind.columns)


@pytest.fixture(scope="module")
def rounded(folder):
    """The run's networks with the weights that are in the page, the images there, and their labels."""
    config, manifest = read_config(RUN / "config.yaml"), RUN / "data/arrays/manifest.json"
    networks = []
    for name in NAMES:
        path = RUN / f"checkpoints/{name}/seed1.safetensors"
        network = measure.plain(checkpoints.load_for_run(path, config.network(name), manifest)[0])
        for layer in measure.layers(network):
            layer.module.weight.data = measure.dequantised(*measure.quantised(layer.module.weight.data))
        networks.append(network)
    places = torch.tensor(table("resnet", "images", live_network.IMAGES).place)
    split = read_split(manifest, "test", torch.device("cpu"))
    return networks, split.normalised(places), split.labels[places]


def right(rounded, number, wiring):
    """How many of the images torch has right."""
    networks, images, labels = rounded
    with torch.inference_mode():
        return int((networks[number](images, wiring).argmax(1) == labels).sum())


@pytest.fixture
def cut(visit):
    """Open the page where the networks are, and wait for what they say."""

    def cut(width=WIDE, script=None):
        page = visit(width, script=script)
        page.locator("#cutting").scroll_into_view_if_needed()
        page.wait_for_function(KNOWN)
        return page

    return cut


def said(page, number):
    """What is said of a network, by part, once all of its images are known."""
    page.wait_for_function(KNOWN)
    output = page.locator("#cutting output").nth(number)
    return {part: output.locator(f".{part}").inner_text() for part in ("right", "paths", "measured")}


# --- what is computed -----------------------------------------------------------------------------------------------


def test_the_page_computes_torchs_logits_for_random_wirings_and_has_as_many_images_right(visit, rounded):
    networks, images, labels = rounded
    generator = random_generator(5)
    wirings = [
        [network.intact, *(measure.random_wiring(network, generator) for _ in range(100))] for network in networks
    ]
    found = visit().evaluate(COMPUTE, [None, wirings])
    for network, asked, answered in zip(networks, wirings, found, strict=True):
        for wiring, logits in zip(asked, torch.tensor(answered, dtype=torch.float64), strict=True):
            with torch.inference_mode():
                expected = network(images, wiring)
            scale = max(1.0, float(expected.abs().max()))
            assert (logits - expected).abs().max() <= 1e-5 * scale  # torch computes in float32
            assert (logits.argmax(1) == labels).sum() == (expected.argmax(1) == labels).sum()


def test_a_published_network_computes_what_torch_wrote_down(visit):
    """On images of three channels and 32 pixels: the intact network, and one wiring that torch was asked about."""
    run = ROOT / "results/cifar10-short"
    if not (run / "measurements/live_network").is_dir():
        pytest.skip("not measured yet")
    manifest = read_manifest(run / "data/cifar10/manifest.json")
    networks, wirings, logits = [], [], []
    for name in NAMES:
        rows = table(name, "weights", live_network.WEIGHTS, run)
        networks.append({"blocks": int(rows.block.max()) - 1, "layers": rows.to_dict("records")})
        steps = table(name, "steps", live_network.STEPS, run).steps[:2]
        first = 1 if name == "resnet" else 2
        wirings.append([[[abs(int(step)) - first, int(step) > 0] for step in one.split()] for one in steps])
        rows = table(name, "logits", live_network.LOGITS, run)
        shape = (2, live_network.PICTURES, -1)
        logits.append(
            [torch.tensor(rows[rows.wiring < 2][key].to_numpy()).reshape(shape) for key in ("logit", "logit_rounded")]
        )
    pictures = table("resnet", "images", live_network.IMAGES, run)[["label", "pixels"]].to_dict("records")
    described = {"shape": manifest.image_shape, "mean": manifest.mean, "std": manifest.std}
    data = {"letters": live_network.LETTERS, "networks": networks, "pictures": pictures, **described}
    for (exact, expected), found in zip(logits, visit().evaluate(COMPUTE, [data, wirings]), strict=True):
        computed = torch.tensor(found, dtype=torch.float64)
        assert (computed - expected).abs().max() < 1e-4
        assert (computed - exact).abs().max() < 0.5  # what rounding the weights changes
        assert (computed - exact).abs().max() > 1e-3


@pytest.mark.parametrize("script", [None, NO_WORKERS], ids=["in workers", "without workers"])
def test_a_cut_changes_what_the_networks_say_at_once(cut, rounded, script):
    page = cut(script=script)
    networks = rounded[0]
    pressed = [set(), set()]
    for number, place in ((0, 1), (1, 0), (0, 3), (0, 1)):
        button = page.locator("#cutting .blocks").nth(number).get_by_role("button").nth(place)
        button.click()
        pressed[number] ^= {place}
        assert button.get_attribute("aria-pressed") == str(place in pressed[number]).lower()
        count = right(rounded, number, delete(networks[number].intact, pressed[number]))
        assert said(page, number)["right"] == f"{NAMES[number]}: {count} of {live_network.PICTURES} images right."
        marks = page.locator(f"#cutting .said li > span:nth-of-type({number + 2}) > span").all_inner_texts()
        assert sum(mark.startswith("✓") for mark in marks) == count
        assert all(0 < int(mark.split()[1].removesuffix("%")) <= 100 for mark in marks)
    page.get_by_role("button", name="Put all back").click()
    for number, network in enumerate(networks):
        assert f": {right(rounded, number, network.intact)} of" in said(page, number)["right"]
    assert page.locator("#cutting [aria-pressed=true]").count() == 0


def test_two_blocks_of_one_shape_trade_places(cut, rounded):
    """The small run has stages of blocks 1-2, 3-4, 5-6, and 3 and 5 halve the resolution: 1 and 2 alone can."""
    page = cut()
    strip = page.locator("#cutting .blocks").first.get_by_role("button")
    page.get_by_label("trades places").check()
    strip.nth(0).click()
    assert "picked" in strip.nth(0).get_attribute("class")
    strip.nth(1).click()
    assert strip.all_inner_texts()[:3] == ["2", "1", "3"]
    count = right(rounded, 0, swap(rounded[0][0].intact, 0, 1))
    assert f": {count} of" in said(page, 0)["right"]
    assert "other orders" in said(page, 0)["measured"]
    for one, other in ((1, 3), (2, 3)):
        strip.nth(one).click()
        strip.nth(other).click()
        assert said(page, 0)["measured"] == "Only blocks of the same shape can trade places."
        assert strip.all_inner_texts() == ["2", "1", "3", "4", "5", "6"]
    assert page.locator("#cutting .picked").count() == 0


# --- what is said ---------------------------------------------------------------------------------------------------


def test_the_strip_says_what_is_left_and_what_this_run_measured(cut, folder):
    page = cut()
    blocks = 6
    strip = page.locator("#cutting .blocks").first.get_by_role("button")
    with (RUN / "measurements/deletions/resnet-seed1.csv").open() as file:
        single = {int(row["deleted_position"]): float(row["error_percent"]) for row in csv.DictReader(file)}
    with (RUN / "measurements/random_deletions/resnet-seed1.csv").open() as file:
        random = [(int(row["deleted_blocks"]), float(row["error_percent"])) for row in csv.DictReader(file)]
    assert said(page, 0)["measured"] == f"Measured test error, nothing cut: {single[0]:.2f}%."
    for deleted in range(1, blocks + 1):
        strip.nth(deleted - 1).click()
        found = said(page, 0)
        words = "1 block cut" if deleted == 1 else f"{deleted} blocks cut"
        left = 2 ** (blocks - deleted)
        assert found["paths"] == f"{words}: {left} of 64 paths left."
        shares = page.locator("#cutting .left-by-length .left").evaluate_all(
            "(bars) => bars.map((bar) => Number(bar.dataset.share))"
        )
        assert shares == pytest.approx([float(share) for share in fraction_left(blocks, deleted)])
        drawn = sorted(error for number, error in random if number == deleted)
        assert (f"for {len(drawn)} random cuts of" in found["measured"]) == bool(drawn)
        if drawn:
            low, middle, high = np.quantile(drawn, [0.25, 0.5, 0.75])
            assert f"median {middle:.2f}%, quartiles {low:.2f}% and {high:.2f}%." in found["measured"]
        alone = f"without block 1: {single[1]:.2f}% (nothing cut: {single[0]:.2f}%)." in found["measured"]
        assert alone == (deleted == 1)
    assert found["measured"] == f"This run did not measure {blocks} blocks cut at once."
    assert shares[0] == 1


def test_the_strip_is_one_stop_of_the_keyboard_and_its_blocks_have_names(cut):
    page = cut()
    strip = page.get_by_role("toolbar", name="blocks of resnet")
    assert strip.get_by_role("button").evaluate_all("(all) => all.filter((one) => one.tabIndex === 0).length") == 1
    strip.get_by_role("button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    pressed = page.locator("#cutting [aria-pressed=true]")
    assert pressed.evaluate("(one) => one === document.activeElement")
    assert pressed.get_attribute("aria-label") == "block 3, which halves the resolution, in stage 2: cut"
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")  # there is none
    page.keyboard.press("Enter")
    assert page.locator("#cutting [aria-pressed=true]").count() == 2
    page.keyboard.press("Home")
    assert strip.get_by_role("button").first.evaluate("(one) => one === document.activeElement")


@pytest.mark.parametrize("width", [WIDE, 390, PHONE])
def test_nothing_moves_when_blocks_are_cut(cut, width):
    page = cut(width)
    strips = page.locator("#cutting .blocks")
    places = "() => ['.said', 'h3:nth-of-type(2)'].map((part) => document.querySelector(`#cutting ${part}`).offsetTop)"
    before = page.evaluate(places)
    for number, place in ((0, 0), (0, 1), (0, 2), (0, 5), (0, 3), (0, 4), (1, 0), (1, 1), (1, 2)):
        strips.nth(number).get_by_role("button").nth(place).click()
        assert said(page, number)
        assert page.evaluate(places) == before


def test_without_scripts_or_on_paper_the_picture_stands_alone(visit):
    page = visit(java_script_enabled=False)
    assert not page.locator("#cutting").is_visible()
    assert page.locator("#fig-live-network .picture > svg.wide").is_visible()
    page = visit()
    page.emulate_media(media="print")
    assert not page.locator("#cutting").is_visible()
