"""Check a run's science: its tables, its test images and what training recorded agree. Ends with an error if not."""

import argparse
import sys
from pathlib import Path

from unravel.evidence.checks import checks, failed
from unravel.files import atomic, run_command_line

SIGNS = {True: "passed", False: "FAILED", None: "nothing to compare"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, such as results/demo")
    parser.add_argument("--output", type=Path, required=True, help="text file to write")
    arguments = parser.parse_args()
    found = checks(arguments.run)
    with atomic(arguments.output) as partial:
        lines = [f"{SIGNS[check.passed]}: {check.name}: {check.compared}\n" for check in found]
        partial.write_text("".join(lines), encoding="utf-8")
    if problems := failed(found):
        sys.exit("error: " + "\nerror: ".join(problems))


if __name__ == "__main__":
    run_command_line(main)
