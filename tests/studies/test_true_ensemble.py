"""A true ensemble against members averaged and trained by hand, and the ambiguity of what is left by its identity."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from run_helpers import ROOT
from scipy import stats

from unravel.config import AllBlocks, Augmentation, ResNet, Training
from unravel.data.batches import random_generator
from unravel.engine.wiring import delete
from unravel.files import InputError
from unravel.networks import build, initialise
from unravel.run import parse_config, read_config
from unravel.studies import MEASURED
from unravel.studies.deciding import Evidence
from unravel.studies.true_ensemble import ERRORS, IMAGES
from unravel.studies.true_ensemble import measure as measuring
from unravel.studies.true_ensemble.measure import ensemble, measure, rotated, tables_of
from unravel.studies.true_ensemble.settings import TrueEnsemble
from unravel.studies.true_ensemble.values import ambiguity, compared, true_ensemble_values
from unravel.tables import read_whole, write
from unravel.training import loop
from unravel.training.states import Saving

MEMBERS, DEEP, SHALLOW = 3, (3, 3), (1, 1)
RECIPE = Training(
    epochs=1, batch_size=16, warmup_steps=1, precision="fp32", augmentation=Augmentation(pad=0, flip=False)
)


def made_of(blocks):
    return ResNet(architecture="resnet", blocks_per_stage=blocks, channels=(4, 6))


def probabilities_by_hand(network, images, deleted=()):
    with torch.inference_mode():
        logits = network(images, delete(network.intact, deleted)).numpy()
    exponential = np.exp(logits - logits.max(1, keepdims=True))
    return exponential / exponential.sum(1, keepdims=True)


def wrong(probabilities, labels):
    return int((probabilities.argmax(1) != labels.numpy()).sum())


def brier(probabilities, labels):
    return ((probabilities - np.eye(4)[labels]) ** 2).sum(1).mean()


@pytest.fixture
def case(make_network, make_split, make_images, monkeypatch):
    """A network and an ensemble of random weights, their tables, and the test images with random labels."""
    split = replace(make_split(n=40), labels=torch.randint(4, (40,), generator=random_generator(2)))
    network = make_network(made_of(DEEP))
    members = [make_network(made_of(SHALLOW), seed=seed) for seed in range(1, 1 + MEMBERS)]
    for one in (network, *members):
        one.head[-1].bias.data -= one(split.normalised(slice(None)).double()).mean(0)  # else all are of one class
    monkeypatch.setattr(measuring, "ensemble", lambda *_: members)
    settings = TrueEnsemble(members=MEMBERS)
    tables, _ = measure(network, make_images(test=split), settings, random_generator(5))
    return network, members, tables, split.normalised(slice(None)).double(), split.labels


def test_an_ensemble_says_the_mean_of_what_its_members_say(case):
    """All of them, all but each one, and each one alone, which is then that network exactly."""
    _, members, tables, images, labels = case
    said = [probabilities_by_hand(member, images) for member in members]
    table = tables[""][tables[""].system == "ensemble"]
    counts = {removed: sorted(rows.wrong_images) for removed, rows in table.groupby("removed")}
    whole, pairs = (
        np.mean(said, axis=0),
        [np.mean([a, b], axis=0) for a, b in zip(said, said[1:] + said[:1], strict=True)],
    )
    assert counts[0] == [wrong(whole, labels)] * MEMBERS
    assert counts[1] == sorted(wrong(pair, labels) for pair in pairs)
    assert counts[2] == sorted(wrong(one, labels) for one in said)
    assert len({*counts[0], *counts[1], *counts[2]}) > 3
    losses = sorted(brier(one, labels) for one in said)
    assert sorted(table[table.removed == 2].loss) == pytest.approx(losses, rel=1e-4)


def test_the_residual_network_loses_as_many_blocks_as_so_many_members_have(case):
    network, _, tables, images, labels = case
    generator = random_generator(5)
    rotated(MEMBERS, TrueEnsemble(members=MEMBERS), generator)
    orders = rotated(6, TrueEnsemble(members=MEMBERS), generator)
    table = tables[""][tables[""].system == "residual"].set_index(["removed", "draw"])
    losses = []
    for removed in range(MEMBERS):
        for draw, order in enumerate(orders, 1):
            left = probabilities_by_hand(network, images, order[: 2 * removed].tolist())
            losses.append(brier(left, labels))
            assert table.wrong_images[removed, draw] == wrong(left, labels)
            assert table.loss[removed, draw] == pytest.approx(losses[-1], rel=1e-4)  # in fp32, as lesions are
    assert len(set(losses)) == 1 + 2 * MEMBERS


def test_images_hold_the_share_of_draws_that_are_wrong(case):
    errors = case[2][""].groupby(["system", "removed"]).error_percent.mean()
    shares = case[2]["images"].groupby("removed")[["residual", "ensemble"]].mean()
    for system in shares:
        assert (100 * shares[system]).tolist() == pytest.approx(errors[system].tolist())


def test_the_loss_of_an_average_is_the_mean_loss_less_the_ambiguity():
    """Krogh & Vedelsby (1995), with weights of any size, to 1e-12."""
    said = torch.rand(3 * 5, 7, 4, generator=random_generator(1), dtype=torch.float64).softmax(2)
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    table = tables_of({"ensemble": said}, 3, labels)[""].assign(network="a")
    for removed, row in ambiguity(table).set_index("removed").iterrows():
        average = said[5 * removed : 5 * removed + 5].numpy().mean(0)
        loss = sum((average[image, label] - 1) ** 2 + sum(np.delete(average[image], label) ** 2)
                   for image, label in enumerate(labels.tolist())) / 7  # fmt: skip
        assert row.loss_of_average == pytest.approx(loss, abs=1e-12)
        assert row.distance > 0.01


def test_members_are_trained_as_the_networks_of_a_run_are(make_network, make_split, make_images):
    """To the last bit, from the seeds that the study's generator draws; their blocks are those of a shallow network."""
    train, test = make_split(n=48, seed=3), make_split(n=20)
    images = replace(make_images(train=train, test=test), training=RECIPE.model_copy(update={"epochs": 5}))
    network = make_network(made_of((2, 2)), dtype=torch.float32)
    members = ensemble(network, images, TrueEnsemble(members=2, epochs=1), random_generator(9))
    seeds = torch.randint(2**31, (2,), generator=random_generator(9)).tolist()
    for seed, member in zip(seeds, members, strict=True):
        alone = build(made_of(SHALLOW), (8, 8, 3), 4)
        initialise(alone, random_generator(seed, 0))
        saving = Saving(ROOT / "never", every=9, fingerprint={})
        loop.train(alone, train, test, RECIPE, AllBlocks(scheme="all"), seed, saving, lambda *_: None)
        expected = alone.state_dict()
        assert member.state_dict().keys() == expected.keys()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in member.state_dict().items())
        assert not member.training
    assert not torch.equal(members[0].stem.weight, members[1].stem.weight)


