"""Follow the gradient back along single paths of a network whose training is undone."""

import math

import pandas as pd
import torch

from unravel.engine import paths
from unravel.engine.sweeps import Facts, Images, Tables
from unravel.networks import Network, untrained
from unravel.studies.untrained_gradients.settings import UntrainedGradients


def measure(
    network: Network, images: Images, settings: UntrainedGradients, generator: torch.Generator
) -> tuple[Tables, Facts]:
    """Measure batches of training images, without augmentation, with BN in train mode, after new first weights.

    Columns: batch, length, sample, log10_norm of the batch-mean loss's gradient at the first block's input.
    """
    found = []
    network = untrained(network, generator)
    drawn = images.drawn("untrained_gradients", settings.batches, settings.batch_size, generator)
    for batch, (inputs, labels) in enumerate(drawn, start=1):
        members = paths.draw(len(network.blocks), settings.samples_per_length, generator)
        tape = paths.record(network, inputs, labels, train_mode=True)
        found.append(
            pd.DataFrame(
                {
                    "batch": batch,
                    "length": [len(path) for path in members],
                    "sample": [sample for _ in range(len(network.blocks) + 1) for sample in samples(settings)],
                    "log10_norm": (paths.sampled_log_norms(tape, members).double() / math.log(10)).tolist(),
                }
            )
        )
    return {"": pd.concat(found, ignore_index=True)}, {}


def samples(settings: UntrainedGradients) -> range:
    """The numbers of the samples of one length."""
    return range(1, settings.samples_per_length + 1)
