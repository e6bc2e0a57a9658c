"""Look at the activations after each block: their steps, their distance to where the stage ends, and read-outs."""

import copy
from collections.abc import Iterator
from itertools import groupby

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from unravel.engine.sweeps import Facts, Images, Tables, batches_of
from unravel.networks import Network, forget, untrained
from unravel.studies.iterative_inference.settings import IterativeInference


def measure(
    network: Network, images: Images, settings: IterativeInference, generator: torch.Generator
) -> tuple[Tables, Facts]:
    """Three tables, of the network as trained and with weights drawn anew (`weights`), in eval mode and fp32.

    "cosines": for each block that keeps the shape, position (1-based, as a reader counts) and cosine: of its step
    h_(i+1) - h_i with the gradient of the image's loss at h_i, mean over images (Jastrzebski et al. 2018, section 4);
    below zero, the step descends. "estimates": for each activation (place, from 0 behind the stem), its stage (1-based;
    neighbours of one shape) and step k in it (from 0, to K): the difference h_k - h_K as mean_in_deviations (|mean| /
    deviation over images, channels and pixels), channel_mean (the same channel by channel, then averaged) and
    deviation (in deviations of h_K), all 0 at K itself (Greff et al. 2017, section 3). "readouts": for each activation
    of the last stage, step (from 0), wrong_images, test_images, error_percent of the network's own head on it. Raises
    InputError if there are fewer images than asked for.
    """
    split = images.split("test")
    n_images = settings.tested("iterative_inference", len(split.labels))
    trained = copy.deepcopy(network).eval().float().requires_grad_(False)
    drawn = untrained(trained, generator)
    forget(drawn)
    with torch.no_grad():
        for inputs, _ in images.drawn("iterative_inference", settings.batches, settings.batch_size, generator):
            drawn(inputs)
    found: dict[str, list[pd.DataFrame]] = {"cosines": [], "estimates": [], "readouts": []}
    for weights, one in (("trained", trained), ("untrained", drawn.eval())):
        batches = batches_of(split, n_images, settings.batch_size)
        for name, table in tables_of(one, batches).items():
            found[name].append(table.assign(weights=weights))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in found.items()}, {}


def tables_of(network: Network, batches: Iterator[tuple[Tensor, Tensor]]) -> Tables:
    """The three tables of one network, from one forward and one backward pass of each batch."""
    n_images, cosines, wrong = 0, torch.zeros(()), torch.zeros(())
    moments: list[Moments] = []
    for images, labels in batches:
        taps, gradients = passed(network, images, labels)
        cosines = cosines + torch.stack([cosine_of(*step) for step in steps(network, taps, gradients)])
        stages = [list(stage) for _, stage in groupby(taps, key=lambda tap: tap.shape)]
        with torch.no_grad():
            wrong = wrong + torch.stack([(network.head(tap).argmax(dim=1) != labels).sum() for tap in stages[-1]])
        moments = moments or [Moments(stage[-1]) for stage in stages for _ in stage]
        for known, (tap, last) in zip(moments, ((tap, stage[-1]) for stage in stages for tap in stage), strict=True):
            known.add(tap, last)
        n_images += len(labels)
    places = [network.first_position + place for place, block in enumerate(network.blocks) if block.keeps_shape]
    numbers = [(stage, step) for stage, one in enumerate(stages, 1) for step in range(len(one))]
    estimates = [
        {"place": place, "stage": stage, "step": step, **known.summary()}
        for place, ((stage, step), known) in enumerate(zip(numbers, moments, strict=True))
    ]
    counts = wrong.int().tolist()
    return {
        "cosines": pd.DataFrame({"position": places, "cosine": (cosines / n_images).tolist()}),
        "estimates": pd.DataFrame(estimates),
        "readouts": pd.DataFrame(
            {
                "step": range(len(counts)),
                "wrong_images": counts,
                "test_images": n_images,
                "error_percent": [100 * count / n_images for count in counts],
            }
        ),
    }


def passed(network: Network, images: Tensor, labels: Tensor) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """The activations behind the stem and each block, and the gradient there of each image's own loss."""
    taps = [tap if tap.requires_grad else tap.requires_grad_() for tap in network.taps(images)]
    loss = cross_entropy(network.head(taps[-1]), labels, reduction="sum")  # of one image's loss, others have no part
    gradients = torch.autograd.grad(loss, taps)
    return [tap.detach() for tap in taps], gradients


def steps(network: Network, taps: list[Tensor], gradients: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, Tensor]]:
    """The step that each block of one shape makes, and the gradient before it."""
    for place, block in enumerate(network.blocks):
        if block.keeps_shape:
            yield taps[place + 1] - taps[place], gradients[place]


def cosine_of(step: Tensor, gradient: Tensor) -> Tensor:
    """Cosine of two (batch, ...) tensors, added up over the batch."""
    return cosine_similarity(step.flatten(1).double(), gradient.flatten(1).double(), dim=1, eps=1e-30).sum()


class Moments:
    """Sums over images of h_k - h_K and its square, channel by channel, and those of h_K."""

    def __init__(self, like: Tensor) -> None:
        self.sums = torch.zeros(4, like.shape[1], dtype=torch.float64, device=like.device)
        self.number = 0

    def add(self, tap: Tensor, last: Tensor) -> None:
        """Take in a batch of activations (batch, channel, height, width)."""
        off, end = (tap - last).double(), last.double()
        self.sums += torch.stack([one.sum(dim=(0, 2, 3)) for one in (off, off**2, end, end**2)])
        self.number += off[:, 0].numel()

    def summary(self) -> dict[str, float]:
        """The columns of the table of estimates."""
        mean, deviation = _mean_and_deviation(self.sums[:2] / self.number)
        overall, spread = _mean_and_deviation(self.sums[:2].mean(dim=1) / self.number)
        _, end = _mean_and_deviation(self.sums[2:].mean(dim=1) / self.number)
        return {
            "mean_in_deviations": float(overall.abs() / spread),
            "channel_mean": float((mean.abs() / deviation).mean()),
            "deviation": float(spread / end),
        }


def _mean_and_deviation(moments: Tensor) -> tuple[Tensor, Tensor]:
    mean, square = moments
    return mean, (square - mean**2).clamp(min=1e-30).sqrt()
