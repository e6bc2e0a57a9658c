"""Train one network with one seed; a training that was interrupted goes on where its last saved state is."""

import argparse
import os
import signal
import statistics
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
import torch
from tqdm import tqdm

from unravel import tables
from unravel.config import AllBlocks, ResNet, flat
from unravel.data.batches import random_generator, read_split
from unravel.data.preparation import read_manifest
from unravel.evidence import records
from unravel.files import run_command_line
from unravel.networks import build, initialise
from unravel.run import Config, read_config
from unravel.training import checkpoints, devices, distributed, loop, states
from unravel.training.distributed import Group
from unravel.training.profiling import profiled


def main() -> None:
    arguments = parse()
    settings = read_config(arguments.config)
    if settings.execution.members > 1 and not distributed.started():
        distributed.launch(settings.execution.processes, settings.execution.nodes)
        return
    device = devices.set_up(settings.execution)
    with distributed.joined(device, settings.training.parts) as group:
        train(arguments, settings, device, group)


def train(arguments: argparse.Namespace, settings: Config, device: torch.device, group: Group) -> None:
    """Train, and, as the first process, write what came out."""
    network_settings = settings.network(arguments.network)
    devices.require_precision(device, settings.training.precision)
    manifest = read_manifest(arguments.data)
    recipe = settings.training_of(arguments.network)
    part = settings.training_part(arguments.network)
    saving = states.Saving(
        path=arguments.checkpoint.with_suffix(".resume.safetensors"),
        every=settings.execution.checkpoint_every,
        fingerprint={
            **flat(part),
            "seed": arguments.seed,
            "data": manifest.identity,
            "torch": torch.__version__,
        },
    )
    record: AbstractContextManager[dict[str, Any]] = nullcontext({})
    if group.first:
        record = records.job(
            arguments.record,
            inputs=[arguments.data],
            outputs=[arguments.checkpoint, arguments.history],
            settings=part,
            seed=arguments.seed,
        )
    with record as facts:
        network = build(network_settings, manifest.image_shape, len(manifest.classes))
        initialise(network, random_generator(arguments.seed, 0))
        stopping = asked_to_end()
        with (
            progress(recipe.epochs, silent=not group.first) as told,
            devices.memory_limit(recipe.batch_size),
            profiled(arguments.profile if group.first else None) as next_step,
        ):
            history = loop.train(
                network.to(device),
                read_split(arguments.data, "train", device, settings.execution.workers),
                read_split(arguments.data, "test", device, settings.execution.workers),
                recipe,
                network_settings.block_sampling if isinstance(network_settings, ResNet) else AllBlocks(scheme="all"),
                arguments.seed,
                saving,
                report=told,
                before_step=next_step,
                stop=stopping.is_set,
                group=group,
            )
        if not group.first:
            return
        tables.write(arguments.history, pd.DataFrame([asdict(epoch) for epoch in history]))
        card = checkpoints.Card(
            name=arguments.network,
            network=network_settings,
            training=recipe,
            image_shape=manifest.image_shape,
            classes=len(manifest.classes),
            dataset_sha256=manifest.identity,
            seed=arguments.seed,
            epochs=len(history),
            test_error_percent=history[-1].test_error_percent,
            torch=torch.__version__,
            commit=records.code_version()["commit"],
        )
        checkpoints.save(arguments.checkpoint, network, card)
        facts |= {
            "epochs_here": len(told.rates),
            "images_per_second": round(statistics.median(told.rates)) if told.rates else None,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "test_error_percent": card.test_error_percent,
        }
    saving.forget()


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="resolved config of the run")
    parser.add_argument("--data", type=Path, required=True, help="manifest.json of the prepared data")
    parser.add_argument("--network", required=True, help="name of the network in the config")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--history", type=Path, required=True, help="CSV file to write, one row per epoch")
    parser.add_argument("--record", type=Path, required=True, help="JSON job record to write")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="write where a few steps spend their time there")
    return parser.parse_args()


def asked_to_end() -> threading.Event:
    """Set by a time limit, a preemption or Ctrl-C: the training then saves its state before it ends."""
    stopping = threading.Event()
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: stopping.set())
    return stopping


class Progress:
    """Tells each epoch: with a bar on a terminal, with one plain line in a log. Keeps the images per second."""

    def __init__(self, epochs: int, bar: "tqdm[NoReturn]", silent: bool) -> None:
        self.epochs, self.bar, self.silent = epochs, bar, silent
        self.rates: list[float] = []

    def __call__(self, epoch: states.Epoch, images_per_second: float) -> None:
        self.rates.append(images_per_second)
        line = f"loss {epoch.train_loss:.4f}, test error {epoch.test_error_percent:.2f}%"
        if self.bar.disable and not self.silent:
            done = f"epoch {epoch.epoch} of {self.epochs}"
            print(f"{done}: {line}, {images_per_second:.0f} images/s", file=sys.stderr, flush=True)
        self.bar.set_postfix_str(line)
        self.bar.update(epoch.epoch - self.bar.n)  # a resumed training starts the bar where it stood


@contextmanager
def progress(epochs: int, silent: bool) -> Iterator[Progress]:
    """A Progress whose bar is closed at the end; a silent one tells nothing."""
    with tqdm(total=epochs, unit="epoch", disable=silent or not sys.stderr.isatty()) as bar:
        yield Progress(epochs, bar, silent)


if __name__ == "__main__":
    try:
        distributed.run_member(main) if distributed.started() else run_command_line(main)
    except loop.Stopped as stopped:
        if os.environ.get("RANK", "0") != "0":
            sys.exit(1)  # the first process tells it
        sys.exit(f"{stopped}; its state is saved, and the same command goes on from there")
