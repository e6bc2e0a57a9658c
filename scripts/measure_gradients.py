"""Follow a trained network's gradient back along single paths, and sum it exactly over all paths of each length."""

import argparse
import time
from pathlib import Path

from unravel import checkpoints, config, devices, gradients, records, tables
from unravel.data.batches import random_generator, read_split
from unravel.files import run_command_line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="resolved config of the run")
    parser.add_argument("--data", type=Path, required=True, help="manifest.json of the prepared data")
    parser.add_argument("--network", required=True, help="name of the network in the config")
    parser.add_argument("--checkpoint", type=Path, required=True, help="trained network")
    parser.add_argument("--sampled", type=Path, required=True, help="CSV file to write, one row per sampled path")
    parser.add_argument("--exact", type=Path, required=True, help="CSV file to write, one row per path length")
    parser.add_argument("--record", type=Path, required=True, help="JSON job record to write")
    arguments = parser.parse_args()

    settings = config.read(arguments.config)
    device = devices.set_up(settings.execution)
    with records.job(
        arguments.record,
        inputs=[arguments.data, arguments.checkpoint],
        outputs=[arguments.sampled, arguments.exact],
        settings=settings.gradient_part(),
    ) as facts:
        network, card = checkpoints.load_for_run(
            arguments.checkpoint, config.network(settings, arguments.network), arguments.data
        )
        network.to(device)
        split = read_split(arguments.data, "train", device)
        clock = time.perf_counter()
        sampled, exact = gradients.by_length(network, split, settings.gradients, random_generator(card.seed, 0, 9))
        facts["seconds_measuring"] = round(time.perf_counter() - clock, 2)
        facts["largest_full_error"] = exact.full_error.max()
        for table, path in ((sampled, arguments.sampled), (exact, arguments.exact)):
            table.insert(0, "network", arguments.network)
            table.insert(1, "seed", card.seed)
            tables.write(path, table)


if __name__ == "__main__":
    run_command_line(main)
