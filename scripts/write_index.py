"""Write one offline page on all finished runs: what each is, and their verdicts side by side."""

import argparse
from pathlib import Path

from unravel.article import overview
from unravel.files import atomic, run_command_line
from unravel.place import REPOSITORY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="the folder that holds the runs' folders")
    parser.add_argument(
        "--output", type=Path, required=True, help="HTML file to write; its links lead from there to the runs"
    )
    arguments = parser.parse_args()
    page = overview.write(arguments.results, REPOSITORY / "report", arguments.output.parent)
    with atomic(arguments.output) as partial:
        partial.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run_command_line(main)
