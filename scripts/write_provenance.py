"""Write a run's provenance.json: jobs, files with SHA-256, figures and claims, and how they hang together."""

import argparse
from pathlib import Path

from unravel.evidence import provenance
from unravel.files import atomic, run_command_line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, such as results/demo")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args()
    text = provenance.to_json(provenance.build(arguments.run))
    with atomic(arguments.output) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_command_line(main)
