"""Train a network, and follow the gradient back along all paths of each length at moments from first to last step."""

import itertools
import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from unravel.config import ResNet
from unravel.engine import paths
from unravel.engine.sweeps import Facts, Images, Tables
from unravel.files import InputError
from unravel.networks import Network
from unravel.studies.paths_in_training.settings import PathsInTraining
from unravel.training.anew import build_anew, drawn_seed, train_anew
from unravel.training.loop import steps_per_epoch


def measure(
    network: Network, images: Images, settings: PathsInTraining, generator: torch.Generator
) -> tuple[Tables, Facts]:
    """Two tables of a network that is trained here, by the recipe of the one given; of that its settings alone count.

    Each moment (from 0) is after so many steps (`step`), always with the same training images without augmentation and
    BN in train mode. "lengths": length (0 to n), log10_norm (of G_k, the gradient at the first block's input summed
    over all paths of length k), share (<G_k, G> / |G|^2 of the whole gradient G), full_error (the sum over all lengths
    against G, relative; the same in all rows of a moment), end_error_percent (test error after the last step, the same
    in every row). "gains": position (1-based) and gain, as `branch_gains` gives it. Raises InputError as a training
    does, if it has fewer steps than there are moments, and if there are fewer images than asked for.
    """
    assert isinstance(images.network, ResNet)
    assert images.training is not None
    recipe = images.training.model_copy(update={"epochs": settings.epochs or images.training.epochs})
    inputs, labels = next(images.drawn("paths_in_training", 1, settings.batch_size, generator))
    steps = recipe.epochs * steps_per_epoch(len(images.split("train").labels), recipe)
    looked_at = spaced(steps, settings.moments)
    fresh = build_anew(settings.shape(images.network), images, generator)
    found: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    taken = itertools.count()

    def look() -> None:
        if (step := next(taken)) in looked_at:
            here = {"moment": len(found), "step": step}
            lengths, gains = by_length_and_block(fresh, inputs, labels)
            found.append((lengths.assign(**here), gains.assign(**here)))

    history = train_anew(fresh, images, recipe, drawn_seed(generator), before_step=look)
    look()  # after the last step
    lengths, gains = (pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True))
    lengths["end_error_percent"] = history[-1].test_error_percent
    return {"lengths": lengths, "gains": gains}, {"largest_full_error": float(lengths.full_error.max())}


def spaced(steps: int, moments: int) -> list[int]:
    """Numbers of steps (moments,), from 0 to `steps`, evenly spaced by their logarithm from 1 on, none twice."""
    if steps < moments - 1:
        raise InputError(
            f"paths_in_training.moments is {moments}, but the training has {steps} steps; lower it to at most "
            f"{steps + 1}, or train for more epochs"
        )
    later = np.geomspace(1, steps, moments - 1).round().astype(int)
    return [0, *np.maximum(later, np.arange(1, moments)).tolist()]


def by_length_and_block(network: Network, inputs: Tensor, labels: Tensor) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two tables at one moment, without the moment."""
    tape = paths.record(network, inputs, labels, train_mode=True)
    exact = paths.exact_by_length(tape)
    explained = paths.explained_by_length(exact, tape.full)
    up_to = explained.cosine * explained.norm_ratio  # <sum of G_j for j <= k, G> / |G|^2
    lengths = pd.DataFrame(
        {
            "length": range(len(up_to)),
            "log10_norm": (exact.log_norm.double() / math.log(10)).tolist(),
            "share": up_to.diff(prepend=up_to.new_zeros(1)).tolist(),
            "full_error": explained.full_error,
        }
    )
    gains = paths.branch_gains(tape).tolist()
    return lengths, pd.DataFrame({"position": range(1, len(gains) + 1), "gain": gains})
