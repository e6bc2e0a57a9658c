"""Write down what a trained network says of each test image, with and without scaled residual branches."""

import argparse
from pathlib import Path

from unravel import checkpoints, config, devices, predictions, records, tables
from unravel.data.batches import random_generator, read_split
from unravel.files import run_command_line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
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
        settings=settings.prediction_part(),
    ):
        network, card = checkpoints.load_for_run(
            arguments.checkpoint, config.network(settings, arguments.network), arguments.data
        )
        train, test = (read_split(arguments.data, split, device) for split in ("train", "test"))
        table = predictions.by_convention(
            network,
            train,
            test,
            settings.evaluation.batch_size,
            settings.evaluation.precision,
            random_generator(card.seed, 0, 10),
        )
        table.insert(0, "network", arguments.network)
        table.insert(1, "seed", card.seed)
        tables.write(arguments.output, table)


if __name__ == "__main__":
    run_command_line(main)
