"""Check a run: recorded files, claims recomputed from measurements, provenance, RO-Crate and science. Runs no job."""

import argparse
import sys
from pathlib import Path

from unravel.evidence.verification import absent, verify
from unravel.files import run_command_line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, such as results/demo")
    arguments = parser.parse_args()
    found = verify(arguments.run)
    for check, problems in found.items():
        print(f"{'wrong' if problems else 'ok':7} {check}")
        for problem in problems:
            print(f"        {problem}")
    for line in absent(arguments.run):
        print(f"absent  {line}")
    sys.exit(1 if any(found.values()) else 0)


if __name__ == "__main__":
    run_command_line(main)
