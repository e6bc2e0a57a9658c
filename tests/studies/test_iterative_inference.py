"""Steps of an estimate against passes written out image by image, and what the study says of them by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import PLAIN
from run_helpers import ROOT
from torch.nn.functional import cross_entropy

from unravel.config import ResNet
from unravel.data.batches import random_generator
from unravel.files import InputError
from unravel.networks import forget, untrained
from unravel.run import parse_config, read_config
from unravel.studies.iterative_inference import COSINES, ESTIMATES, READOUTS
from unravel.studies.iterative_inference.measure import measure
from unravel.studies.iterative_inference.settings import IterativeInference
from unravel.studies.iterative_inference.values import in_one_seed
from unravel.tables import read_whole, write

DEEP_END = ResNet(architecture="resnet", blocks_per_stage=(2, 1, 3), channels=(4, 6, 8))
# Activations of one shape: those of each stage, and in VGG those between poolings, the pooled ones first.
STAGES = {"resnet": [[0, 1, 2], [3], [4, 5, 6]], "vgg": [[0], [1, 2], [3, 4]]}
KEEPS = {"resnet": [0, 1, 4, 5], "vgg": [1, 3]}
NETWORKS = {"resnet": DEEP_END, "vgg": PLAIN}
BOTH = pytest.mark.parametrize("name", list(NETWORKS))


@pytest.fixture
def case(make_network, make_split, make_images):
    """A network, its tables by name, and its test images."""

    def case(name, **options):
        network = make_network(NETWORKS[name], dtype=torch.float32)
        test, train = make_split(n=24), make_split(n=32, seed=3)
        settings = IterativeInference(batch_size=16, batches=2, **options)
        tables, _ = measure(network, make_images(test=test, train=train), settings, random_generator(4))
        return network, tables, test

    return case


def activations(network, images):
    taps = [network.stem(images)]
    for block in network.blocks:
        taps.append(block(taps[-1]))
    return taps


def trained(table):
    return table[table.weights == "trained"].drop(columns="weights").reset_index(drop=True)


@BOTH
def test_cosines_are_those_of_each_image_alone(case, name):
    network, tables, test = case(name)
    network.double().requires_grad_(False)
    expected = {place: [] for place in KEEPS[name]}
    for image in range(24):
        images, labels = test.normalised(slice(image, image + 1)).double(), test.labels[image : image + 1]
        taps = activations(network, images)
        for place in expected:
            x = taps[place].detach().requires_grad_()
            y = x
            for block in network.blocks[place:]:
                y = block(y)
            (gradient,) = torch.autograd.grad(cross_entropy(network.head(y), labels), x)
            step = (taps[place + 1] - taps[place]).flatten()
            expected[place].append(float(step @ gradient.flatten() / step.norm() / gradient.norm()))
    table = trained(tables["cosines"])
    assert table.position.tolist() == [network.first_position + place for place in expected]
    np.testing.assert_allclose(table.cosine, [np.mean(one) for one in expected.values()], atol=1e-5)
    assert abs(table.cosine).min() > 1e-4


@BOTH
def test_estimates_are_compared_with_the_stages_last(case, name):
    network, tables, test = case(name)
    taps = [tap.detach().double().numpy() for tap in activations(network, test.normalised(slice(None)))]
    table, place = trained(tables["estimates"]).set_index("place"), -1
    for stage, places in enumerate(STAGES[name], 1):
        last = taps[places[-1]]
        for step, place in enumerate(places):
            row, off = table.loc[place], taps[place] - last
            assert (row.stage, row.step) == (stage, step)
            if place == places[-1]:
                assert (row.mean_in_deviations, row.channel_mean) == (0, 0)
                assert row.deviation < 1e-12
                continue
            assert row.mean_in_deviations == pytest.approx(abs(off.mean()) / off.std(), rel=1e-4, abs=1e-6)
            assert row.deviation == pytest.approx(off.std() / last.std(), rel=1e-4)
            channels = np.moveaxis(off, 1, 0).reshape(off.shape[1], -1)
            assert row.channel_mean == pytest.approx((abs(channels.mean(1)) / channels.std(1)).mean(), rel=1e-4)
    assert len(table) == place + 1 == len(taps)


@BOTH
def test_read_outs_are_the_heads_own(case, name):
    network, tables, test = case(name)
    taps = activations(network, test.normalised(slice(None)))
    expected = [int((network.head(taps[place]).argmax(1) != test.labels).sum()) for place in STAGES[name][-1]]
    table = trained(tables["readouts"])
    assert table.wrong_images.tolist() == expected
    assert table.step.tolist() == list(range(len(expected)))


def test_the_control_has_new_weights_and_statistics_of_the_training_images(case, make_split):
    network, tables, test = case("resnet")
    generator = random_generator(4)
    fresh = untrained(network, generator)
    forget(fresh)
    train = make_split(n=32, seed=3)
    order = torch.randperm(32, generator=generator)
    with torch.no_grad():
        for part in order.split(16):
            fresh(train.normalised(part))
    fresh.eval()
    wrong = int((fresh(test.normalised(slice(None))).argmax(1) != test.labels).sum())
    drawn = tables["readouts"][tables["readouts"].weights == "untrained"]
    assert drawn.wrong_images.iloc[-1] == wrong
    assert not network.training
    assert (fresh.blocks[0].conv1.weight - network.blocks[0].conv1.weight).abs().max().item() > 0.1


@BOTH
def test_the_tables_are_what_they_should_be(case, name, tmp_path):
    _, tables, _ = case(name, test_images=10)
    for ending, table in (("cosines", COSINES), ("estimates", ESTIMATES), ("readouts", READOUTS)):
        write(tmp_path / ending, tables[ending].assign(network=name, seed=1))
        read_whole(tmp_path / ending, table)
    assert set(tables["readouts"].test_images) == {10}


def test_what_a_seed_says_is_read_off_its_tables():
    cosines = pd.DataFrame({"cosine": [-0.1, -0.2, 0.3, -0.4]})
    estimates = pd.DataFrame(
        {
            "stage": [1, 1, 1, 1, 2, 2, 2, 2],
            "step": [0, 1, 2, 3] * 2,
            "mean_in_deviations": [9, 0.05, 0.02, 0, 8, 0.2, 0.1, 0],
            "channel_mean": [9, 0.5, 0.2, 0, 8, 0.3, 0.6, 0],
            "deviation": [3, 2, 1, 0, 1, 3, 2, 0],
        }
    )
    readouts = pd.DataFrame({"step": [2, 0, 1], "error_percent": [5.0, 50.0, 70.0]})
    found = in_one_seed(cosines, estimates, readouts)
    assert found["percent_descending"] == 75
    assert found["mean_cosine"] == pytest.approx(-0.1)
    assert found["deviation_correlation"] == pytest.approx(0.5)  # of 1, 3, 2, the worse of both stages
    assert (found["largest_mean"], found["largest_channel_mean"]) == (0.2, 0.6)
    assert found["readout_correlation"] == pytest.approx(-0.5)  # of 50, 70, 5
    assert (found["first_readout_error_percent"], found["last_readout_error_percent"]) == (50, 5)


def test_networks_with_too_few_blocks_to_read_are_refused_with_the_config():
    raw = read_config(ROOT / "config" / "ci.yaml").model_dump(mode="json")
    with pytest.raises(InputError, match=r"iterative_inference names network 'resnet', whose last stage has 2 blocks"):
        parse_config(raw | {"iterative_inference": {"networks": ["resnet"]}})
