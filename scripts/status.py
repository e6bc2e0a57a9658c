"""Say of each figure, the claims, each checkpoint and the report whether it is fresh, and if not, why. Runs nothing."""

import argparse
import sys
from pathlib import Path

from unravel.evidence import freshness, seal
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
    sealed = seal.read(run)
    if sealed:
        sealed.require_intact(run)
        sealed.require_same(run, settings)
    checkout = freshness.Checkout(settings, str(arguments.config), sealed.jobs if sealed else ())
    results = freshness.assess(run, records, checkout)
    if settings.whole:  # a run of some of the experiments has no report
        results = [*results, freshness.report(run, records, results, checkout)]
    for result in results:
        show(result)
    kept = sum(result.state == "sealed" for result in results)
    fresh = sum(result.state == "fresh" for result in results)
    print(f"{fresh} of {len(results) - kept} fresh" + (f", {kept} sealed" if kept else ""))
    sys.exit(0 if all(result.settled for result in results) else 1)


def show(result: Freshness) -> None:
    """One line: state, name, first reasons and the command that mends it."""
    line = f"{result.state:14}  {result.name}"
    if result.reasons:
        more = f" (and {len(result.reasons) - 2} more)" if len(result.reasons) > 2 else ""
        line += f"  {'; '.join(result.reasons[:2])}{more}  ->  {result.command}"
    print(line)


if __name__ == "__main__":
    run_command_line(main)
