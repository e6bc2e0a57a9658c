"""Random lesions on a part of the test set: errors against each image's own, the part's classes, and what it costs."""

import json
from dataclasses import replace

import pytest
import torch
from study_helpers import DEEP, mistakes_by_hand

from unravel.data.batches import random_generator
from unravel.engine.sweeps import spread
from unravel.files import InputError
from unravel.place import REPOSITORY
from unravel.run import parse_config, read_config
from unravel.studies import MEASURED
from unravel.studies.base import Size
from unravel.studies.measuring import measured

KEYS = ("random_deletions", "reorderings")
ORDERS = {
    "sorted": lambda labels: labels.sort().values,
    "taking turns": lambda labels: labels,
    "shuffled": lambda labels: labels[torch.randperm(len(labels), generator=random_generator(3))],
}


@pytest.fixture
def measure(make_network, make_images):
    """The table of a study of DEEP on a split, with so many of its images."""

    def measure(key, split, test_images):
        study = MEASURED[key]
        settings = type(study.settings)(most=3, draws=3, test_images=test_images)
        tables, facts = measured(study, settings, make_network(DEEP), make_images(test=split), "resnet", 1)
        return tables[""], facts

    return measure


def part_by_hand(labels, n):
    """Every (len(labels) / n)-th place in a list sorted by class, then by place."""
    by_class = sorted(range(len(labels)), key=lambda place: (int(labels[place]), place))
    return [by_class[i * len(labels) // n] for i in range(n)]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("test_images", [1, 17, 59, 60, None])
def test_each_error_is_that_of_the_images_of_the_part(make_network, make_split, measure, key, test_images):
    """More and fewer images than a batch of 16; also the intact network, and the whole test set asked for by number."""
    network, split = make_network(DEEP), make_split(n=60)
    table, _ = measure(key, split, test_images)
    part = part_by_hand(split.labels, test_images or 60)
    for row in table.itertuples():
        order = [int(block) - 1 for block in row.order.split()] if key == "reorderings" else range(7)
        deleted = () if key == "reorderings" else {int(block) - 1 for block in row.deleted_positions.split()}
        mistakes = mistakes_by_hand(network, split, order, deleted).tolist()
        assert row.wrong_images == sum(mistakes[place] for place in part)
        assert row.test_images == len(part)
        assert row.error_percent == pytest.approx(100 * row.wrong_images / len(part))
    assert table.test_images.nunique() == 1
    assert table.wrong_images.nunique() > 1 or len(part) < 20


@pytest.mark.parametrize("key", KEYS)
def test_a_part_changes_neither_the_lesions_nor_the_columns(make_split, measure, key):
    whole, part = (measure(key, make_split(n=40), test_images)[0] for test_images in (None, 10))
    measured_columns = ["wrong_images", "test_images", "error_percent"]
    assert whole.columns.tolist() == part.columns.tolist()
    assert whole.drop(columns=measured_columns).equals(part.drop(columns=measured_columns))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("n_images", [1, 7, 200, 499, 600])
def test_each_class_keeps_its_share_to_within_one_image(order, n_images):
    """Ten classes of 5 to 120 images, in any order of the test set: sums of shares by exact counting."""
    sizes = [5, 7, 31, 40, 55, 66, 77, 90, 109, 120]
    turns = [label for turn in range(max(sizes)) for label, size in enumerate(sizes) if turn < size]
    labels = ORDERS[order](torch.tensor(turns))
    places = spread(labels, n_images)
    assert len(set(places.tolist())) == n_images
    assert places.tolist() == sorted(places.tolist())
    for label, size in enumerate(sizes):
        assert abs(int((labels[places] == label).sum()) - n_images * size / 600) < 1


@pytest.mark.parametrize("key", KEYS)
def test_more_images_than_there_are_are_refused(make_split, measure, key):
    with pytest.raises(
        InputError, match=rf"^{key}\.test_images is 41, expected at most the 40 images of the test set;"
    ):
        measure(key, make_split(n=40), 41)


@pytest.mark.parametrize("key", KEYS)
def test_the_cost_is_in_proportion_to_the_images(key):
    raw = read_config(REPOSITORY / "config" / "ci.yaml").model_dump(mode="json")
    size, cost = Size(forward=1000, blocks=6, train=0, test=600, random_blocks=False), MEASURED[key].measurement.cost

    def multiply_adds(test_images, size=size):
        settings = {"most": 4, "draws": 5, "test_images": test_images}
        return cost.multiply_adds(parse_config(raw | {key: settings}), size)

    assert multiply_adds(None) == multiply_adds(600) == 600 * 1000 * 21
    assert multiply_adds(60) == 60 * 1000 * 21
    with pytest.raises(InputError, match=rf"{key}\.test_images is 60, expected at most the 59 images"):
        multiply_adds(60, replace(size, test=59))


@pytest.mark.parametrize("key", KEYS)
def test_the_default_decides_what_published_records_say(key):
    """A record that the key did not exist for stays fresh as far as settings go."""
    run = REPOSITORY / "results" / "cifar10-short"
    record = json.loads((run / f"jobs/measurements/{key}/resnet-seed1.json").read_text(encoding="utf-8"))
    assert MEASURED[key].measurement.decides(read_config(run / "config.yaml"), "resnet") == record["settings"]
