"""Write a run's article: one HTML file that needs no network."""

import argparse
from pathlib import Path

from unravel.article import build
from unravel.files import atomic, run_command_line

SOURCE = Path(__file__).resolve().parents[1] / "report"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, such as results/demo")
    parser.add_argument("--output", type=Path, required=True, help="HTML file to write")
    arguments = parser.parse_args()
    html = build.write(arguments.run, SOURCE)
    with atomic(arguments.output) as partial:
        partial.write_text(html, encoding="utf-8")


if __name__ == "__main__":
    run_command_line(main)
