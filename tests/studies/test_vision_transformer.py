"""A vision transformer's lesions by hand, its gradient against every path of three layers, and what both say."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from run_helpers import ROOT
from torch.nn.functional import cross_entropy

from unravel.config import Augmentation, ResNet, Training
from unravel.data.batches import random_generator
from unravel.engine import paths
from unravel.engine.wiring import delete, swap
from unravel.files import InputError
from unravel.networks.transformer import build_transformer
from unravel.run import parse_config, read_config
from unravel.studies import MEASURED
from unravel.studies.deciding import Evidence
from unravel.studies.vision_transformer import BY_KIND, DELETIONS, LENGTHS, SWAPS
from unravel.studies.vision_transformer import measure as measuring
from unravel.studies.vision_transformer.measure import by_kind, exact_by_kind, measure, swaps, trained
from unravel.studies.vision_transformer.settings import VisionTransformer
from unravel.studies.vision_transformer.values import by_system, mean_branches, vision_transformer_values
from unravel.tables import read_whole, write

KINDS = ["attention", "mlp"] * 3
SIX = ResNet(architecture="resnet", blocks_per_stage=(3, 3), channels=(4, 6))
RECIPE = Training(
    epochs=1, batch_size=16, warmup_steps=1, precision="fp32", augmentation=Augmentation(pad=0, flip=False)
)
SMALL = VisionTransformer(layers=3, width=8, heads=2, patch=4, swaps=4, images=6)


@pytest.fixture
def transformer():
    """Three layers whose branches all matter, float64."""
    network = build_transformer((8, 8, 3), 4, layers=3, width=8, heads=2, patch=4).double()
    generator = random_generator(3)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2
    return network.eval()


@pytest.fixture
def batch(make_split):
    split = make_split(n=6)
    return split.normalised(slice(None)).double(), split.labels


def gradient_of_path(network, images, labels, path):
    """Along one path alone, by Jacobians at the activations of the whole network, one product at a time."""
    with torch.no_grad():
        taps = list(network.taps(images))
    top = taps[-1].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(network.head(top), labels), top)
    for place in reversed(path):
        _, gradient = torch.autograd.functional.vjp(network.blocks[place].residual, taps[place], gradient)
    return gradient


def test_the_gradient_by_kinds_is_that_of_all_paths_enumerated(transformer, batch):
    """Of all 64 paths through six branches, in float64."""
    expected = torch.zeros(4, 4, 6, 4, 8, dtype=torch.float64)
    for length in range(7):
        for path in itertools.combinations(range(6), length):
            attentions = sum(KINDS[place] == "attention" for place in path)
            expected[attentions, length - attentions] += gradient_of_path(transformer, *batch, path)
    found = exact_by_kind(paths.record(transformer, *batch, train_mode=False), KINDS)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert not torch.allclose(expected[1, 2], expected[2, 1])


def test_its_sums_are_autograds_gradient_and_those_by_length(transformer, batch):
    tape = paths.record(transformer, *batch, train_mode=False)
    found, exact = exact_by_kind(tape, KINDS), paths.exact_by_length(tape)
    for length in range(7):
        marginal = sum(found[a, length - a] for a in range(4) if 0 <= length - a < 4)
        by_length = exact.vectors[length] * exact.log_norm[length].exp()
        torch.testing.assert_close(marginal, by_length, rtol=1e-9, atol=1e-12)
    x = transformer.stem(batch[0]).detach().requires_grad_()
    whole = x
    for block in transformer.blocks:
        whole = block(whole)
    (full,) = torch.autograd.grad(cross_entropy(transformer.head(whole), batch[1]), x)
    torch.testing.assert_close(found.sum((0, 1)), full, rtol=1e-9, atol=1e-12)
    in_fp32 = paths.record(transformer.float(), batch[0].float(), batch[1], train_mode=False)
    assert 0 < by_kind(in_fp32, KINDS).sum_error[0] < 1e-5


@pytest.fixture
def made(transformer, make_network, make_split, make_images, monkeypatch):
    """The tables of the transformer above beside a residual network, random labels, and the test images."""
    networks = {"transformer": transformer.float(), "residual": make_network(SIX, dtype=torch.float32)}
    monkeypatch.setattr(measuring, "trained", lambda *_: networks)
    test = replace(make_split(n=40), labels=torch.randint(4, (40,), generator=random_generator(2)))
    images = make_images(train=make_split(n=20), test=test)
    tables, _ = measure(make_network(SIX), images, SMALL, random_generator(5))
    return networks, tables, test


def wrong(network, split, wiring):
    with torch.inference_mode():
        return int((network(split.normalised(slice(None)), wiring).argmax(1) != split.labels).sum())


def test_each_branch_is_deleted_and_blocks_of_one_kind_are_swapped(made):
    networks, tables, test = made
    generator = random_generator(5)
    for system, network in networks.items():
        rows = tables["deletions"][tables["deletions"].system == system].set_index("position")
        expected = [wrong(network, test, network.intact)]
        expected += [wrong(network, test, delete(network.intact, [place])) for place in range(6)]
        assert rows.wrong_images.tolist() == expected
        assert rows.kind.tolist() == ["intact", *(KINDS if system == "transformer" else ["block"] * 6)]
        pairs = swaps(network, 4, generator)
        exchanged = tables["swaps"][tables["swaps"].system == system]
        assert exchanged.wrong_images.tolist() == [wrong(network, test, swap(network.intact, *pair)) for pair in pairs]
    assert tables["deletions"].wrong_images.nunique() > 4


def test_swaps_are_of_one_kind_and_shape(transformer, make_network):
    assert set(swaps(transformer, 300, random_generator(1))) == {(0, 2), (0, 4), (2, 4), (1, 3), (1, 5), (3, 5)}
    # of stages of 3: the second's first block changes the shape
    assert set(swaps(make_network(SIX), 300, random_generator(1))) == {(0, 1), (0, 2), (1, 2), (4, 5)}
    lone = ResNet(architecture="resnet", blocks_per_stage=(1, 1), channels=(4, 6))
    with pytest.raises(InputError, match="no two blocks have one kind and shape"):
        swaps(make_network(lone), 1, random_generator(1))


def test_what_is_measured_is_what_tables_should_be(made, tmp_path):
    for name, table in (("deletions", DELETIONS), ("swaps", SWAPS), ("lengths", LENGTHS), ("by_kind", BY_KIND)):
        write(tmp_path / f"{name}.csv", made[1][name].assign(network="resnet", seed=1))
        read_whole(tmp_path / f"{name}.csv", table)
    assert made[1]["lengths"].sum_error.max() < 1e-5


def test_both_networks_are_trained_by_the_recipe_with_as_many_branches(
    make_network, make_split, make_images, monkeypatch
):
    asked_for = []

    def note(network, images, seed, **own):
        asked_for.append((network, seed, own))
        return network

    monkeypatch.setattr(measuring.beside, "trained", note)
    images = replace(make_images(train=make_split(n=4)), training=RECIPE)
    settings = SMALL.model_copy(update={"layers": 2, "epochs": 3, "learning_rate": 0.07})
    whole = make_network(ResNet(architecture="resnet", blocks_per_stage=(3, 3), channels=(4, 6)))
    both = trained(whole, images, settings, random_generator(9))
    (transformer, one, own), (residual, other, recipe) = asked_for
    assert both == {"transformer": transformer, "residual": residual}
    assert (own, recipe) == ({"epochs": 3, "learning_rate": 0.07}, {})
    assert one != other
    assert len(transformer.blocks) == len(residual.blocks) == 4
    assert transformer.stem.project.weight.shape == (8, 3, 4, 4)
    assert [block.conv2.weight.shape[0] for block in residual.blocks] == [4, 4, 6, 6]
    assert residual.blocks[2].downsampling


def test_a_recipe_of_its_own_is_that_of_the_run_but_for_what_differs(
    make_network, make_split, make_images, monkeypatch
):
    recipes = []
    monkeypatch.setattr(measuring.beside.loop, "train", lambda *given, **_: recipes.append(given[3]))
    images = replace(make_images(train=make_split(n=4), test=make_split(n=4)), training=RECIPE)
    network = measuring.beside.trained(make_network(SIX), images, 1, epochs=None, learning_rate=0.07)
    assert recipes == [RECIPE.model_copy(update={"learning_rate": 0.07})]
    assert not network.training


# --- what the numbers say -------------------------------------------------------------------------------------------


def tables_by_hand():
    """Four branches; the transformer's cost 2, 4, 30 and 0 points, its paths of length k have a norm of 2^-k."""
    errors = {"transformer": [10, 12, 14, 40, 10], "residual": [5, 6, 6, 6, 6]}
    kinds = {"transformer": ["attention", "mlp"] * 2, "residual": ["block"] * 4}
    deletions = [
        ("resnet", 1, system, position, ["intact", *kinds[system]][position], 2 * error, 200, error)
        for system, percent in errors.items()
        for position, error in enumerate(percent)
    ]
    swapped = [("resnet", 1, system, draw, 40, 200, 20) for system in errors for draw in (1, 2)]
    lengths = [
        ("resnet", 1, system, length, np.log10(base**length), 2e-7)
        for system, base in (("transformer", 0.5), ("residual", 1.0))
        for length in range(5)
    ]
    by_kind = [("resnet", 1, a, m, np.log10(2.0**a), 2e-7) for a in range(3) for m in range(3)]
    rows = {"deletions": deletions, "swaps": swapped, "lengths": lengths, "by_kind": by_kind}
    columns = {"deletions": DELETIONS, "swaps": SWAPS, "lengths": LENGTHS, "by_kind": BY_KIND}
    return {name: pd.DataFrame(found, columns=list(columns[name].columns)) for name, found in rows.items()}


