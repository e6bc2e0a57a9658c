"""When a highway network with gates of one half is a residual network, shown on a small one."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from unravel.studies.deciding import Evidence, Statistic, Values

Branch = Callable[[np.ndarray], np.ndarray]


def half_gate_values(evidence: Evidence, network: str) -> Iterator[Values]:
    """Difference of both kinds of network, with branches that scale with their input and with others that do not."""
    random = np.random.default_rng(0)
    matrices, start = random.normal(size=(8, 4, 4)) / 2, random.normal(size=4)
    linear = [partial(np.matmul, matrix) for matrix in matrices]
    normalised = [partial(_normalised_product, matrix) for matrix in matrices]
    yield {
        "linear_difference": half_gate_difference(linear, start),
        "normalised_difference": half_gate_difference(normalised, start),
    }


def _normalised_product(matrix: np.ndarray, x: np.ndarray) -> np.ndarray:
    product: np.ndarray = matrix @ (x / np.linalg.norm(x))
    return product


def half_gate_difference(branches: Sequence[Branch], start: np.ndarray) -> float:
    """Relative difference between 2^n times a highway network with gates of one half and the residual network.

    A highway block is t f(x) + (1 - t) x (paper, section 2); with t = 1/2 it halves what a residual block adds up.
    """
    highway = residual = start
    for branch in branches:
        highway = (branch(highway) + highway) / 2
        residual = branch(residual) + residual
    return float(np.linalg.norm(2 ** len(branches) * highway - residual) / np.linalg.norm(residual))


STATISTICS = {"half_gates": Statistic(half_gate_values, interval=False)}