def test_each_round_takes_each_share_first_once_and_leaves_each_once():
    orders = [order.tolist() for order in rotated(6, TrueEnsemble(members=3, rounds=2), random_generator(1))]
    assert len(orders) == 6
    assert all(sorted(order) == list(range(6)) for order in orders)
    for one_round in (orders[:3], orders[3:]):
        for part in (slice(0, 2), slice(4, 6)):
            assert sorted(block for order in one_round for block in order[part]) == list(range(6))
    assert {tuple(order) for order in orders[:3]} != {tuple(order) for order in orders[3:]}


def test_what_is_measured_is_what_tables_should_be(case, tmp_path):
    for name, table in (("", ERRORS), ("images", IMAGES)):
        path = tmp_path / f"table{name}.csv"
        write(path, case[2][name].assign(network="resnet", seed=1))
        read_whole(path, replace(table, sizes={"removed": MEMBERS}))


def table_of(differences):
    """Of 50 images: by number removed, the share of draws in which the residual network alone is wrong on each."""
    rows = [
        ("resnet", 1, removed, image, 0.2 + difference, 0.2)
        for removed, by_image in enumerate(differences)
        for image, difference in enumerate(by_image)
    ]
    return pd.DataFrame(rows, columns=list(IMAGES.columns))


def test_curves_are_compared_up_to_a_third_by_two_one_sided_tests():
    none, some, many = [0.0] * 50, [0.0, 0.1] * 25, [0.8] * 50
    found = compared(table_of([none, some, none, many, many, many]))  # of six members up to two
    assert (found["members"], found["third"]) == (6, 2)
    assert found["residual_error_percent"] == found["ensemble_error_percent"] == pytest.approx(20)
    margin = found["equivalence_margin_points"]
    upper = stats.ttest_1samp(100 * np.array(some), margin, alternative="less").pvalue
    assert upper == pytest.approx(0.05)  # the smallest margin that both tests reach is where the worse of them has 5%
    assert stats.ttest_1samp(100 * np.array(some), -margin, alternative="greater").pvalue < 0.05
    assert 5 < margin < 10
    worse = compared(table_of([none, none, many, none, none, none]))
    assert worse["equivalence_margin_points"] == worse["difference_points"] == pytest.approx(80)


def test_without_three_members_nothing_is_compared():
    assert np.isnan(compared(table_of([[0.0] * 50, [0.5] * 50]))["equivalence_margin_points"])


def test_a_claim_is_decided_by_the_first_seed_alone(tmp_path):
    path = tmp_path / "true_ensemble" / "resnet-seed3.images.csv"
    path.parent.mkdir()
    write(path, table_of([[0.0] * 50, [0.1] * 50, [0.2] * 50]).assign(seed=3))
    networks = {"true_ensemble": ("resnet",)}
    evidence = Evidence(tmp_path, (3, 1), {}, networks, "digits", MEASURED, {path: IMAGES}, 10)
    (found,) = true_ensemble_values(evidence, "resnet")
    assert found["equivalence_margin_points"] == pytest.approx(10)


def config(**change):
    return read_config(ROOT / "config" / "ci.yaml").model_dump(mode="json") | change


def test_networks_that_no_ensemble_stands_beside_are_refused_with_the_config():
    for name in ("vgg", "stochastic-depth"):
        with pytest.raises(
            InputError, match=rf"true_ensemble names network '{name}', expected a residual network that"
        ):
            parse_config(config(true_ensemble={"networks": [name], "members": 2}))
    with pytest.raises(InputError, match=r"members is 3, which does not divide the blocks .* 'resnet', \[2, 2, 2\]"):
        parse_config(config(true_ensemble={"networks": ["resnet"], "members": 3}))
    parse_config(config(true_ensemble={"networks": ["resnet"], "members": 2}))


def test_more_test_images_than_there_are_are_refused(make_network, make_split, make_images):
    images = make_images(test=make_split(n=20))
    with pytest.raises(InputError, match=r"true_ensemble\.test_images is 21, expected at most the 20"):
        measure(make_network(made_of(DEEP)), images, TrueEnsemble(test_images=21), random_generator(1))
