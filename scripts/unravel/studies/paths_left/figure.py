"""Figure 7 of the paper: which share of the paths of each length is left after deleting blocks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from unravel import tables
from unravel.studies import paper, style
from unravel.studies.paths_left import TABLE

COLUMNS = TABLE.only("deleted_blocks", "length", "fraction_left")
LINES = (("#0072B2", "-"), ("#D55E00", (0, (4, 1.5))), ("#009E73", (0, (1, 1))), ("#CC79A7", (0, (4, 1, 1, 1))))


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw one measurements/paths table."""
    table = tables.read(inputs, COLUMNS)
    table = table[table.deleted_blocks > 0]
    with style.axes(height=2.8) as (figure, panel):
        for (deleted, rows), (colour, dash) in zip(table.groupby("deleted_blocks"), LINES, strict=False):
            panel.plot(rows.length, rows.fraction_left, color=colour, linestyle=dash, label=f"{deleted} deleted")
        panel.set_xlabel("path length")
        panel.set_ylabel("share of paths left")
        panel.set_ylim(0, 1.02)
        panel.set_xlim(0, table.length.max())
        figure.legend(loc="outside upper center", ncols=4)
        style.note_run(figure, scale)
        return style.Drawing(figure, table, summary(table))


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """With most blocks deleted, the share left of the paths of a typical length of section 5, and of a middle one."""
    blocks, deleted = int(table.length.max()), sorted(table.deleted_blocks.unique().tolist())
    left = 100 * table[table.deleted_blocks == deleted[-1]].set_index("length").fraction_left
    short, middle = paper.in_proportion(paper.TYPICAL_LENGTH, blocks), blocks // 2
    return {
        "blocks": blocks,
        "deleted": deleted,
        "short": {"length": short, "percent_left": float(left[short])},
        "middle": {"length": middle, "percent_left": float(left[middle])},
    }
