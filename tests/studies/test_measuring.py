"""Measuring a study: its rows say what they are of, and its draws are those of the study and the seed alone."""

from dataclasses import replace

import pytest

from unravel.studies import STUDIES
from unravel.studies.measuring import measured
from unravel.studies.random_deletion.settings import RandomDeletions

STUDY = STUDIES["random_deletion"]


@pytest.fixture
def measure(make_network, make_split, make_images):
    """The table of random deletions, for a seed, and for a study like it with another key of its draws."""

    def measure(seed, key=None):
        study = STUDY if key is None else replace(STUDY, measurement=replace(STUDY.measurement, random_key=key))
        images = make_images(test=make_split(n=4))
        tables, _ = measured(study, RandomDeletions(most=4, draws=20), make_network(), images, "mine", seed)
        return tables[""]

    return measure


def test_each_row_says_which_network_and_seed_it_is_of(measure):
    table = measure(seed=3)
    assert table.columns[:2].tolist() == ["network", "seed"]
    assert (set(table.network), set(table.seed)) == ({"mine"}, {3})
    assert set(STUDY.measurement.tables[""].columns) <= set(table.columns)


def test_draws_depend_on_the_seed_and_on_the_study(measure):
    drawn = measure(seed=3).deleted_positions.tolist()
    assert measure(seed=3).deleted_positions.tolist() == drawn
    assert measure(seed=4).deleted_positions.tolist() != drawn
    assert measure(seed=3, key=77).deleted_positions.tolist() != drawn
