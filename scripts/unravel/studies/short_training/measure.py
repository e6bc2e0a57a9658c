"""What a trained network says of each test image, by each convention of running all blocks at test time.

A network trained on random blocks meets something new when all of them run. "scaled" multiplies each residual branch
by its probability to have been trained (Huang et al. 2016, Eq. 5), "unscaled" does not, and "recomputed" does not
either but takes new batch-normalisation statistics from the training images with all blocks running.
"""

import copy

import pandas as pd
import torch
from torch import nn

from unravel.data.batches import AnySplit
from unravel.engine.sweeps import Facts, Images, Tables
from unravel.networks import Block, Network, for_inference


def measure(network: Network, images: Images, settings: None, generator: torch.Generator) -> tuple[Tables, Facts]:
    """Columns: convention, image (0-based place in the test set), label, predicted (both class numbers).

    A network whose blocks were all trained on every batch has only "scaled", by a factor of one. The generator shuffles
    the training images that new statistics are taken from.
    """
    evaluation, split = images.evaluation, images.split("test")
    conventions = {"scaled": network}
    if any(block.survival != 1 for block in network.blocks if isinstance(block, Block)):
        conventions["unscaled"] = unscaled(network)
        conventions["recomputed"] = with_recomputed_statistics(
            conventions["unscaled"], images.split("train"), evaluation.batch_size, generator
        )
    tables = []
    for name, version in conventions.items():
        fast = for_inference(version, evaluation.precision, split.labels.device)
        labels = split.labels.tolist()
        columns = {
            "convention": name,
            "image": range(len(labels)),
            "label": labels,
            "predicted": predict(fast, split, evaluation.batch_size),
        }
        tables.append(pd.DataFrame(columns))
    return {"": pd.concat(tables, ignore_index=True)}, {}


@torch.inference_mode()
def predict(network: Network, split: AnySplit, batch_size: int) -> list[int]:
    """The most likely class of each image, in order."""
    dtype = next(network.parameters()).dtype
    batches = [network(images.to(dtype)).argmax(dim=1) for images, _ in split.batches(batch_size)]
    predicted: list[int] = torch.cat(batches).tolist()
    return predicted


def unscaled(network: Network) -> Network:
    """A copy whose residual branches count in full at test time."""
    full = copy.deepcopy(network)
    for block in full.blocks:
        assert isinstance(block, Block)
        block.survival = 1.0
    return full


@torch.no_grad()
def with_recomputed_statistics(
    network: Network, split: AnySplit, batch_size: int, generator: torch.Generator
) -> Network:
    """A copy whose batch normalisation uses the mean statistics of random batches, with all blocks running."""
    renewed = copy.deepcopy(network).to(split.labels.device).train()
    for module in renewed.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean over batches instead of a moving average
    # Shuffled: class folders come in the order of their classes, and a batch of one class varies too little.
    for index in torch.split(torch.randperm(len(split.labels), generator=generator), batch_size):
        renewed(split.normalised(index.to(split.labels.device)))
    return renewed.eval()
