"""Memory that tensors take in training, lesions and gradients, by network: what a GPU has to hold.

Counted by torch's profiler on the CPU, running the pipeline's own code on two small batches; what grows with the batch
is taken in proportion. Gradients follow as many paths together as on a GPU. Not counted: the driver's context (about
0.5 GB), libraries' workspaces, what the allocator rounds up, and the images (CIFAR-10: 0.18 GB). The job record of a
training on a GPU has the measured peak, `peak_gpu_memory_mb`.

    python benchmarks/memory.py --config config/cifar10.yaml
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from unravel.cluster import cost
from unravel.data.batches import random_generator
from unravel.engine import paths
from unravel.engine.wiring import delete, evaluate
from unravel.networks import Network, build, for_inference, initialise
from unravel.run import Config, read_config
from unravel.training.steps import Step

SMALL, LARGE = 4, 8  # images in the batches that are run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("config/cifar10.yaml"), help="default: %(default)s")
    settings = read_config(parser.parse_args().config)
    torch.set_num_threads(1)
    images = cost.images(settings)
    print(f"{'computation':<12}{'network':<18}{'batch':>6}{'MB an image':>13}{'MB besides':>12}{'GB in all':>11}")
    for name in settings.networks:
        for computation, batch, peak in computations(settings, name, images):
            small, large = peak(SMALL), peak(LARGE)
            each = (large - small) / (LARGE - SMALL)
            besides = small - SMALL * each
            line = f"{each / 1e6:>13.2f}{besides / 1e6:>12.1f}{(besides + batch * each) / 1e9:>11.2f}"
            print(f"{computation:<12}{name:<18}{batch:>6}{line}", flush=True)


def computations(settings: Config, name: str, images: cost.Images) -> list[tuple[str, int, Callable[[int], int]]]:
    """Name, images in a batch, and for so many images the peak in bytes, of what the run does with a network."""

    def network() -> Network:
        made = build(settings.network(name), images.shape, images.classes)
        initialise(made, random_generator(1))
        return made

    def batch(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        height, width, channels = images.shape
        return torch.rand(n, height, width, channels).permute(0, 3, 1, 2), torch.arange(n) % images.classes

    def training(n: int) -> int:
        recipe = settings.training.model_copy(update={"batch_size": n, "parts": 1})
        step = Step(network().to(memory_format=torch.channels_last).train(), recipe)
        wiring = step.network.intact
        return held_by(step.network) * 2 + peak_of(lambda: step(*batch(n), wiring, 0.1))  # weights and momentum

    def lesions(n: int) -> int:
        fast = for_inference(network(), settings.evaluation.precision, torch.device("cpu"))
        wirings = [fast.intact, *(delete(fast.intact, [place]) for place in range(len(fast.blocks)))]
        return held_by(fast) + peak_of(lambda: evaluate(fast, wirings, [batch(n)]))

    def gradients(n: int) -> int:
        followed = network()
        members = paths.draw(len(followed.blocks), 5, random_generator(2))
        for limit in (paths.CHUNK_ELEMENTS, paths.TOGETHER_ELEMENTS):  # as many paths as of a whole batch on a GPU
            limit["cpu"] = limit["cuda"] * n // settings.gradients.batch_size

        def follow() -> None:
            tape = paths.record(followed, *batch(n), train_mode=True)
            paths.sampled_log_norms(tape, members)
            paths.exact_by_length(tape)

        return held_by(followed) + peak_of(follow)

    found = [
        ("training", settings.training.batch_size // settings.training.parts, training),
        ("lesions", settings.evaluation.batch_size, lesions),
    ]
    if name == settings.gradients.network:
        found.append(("gradients", settings.gradients.batch_size, gradients))
    return found


def held_by(network: Network) -> int:
    """Bytes of a network's weights."""
    return sum(parameter.nbytes for parameter in network.parameters())


def peak_of(computation: Callable[[], object]) -> int:
    """The most bytes of tensors that a computation holds at once, beside those that were there before."""
    computation()  # what is set up once is there before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        computation()
    held = peak = 0
    for event in profiled.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


if __name__ == "__main__":
    main()
