"""Single deletions against the network with that block taken out by hand, and what their figure draws."""

import copy
from contextlib import nullcontext

import pandas as pd
import pytest
import torch
from conftest import PLAIN, RESNET
from figure_helpers import DELETIONS, deletion_tables, drawing_of
from torch import nn

from unravel.data.batches import random_generator
from unravel.engine.wiring import count_block_evaluations, delete
from unravel.studies import style
from unravel.studies.single_deletion.measure import measure
from unravel.studies.single_deletion.settings import Deletions
from unravel.studies.single_deletion.values import summary


def measured(network, images):
    tables, facts = measure(network, images, Deletions(), random_generator(1))
    assert list(tables) == [""]
    return tables[""], facts


def without(network, place):
    """The network as a plain module in which the block at `place` is what remains of it: projection or pooling."""
    network = copy.deepcopy(network)
    block = network.blocks[place]
    remaining = block.projection if hasattr(block, "projection") else block.pool
    blocks = [remaining if index == place else block for index, block in enumerate(network.blocks)]
    return nn.Sequential(network.stem, *blocks, network.head)


@torch.inference_mode()
def count_wrong(network, split):
    images, labels = next(split.batches(len(split.labels)))
    return int((network(images.double()).argmax(dim=1) != labels).sum())


@pytest.mark.parametrize("settings", [RESNET, PLAIN])
def test_each_deletion_gives_the_brute_force_error(make_network, make_split, make_images, settings):
    network, split = make_network(settings), make_split(n=50)
    table, _ = measured(network, make_images(test=split, batch_size=20))
    by_hand = [count_wrong(network, split)]
    by_hand += [count_wrong(without(network, place), split) for place in range(len(network.blocks))]
    assert table.wrong_images.tolist() == by_hand
    assert len(set(by_hand)) > 2  # the counts differ, so that a mix-up would show
    assert table.error_percent.tolist() == pytest.approx([wrong / 50 * 100 for wrong in by_hand])


def test_positions_are_counted_as_a_reader_counts(make_network, make_split, make_images):
    images = make_images(test=make_split(n=8))
    residual, _ = measured(make_network(RESNET), images)
    assert residual.deleted_position.tolist() == [0, 1, 2, 3, 4, 5]  # 0: nothing deleted
    plain, _ = measured(make_network(PLAIN), images)
    assert plain.deleted_position.tolist() == [0, 2, 3, 4, 5]  # the first layer is the stem


def test_blocks_that_halve_the_resolution_are_marked(make_network, make_split, make_images):
    images = make_images(test=make_split(n=8))
    residual, _ = measured(make_network(RESNET), images)
    assert residual.deleted_position[residual.downsampling].tolist() == [3, 5]  # stages of 2, 2 and 1 blocks
    plain, _ = measured(make_network(PLAIN), images)
    halving = plain.deleted_position[plain.downsampling]
    assert halving.tolist() == [2, 4]  # the last layers of the stages before the last


def test_the_table_says_how_many_images_and_what_guessing_gives(make_network, make_split, make_images):
    table, _ = measured(make_network(), make_images(test=make_split(n=30), classes=5))
    assert set(table.test_images) == {30}
    assert set(table.chance_error_percent) == {80.0}


def test_the_facts_count_the_work_that_was_saved(make_network, make_split, make_images):
    network = make_network()
    _, facts = measured(network, make_images(test=make_split(n=8)))
    wirings = sorted([network.intact, *(delete(network.intact, [place]) for place in range(5))])
    assert facts["block_evaluations"] == count_block_evaluations(wirings) == 5 + 5 * 6 // 2
    assert facts["naive_block_evaluations"] == 6 * 5


# --- the figure -----------------------------------------------------------------------------------------------------


@pytest.fixture
def drawing(tmp_path):
    return drawing_of("single_deletion").draw(deletion_tables(tmp_path), "demo")


def of_network(name, deleted):
    """The errors of a network's rows, by position: with a block deleted, or intact."""
    errors = {}
    for network, _, position, _, error in DELETIONS:
        if network == name and (position > 0) == deleted:
            errors.setdefault(position, []).append(error)
    return errors


