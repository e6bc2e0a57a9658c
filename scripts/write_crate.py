"""Make a run's folder an RO-Crate: a copy of the code, and ro-crate-metadata.json, a view of provenance.json."""

import argparse
import shutil
from pathlib import Path

from unravel.evidence import crate, provenance
from unravel.files import atomic, run_command_line
from unravel.place import REPOSITORY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, such as results/demo")
    parser.add_argument("--provenance", type=Path, required=True, help="the run's provenance.json")
    parser.add_argument("--code", type=Path, required=True, help="folder for the copy of the code, made anew")
    parser.add_argument("--output", type=Path, required=True, help="ro-crate-metadata.json to write")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.code, ignore_errors=True)
    crate.copy_code(REPOSITORY, arguments.code)
    text = crate.describe(arguments.run, provenance.read(arguments.provenance))
    with atomic(arguments.output) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_command_line(main)
