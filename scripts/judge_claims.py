"""Decide the paper's claims from a run's measurements, by the criteria in the studies' claims.yaml."""

import argparse
import json
from pathlib import Path

from unravel.evidence import claims, records
from unravel.files import atomic, run_command_line
from unravel.run import read_config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="resolved config of the run")
    parser.add_argument("--claims", type=Path, nargs="+", required=True, help="the claims files, in their order")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, such as results/demo")
    parser.add_argument("--inputs", type=Path, nargs="+", required=True, help="the tables the claims rest on")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--record", type=Path, required=True, help="JSON job record to write")
    arguments = parser.parse_args()

    config = read_config(arguments.config)
    inputs = [*arguments.claims, *arguments.inputs]
    with records.job(arguments.record, inputs=inputs, outputs=[arguments.output], settings=config.claims_part()):
        evidence = claims.evidence_of(arguments.run, config)
        stated = [claim for path in arguments.claims for claim in claims.read(path)]
        verdicts = claims.judge(stated, evidence)
        with atomic(arguments.output) as partial:
            partial.write_text(json.dumps(verdicts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command_line(main)
