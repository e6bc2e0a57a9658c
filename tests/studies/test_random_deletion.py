"""Random deletions: every row against the network rebuilt by hand, fair draws, and a summary worked out by hand."""

import itertools

import pandas as pd
import pytest
from study_helpers import DEEP, wrong_by_hand

from unravel.data.batches import random_generator
from unravel.files import InputError
from unravel.studies.random_deletion.measure import measure
from unravel.studies.random_deletion.settings import RandomDeletions
from unravel.studies.random_deletion.values import summary


def measured(network, images, **settings):
    tables, facts = measure(network, images, RandomDeletions(**settings), random_generator(1))
    assert list(tables) == [""]
    return tables[""], facts


def test_each_row_gives_the_error_without_the_blocks_it_names(make_network, make_split, make_images):
    network, split = make_network(DEEP), make_split(n=40)
    table, facts = measured(network, make_images(test=split), most=7, draws=4)
    assert len(table) == 1 + 7 * 4
    for row in table.itertuples():
        deleted = {int(position) - 1 for position in row.deleted_positions.split()}
        assert len(deleted) == row.deleted_blocks
        assert row.wrong_images == wrong_by_hand(network, split, range(7), deleted)
    assert table.wrong_images.nunique() > 3
    assert facts["block_evaluations"] < facts["naive_block_evaluations"] == 29 * 7


def test_every_block_is_drawn_equally_often(make_network, make_split, make_images):
    table, _ = measured(make_network(DEEP), make_images(test=make_split(n=4)), most=2, draws=700)
    drawn = " ".join(table.deleted_positions).split()
    for position in range(1, 8):  # 2,100 in all over 7 blocks: 300 each, standard deviation 16
        assert abs(drawn.count(str(position)) - 300) < 5 * 16


def test_a_draw_deletes_one_block_more_with_each_number_and_any_pair_equally_often(
    make_network, make_split, make_images
):
    table, facts = measured(make_network(DEEP), make_images(test=make_split(n=4)), most=2, draws=630)
    deleted = {(row.deleted_blocks, row.draw): set(row.deleted_positions.split()) for row in table.itertuples()}
    assert all(deleted[1, draw] < deleted[2, draw] for draw in range(1, 631))
    pairs = [frozenset(deleted[2, draw]) for draw in range(1, 631)]
    for pair in itertools.combinations("1234567", 2):  # 21 pairs: 30 draws each, standard deviation 5.4
        assert abs(pairs.count(frozenset(pair)) - 30) < 5 * 5.4
    assert facts["block_evaluations"] < facts["naive_block_evaluations"]


def test_more_deletions_than_blocks_are_refused(make_network, make_split, make_images):
    with pytest.raises(InputError, match=r"random_deletions\.most is 6, but the network has only 5 blocks"):
        measured(make_network(), make_images(test=make_split(n=4)), most=6, draws=1)


def test_the_summary_counts_steps_between_medians():
    table = pd.DataFrame({"deleted_blocks": [0, 1, 1, 1, 2, 2, 2], "error_percent": [1, 2, 3, 90, 40, 50, 60.0]})
    table = table.assign(network="resnet", seed=1, draw=[1, 1, 2, 3, 1, 2, 3], test_images=100)
    values = summary(table)
    assert values["networks"]["resnet"]["median_error_percent"] == {0: 1, 1: 3, 2: 50}
    assert values["networks"]["resnet"]["largest_jump_points"] == 47
    assert values["networks"]["resnet"]["rank_correlation"] == pytest.approx(1)
    assert values["draws"] == 3


def test_numbers_of_several_seeds_are_means_over_seeds():
    """As in the claims: the median over all draws together would be 5 at 0 deletions, 13 at 1, and a step of 8."""
    errors = {1: ([2], [12, 13, 14]), 2: ([5], [5, 5, 5]), 3: ([8], [100, 98, 99])}
    rows = [(seed, k, error) for seed, both in errors.items() for k, found in enumerate(both) for error in found]
    table = pd.DataFrame(rows, columns=["seed", "deleted_blocks", "error_percent"]).assign(
        network="resnet", draw=1, test_images=100
    )
    values = summary(table)["networks"]["resnet"]
    assert values["median_error_percent"] == {0: 5, 1: 39}
    assert values["largest_jump_points"] == pytest.approx((11 + 0 + 91) / 3)
    assert values["rank_correlation"] == pytest.approx(2 / 3)  # of the second seed none
