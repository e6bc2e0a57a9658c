"""Sweeps: a set of wirings of a trained network becomes a table of test errors."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from unravel.config import Evaluation
from unravel.data.batches import AnySplit
from unravel.engine.wiring import evaluate
from unravel.networks import Network, Wiring, for_inference

SplitName = Literal["train", "test"]


@dataclass(frozen=True)
class Images:
    """What a study measures on: the split "train" or "test" of the data, its classes, and how errors are evaluated."""

    split: Callable[[SplitName], AnySplit]
    classes: int
    evaluation: Evaluation


Tables = dict[str, pd.DataFrame]
"""The tables of a measurement, by the ending of their files."""

Facts = dict[str, Any]
"""What only a measurement knows, such as images per second; it is stored in the job's record."""


def sweep(
    network: Network, images: Images, wirings: Sequence[Wiring], columns: Mapping[str, object]
) -> tuple[Tables, Facts]:
    """Measure wirings of a network on all test images.

    The table has a row per wiring: `columns`, then wrong_images, test_images, error_percent.
    """
    split = images.split("test")
    clock = time.perf_counter()
    fast = for_inference(network, images.evaluation.precision, split.labels.device)
    done = evaluate(fast, wirings, split.batches(images.evaluation.batch_size))
    seconds = time.perf_counter() - clock
    errors = {"wrong_images": done.wrong, "test_images": done.images, "error_percent": done.error_percent}
    facts = {
        "block_evaluations": done.block_evaluations,
        "naive_block_evaluations": done.naive_block_evaluations,
        "images_per_second": round(done.images / seconds, 1),
    }
    return {"": pd.DataFrame({**columns, **errors})}, facts
