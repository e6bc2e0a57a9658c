"""The gradient by path length: the paper's sampled estimate and the exact sum, as tables."""

import math
import time

import pandas as pd
import torch

from unravel.engine import paths
from unravel.engine.sweeps import Facts, Images, Tables
from unravel.networks import Network
from unravel.studies.path_gradients.settings import Gradients

LOG_10 = math.log(10)


def measure(network: Network, images: Images, settings: Gradients, generator: torch.Generator) -> tuple[Tables, Facts]:
    """Measure batches of training images, without augmentation, with BN in train mode and in eval mode.

    Returns two tables, both with batch_norm ("train" or "eval"), batch and length. "sampled" has one row per sampled
    path: sample, log10_norm. "exact" has one row per length: log10_norm of the sum over all paths of that length,
    and for the sum over all lengths up to it cosine and norm_ratio against the full gradient; full_error is the
    relative error of the sum over all lengths against autograd's gradient, the same in every row of a batch.
    Norms are those of the batch-mean loss's gradient at the first block's input, over the whole batch.
    """
    sampled, exact, clock = [], [], time.perf_counter()
    drawn = images.drawn("gradients", settings.batches, settings.batch_size, generator)
    for batch, (inputs, labels) in enumerate(drawn, start=1):
        members = paths.draw(len(network.blocks), settings.samples_per_length, generator)
        for mode in ("train", "eval"):
            tape = paths.record(network, inputs, labels, train_mode=mode == "train")
            here = {"batch_norm": mode, "batch": batch}
            sampled.append(_sampled_table(tape, members).assign(**here))
            exact.append(_exact_table(tape).assign(**here))
    tables = {"sampled": pd.concat(sampled, ignore_index=True), "exact": pd.concat(exact, ignore_index=True)}
    facts = {
        "seconds_measuring": round(time.perf_counter() - clock, 2),
        "largest_full_error": tables["exact"].full_error.max(),
    }
    return tables, facts


def _sampled_table(tape: paths.Tape, members: list[list[int]]) -> pd.DataFrame:
    lengths = pd.Series([len(path) for path in members])
    return pd.DataFrame(
        {
            "length": lengths,
            "sample": lengths.groupby(lengths).cumcount() + 1,
            "log10_norm": (paths.sampled_log_norms(tape, members).double() / LOG_10).tolist(),
        }
    )


def _exact_table(tape: paths.Tape) -> pd.DataFrame:
    exact = paths.exact_by_length(tape)
    explained = paths.explained_by_length(exact, tape.full)
    return pd.DataFrame(
        {
            "length": range(len(tape.blocks) + 1),
            "log10_norm": (exact.log_norm.double() / LOG_10).tolist(),
            "cosine": explained.cosine.tolist(),
            "norm_ratio": explained.norm_ratio.tolist(),
            "full_error": explained.full_error,
        }
    )
