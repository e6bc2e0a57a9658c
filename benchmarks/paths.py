"""How long it takes to follow the gradient along sampled paths, and to sum it exactly by path length, on the CPU.

one by one: a forward and a backward pass for each sampled path, fp32, the backward pass through that path only.
whole: a forward and a whole backward pass, which is what a path costs where the gradient is masked afterwards.
together: the pipeline's way, one forward pass and all paths followed back at once.
exact: the pipeline's exact sum over all paths of each length, against plain backward passes of the whole network.

The network is the untrained 54-block one; timing does not depend on its weights.

    python benchmarks/paths.py --samples 10 --images 64 --size 8
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from unravel.config import ResNet
from unravel.data.batches import random_generator
from unravel.engine.paths import draw, exact_by_length, record, sampled_log_norms
from unravel.networks import Network, build, initialise

CLASSES = 10
TIMED = 50  # paths that the slow way is timed on, evenly over all lengths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10, help="paths of each length (default: %(default)s)")
    parser.add_argument("--images", type=int, default=64, help="images in the batch (default: %(default)s)")
    parser.add_argument("--size", type=int, default=8, help="pixels a side (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="times each way is measured (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    network = build(ResNet(architecture="resnet"), (arguments.size, arguments.size, 3), CLASSES)
    initialise(network, random_generator(1))
    images = torch.randn(arguments.images, 3, arguments.size, arguments.size, generator=random_generator(2))
    labels = torch.arange(arguments.images) % CLASSES
    paths = draw(len(network.blocks), arguments.samples, random_generator(3))
    few = paths[:: max(1, len(paths) // TIMED)]
    network.train()
    output = whole_forward(network, images, labels)

    seconds = timed(
        {
            "one by one": lambda: [one_path(network, images, labels, set(path)) for path in few],
            "together": lambda: sampled_log_norms(record(network, images, labels, train_mode=True), paths),
            "exact": lambda: exact_by_length(record(network, images, labels, train_mode=True)),
            "whole": lambda: torch.autograd.grad(*whole_forward(network, images, labels)),
            "backward": lambda: torch.autograd.grad(*output, retain_graph=True),
        },
        arguments.repeats,
    )
    slow, fast = seconds["one by one"] / len(few), seconds["together"] / len(paths)
    print(f"{arguments.images} images of {arguments.size}x{arguments.size}, {len(paths)} sampled paths, ", end="")
    print(f"threads {arguments.threads}, median of {arguments.repeats}, torch {torch.__version__}")
    print(f"one path by one forward and backward pass: {1000 * slow:.1f} ms (timed on {len(few)} paths)")
    print(f"one path among all followed together:      {1000 * fast:.1f} ms, {slow / fast:.1f} times as fast")
    whole = seconds["whole"]
    print(f"a whole forward and backward pass:         {1000 * whole:.1f} ms, {whole / fast:.1f} times as long")
    passes = seconds["exact"] / seconds["backward"]
    print(f"exact sums of all lengths: {seconds['exact']:.2f} s, as long as {passes:.0f} whole backward passes")


def timed(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each way, measured in turn, so that the machine's noise hits all alike."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, call in ways.items():
            clock = time.perf_counter()
            call()
            seconds[way].append(time.perf_counter() - clock)
    return {way: statistics.median(values) for way, values in seconds.items()}


def one_path(network: Network, images: Tensor, labels: Tensor, path: set[int]) -> Tensor:
    """The gradient norm at the first block along one path, by a forward and a backward pass of its own."""
    x = first = network.stem(images).detach().requires_grad_()
    for place, block in enumerate(network.blocks):
        residual, skip = block.residual(x), block.skip(x)
        x = residual + skip.detach() if place in path else residual.detach() + skip
    (gradient,) = torch.autograd.grad(cross_entropy(network.head(x), labels), first)
    return gradient.norm()


def whole_forward(network: Network, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The loss and the first block's input, with the graph between them."""
    x = first = network.stem(images).detach().requires_grad_()
    for block in network.blocks:
        x = block(x)
    return cross_entropy(network.head(x), labels), first


if __name__ == "__main__":
    main()
