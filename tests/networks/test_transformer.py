"""A vision transformer's blocks against torch's own layers and formulas by hand, and what it is made of."""

import math

import pytest
import torch

from unravel.data.batches import random_generator
from unravel.engine.wiring import delete
from unravel.files import InputError
from unravel.networks import initialise, untrained
from unravel.networks.transformer import AttentionBlock, MLPBlock, build_transformer


def drawn(module, seed=1):
    """With random values everywhere, so that no part is the identity or without effect."""
    generator = random_generator(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2
    return module.double().eval()


@pytest.fixture
def x():
    return torch.randn(3, 5, 8, generator=random_generator(2), dtype=torch.float64)


@torch.no_grad()
def test_attention_is_that_of_torchs_own_layer(x):
    block = drawn(AttentionBlock(8, heads=2))
    layer = torch.nn.MultiheadAttention(8, 2, batch_first=True).double()
    layer.in_proj_weight.copy_(block.queries_keys_values.weight)
    layer.in_proj_bias.copy_(block.queries_keys_values.bias)
    layer.out_proj.weight.copy_(block.project.weight)
    layer.out_proj.bias.copy_(block.project.bias)
    centred = x - x.mean(2, keepdim=True)
    normal = centred / (centred.square().mean(2, keepdim=True) + 1e-5).sqrt() * block.norm.weight + block.norm.bias
    expected, weights = layer(normal, normal, normal)
    torch.testing.assert_close(block(x), x + expected, rtol=0, atol=1e-12)
    assert weights.std() > 0.01  # it does mix tokens unevenly


@torch.no_grad()
def test_an_mlp_is_its_formula_token_by_token(x):
    block = drawn(MLPBlock(8))
    centred = x - x.mean(2, keepdim=True)
    normal = centred / (centred.square().mean(2, keepdim=True) + 1e-5).sqrt() * block.norm.weight + block.norm.bias
    inside = normal @ block.expand.weight.T + block.expand.bias
    assert inside.shape == (3, 5, 32)
    bent = inside * (1 + torch.erf(inside / math.sqrt(2))) / 2
    torch.testing.assert_close(block(x), x + bent @ block.contract.weight.T + block.contract.bias, rtol=0, atol=1e-12)


@torch.no_grad()
def test_tokens_are_patches_row_by_row_with_their_places():
    network = drawn(build_transformer((4, 6, 3), 7, layers=1, width=8, heads=2, patch=2))
    images = torch.randn(2, 3, 4, 6, generator=random_generator(3), dtype=torch.float64)
    tokens, stem = network.stem(images), network.stem
    assert tokens.shape == (2, 6, 8)
    for token, (row, column) in enumerate((row, column) for row in (0, 2) for column in (0, 2, 4)):
        patch = images[:, :, row : row + 2, column : column + 2].flatten(1)
        expected = patch @ stem.project.weight.flatten(1).T + stem.project.bias + stem.places.weight[token]
        torch.testing.assert_close(tokens[:, token], expected, rtol=0, atol=1e-12)
    # what the head says does not depend on the order of tokens, and is that of the mean normalised one
    mixed = network.head(tokens[:, [3, 1, 5, 0, 2, 4]])
    torch.testing.assert_close(mixed, network.head(tokens), rtol=0, atol=1e-12)
    assert mixed.shape == (2, 7)


@torch.no_grad()
def test_each_layer_is_an_attention_and_an_mlp_that_can_be_deleted():
    network = drawn(build_transformer((4, 4, 1), 3, layers=2, width=8, heads=2, patch=2))
    assert [type(block) for block in network.blocks] == [AttentionBlock, MLPBlock] * 2
    assert all(block.keeps_shape and not block.downsampling for block in network.blocks)
    images = torch.randn(2, 1, 4, 4, generator=random_generator(4), dtype=torch.float64)
    x = network.stem(images)
    for place in (0, 1, 3):
        x = network.blocks[place](x)
    without = network(images, delete(network.intact, [2]))
    torch.testing.assert_close(without, network.head(x), rtol=0, atol=0)
    assert not torch.allclose(without, network(images))


def test_a_transformer_begins_as_its_seed_says():
    network = build_transformer((8, 8, 1), 10, layers=2, width=16, heads=4, patch=2)
    initialise(network, random_generator(1, 0))
    again = untrained(drawn(build_transformer((8, 8, 1), 10, layers=2, width=16, heads=4, patch=2)).float(),
                      random_generator(1, 0))  # fmt: skip
    for (name, one), other in zip(network.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other), name
    assert float(network.stem.places.weight.detach().std()) == pytest.approx(0.02, rel=0.2)
    assert all(torch.equal(block.norm.weight, torch.ones(16)) for block in network.blocks)
    # patches 4 16 + 16 and places 16 16; a layer 4 16^2 + 4 16 and 8 16^2 + 5 16 and two norms; head 32 + 170
    assert sum(one.numel() for one in network.parameters()) == 80 + 256 + 2 * (12 * 256 + 9 * 16 + 64) + 202


def test_images_that_are_not_made_of_patches_are_refused():
    with pytest.raises(InputError, match="images of 8x9 pixels are not made of whole patches of 2x2; choose a patch"):
        build_transformer((8, 9, 1), 10, layers=1, width=8, heads=2, patch=2)
