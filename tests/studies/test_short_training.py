"""Predictions by each convention of running all blocks: against forward passes written out by hand; their summary."""

import math

import pandas as pd
import pytest
import torch
from conftest import RESNET
from torch import nn

from unravel.config import ExactlyBlocks
from unravel.data.batches import random_generator
from unravel.studies.short_training import measure, values

SHORT = RESNET.model_copy(update={"block_sampling": ExactlyBlocks(scheme="exactly", blocks=2)})


def measured(network, images):
    tables, _ = measure.measure(network, images, None, random_generator(1))
    assert list(tables) == [""]
    return tables[""]


def classes_by_hand(network, split, factor):
    """Most likely classes with every residual branch times `factor`."""
    with torch.no_grad():
        x = network.stem(split.normalised(slice(None)).double())
        for block in network.blocks:
            x = block.projection(x) + factor * block.residual(x)
        return network.head(x).argmax(1).tolist()


def test_predictions_are_those_of_the_scaled_the_unscaled_and_the_renewed_sum(make_network, make_split, make_images):
    network, split, train = make_network(SHORT).float(), make_split(n=40), make_split(n=30, seed=1)
    table = measured(network, make_images(test=split, train=train))
    assert table.groupby("convention").image.apply(list).tolist() == [list(range(40))] * 3
    found = {name: rows.predicted.tolist() for name, rows in table.groupby("convention")}
    renewed = measure.with_recomputed_statistics(network, train, 16, random_generator(1)).double()
    assert found["recomputed"] == classes_by_hand(renewed, split, 1) != classes_by_hand(renewed, split, 2 / 5)
    exact = network.double()
    assert found["scaled"] == classes_by_hand(exact, split, 2 / 5)
    assert found["unscaled"] == classes_by_hand(exact, split, 1)
    assert found["scaled"] != found["unscaled"]
    assert table[table.convention == "scaled"].label.tolist() == split.labels.tolist()


def test_a_network_trained_whole_has_one_convention(make_network, make_split, make_images):
    table = measured(make_network().float(), make_images(test=make_split(n=12)))
    assert set(table.convention) == {"scaled"}


def test_recomputed_statistics_of_one_batch_are_that_batchs(make_network, make_split):
    network, split = make_network(SHORT), make_split(n=40)
    double = type(split)(split.images, split.labels, split.mean.double(), split.std.double())
    full = measure.unscaled(network)
    renewed = measure.with_recomputed_statistics(full, double, 40, random_generator(1))
    seen = {}
    for name, module in renewed.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda _, inputs, __, name=name: seen.__setitem__(name, inputs[0]))
    with torch.no_grad():
        renewed.train()(double.normalised(slice(None)).double())
    for name, x in seen.items():
        module = renewed.get_submodule(name)
        # the hook's pass in train mode averages the same statistics in once more, which changes nothing
        torch.testing.assert_close(module.running_mean, x.mean((0, 2, 3)), rtol=0, atol=1e-6)
        torch.testing.assert_close(module.running_var, x.var((0, 2, 3)), rtol=1e-5, atol=1e-6)
    untouched = dict(network.named_buffers())
    assert all(torch.equal(buffer, untouched[name]) for name, buffer in full.named_buffers())


def test_recomputed_statistics_average_over_random_batches(make_network, make_split):
    network, split = make_network(SHORT).float(), make_split(n=40)
    renewed = measure.with_recomputed_statistics(network, split, 10, random_generator(3))
    order = torch.randperm(40, generator=random_generator(3))
    with torch.no_grad():
        batches = [network.stem(split.normalised(index)) for index in torch.split(order, 10)]
    norm = renewed.blocks[0].norm1
    torch.testing.assert_close(norm.running_mean, torch.stack([x.mean((0, 2, 3)) for x in batches]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([x.var((0, 2, 3)) for x in batches]).mean(0))


def test_every_image_is_predicted_whatever_the_batch_size(make_network, make_split):
    network, split = make_network().float(), make_split(n=23)
    whole = measure.predict(network, split, 23)
    assert measure.predict(network, split, 7) == whole
    assert len(whole) == 23


@pytest.mark.parametrize("convention", ["scaled", "unscaled", "recomputed"])
def test_predictions_do_not_change_the_network(make_network, make_split, make_images, convention):
    network, split = make_network(SHORT).float(), make_split(n=12)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    table = measured(network, make_images(test=split, train=split, batch_size=5, precision="bf16"))
    assert convention in set(table.convention)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert [block.survival for block in network.blocks] == pytest.approx([2 / 5] * 5)


def predictions_of(network, wrong_images, convention="scaled", seed=1, images=10):
    table = pd.DataFrame({"image": range(images), "label": 3})
    table["predicted"] = [8 if image in wrong_images else 3 for image in table.image]
    return table.assign(network=network, seed=seed, convention=convention)


def test_the_summary_counts_images_that_only_one_network_gets_wrong():
    table = pd.concat(
        [
            predictions_of("one", {0, 1, 2}),
            predictions_of("one", {5}, seed=2),
            predictions_of("two", {2, 3, 4, 5, 6, 7, 8}),
            predictions_of("two", set(), seed=2),
            predictions_of("two", set(range(10)), convention="unscaled"),
            predictions_of("two", set(range(8)), convention="unscaled", seed=2),
        ]
    )
    found = values.summary(table)
    assert found["networks"]["one"]["scaled"].mean == pytest.approx(20)
    assert found["networks"]["two"]["scaled"].mean == pytest.approx(35)
    assert found["networks"]["two"]["unscaled"].mean == pytest.approx(90)
    assert found["networks"]["two"]["unscaled"].n == 2
    assert "unscaled" not in found["networks"]["one"]
    (pair,) = found["pairs"]
    assert (pair["first"], pair["second"]) == ("one", "two")
    # seed 1: only one wrong: 0, 1; only two wrong: 3 to 8. 8 images, 2 or fewer heads: (1 + 8 + 28) / 256, twice
    assert pair["seeds"]["1"] == {
        "only_first_wrong": 2,
        "only_second_wrong": 6,
        "log10_p": pytest.approx(math.log10(2 * 37 / 256)),
    }
    assert pair["seeds"]["2"] == {"only_first_wrong": 1, "only_second_wrong": 0, "log10_p": 0}
    assert found["images"] == 10
