"""Cut blocks out of a trained network, or swap them, and measure the test error (paper, sections 4.1 to 4.3)."""

import argparse
from pathlib import Path
from typing import get_args

from unravel import checkpoints, config, devices, lesions, records, tables
from unravel.data.batches import read_split
from unravel.files import run_command_line
from unravel.networks import for_inference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--experiment", choices=get_args(config.Experiment), required=True, help="which lesions, set in the config"
    )
    parser.add_argument("--config", type=Path, required=True, help="resolved config of the run")
    parser.add_argument("--data", type=Path, required=True, help="manifest.json of the prepared data")
    parser.add_argument("--network", required=True, help="name of the network in the config")
    parser.add_argument("--checkpoint", type=Path, required=True, help="trained network")
    parser.add_argument("--output", type=Path, required=True, help="CSV file to write")
    parser.add_argument("--record", type=Path, required=True, help="JSON job record to write")
    arguments = parser.parse_args()

    settings = config.read(arguments.config)
    device = devices.set_up(settings.execution)
    with records.job(
        arguments.record,
        inputs=[arguments.data, arguments.checkpoint],
        outputs=[arguments.output],
        settings=settings.lesion_part(arguments.experiment),
    ) as facts:
        network, card = checkpoints.load_for_run(
            arguments.checkpoint, config.network(settings, arguments.network), arguments.data
        )
        fast = for_inference(network, settings.evaluation.precision, device)
        table, done = lesions.measure(
            fast,
            read_split(arguments.data, "test", device),
            card.classes,
            getattr(settings, arguments.experiment),
            settings.evaluation.batch_size,
            name=arguments.network,
            seed=card.seed,
        )
        tables.write(arguments.output, table)
        facts |= done


if __name__ == "__main__":
    run_command_line(main)
