"""Sweeps: a set of wirings of a trained network becomes a table of test errors."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor

from unravel.config import Evaluation, NetworkSettings, Training
from unravel.data.batches import AnySplit
from unravel.engine import progress
from unravel.engine.wiring import evaluate
from unravel.files import InputError
from unravel.networks import Network, Wiring, for_inference

SplitName = Literal["train", "test"]


@dataclass(frozen=True)
class Images:
    """What a study measures on: the split "train" or "test" of the data, its classes, and how errors are evaluated.

    training: the recipe that the network was trained by, if it was trained here. network: its settings, if known.
    """

    split: Callable[[SplitName], AnySplit]
    classes: int
    evaluation: Evaluation
    training: Training | None = None
    network: NetworkSettings | None = None

    def drawn(
        self, key: str, batches: int, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """So many batches of random training images without augmentation, and their labels; no image comes twice.

        Raises InputError, which names the config's section `key`, if there are fewer images.
        """
        split = self.split("train")
        if batches * batch_size > len(split.labels):
            raise InputError(
                f"{key}: {batches} batches of {batch_size} images are asked for, and the data has {len(split.labels)} "
                f"training images; lower {key}.batches or {key}.batch_size"
            )
        order = torch.randperm(len(split.labels), generator=generator)
        for index in torch.split(order[: batches * batch_size], batch_size):
            index = index.to(split.labels.device)
            yield split.normalised(index), split.labels[index]


Tables = dict[str, pd.DataFrame]
"""The tables of a measurement, by the ending of their files."""

Facts = dict[str, Any]
"""What only a measurement knows, such as images per second; it is stored in the job's record."""


def sweep(
    network: Network,
    images: Images,
    wirings: Sequence[Wiring],
    columns: Mapping[str, object],
    tested: Callable[[int], int] = lambda available: available,
) -> tuple[Tables, Facts]:
    """Measure wirings of a network on the same test images: as many as `tested` says of those available, or all.

    The table has a row per wiring: `columns`, then wrong_images, test_images, error_percent.
    """
    split = images.split("test")
    clock = time.perf_counter()
    fast = for_inference(network, images.evaluation.precision, split.labels.device)
    n_images, size = tested(len(split.labels)), images.evaluation.batch_size
    batches = progress.steps(batches_of(split, n_images, size), math.ceil(n_images / size))
    done = evaluate(fast, wirings, batches)
    seconds = time.perf_counter() - clock
    errors = {"wrong_images": done.wrong, "test_images": done.images, "error_percent": done.error_percent}
    facts = {
        "block_evaluations": done.block_evaluations,
        "naive_block_evaluations": done.naive_block_evaluations,
        "images_per_second": round(done.images / seconds, 1),
    }
    return {"": pd.DataFrame({**columns, **errors})}, facts


def batches_of(split: AnySplit, n_images: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """So many images of a split, `spread` over its classes, `size` at a time as (images, labels)."""
    if n_images == len(split.labels):
        return split.batches(size)
    places = spread(split.labels, n_images)
    parts = (places[start : start + size] for start in range(0, n_images, size))
    return ((split.normalised(part), split.labels[part]) for part in parts)


def spread(labels: Tensor, n_images: int) -> Tensor:
    """Places (n_images,) in `labels` (n,), evenly spaced in the order sorted by class, then as in the split.

    A test set may be sorted by class, or its classes may take turns: the first images, or every fifth, could lack some.
    Here each class keeps its share to within one image, and nothing is random.
    """
    by_class = torch.argsort(labels, stable=True)
    every = torch.arange(n_images, device=labels.device) * len(labels) // n_images
    return by_class[every].sort().values