@pytest.mark.parametrize("network", ["resnet", "vgg"])
def test_the_band_spans_the_seeds_and_the_line_is_their_mean(drawing, network):
    (points,) = [points for points in style.points(drawing.figure) if points["series"] == f"{network}, one deleted"]
    errors = of_network(network, deleted=True)
    assert points["x"] == list(errors)
    assert points["y"] == pytest.approx([sum(seeds) / 2 for seeds in errors.values()])
    assert points["low"] == [min(seeds) for seeds in errors.values()]
    assert points["high"] == [max(seeds) for seeds in errors.values()]


@pytest.mark.parametrize("network", ["resnet", "vgg"])
def test_a_line_across_marks_the_intact_networks_mean_error(drawing, network):
    (panel,) = drawing.figure.axes
    (seeds,) = of_network(network, deleted=False).values()
    mean = sum(seeds) / len(seeds)
    (line,) = [line for line in panel.lines if line.get_label() == f"{network}, nothing deleted: {mean:.1f}%"]
    assert line.get_ydata() == pytest.approx([mean] * 2)


@pytest.mark.parametrize(("phone", "names"), [(False, {"block 3", "layer 4"}), (True, {"3", "4"})])
def test_blocks_that_halve_the_resolution_are_named(tmp_path, phone, names):
    with style.for_a_phone() if phone else nullcontext():
        (panel,) = drawing_of("single_deletion").draw(deletion_tables(tmp_path), "demo").figure.axes
    named = {text.get_text(): text.xy[0] for text in panel.texts if hasattr(text, "xy")}
    assert {name: int(name.split()[-1]) for name in names} == named


def test_two_networks_that_halve_at_one_block_share_its_name(tmp_path):
    (table, *_) = deletion_tables(tmp_path)
    other = table.with_name("stochastic-depth.csv")
    other.write_text(table.read_text().replace("resnet", "stochastic-depth"))
    (panel,) = drawing_of("single_deletion").draw([table, other], "demo").figure.axes
    assert [text.get_text() for text in panel.texts] == ["block 3", "guessing"]


def test_the_summary_worked_out_by_hand():
    """Two seeds of a residual network whose second block halves the resolution, and a plain one."""
    columns = ["network", "seed", "deleted_position", "downsampling", "intact_error_percent", "increase_points"]
    rows = [
        ("resnet", 1, 1, False, 5.0, 1.0), ("resnet", 1, 2, True, 5.0, 20.0), ("resnet", 1, 3, False, 5.0, 3.0),
        ("resnet", 2, 1, False, 7.0, 2.0), ("resnet", 2, 2, True, 7.0, 10.0), ("resnet", 2, 3, False, 7.0, 0.0),
        ("vgg", 1, 2, False, 8.0, 80.0), ("vgg", 2, 2, False, 8.0, 84.0),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns).assign(chance_error_percent=90.0)
    table["error_percent"] = table.intact_error_percent + table.increase_points
    found = summary(table)
    assert (found["seeds"], found["chance_error_percent"], set(found["networks"])) == ([1, 2], 90.0, {"resnet", "vgg"})
    resnet, vgg = found["networks"]["resnet"], found["networks"]["vgg"]
    intact = resnet.pop("intact_error_percent")
    assert (intact.mean, intact.n) == (6.0, 2)
    assert resnet.pop("ordinary_p90_increase_points") == pytest.approx(2.3)  # 2.8 of 1 and 3, 1.8 of 2 and 0
    assert resnet == {
        "blocks": 3,
        "lowest_error_percent": 6.0,
        "highest_error_percent": 25.0,
        "last_position": 3,
        "mean_error_percent": 12.0,
        "mean_increase_points": 6.0,
        "median_increase_points": 2.5,  # 3 and 2
        "highest_increase_points": 20.0,
        "worst_position": 2,
        "worst_increase_points": 15.0,
        "ordinary_median_increase_points": 1.5,  # 2 and 1
        "downsampling_positions": [2],
        "downsampling_mean_increase_points": 15.0,
    }
    assert (vgg["blocks"], vgg["downsampling_positions"], vgg["downsampling_mean_increase_points"]) == (1, [], None)
