"""Count a network's paths by length, and the share of them that deletions leave, in closed form (paper, Eq. 8)."""

import argparse
from pathlib import Path

import pandas as pd

from unravel import records, tables
from unravel.combinatorics import counts_by_length, fraction_left
from unravel.files import run_command_line

DELETED = (0, 1, 10, 20)  # the paper's Figure 7 shows 1, 10 and 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, required=True, help="residual blocks of the network")
    parser.add_argument("--output", type=Path, required=True, help="CSV file to write")
    parser.add_argument("--record", type=Path, required=True, help="JSON job record to write")
    arguments = parser.parse_args()
    with records.job(arguments.record, inputs=[], outputs=[arguments.output], settings={"blocks": arguments.blocks}):
        rows = [
            (deleted, length, count, float(left))
            for deleted in DELETED
            if deleted <= arguments.blocks
            for length, (count, left) in enumerate(
                zip(counts_by_length(arguments.blocks), fraction_left(arguments.blocks, deleted), strict=True)
            )
        ]
        tables.write(
            arguments.output, pd.DataFrame(rows, columns=["deleted_blocks", "length", "paths", "fraction_left"])
        )


if __name__ == "__main__":
    run_command_line(main)
