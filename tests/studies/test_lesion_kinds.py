"""Lesions of each kind against forward passes written out by hand, and what the study says of them by hand."""

import copy
from dataclasses import replace

import pandas as pd
import pytest
import torch
from conftest import PLAIN, RESNET

from unravel.config import LinearSurvival
from unravel.data.batches import random_generator
from unravel.engine.sweeps import spread
from unravel.files import InputError
from unravel.networks.vgg import PlainLayer
from unravel.studies import MEASURED
from unravel.studies.deciding import Evidence
from unravel.studies.lesion_kinds import TABLE
from unravel.studies.lesion_kinds.measure import measure, newborn, spaced
from unravel.studies.lesion_kinds.settings import LesionKinds
from unravel.studies.lesion_kinds.values import contrast_values, plain_values, summary
from unravel.tables import read_whole, write

SCALED = RESNET.model_copy(update={"block_sampling": LinearSurvival(scheme="linear", final_survival=0.5)})
NETWORKS = pytest.mark.parametrize("settings", [SCALED, PLAIN], ids=["resnet", "vgg"])
TRAIN, TEST, SIZE = 48, 40, 20  # one batch of training images, two of test images


def contribution(block, x):
    return block.norm(block.conv(x)).relu() if isinstance(block, PlainLayer) else block.survival * block.residual(x)


def output(block, x, made):
    return block.pool(made) if isinstance(block, PlainLayer) else block.skip(x) + made


def without(block, x):
    return block.pool(x) if isinstance(block, PlainLayer) else block.skip(x)


def anew(modules):
    for module in modules:
        for norm in module.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = 1.0  # the only batch is all that it remembers
                norm.train()


def settle(network, training):
    """Statistics of the training images, and classes that are as likely: else all images are of one class."""
    anew([*network.blocks, network.head])
    network(training)
    network.eval()
    network.head[-1].bias.data -= network(training).mean(0)


@pytest.fixture
def case(make_network, make_split, make_images):
    """A network, its table, the test images as its lesions saw them, and all training images."""

    def case(settings, positions=54, change=lambda network: None, **options):
        network = make_network(settings, dtype=torch.float32).requires_grad_(False)
        train, test = make_split(n=TRAIN, seed=3), make_split(n=TEST)
        # random labels: an untrained network gets all images of a pattern right, or none
        test = replace(test, labels=torch.randint(4, (TEST,), generator=random_generator(2)))
        settle(network, train.normalised(slice(None)))
        change(network)
        asked = LesionKinds(positions=positions, batch_size=TRAIN, batches=1, **options)
        images = make_images(batch_size=SIZE, train=train, test=test)
        tables, _ = measure(network, images, asked, random_generator(7))
        order = spread(test.labels, TEST)[torch.randperm(TEST, generator=random_generator(7))]
        batches = [(test.normalised(part), test.labels[part]) for part in order.split(SIZE)]
        return network, tables[""].set_index(["kind", "place"]), batches, train.normalised(slice(None))

    return case


def wrong_by_hand(network, batches, place, lesion):
    """Wrong images if at one place `lesion(block, x)` is what leaves the block."""
    wrong = 0
    for images, labels in batches:
        x = network.stem(images)
        for here, block in enumerate(network.blocks):
            x = lesion(block, x) if here == place else output(block, x, contribution(block, x))
        wrong += int((network.head(x).argmax(1) != labels).sum())
    return wrong


def taps_by_hand(network, images):
    taps = [network.stem(images)]
    for block in network.blocks:
        taps.append(output(block, taps[-1], contribution(block, taps[-1])))
    return taps


