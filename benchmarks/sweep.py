"""How long it takes to delete each of 54 blocks in turn, four ways, on the CPU.

naive: what a user writes first, one whole forward pass per deletion, fp32, channels first.
fp32, bf16: the pipeline's engine (for_inference and evaluate), its preparation of the network included.
gains: as fp32, each step with the gains of its branch and its skip connection as numbers, all of them 0 or 1.

The network is not trained: its BN statistics come from a few batches, its classes are equally likely, and an image
counts as wrong where the prediction differs from that of the intact fp32 network. Predictions of such a network are
close calls, so differences between precisions are larger here than on a trained one.

    python benchmarks/sweep.py --images 200 --threads 2
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from unravel.config import ResNet
from unravel.data.batches import random_generator
from unravel.engine.wiring import delete, evaluate
from unravel.networks import Network, Wiring, build, for_inference, initialise

CLASSES = 10
Batches = list[tuple[Tensor, Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200, help="3x32x32 images in all (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=200, help="images at once (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="times each way is measured (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    images = random_images(arguments.images)
    network = settled_network(images)
    labels = network(images).argmax(dim=1)
    batches = list(zip(images.split(arguments.batch), labels.split(arguments.batch), strict=True))
    wirings = [network.intact, *(delete(network.intact, [place]) for place in range(len(network.blocks)))]
    gains = [tuple((block, float(on), 1.0) for block, on, *_ in wiring) for wiring in wirings]
    ways: dict[str, Callable[[], list[int]]] = {
        "naive": lambda: naive_sweep(network, wirings, batches),
        "fp32": lambda: evaluate(for_inference(network, "fp32"), wirings, batches).wrong,
        "gains": lambda: evaluate(for_inference(network, "fp32"), gains, batches).wrong,
        "bf16": lambda: evaluate(for_inference(network, "bf16"), wirings, batches).wrong,
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    wrong: dict[str, list[int]] = {}
    for _ in range(arguments.repeats):
        for way, sweep in ways.items():  # in turn, so that the machine's noise hits all alike
            clock = time.perf_counter()
            wrong[way] = sweep()
            seconds[way].append(time.perf_counter() - clock)

    evaluation = evaluate(network, wirings, [])
    blocks = f"{evaluation.naive_block_evaluations} blocks, {evaluation.block_evaluations} with shared prefixes"
    print(f"{len(wirings)} wirings ({blocks}) of {arguments.images} images, batch {arguments.batch}, ", end="")
    print(f"threads {arguments.threads}, median of {arguments.repeats}, torch {torch.__version__}")
    print(f"naive: {min(wrong['naive'])} to {max(wrong['naive'])} images wrong per wiring")
    print(f"{'way':<6} {'ms/image':>9} {'speed-up':>9} {'wrong images against naive':>28}")
    median = {way: statistics.median(seconds[way]) for way in ways}
    for way in ways:
        milliseconds, speedup = 1000 * median[way] / arguments.images, median["naive"] / median[way]
        print(f"{way:<6} {milliseconds:>9.1f} {speedup:>9.2f} {difference(wrong[way], wrong['naive']):>28}")


def random_images(n: int) -> Tensor:
    """Coarse random patterns under fine noise (n, 3, 32, 32) float32: plain noise looks the same to a network."""
    generator = random_generator(1)
    coarse = torch.randn(n, 3, 4, 4, generator=generator)
    return interpolate(coarse, size=32, mode="bilinear") + 0.3 * torch.randn(n, 3, 32, 32, generator=generator)


@torch.no_grad()
def settled_network(images: Tensor) -> Network:
    """The 54-block network with BN statistics of its own activations and all classes equally likely."""
    network = build(ResNet(architecture="resnet"), (32, 32, 3), CLASSES)
    initialise(network, random_generator(2))
    for _ in range(10):
        network(images[:100])
    network.eval().requires_grad_(False)
    network.head[-1].bias -= network(images).mean(dim=0)
    return network


@torch.inference_mode()
def naive_sweep(network: Network, wirings: list[Wiring], batches: Batches) -> list[int]:
    """Wrong images of each wiring, one whole forward pass each."""
    return [
        sum(int((network(images, wiring).argmax(dim=1) != labels).sum()) for images, labels in batches)
        for wiring in wirings
    ]


def difference(wrong: list[int], reference: list[int]) -> str:
    """How far two lists of counts are apart."""
    gaps = [abs(one - other) for one, other in zip(wrong, reference, strict=True)]
    return f"{sum(gap > 0 for gap in gaps)} wirings, by at most {max(gaps)}"


if __name__ == "__main__":
    main()
