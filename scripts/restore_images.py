"""Prepare the images that a sealed run's manifest describes again, beside it."""

import argparse
from pathlib import Path

from unravel.data import preparation
from unravel.files import run_command_line
from unravel.run import read_config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the run's config.yaml")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest.json of the prepared data")
    arguments = parser.parse_args()
    preparation.restore(read_config(arguments.config).dataset, arguments.manifest)


if __name__ == "__main__":
    run_command_line(main)
