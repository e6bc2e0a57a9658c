"""List every path through a small network, and which of them deleting blocks leaves (paper, Figures 1 and 2)."""

import argparse
from pathlib import Path

import pandas as pd

from unravel import records, tables
from unravel.combinatorics import every_path
from unravel.files import InputError, run_command_line

MOST_BLOCKS = 16  # each block more doubles the table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=("residual", "plain"), required=True, help="with or without skips")
    parser.add_argument("--blocks", type=int, required=True, help="blocks, or layers of the plain network")
    parser.add_argument("--deleted", type=int, nargs="*", default=[], help="the blocks to delete, counted from 1")
    parser.add_argument("--output", type=Path, required=True, help="CSV file to write")
    parser.add_argument("--record", type=Path, required=True, help="JSON job record to write")
    arguments = parser.parse_args()

    blocks = range(1, arguments.blocks + 1)
    if not 1 <= arguments.blocks <= MOST_BLOCKS:
        raise InputError(f"--blocks {arguments.blocks}: paths double with each block; choose 1 to {MOST_BLOCKS} blocks")
    for block in arguments.deleted:
        if block not in blocks:
            raise InputError(f"--deleted {block}: there is no such block; choose from 1 to {arguments.blocks}")

    settings = {name: getattr(arguments, name) for name in ("network", "blocks", "deleted")}
    with records.job(arguments.record, inputs=[], outputs=[arguments.output], settings=settings):
        paths = every_path(arguments.blocks) if arguments.network == "residual" else [tuple(blocks)]
        table = pd.DataFrame(
            {
                "network": arguments.network,
                "deleted": _as_bits(arguments.deleted, blocks),
                "path": [_as_bits(path, blocks) for path in paths],
                "branches": [" ".join(f"f{block}" for block in path) or "none" for path in paths],
                "length": [len(path) for path in paths],
                "left": [not set(path) & set(arguments.deleted) for path in paths],
            }
        )
        tables.write(arguments.output, table)


def _as_bits(chosen: tuple[int, ...] | list[int], blocks: range) -> str:
    return "".join("1" if block in chosen else "0" for block in blocks)


if __name__ == "__main__":
    run_command_line(main)
