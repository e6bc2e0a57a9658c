"""Check what a call of make was given, before a shell or Snakemake sees it, and print the name of the run."""

import argparse
from pathlib import Path

from unravel.files import InputError, cut, run_command_line
from unravel.run import read_config, require_made, require_name
from unravel.studies import FIGURES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="config of the run; read unless --run names one")
    parser.add_argument("--run", help="name of a run that there must be; that of --config if empty")
    parser.add_argument("--figure", help="number of a figure")
    arguments = parser.parse_args()
    if arguments.figure is not None:
        require_figure(arguments.figure)
    name = require_name(arguments.run) if arguments.run else run_of(arguments.config)
    if arguments.run is not None:
        require_made(Path("results") / name)
    print(name)


def require_figure(number: str) -> None:
    """Raises InputError if there is no figure of that number."""
    known = {figure.number: f"{figure.label}. {figure.title}" for _, figure in FIGURES.values()}
    if number not in known:
        said = f"FIG={cut(ascii(number))}: no such figure" if number else "FIG says which figure"
        lines = [f"  FIG={number:<9} {title}" for number, title in known.items()]
        raise InputError("\n".join([f"{said}; expected one of", *lines]))


def run_of(config: Path) -> str:
    """The name of the run in a config. Raises InputError if it is no config, or lies in the folder of another run."""
    run = read_config(config).run
    if (
        config.name == "config.yaml"
        and config.absolute().parent.parent.name == "results"
        and config.absolute().parent.name != run
    ):
        raise InputError(f"{config}: is the config of run {run}; give the folder that name, or correct the key")
    return run


if __name__ == "__main__":
    run_command_line(main)
