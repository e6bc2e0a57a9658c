"""Predictions by each convention of running all blocks: against forward passes written out by hand, in float64."""

import pytest
import torch
from conftest import RESNET
from torch import nn

from unravel import predictions
from unravel.config import ExactlyBlocks
from unravel.data.batches import random_generator

SHORT = RESNET.model_copy(update={"block_sampling": ExactlyBlocks(scheme="exactly", blocks=2)})


def classes_by_hand(network, split, factor):
    """Most likely classes with every residual branch times `factor`."""
    with torch.no_grad():
        x = network.stem(split.normalised(slice(None)).double())
        for block in network.blocks:
            x = block.projection(x) + factor * block.residual(x)
        return network.head(x).argmax(1).tolist()


def test_scaled_and_unscaled_predictions_are_those_of_the_scaled_and_unscaled_sum(make_network, make_split):
    network, split = make_network(SHORT).float(), make_split(n=40)
    table = predictions.by_convention(network, split, split, 16, "fp32", random_generator(1))
    assert table.groupby("convention").image.apply(list).tolist() == [list(range(40))] * 3
    found = {name: rows.predicted.tolist() for name, rows in table.groupby("convention")}
    exact = network.double()
    assert found["scaled"] == classes_by_hand(exact, split, 2 / 5)
    assert found["unscaled"] == classes_by_hand(exact, split, 1)
    assert found["scaled"] != found["unscaled"]
    assert table[table.convention == "scaled"].label.tolist() == split.labels.tolist()


def test_a_network_trained_whole_has_one_convention(make_network, make_split):
    split = make_split(n=12)
    table = predictions.by_convention(make_network().float(), split, split, 5, "fp32", random_generator(1))
    assert set(table.convention) == {"scaled"}


def test_recomputed_statistics_of_one_batch_are_that_batchs(make_network, make_split):
    network, split = make_network(SHORT), make_split(n=40)
    double = type(split)(split.images, split.labels, split.mean.double(), split.std.double())
    full = predictions.unscaled(network)
    renewed = predictions.with_recomputed_statistics(full, double, 40, random_generator(1))
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


def test_recomputed_statistics_average_over_batches(make_network, make_split):
    network, split = make_network(SHORT).float(), make_split(n=40)
    renewed = predictions.with_recomputed_statistics(network, split, 10, random_generator(3))
    order = torch.randperm(40, generator=random_generator(3))
    with torch.no_grad():
        means = [network.stem(split.normalised(index)).mean((0, 2, 3)) for index in torch.split(order, 10)]
    torch.testing.assert_close(renewed.blocks[0].norm1.running_mean, torch.stack(means).mean(0))


def test_every_image_is_predicted_whatever_the_batch_size(make_network, make_split):
    network, split = make_network().float(), make_split(n=23)
    whole = predictions.predict(network, split, 23)
    assert predictions.predict(network, split, 7) == whole
    assert len(whole) == 23


@pytest.mark.parametrize("convention", ["scaled", "unscaled", "recomputed"])
def test_predictions_do_not_change_the_network(make_network, make_split, convention):
    network, split = make_network(SHORT).float(), make_split(n=12)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    table = predictions.by_convention(network, split, split, 5, "bf16", random_generator(1))
    assert convention in set(table.convention)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert [block.survival for block in network.blocks] == pytest.approx([2 / 5] * 5)
