"""Estimate what a run costs before it is run: jobs, hours of CPU or GPU, and disk. Runs nothing."""

import argparse
from pathlib import Path

from unravel.cluster import cost
from unravel.files import run_command_line
from unravel.run import Config, read_config
from unravel.studies import FIGURES, MEASURED

DEVICES = ("cpu", "gpu")
ONCE = 6  # the data, the claims, the report, its provenance, its crate and its checks


def short_jobs(config: Config) -> int:
    """How many jobs take seconds: figures, lists that need no trained network, and what a run has once."""
    drawn = [figure for _, figure in FIGURES.values() if figure.shows(config) is not None]
    listed = {
        (key, network)
        for figure in drawn
        for key in figure.inputs
        if key in MEASURED and not MEASURED[key].measurement.trained  # type: ignore[union-attr]
        for network in figure.shows(config) or ()
    }
    return ONCE + len(drawn) + len(listed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the config of the run")
    settings = read_config(parser.parse_args().config)
    print("\n".join(page(cost.Costs(settings))))


def page(costs: cost.Costs) -> list[str]:
    """The estimate as lines: a table of stages, then what the numbers rest on."""
    by_device = {device: costs.stages(device) for device in DEVICES}
    lines = [
        f"An estimate for results/{costs.config.run}; nothing was run.",
        "",
        f"{'stage':30}{'jobs':>6}{'core hours':>14}{'or GPU hours':>14}",
    ]
    for stage, (n_jobs, hours) in by_device["cpu"].items():
        lines.append(f"{stage:30}{n_jobs:6}{hours:14.2f}{by_device['gpu'][stage][1]:14.2f}")
    totals = [sum(hours for _, hours in by_device[device].values()) for device in DEVICES]
    n_jobs = sum(n_jobs for n_jobs, _ in by_device["cpu"].values())
    chains = [costs.longest_chain(device) for device in DEVICES]
    lines += [
        f"{'all of these':30}{n_jobs:6}{totals[0]:14.2f}{totals[1]:14.2f}",
        f"{'the longest chain':30}{'':6}{chains[0]:14.2f}{chains[1]:14.2f}",
        "",
        f"With data, figures, claims and report {short_jobs(costs.config)} short jobs more, of seconds each.",
        f"Disk: about {costs.disk_mb():.0f} MB, and the downloads.",
        "",
        "Rates, in billions of operations per second (a multiply-add is two):",
    ]
    for (rule, device), rate in sorted(costs.rates.items()):
        lines.append(f"  {rule:12}{device:4}{rate.gflops:10.1f}  {rate.source}")
    return lines


if __name__ == "__main__":
    run_command_line(main)
