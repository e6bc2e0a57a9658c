"""Counting and listing paths (paper, sections 3, 5 and 6): closed forms in exact integers, without any network."""

import math
from fractions import Fraction


def counts_by_length(blocks: int) -> list[int]:
    """Number of paths of each length 0 to n: the binomial coefficients (paper, section 5, Figure 6a)."""
    return [math.comb(blocks, length) for length in range(blocks + 1)]


def fraction_left(blocks: int, deleted: int) -> list[Fraction]:
    """Share of the paths of each length 0 to n that deleting `deleted` blocks leaves (paper, Eq. 8, Figure 7)."""
    return [Fraction(math.comb(blocks - deleted, x), math.comb(blocks, x)) for x in range(blocks + 1)]


def every_path(blocks: int) -> list[tuple[int, ...]]:
    """Every path through n residual blocks, as the numbers 1 to n of the branches it passes (paper, Eq. 4 to 6).

    Each block doubles the paths, since y_i = y_(i-1) + f_i(y_(i-1)): first those that skip it, then those that pass it.
    """
    paths: list[tuple[int, ...]] = [()]
    for block in range(1, blocks + 1):
        paths += [(*path, block) for path in paths]
    return paths
