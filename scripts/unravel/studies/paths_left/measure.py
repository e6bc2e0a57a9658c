"""Count paths, in closed form."""

import pandas as pd

from unravel.engine.combinatorics import counts_by_length, fraction_left

DELETED = (0, 1, 10, 20)  # the paper's Figure 7 shows 1, 10 and 20


def measure(blocks: int) -> dict[str, pd.DataFrame]:
    """Columns: deleted_blocks, length, paths (of the whole network), fraction_left (paper, Eq. 8)."""
    rows = [
        (deleted, length, count, float(left))
        for deleted in DELETED
        if deleted <= blocks
        for length, (count, left) in enumerate(
            zip(counts_by_length(blocks), fraction_left(blocks, deleted), strict=True)
        )
    ]
    return {"": pd.DataFrame(rows, columns=["deleted_blocks", "length", "paths", "fraction_left"])}
