"""Delete every block of a trained network in turn and measure the test error (paper, section 4.1, Figure 3)."""

import argparse
import time
from pathlib import Path

from unravel import checkpoints, config, devices, lesions, records, tables
from unravel.data.batches import read_split
from unravel.files import run_command_line
from unravel.networks import for_inference


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
        settings=settings.evaluation_part(),
    ) as facts:
        network, card = checkpoints.load_for_run(
            arguments.checkpoint, config.network(settings, arguments.network), arguments.data
        )
        fast = for_inference(network, settings.evaluation.precision, device)
        split = read_split(arguments.data, "test", device)
        clock = time.perf_counter()
        table, sweep = lesions.single_deletions(fast, split, card.classes, settings.evaluation.batch_size)
        seconds = time.perf_counter() - clock
        table.insert(0, "network", arguments.network)
        table.insert(1, "seed", card.seed)
        tables.write(arguments.output, table)
        facts |= {
            "block_evaluations": sweep.block_evaluations,
            "naive_block_evaluations": sweep.naive_block_evaluations,
            "images_per_second": round(sweep.images / seconds, 1),
        }


if __name__ == "__main__":
    run_command_line(main)
