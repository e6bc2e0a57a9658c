"""List every path through a small network, and which of them deleting blocks leaves (paper, Figures 1 and 2)."""

from collections.abc import Collection

import pandas as pd

from unravel.engine.combinatorics import every_path


def measure(network: str, blocks: int, deleted: Collection[int]) -> dict[str, pd.DataFrame]:
    """The paths of a "residual" network, or of a "plain" one, which has a single path through all of its layers.

    Columns: network, deleted and path (a bit for each block), branches (names of those passed), length, left.
    """
    numbers = range(1, blocks + 1)
    paths = every_path(blocks) if network == "residual" else [tuple(numbers)]
    table = pd.DataFrame(
        {
            "network": network,
            "deleted": _as_bits(deleted, numbers),
            "path": [_as_bits(path, numbers) for path in paths],
            "branches": [" ".join(f"f{block}" for block in path) or "none" for path in paths],
            "length": [len(path) for path in paths],
            "left": [not set(path) & set(deleted) for path in paths],
        }
    )
    return {"": table}


def _as_bits(chosen: Collection[int], blocks: range) -> str:
    return "".join("1" if block in chosen else "0" for block in blocks)
