"""Figure 7 of the paper: which share of the paths of each length is left after deleting blocks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.ticker import MaxNLocator

from unravel import tables
from unravel.engine.combinatorics import fraction_left
from unravel.studies import paper, style
from unravel.studies.paths_left import TABLE

COLUMNS = TABLE.only("deleted_blocks", "length", "fraction_left")
PAPERS = (1, 10, 20)  # blocks deleted in the paper's Figure 7, of its 54
LINES = (("#0072B2", "-"), ("#D55E00", (0, (4, 1.5))), ("#009E73", (0, (1, 1))), ("#CC79A7", (0, (4, 1, 1, 1))))


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw one measurements/paths table and, beside it, the paper's network where the table is of another depth."""
    table = tables.read(inputs, COLUMNS)
    table = table[table.deleted_blocks > 0].assign(blocks=table.length.max())
    values = summary(table)
    if values["blocks"] != paper.BLOCKS:
        table = pd.concat([papers_network(), table], ignore_index=True)
    depths = table.blocks.unique()
    looks = dict(zip(sorted(table.deleted_blocks.unique()), LINES, strict=False))
    with style.side_by_side(len(depths), height=2.8) as (figure, panels):
        for panel, letter, blocks in zip(panels, "AB", depths, strict=False):
            for deleted, rows in table[table.blocks == blocks].groupby("deleted_blocks"):
                colour, dash = looks[deleted]
                panel.plot(rows.length, rows.fraction_left, color=colour, linestyle=dash, label=f"{deleted} deleted")
            whose = "the paper's" if blocks == paper.BLOCKS else "this run's"
            style.panel_title(panel, letter, f"{blocks} blocks, {whose} network")
            panel.set_xlabel("path length")
            panel.set_ylabel("share of paths left")
            panel.set_ylim(0, 1.02)
            panel.set_xlim(0, blocks)
            panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            panel.legend(loc="upper right")
        style.note_run(figure, scale)
        return style.Drawing(figure, table[["blocks", *COLUMNS]], values)


def papers_network() -> pd.DataFrame:
    """The rows of a measurements/paths table for the paper's network and the deletions of its Figure 7 (Equation 8)."""
    rows = [
        (paper.BLOCKS, deleted, length, float(left))
        for deleted in PAPERS
        for length, left in enumerate(fraction_left(paper.BLOCKS, deleted))
    ]
    return pd.DataFrame(rows, columns=["blocks", *COLUMNS])


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
