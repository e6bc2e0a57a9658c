"""Compare two runs on one offline page: config differences, test errors, verdicts and figures side by side."""

import argparse
from pathlib import Path

from unravel.article import comparison
from unravel.evidence.records import REPOSITORY
from unravel.files import atomic, run_command_line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("one", type=Path, help="folder of a run, such as results/demo")
    parser.add_argument("other", type=Path, help="folder of the run to hold against it")
    parser.add_argument("--output", type=Path, required=True, help="HTML file to write")
    arguments = parser.parse_args()
    page = comparison.write(arguments.one, arguments.other, REPOSITORY / "report")
    with atomic(arguments.output) as partial:
        partial.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run_command_line(main)