@NETWORKS
def test_each_kind_is_that_of_a_pass_by_hand(case, settings):
    network, table, batches, training = case(settings)
    taps, found = taps_by_hand(network, training), []
    for place, block in enumerate(network.blocks):
        mean = contribution(block, taps[place]).mean(0)
        by_hand = {
            "zero": without,
            "mean": lambda block, x, mean=mean: output(block, x, mean.expand(len(x), *mean.shape)),
            "resampled": lambda block, x: output(block, x, contribution(block, torch.cat([x[-1:], x[:-1]]))),
            "skip": contribution,
        }  # fmt: skip
        if isinstance(block, PlainLayer):
            del by_hand["skip"]
        for kind, lesion in by_hand.items():
            expected = wrong_by_hand(network, batches, place, lesion)
            assert table.wrong_images[kind, place + 1] == expected, (kind, place)
            found.append(expected)
    intact = wrong_by_hand(network, batches, None, None)
    assert all(table.wrong_images[kind, 0] == intact for kind in ("zero", "mean", "resampled", "reinitialised"))
    assert len({*found, intact}) > 5
    assert ("skip" in table.index.get_level_values("kind")) == (settings is SCALED)


@NETWORKS
def test_statistics_estimated_anew_are_those_of_the_training_images(case, settings):
    network, table, batches, training = case(settings)
    counts = []
    for place in (None, *range(len(network.blocks))):
        changed = copy.deepcopy(network)
        behind = changed.blocks if place is None else changed.blocks[place + 1 :]
        anew([*behind, changed.head])
        x = changed.stem(training)
        for here, block in enumerate(changed.blocks):
            x = without(block, x) if here == place else output(block, x, contribution(block, x))
        changed.head(x)
        expected = wrong_by_hand(changed.eval(), batches, place, without)
        assert table.wrong_images["reestimated", 0 if place is None else place + 1] == expected
        counts.append(expected)
    assert len(set(counts)) > 3
    assert counts != table.wrong_images["zero"].tolist()


@NETWORKS
def test_new_weights_are_normalised_by_the_training_images_and_leave_the_rest(case, settings):
    network, table, batches, training = case(settings)
    generator = random_generator(7)
    torch.randperm(TEST, generator=generator)
    fresh = [newborn(block, generator) for block in network.blocks]
    taps = taps_by_hand(network, training)
    for place, (block, new) in enumerate(zip(network.blocks, fresh, strict=True)):
        anew([new])
        contribution(new, taps[place])
        new.eval()
        weights = [one for one in new.parameters() if one.dim() == 4]
        old = [one for one in block.parameters() if one.dim() == 4]
        assert all(float((one - other).abs().min()) > 0 for one, other in zip(weights, old, strict=True))

        def lesion(old, x, new=new):
            return output(old, x, contribution(new, x))

        assert table.wrong_images["reinitialised", place + 1] == wrong_by_hand(network, batches, place, lesion)


def test_a_block_that_adds_nothing_costs_nothing_in_any_kind_that_replaces_what_it_adds(case):
    def silence(network):
        network.blocks[1].conv2.weight.data.zero_()
        network.blocks[4].conv2.weight.data.zero_()

    _, table, _, _ = case(SCALED, change=silence)
    for kind in ("zero", "mean", "resampled"):
        assert table.wrong_images[kind, 2] == table.wrong_images[kind, 5] == table.wrong_images[kind, 0]
        assert len(set(table.wrong_images[kind])) > 1
    assert table.wrong_images["skip", 2] != table.wrong_images["skip", 0]


def test_an_intact_network_is_not_changed_by_statistics_that_it_has(case):
    """The network of these tests has those of the training images already."""
    _, table, _, _ = case(SCALED)
    assert table.wrong_images["reestimated", 0] == table.wrong_images["zero", 0]
    assert table.wrong_images["reestimated"].tolist() != table.wrong_images["zero"].tolist()


def test_positions_are_spread_from_the_first_block_to_the_last(case):
    assert spaced(5, 54) == spaced(5, 5) == [0, 1, 2, 3, 4]
    assert spaced(54, 4) == [0, 18, 35, 53]
    assert spaced(7, 1) == [0]
    network, table, _, _ = case(PLAIN, positions=2)
    assert table.deleted_position["zero"].tolist() == [0, 2, network.first_position + len(network.blocks) - 1]