def test_what_both_networks_say_is_read_off_their_tables():
    tables = tables_by_hand()
    found = by_system(tables)
    own, other = found["transformer"], found["residual"]
    assert (own["branches"], own["intact_error_percent"]) == (4, 10)
    assert (own["median_increase_points"], own["highest_increase_points"], own["costliest_position"]) == (3, 30, 3)
    assert own["percent_over_5_points"] == 25
    assert own["kinds"] == {"attention_points": 16, "mlp_points": 2}  # medians of 2 and 30, of 4 and 0
    assert (own["median_swap_increase_points"], other["median_swap_increase_points"]) == (10, 15)
    assert own["percent_within_half"] == pytest.approx(100 * 1.75 / 1.9375)  # 1, 1/2, 1/4 of these and 1/8, 1/16
    assert own["mean_length_share"] == pytest.approx((0.5 + 2 / 4 + 3 / 8 + 4 / 16) / 1.9375 / 4)
    assert (other["percent_within_half"], other["mean_length_share"]) == (pytest.approx(60), pytest.approx(0.5))
    assert mean_branches(tables["by_kind"]) == pytest.approx({"attention": (2 + 2 * 4) / 7, "mlp": 1})


def test_a_claim_sets_the_transformer_beside_the_residual_network(tmp_path):
    (tmp_path / "vision_transformer").mkdir()
    expected = {}
    for name, table in (("deletions", DELETIONS), ("swaps", SWAPS), ("lengths", LENGTHS)):
        path = tmp_path / "vision_transformer" / f"resnet-seed1.{name}.csv"
        write(path, tables_by_hand()[name])
        expected[path] = table
    networks = {"vision_transformer": ("resnet",)}
    evidence = Evidence(tmp_path, (1, 2), {}, networks, "digits", MEASURED, expected, 10)
    (found,) = vision_transformer_values(evidence, "resnet")
    assert (found["median_increase_points"], found["residual_median_increase_points"]) == (3, 1)
    assert found["residual_percent_within_half"] == pytest.approx(60)


def config(**change):
    return read_config(ROOT / "config" / "ci.yaml").model_dump(mode="json") | change


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"networks": ["vgg"]}, "names network 'vgg', expected a residual network that is trained here"),
        ({"networks": ["effective-paths"]}, "names network 'effective-paths', expected a residual network that"),
        ({"networks": ["resnet"], "layers": 4}, r"layers is 4: 'resnet' cannot be cut to 8 of its 6 blocks"),
        ({"networks": ["resnet"], "layers": 2}, r"layers is 2: 'resnet' cannot be cut to 4 of its 6 blocks"),
        ({"heads": 3}, "heads is 3, which does not divide width 64; choose one that does"),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_config(asked, message):
    with pytest.raises(InputError, match=message):
        parse_config(config(vision_transformer=asked))


def test_more_images_than_there_are_are_refused(make_network, make_split, make_images):
    images = make_images(train=make_split(n=5), test=make_split(n=5))
    with pytest.raises(InputError, match=r"vision_transformer\.images is 6, expected at most the 5 training images"):
        measure(make_network(SIX), images, SMALL, random_generator(1))
