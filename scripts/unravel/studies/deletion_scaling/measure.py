"""Train networks of other depth and width, and see how large their branches are and what a deletion costs."""

from collections.abc import Iterable, Iterator
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from unravel.config import ResNet
from unravel.engine.sweeps import Facts, Images, Tables, batches_of, sweep
from unravel.engine.wiring import delete
from unravel.networks import Block, Network
from unravel.studies.deletion_scaling.settings import DeletionScaling
from unravel.training.anew import build_anew, train_anew


def measure(
    network: Network, images: Images, settings: DeletionScaling, generator: torch.Generator
) -> tuple[Tables, Facts]:
    """Two tables, of the network given (shape 0) and of those trained here by its recipe (from 1, as `others` says).

    Both have shape, blocks, width (share of the channels). "shapes": branch_norm and relative_norm, means over blocks
    of what `branch_norms` gives, and wrong_images, test_images, error_percent of the intact network. "deletions": the
    same three with deleted_blocks random ones off, by draw (1-based); a draw is a random order of the blocks, of which
    the first are deleted. Raises InputError as a training does, and if there are fewer test images than asked for.
    """
    tested = partial(settings.tested, "deletion_scaling")
    split = images.split("test")
    shapes, deletions = [], []
    for shape, (one, width) in enumerate(networks(network, images, settings, generator)):
        here = {"shape": shape, "blocks": len(one.blocks), "width": width}
        norms = branch_norms(one, batches_of(split, tested(len(split.labels)), images.evaluation.batch_size))
        orders = [torch.randperm(len(one.blocks), generator=generator).tolist() for _ in range(settings.draws)]
        lesions = [(number, draw) for number in settings.deleted for draw in range(settings.draws)]
        wirings = [one.intact, *(delete(one.intact, orders[draw][:number]) for number, draw in lesions)]
        columns = {
            "deleted_blocks": [0, *(number for number, _ in lesions)],
            "draw": [0, *(draw + 1 for _, draw in lesions)],
        }
        table = sweep(one, images, wirings, columns, tested)[0][""]
        branch, relative = norms.mean(dim=0).tolist()
        intact = table[:1].drop(columns=[*columns])
        shapes.append(intact.assign(**here, branch_norm=branch, relative_norm=relative))
        deletions.append(table[1:].assign(**here))
    return {name: pd.concat(of, ignore_index=True) for name, of in (("shapes", shapes), ("deletions", deletions))}, {}


def networks(
    network: Network, images: Images, settings: DeletionScaling, generator: torch.Generator
) -> Iterator[tuple[Network, float]]:
    """The network given, then those trained here, with the share of the channels that each has."""
    assert isinstance(images.network, ResNet)
    assert images.training is not None
    yield network, 1.0
    for blocks, width in settings.others:
        channels = tuple(max(1, round(width * number)) for number in images.network.channels)
        shape = {"blocks_per_stage": (blocks,) * len(channels), "channels": channels}
        other = build_anew(images.network.model_copy(update=shape), images, generator)
        train_anew(other, images, images.training, generator)
        yield other.eval(), width


@torch.no_grad()
def branch_norms(network: Network, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Of each block, the norm of its residual branch, and that over its skip connection's: (blocks, 2).

    Norms are over channels and pixels of an image in eval mode, means are over images.
    """
    total, seen = torch.zeros(len(network.blocks), 2, dtype=torch.float64), 0
    for images, labels in batches:
        taps = list(network.taps(images.to(next(network.parameters()).dtype)))
        for place, (block, x) in enumerate(zip(network.blocks, taps[:-1], strict=True)):
            assert isinstance(block, Block)
            branch, skip = (one.flatten(1).double().norm(dim=1) for one in (block.contribution(x), block.skip(x)))
            total[place] += torch.stack([branch.sum(), (branch / skip).sum()]).cpu()
        seen += len(labels)
    return total / seen
