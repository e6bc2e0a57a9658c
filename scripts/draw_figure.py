"""Draw one figure from its measurement tables, as svg, pdf, png, with its table (csv) and caption values (json)."""

import argparse
import importlib
from functools import partial
from pathlib import Path

from unravel.evidence import records
from unravel.files import run_command_line
from unravel.resolved import run_of
from unravel.run import read_config
from unravel.studies import style
from unravel.studies.expected import require


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--module", type=Path, required=True, help="a study's figure.py in scripts/unravel/studies/")
    parser.add_argument("--scale", choices=list(style.RUN_NOTES), required=True, help="the kind of run it shows")
    parser.add_argument("--inputs", type=Path, nargs="+", required=True, help="tables, or the data's manifest")
    parser.add_argument(
        "--output", type=Path, required=True, help="svg file; pdf, png, csv, json and a narrow svg go beside it"
    )
    parser.add_argument("--record", type=Path, required=True, help="JSON job record to write")
    parser.add_argument("--config", type=Path, help="the run's config.yaml, which says what its tables must hold")
    arguments = parser.parse_args()

    figure_module = importlib.import_module(f"unravel.studies.{arguments.module.parent.name}.figure")
    outputs = [arguments.output.with_suffix(suffix) for suffix in style.SUFFIXES]
    with records.job(
        arguments.record,
        inputs=[arguments.module, *arguments.inputs],
        outputs=outputs,
        settings={"scale": arguments.scale},
    ):
        if arguments.config:
            require(arguments.inputs, run_of(arguments.config), read_config(arguments.config))
        style.save(partial(figure_module.draw, arguments.inputs, arguments.scale), arguments.output)


if __name__ == "__main__":
    run_command_line(main)