def test_the_table_is_what_it_should_be_and_too_few_images_are_refused(
    case, tmp_path, make_network, make_images, make_split
):
    _, table, _, _ = case(SCALED)
    write(tmp_path / "table.csv", table.reset_index().assign(network="resnet", seed=1))
    read_whole(tmp_path / "table.csv", TABLE)
    images = make_images(train=make_split(n=20), test=make_split(n=20))
    with pytest.raises(InputError, match=r"lesion_kinds: 8 batches of 128 images are asked for, and the data has 20"):
        measure(make_network(), images, LesionKinds(), random_generator(1))
    with pytest.raises(InputError, match=r"lesion_kinds\.test_images is 21, expected at most the 20"):
        measure(make_network(), images, LesionKinds(test_images=21), random_generator(1))


# --- what the numbers say -------------------------------------------------------------------------------------------


def rows(network, seed, kinds, halving=()):
    """kinds: by kind the errors of the intact network and after each lesion."""
    return pd.DataFrame(
        [
            (network, seed, kind, place, place, place in halving, int(error * 10), 1000, error, 90.0)
            for kind, errors in kinds.items()
            for place, error in enumerate(errors)
        ],
        columns=list(TABLE.columns),
    )


RESIDUAL = {"zero": [10, 11, 60, 13], "reinitialised": [10, 20, 70, 30], "reestimated": [12, 13, 15, 12.5],
            "mean": [10, 10, 50, 11], "skip": [10, 80, 85, 90]}  # fmt: skip
LAYERS = {"zero": [10, 80, 90, 88], "reinitialised": [10, 90, 60, 70], "reestimated": [11, 31, 90, 12],
          "mean": [10, 90, 90, 90]}  # fmt: skip


@pytest.fixture
def evidence(tmp_path):
    """Two seeds of a residual network and of a plain one; the second seed of each is 2 points worse after lesions."""
    tables = {}
    for network, kinds, halving in (("resnet", RESIDUAL, (2,)), ("vgg", LAYERS, ())):
        for seed in (1, 2):
            worse = {kind: [errors[0], *(min(100, error + 2 * (seed - 1)) for error in errors[1:])]
                     for kind, errors in kinds.items()}  # fmt: skip
            path = tmp_path / "lesion_kinds" / f"{network}-seed{seed}.csv"
            path.parent.mkdir(exist_ok=True)
            write(path, rows(network, seed, worse, halving))
            tables[path] = TABLE
    return Evidence(tmp_path, (1, 2), {}, {"lesion_kinds": ("resnet", "vgg")}, "digits", MEASURED, tables, 10)


def test_the_lesion_that_hurts_least_is_judged_kind_by_kind(evidence):
    one, other = plain_values(evidence, "vgg")
    assert one["zero_share_of_chance"] == pytest.approx(80 / 90)
    assert one["reinitialised_share_of_chance"] == pytest.approx(60 / 90)
    assert one["reestimated_share_of_chance"] == one["lowest_share_of_chance"] == pytest.approx(12 / 90)
    assert other["lowest_share_of_chance"] == pytest.approx(14 / 90)


def test_the_contrast_is_that_of_medians_over_blocks_that_keep_the_resolution(evidence):
    for values in contrast_values(evidence, ""):  # 2 points are added to all lesions of a seed, so differences stay
        # residual: zero 1 and 3, new weights 10 and 20, anew 1 and 0.5; plain: 70 80 78, 80 50 60, 20 79 1
        assert values["zero_more_points"] == pytest.approx(78 - 2)
        assert values["reinitialised_more_points"] == pytest.approx(60 - 15)
        assert values["reestimated_more_points"] == values["least_more_points"] == pytest.approx(20 - 0.75)
        assert "skip_more_points" not in values


def test_the_summary_averages_what_each_seed_says(evidence):
    found = summary(evidence.table("lesion_kinds", ["resnet", "vgg"]))
    assert found["networks"]["resnet"]["kinds"]["zero"]["median_increase_points"] == pytest.approx(2 + 1)
    anew = found["networks"]["vgg"]["kinds"]["reestimated"]
    assert (anew["least_error_percent"], anew["least_position"]) == (13, 3)
    assert anew["least_share_of_chance"] == pytest.approx(13 / 90)
    assert found["networks"]["vgg"]["reestimated_error_percent"].mean == 11
    assert found["networks"]["vgg"]["lesioned"] == 3
