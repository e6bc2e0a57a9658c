"""Measure one study: on a trained network, or, where a study needs none, by its settings alone."""

import argparse
import importlib
from pathlib import Path

import pandas as pd

from unravel import tables
from unravel.evidence import records
from unravel.files import run_command_line
from unravel.run import Config, read_config
from unravel.studies import MEASURED
from unravel.studies.base import Study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", choices=sorted(MEASURED), required=True, help="its settings are in the config")
    parser.add_argument("--config", type=Path, required=True, help="resolved config of the run")
    parser.add_argument("--network", required=True, help="name of the network in the config, or of the study's case")
    parser.add_argument("--data", type=Path, help="manifest.json of the prepared data")
    parser.add_argument("--checkpoint", type=Path, help="trained network")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="CSV files to write, one for each table")
    parser.add_argument("--record", type=Path, required=True, help="JSON job record to write")
    arguments = parser.parse_args()

    config, study = read_config(arguments.config), MEASURED[arguments.study]
    measurement = study.measurement
    assert measurement is not None
    decides = measurement.decides(config, arguments.network)
    with records.job(
        arguments.record,
        inputs=[path for path in (arguments.data, arguments.checkpoint) if path],
        outputs=arguments.outputs,
        settings=decides,
    ) as facts:
        if measurement.trained:
            made = measure_trained(config, study, arguments, facts)
        else:
            made = importlib.import_module(study.module("measure")).measure(**decides)
        for path, ending in zip(arguments.outputs, measurement.tables, strict=True):
            tables.write(path, made[ending])


def measure_trained(
    config: Config,
    study: Study,
    arguments: argparse.Namespace,
    facts: dict[str, object],
) -> dict[str, pd.DataFrame]:
    """The tables of a study of a trained network, each row with the network's name and its seed."""
    # Here, since a study without a network runs where there is no torch.
    from unravel.data.batches import read_split
    from unravel.engine.sweeps import Images
    from unravel.studies.measuring import measured
    from unravel.training import checkpoints, devices

    device = devices.set_up(config.execution)
    network, card = checkpoints.load_for_run(arguments.checkpoint, config.network(arguments.network), arguments.data)
    images = Images(
        split=lambda name: read_split(arguments.data, name, device),
        classes=card.classes,
        evaluation=config.evaluation,
        training=card.training,
    )
    settings = None if study.settings is None else config.section(study.key)
    made, known = measured(study, settings, network.to(device), images, arguments.network, card.seed)
    facts |= known
    return made


if __name__ == "__main__":
    run_command_line(main)
