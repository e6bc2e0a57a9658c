"""Say of each figure, the claims, each checkpoint and the report whether it is fresh, and if not, why. Runs nothing."""

import argparse
import sys
from pathlib import Path

from unravel.evidence import freshness
from unravel.evidence.freshness import Freshness
from unravel.evidence.lineage import read_records
from unravel.files import run_command_line
from unravel.run import read_config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the config to hold the run against")
    arguments = parser.parse_args()
    settings = read_config(arguments.config)
    run = Path("results") / settings.run
    records = read_records(run / "jobs")
    checkout = freshness.Checkout(settings, str(arguments.config))
    results = freshness.assess(run, records, checkout)
    if settings.whole:  # a run of some of the experiments has no report
        results = [*results, freshness.report(run, records, results, checkout)]
    for result in results:
        show(result)
    fresh = sum(result.state == "fresh" for result in results)
    print(f"{fresh} of {len(results)} fresh")
    sys.exit(0 if fresh == len(results) else 1)


def show(result: Freshness) -> None:
    """One line: state, name, first reasons and the command that mends it."""
    line = f"{result.state:14}  {result.name}"
    if result.reasons:
        more = f" (and {len(result.reasons) - 2} more)" if len(result.reasons) > 2 else ""
        line += f"  {'; '.join(result.reasons[:2])}{more}  ->  {result.command}"
    print(line)


if __name__ == "__main__":
    run_command_line(main)
