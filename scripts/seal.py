"""Verify a finished run, then seal it: its data's manifest, checkpoints and measurements are not made again."""

import argparse
from pathlib import Path

from unravel.evidence import seal
from unravel.evidence.verification import verify
from unravel.files import InputError, atomic, run_command_line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, such as results/demo")
    arguments = parser.parse_args()
    if problems := [problem for found in verify(arguments.run).values() for problem in found]:
        raise InputError(f"{problems[0]}; not sealed: to see all that is wrong, run make verify")
    made = seal.make(arguments.run)
    path = arguments.run / seal.NAME
    with atomic(path) as partial:
        partial.write_text(made.model_dump_json(indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {len(made.files)} files sealed; make reference RUN={arguments.run.name} says so in the report")


if __name__ == "__main__":
    run_command_line(main)
