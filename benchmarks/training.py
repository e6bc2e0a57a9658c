"""Images per second of training the 54-block network on 3x32x32 images, on the CPU.

plain: a training step as a user writes it first: eager, fp32, channels first, no augmentation.
The others are the pipeline's own epoch (loop.train_epoch), augmentation and error count included: channels last, in
fp32 and bf16, with all blocks, with stochastic depth, and with exactly 23 of 54 blocks per batch.

    python benchmarks/training.py --images 256 --threads 2
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from unravel.config import AllBlocks, BlockSampling, ExactlyBlocks, LinearSurvival, ResNet, Training
from unravel.data.batches import Split, random_generator
from unravel.networks import Network, build, initialise
from unravel.training import loop, states
from unravel.training.steps import Step

CLASSES = 10
SAMPLINGS: dict[str, BlockSampling] = {
    "all blocks": AllBlocks(scheme="all"),
    "stochastic depth": LinearSurvival(scheme="linear"),
    "effective paths, 23": ExactlyBlocks(scheme="exactly", blocks=23),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256, help="images in an epoch (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="images in a step (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="epochs measured of each (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    split = random_split(arguments.images)
    ways = {"plain fp32": plain_epoch(split, arguments.batch)}
    for precision in ("fp32", "bf16"):
        for name, sampling in SAMPLINGS.items():
            ways[f"{precision}, {name}"] = pipeline_epoch(split, arguments.batch, precision, sampling)
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for epoch in range(1 + arguments.repeats):
        for way, train_epoch in ways.items():  # in turn, so that the machine's noise hits all alike
            clock = time.perf_counter()
            train_epoch(1 + epoch)
            if epoch > 0:  # the first one warms up
                rates[way].append(arguments.images / (time.perf_counter() - clock))

    print(f"batch {arguments.batch}, {arguments.images} images an epoch, ", end="")
    print(f"threads {arguments.threads}, median of {arguments.repeats} epochs, torch {torch.__version__}")
    print(f"{'way':<25} {'images/s':>9} {'range':>15} {'ratio to plain':>15}")
    median = {way: statistics.median(values) for way, values in rates.items()}
    for way, values in rates.items():
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"{way:<25} {median[way]:>9.1f} {spread:>15} {median[way] / median['plain fp32']:>15.2f}")


def random_split(n: int) -> Split:
    """Random images and labels: what a step costs does not depend on what is learned."""
    generator = random_generator(1)
    images = torch.randint(0, 256, (n, 32, 32, 3), generator=generator).to(torch.uint8)
    labels = torch.randint(0, CLASSES, (n,), generator=generator)
    return Split(images, labels, mean=torch.full((3,), 0.5), std=torch.full((3,), 0.29))


def fresh_network(sampling: BlockSampling) -> Network:
    settings = ResNet(architecture="resnet", block_sampling=sampling)
    network = build(settings, (32, 32, 3), CLASSES)
    initialise(network, random_generator(2))
    return network


def sgd(network: Network, settings: Training) -> torch.optim.SGD:
    return torch.optim.SGD(
        network.parameters(), settings.warmup_learning_rate, settings.momentum, weight_decay=settings.weight_decay
    )


def plain_epoch(split: Split, batch: int) -> Callable[[int], None]:
    """An epoch as a user writes it first, on images that are already normalised."""
    network = fresh_network(AllBlocks(scheme="all")).train()
    optimizer = sgd(network, Training())
    images = split.normalised(slice(None)).contiguous()  # channels first, also in memory
    steps = list(zip(images.split(batch), split.labels.split(batch), strict=True))

    def train_epoch(epoch: int) -> None:
        for images, labels in steps:
            optimizer.zero_grad()
            cross_entropy(network(images), labels).backward()
            optimizer.step()

    return train_epoch


def pipeline_epoch(
    split: Split, batch: int, precision: Literal["fp32", "bf16"], sampling: BlockSampling
) -> Callable[[int], None]:
    """The pipeline's epoch; each one draws its own blocks, as from another seed."""
    settings = Training(batch_size=batch, precision=precision)
    network = fresh_network(sampling).to(memory_format=torch.channels_last)
    step = Step(network, settings)

    def train_epoch(epoch: int) -> None:
        done = states.at_epoch_start([])
        loop.train_epoch(step, split, settings, sampling, epoch, done, lambda: None, lambda: False)

    return train_epoch


if __name__ == "__main__":
    main()
