"""The network to cut: its weights as letters, the images drawn for it, and what is left out of the page."""

import base64
import html
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import PLAIN, RESNET
from figure_helpers import draw, live_tables, read_values
from study_helpers import DEEP

from unravel.config import VGG, LinearSurvival, Pretrained, ResNet
from unravel.data.batches import random_generator
from unravel.evidence import freshness
from unravel.files import InputError
from unravel.networks import build
from unravel.networks.counting import layers as counted
from unravel.run import read_config
from unravel.studies import live_network
from unravel.studies.expected import expected
from unravel.studies.live_network import LETTERS, MOST, NONE, PICTURES, WIRINGS, measure

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def measured(make_network, make_split, make_images):
    """The tables of a network on 64 images, and the network."""

    def run(settings=RESNET, seed=1, n=64):
        network = make_network(settings, dtype=torch.float32)
        return measure.measure(network, make_images(test=make_split(n)), None, random_generator(seed))[0], network

    return run


def numbers(cell, dtype="<f4"):
    return np.frombuffer(base64.b64decode(cell), dtype)


@pytest.mark.parametrize("shape", [(5, 3, 3, 3), (4, 7), (2, 1, 1, 1)])
def test_a_rounded_weight_is_at_most_half_a_step_from_the_weight(shape):
    weights = torch.randn(shape, generator=random_generator(3))
    weights *= torch.logspace(-3, 3, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    whole, scale = measure.quantised(weights)
    off = (weights - measure.dequantised(whole, scale)).abs().flatten(1)
    assert whole.dtype == torch.int8
    assert (off <= scale[:, None] * 0.500001).all()
    assert (whole.flatten(1).abs().amax(1) == MOST).all()  # each output uses the whole range


def test_letters_need_no_quotes_in_csv_json_and_html():
    assert len(LETTERS) == len(set(LETTERS)) == 2 * MOST + 1 == 87
    assert json.dumps(LETTERS) == f'"{LETTERS}"'
    assert html.escape(LETTERS) == LETTERS
    assert pd.DataFrame({"a": [LETTERS]}).to_csv(index=False) == f"a\n{LETTERS}\n"


def test_an_output_without_weights_stays_zero():
    whole, scale = measure.quantised(torch.zeros(2, 3))
    assert measure.dequantised(whole, scale).eq(0).all()


def test_images_are_drawn_by_the_seed_alone(measured):
    first, plain, other = measured()[0], measured(PLAIN)[0], measured(seed=2)[0]
    places = first["images"].place.tolist()
    assert len(set(places)) == PICTURES
    assert places == sorted(places)
    assert plain["images"].equals(first["images"])  # another network sees the same
    assert other["images"].place.tolist() != places
    assert measured(n=5)[0]["images"].place.tolist() == [0, 1, 2, 3, 4]


def test_pixels_are_those_of_the_test_set(measured, make_split):
    images = measured()[0]["images"]
    for row in images.itertuples():
        pixels = numbers(row.pixels, np.uint8).reshape(row.height, row.width, row.channels)
        assert (pixels == make_split(64).images[row.place].numpy()).all()
        assert row.label == make_split(64).labels[row.place]


@pytest.mark.parametrize("settings", [RESNET, DEEP, PLAIN], ids=["resnet", "deep", "vgg"])
def test_every_layer_is_written_down(measured, settings):
    tables, network = measured(settings)
    rows = tables["weights"]
    assert len(rows) == live_network._layers(settings)
    for row in rows.itertuples():
        assert len(row.weights) == row.outputs * row.inputs * row.size**2
        assert numbers(row.scale).size == row.outputs
        assert row.bias == NONE or numbers(row.bias).size == row.outputs
        assert row.norm_scale == NONE or numbers(row.norm_scale).size == numbers(row.norm_shift).size == row.inputs
    exact = measure.plain(network)
    modules = [layer.module.weight for layer in measure.layers(exact)]
    for row, weight in zip(rows.itertuples(), modules, strict=True):
        whole = np.array([LETTERS.index(letter) - MOST for letter in row.weights])
        whole = whole.reshape(row.outputs, row.size**2, row.inputs).transpose(0, 2, 1)
        steps = numbers(row.scale)[:, None, None]
        assert (abs(whole * steps - weight.numpy().reshape(whole.shape)) <= 0.50001 * steps).all()


def test_wirings_are_lesions_and_logits_those_of_the_network(measured, make_split):
    tables, network = measured(DEEP)
    split, logits = make_split(64), tables["logits"]
    images = split.normalised(torch.tensor(tables["images"].place))
    steps = tables["steps"].set_index("wiring").steps
    assert steps[0] == "1 2 3 4 5 6 7"
    assert len(steps) == WIRINGS + 1
    assert len(set(steps)) > WIRINGS // 2  # some may be drawn twice
    for wiring, text in steps.items():
        numbered = [int(step) for step in text.split()]
        assert sorted(map(abs, numbered)) == [1, 2, 3, 4, 5, 6, 7]
        assert [abs(numbered[place]) for place in (2, 6)] == [3, 7]  # these halve the resolution
        with torch.inference_mode():
            given = network(images, tuple((abs(step) - 1, step > 0) for step in numbered)).flatten().numpy()
        found = logits[logits.wiring == wiring]
        assert found.logit.to_numpy() == pytest.approx(given, rel=1e-4, abs=1e-4)
        assert 0 < abs(found.logit_rounded - found.logit).max() < 0.15 * abs(found.logit).max() + 0.05


def test_a_branch_that_counts_by_its_survival_is_written_so(measured):
    scaled = RESNET.model_copy(update={"block_sampling": LinearSurvival(scheme="linear", final_survival=0.5)})
    (full, _), (halved, _) = measured(), measured(scaled)
    for one, other in zip(full["weights"].itertuples(), halved["weights"].itertuples(), strict=True):
        factor = 1 - one.block / 5 * 0.5 if one.part == "branch2" else 1
        assert numbers(other.scale) == pytest.approx(factor * numbers(one.scale), rel=1e-6)


def test_a_block_that_the_page_does_not_compute_is_refused(make_split, make_images):
    network = build(RESNET.model_copy(update={"block": "bottleneck"}), (8, 8, 3), 4).eval()
    with pytest.raises(InputError, match=r"this network has BottleneckBlock; leave it out of deletions\.figure_3"):
        measure.measure(network, make_images(test=make_split(8)), None, random_generator(1))


@pytest.mark.parametrize("settings", [RESNET, DEEP, PLAIN, ResNet(architecture="resnet"), VGG(architecture="vgg")])
def test_the_weights_of_blocks_are_counted_from_the_config(settings):
    network = build(settings, (32, 32, 3), 10)
    convolutions = [m for m in network.blocks.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
    assert live_network.block_weights(settings) == sum(module.weight.numel() for module in convolutions)
    assert live_network.block_weights(settings) <= counted(settings, (32, 32, 3), 10).parameters


def test_what_is_left_out_says_why():
    assert live_network.left_out(RESNET, 10**6) == ""
    large = live_network.block_weights(RESNET)
    assert live_network.left_out(RESNET, large) == ""
    said = live_network.left_out(RESNET, large - 1)
    assert f"{large:,} weights, and live_network.most_weights is {large - 1:,}" in said
    assert "bottleneck" in live_network.left_out(RESNET.model_copy(update={"block": "bottleneck"}), 10**6)
    assert "7x7" in live_network.left_out(RESNET.model_copy(update={"stem": "7x7"}), 10**6)
    assert "library" in live_network.left_out(Pretrained(architecture="pretrained", name="timm:x", blocks=3), 10**6)


def test_the_caption_says_who_is_right_and_what_rounding_changes(tmp_path):
    draw("live_network", live_tables(tmp_path / "live_network"), tmp_path / "figure.svg")
    values = read_values(tmp_path / "figure.svg")
    # images 1 and 3 are of class 1, which leads there, image 2 of class 0, which leads; rounding adds a quarter
    assert values == {
        "pictures": 3,
        "wirings": 1,
        "networks": {"resnet": {"right": 3, "largest_difference_intact": 0, "largest_difference": 0.25}},
    }
    rows = (tmp_path / "figure.csv").read_text().splitlines()
    assert rows[1].split(",")[-2:] == [f"{1 / (1 + np.exp(-2)):.10g}", "True"]


def test_the_network_of_the_first_seed_alone_is_measured_and_shown():
    config = read_config(ROOT / "config/ci.yaml").model_copy(update={"seeds": (1, 2)})
    tables = [path for path in expected(Path("run"), config) if path.parent.name == "live_network"]
    assert {path.name.partition(".")[0] for path in tables} == {"resnet-seed1", "vgg-seed1"}
    wanted = {name: freshness._seeds(name, config) for name in ("figures/live-network", "figures/reordering", "claims")}
    assert wanted == {"figures/live-network": {1}, "figures/reordering": {1, 2}, "claims": {1, 2}}
