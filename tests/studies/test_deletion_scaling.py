"""Branches and deletions against depth: a scalar linear network in closed form, and trainings by the loop of a run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import RESNET
from run_helpers import ROOT
from torch import nn

from unravel.config import AllBlocks, Augmentation, Training
from unravel.data.batches import Split, random_generator
from unravel.engine.wiring import delete, evaluate
from unravel.files import InputError
from unravel.networks import Block, Network, build, initialise
from unravel.run import parse_config, read_config
from unravel.studies.deletion_scaling import DELETIONS, SHAPES
from unravel.studies.deletion_scaling import measure as measuring
from unravel.studies.deletion_scaling.settings import DeletionScaling
from unravel.studies.deletion_scaling.values import in_one_seed, slope
from unravel.tables import read_whole, write
from unravel.training import loop
from unravel.training.states import Saving

RECIPE = Training(
    epochs=2, batch_size=16, warmup_steps=2, precision="fp32", augmentation=Augmentation(pad=1, flip=True)
)
TIME = 1.0  # that a scalar network's steps add up to
DEPTHS = (6, 18, 54)


class Step(Block):
    """y = x + TIME / depth x."""

    def __init__(self, size):
        super().__init__()
        self.size = nn.Parameter(torch.tensor(size, dtype=torch.float64))

    def residual(self, x):
        return self.size * x


class Threshold(nn.Module):
    """The second class above a bound, the first below."""

    def __init__(self, bound):
        super().__init__()
        self.bound = bound

    def forward(self, x):
        above = x.flatten(1) - self.bound
        return torch.cat([torch.zeros_like(above), above], dim=1)


def scalar(depth, bound=1.0):
    return Network(nn.Identity(), [Step(TIME / depth) for _ in range(depth)], Threshold(bound))


def numbers():
    """A split of 256 grey images of one pixel, from -1 to 1; all of the second class."""
    pixels = torch.arange(256, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    return Split(pixels, torch.ones(256, dtype=torch.long), torch.tensor([0.5]), torch.tensor([0.5]))


@pytest.mark.parametrize("depth", DEPTHS)
def test_norms_of_a_scalar_linear_network_are_those_of_the_closed_form(depth):
    split = numbers()
    found = measuring.branch_norms(scalar(depth), split.batches(100))
    size, mean = TIME / depth, float(split.normalised(slice(None)).double().abs().mean())
    # block i adds size (1 + size)^i x to what its skip connection carries, (1 + size)^i x
    np.testing.assert_allclose(found[:, 0], size * (1 + size) ** np.arange(depth) * mean, rtol=1e-12)
    np.testing.assert_allclose(found[:, 1], size, rtol=1e-12)


def test_the_slope_of_scalar_linear_networks_is_that_of_the_closed_form():
    means = [measuring.branch_norms(scalar(depth), numbers().batches(256))[:, 0].mean() for depth in DEPTHS]
    rows = pd.DataFrame({"blocks": DEPTHS, "branch_norm": torch.stack(means).tolist()})
    depths = np.array(DEPTHS)  # the mean over blocks is ((1 + T/d)^d - 1) / d times that of x
    logs = np.log(((1 + TIME / depths) ** depths - 1) / depths)
    across = np.log(depths) - np.log(depths).mean()
    expected = across @ logs / (across @ across)
    assert slope(rows, "branch_norm") == pytest.approx(expected, abs=1e-10)
    assert expected == pytest.approx(-1, abs=0.05)


def test_norms_are_those_of_each_image_alone(make_network, make_split):
    network, split = make_network(), make_split(n=10)
    found = measuring.branch_norms(network, split.batches(4))
    expected = np.zeros((10, 5, 2))
    with torch.no_grad():
        for image in range(10):
            x = network.stem(split.normalised(slice(image, image + 1)).double())
            for place, block in enumerate(network.blocks):
                branch, skip = block.residual(x), block.projection(x)
                expected[image, place] = [
                    branch.square().sum().sqrt(),
                    (branch.square().sum() / skip.square().sum()).sqrt(),
                ]
                x = skip + branch
    np.testing.assert_allclose(found, expected.mean(axis=0), rtol=1e-10)


@pytest.mark.parametrize("depth", DEPTHS)
def test_deletions_in_a_scalar_linear_network_cost_what_the_closed_form_says(depth, make_images, monkeypatch):
    size = TIME / depth
    whole = (1 + size) ** depth
    network, split = scalar(depth, bound=0.5 * whole), numbers()  # intact, wrong below 0.5
    monkeypatch.setattr(measuring, "networks", lambda *_: iter([(network, 1.0)]))
    settings = DeletionScaling(deleted=(1, 4), draws=3)
    images = make_images(test=split, batch_size=100, classes=2)
    tables, _ = measuring.measure(network, images, settings, random_generator(1))
    values = split.normalised(slice(None)).double().flatten().numpy()
    # each deletion divides the output by 1 + size, whichever block it is
    for number, rows in tables["deletions"].groupby("deleted_blocks"):
        assert set(rows.wrong_images) == {int((values <= 0.5 * (1 + size) ** number).sum())}
        assert rows.draw.tolist() == [1, 2, 3]
    assert tables["shapes"].wrong_images.tolist() == [int((values <= 0.5).sum())]
    assert tables["shapes"].relative_norm[0] == pytest.approx(size, rel=1e-6)


@pytest.fixture
def images(make_split, make_images):
    made = make_images(train=make_split(n=70), test=make_split(n=20, seed=9))
    return replace(made, training=RECIPE, network=RESNET.model_copy(update={"blocks_per_stage": (2, 2, 2)}))


SETTINGS = DeletionScaling(blocks_per_stage=(1,), widths=(0.5,), deleted=(1, 3), draws=2, test_images=16)


def test_other_depths_and_widths_are_trained_as_a_runs_networks_are(images, make_network, tmp_path):
    given = make_network(images.network, dtype=torch.float32)
    tables, _ = measuring.measure(given, images, SETTINGS, random_generator(4))
    assert tables["shapes"].blocks.tolist() == [6, 3, 3]
    assert tables["shapes"].width.tolist() == [1, 1, 0.5]

    generator = random_generator(4)
    test = images.split("test")
    chosen = torch.arange(16) * 20 // 16  # of four classes that take turns, sorted by class
    places = torch.argsort(test.labels, stable=True)[chosen].sort().values
    known = [given]
    for number, channels in enumerate(((4, 6, 8), (2, 3, 4))):
        orders = [torch.randperm(len(known[-1].blocks), generator=generator) for _ in range(2)]
        _compare(known[-1], tables, number, orders, test, places)
        network = build(
            images.network.model_copy(update={"blocks_per_stage": (1, 1, 1), "channels": channels}), (8, 8, 3), 4
        )
        initialise(network, generator)
        seed = int(torch.randint(2**31, (1,), generator=generator))
        saving = Saving(tmp_path / "state.safetensors", every=9, fingerprint={})
        loop.train(network, images.split("train"), test, RECIPE, AllBlocks(scheme="all"), seed, saving, lambda *_: None)
        known.append(network.eval())
    _compare(known[-1], tables, 2, [torch.randperm(3, generator=generator) for _ in range(2)], test, places)


def _compare(network, tables, shape, orders, test, places):
    """The rows of one shape against deletions made by hand, draw by draw."""
    batch = [(test.normalised(places), test.labels[places])]
    rows = tables["deletions"].query("shape == @shape").set_index(["deleted_blocks", "draw"]).wrong_images
    for number in (1, 3):
        for draw, order in enumerate(orders, 1):
            (wrong,) = evaluate(network, [delete(network.intact, order[:number].tolist())], batch).wrong
            assert rows[number, draw] == wrong
    (wrong,) = evaluate(network, [network.intact], batch).wrong
    assert tables["shapes"].wrong_images[shape] == wrong
    norms = measuring.branch_norms(network, batch)
    assert tables["shapes"].branch_norm[shape] == pytest.approx(float(norms[:, 0].mean()), rel=1e-6)


def test_the_same_seed_gives_the_same_tables_that_are_what_they_should_be(images, make_network, tmp_path):
    given = make_network(images.network, dtype=torch.float32)
    first, again = (measuring.measure(given, images, SETTINGS, random_generator(1))[0] for _ in range(2))
    for name, table in (("shapes", SHAPES), ("deletions", DELETIONS)):
        assert first[name].equals(again[name])
        write(tmp_path / name, first[name].assign(network="resnet", seed=1))
        sizes = {"shape": 3, "deleted_blocks": 2, "draw": 2}
        read_whole(tmp_path / name, replace(table, sizes={key: sizes[key] for key in table.rows}))


def test_what_a_seed_says_is_read_off_its_tables():
    of = {"network": "resnet", "seed": 1}
    shapes = pd.DataFrame(
        {
            "shape": [0, 1, 2, 3],
            "blocks": [32, 8, 2, 2],
            "width": [1, 1, 1, 0.5],
            "branch_norm": [1.0, 2.0, 4.0, 99.0],
            "relative_norm": [0.5, 2.0, 8.0, 99.0],
            "error_percent": [1.0, 2.0, 3.0, 50.0],
        }
    ).assign(**of)
    rows = [(0, 32, 1, 1, 3), (0, 32, 1, 1, 5), (1, 8, 1, 1, 8), (2, 2, 1, 1, 20), (2, 2, 1, 1, 30), (3, 2, 0.5, 1, 90),
            (2, 2, 1, 2, 77), (0, 32, 1, 2, 7)]  # fmt: skip
    deletions = pd.DataFrame(rows, columns=["shape", "blocks", "width", "deleted_blocks", "error_percent"]).assign(**of)
    found = in_one_seed(shapes, deletions)
    assert found["norm_slope"] == pytest.approx(-0.5)  # four times as deep, half as large
    assert found["norm_slope_off"] == pytest.approx(0.5)
    assert found["relative_slope"] == pytest.approx(-1)
    assert (found["shallow_price_points"], found["deep_price_points"], found["price_fall_points"]) == (22, 3, 19)


def config(**section):
    raw = read_config(ROOT / "config" / "ci.yaml").model_dump(mode="json")
    return raw | {"deletion_scaling": {"networks": ["resnet"], "deleted": [1], "blocks_per_stage": [1], **section}}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"networks": ["vgg"]}, r"names network 'vgg', expected a resnet .*; name such a one"),
        ({"blocks_per_stage": [1, 2]}, r"networks of \[3, 6\] blocks beside 'resnet' of 6, expected depths that rise"),
        ({"deleted": [4]}, r"deleted asks for 4 blocks, but the shallowest network has 3; lower it"),
    ],
)
def test_what_cannot_be_trained_or_deleted_is_refused_with_the_config(section, said):
    with pytest.raises(InputError, match=rf"deletion_scaling.*{said}"):
        parse_config(config(**section))
