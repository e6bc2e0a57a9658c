"""Numbers of the paper's 54 blocks in proportion to networks of other depths."""

from fractions import Fraction

from unravel.studies.paper import in_proportion


def test_a_number_of_the_papers_blocks_stays_what_it_is():
    assert [in_proportion(number, 54) for number in range(1, 55)] == list(range(1, 55))


def test_a_number_in_proportion_is_the_nearest_whole_one_and_at_least_one():
    for blocks in range(1, 120):
        for number in range(1, 55):
            found, exact = in_proportion(number, blocks), Fraction(number * blocks, 54)
            assert found >= 1
            assert abs(found - exact) <= Fraction(1, 2) or (found == 1 and exact < Fraction(1, 2))
