"""Delete each block in turn, and see what its price is, what would have foretold it, and how later blocks take it.

h_i enters block i, F_i is what its residual branch adds, L the mean loss of the test images, and g_i a gain of F_i, 1
in the intact network and 0 where the block is deleted. A price is the rise of L as g_i goes from 1 to 0, so that what
predicts it from slopes has the sign of -dL/dg_i.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from unravel.engine.sweeps import Facts, Images, Tables, batches_of
from unravel.networks import Block, Network, for_inference
from unravel.studies.lesion_predictors.settings import LesionPredictors

TINY = 1e-30  # instead of 0 where a branch adds nothing


@dataclass(frozen=True)
class Pass:
    """One pass with the same gain at every branch: for each block what it adds to, what it adds, and what comes out.

    skipped, added, output: (batch, channel, height, width) each; added before the gain. loss: added up over the batch.
    slopes: its derivative by each block's own gain, (blocks,).
    """

    skipped: list[Tensor]
    added: list[Tensor]
    output: list[Tensor]
    loss: Tensor
    slopes: Tensor


def measure(
    network: Network, images: Images, settings: LesionPredictors, generator: torch.Generator
) -> tuple[Tables, Facts]:
    """A row for each deleted block and one for none, in eval mode and fp32.

    Columns: deleted_position (1-based, as a reader counts; 0: nothing deleted), downsampling, loss (mean over images),
    wrong_images, test_images, error_percent. Predictors: first_order (-<F_i, dL/dh_(i+1)>, the gradient behind the
    addition), branch_ratio (|F_i| over what it is added to, mean over images), influence (1 - cosine of the block's
    output with and without F_i, mean over images: where the block keeps the shape, block influence of Men et al. 2024),
    path_share (-1 times the integral of dL/dg_i over a gain common to all blocks from 0 to 1: Aumann and Shapley 1974).
    Later blocks: frozen_loss (of the network whose later branches add what they add with nothing deleted), later_change
    (of their F_j, relative to F_j, mean over them), compensated (how much of what is missing at the end the changes of
    later branches put back). share_error: of the sum of all shares, relative to L(1) - L(0), the same in
    every row. Raises InputError if there are fewer test images than asked for.
    """
    split = images.split("test")
    n_images = settings.tested("lesion_predictors", len(split.labels))
    fast = for_inference(network, "fp32", split.labels.device)
    found = [of_batch(fast, *batch, settings.nodes) for batch in batches_of(split, n_images, settings.batch_size)]
    sums = {name: np.sum([one[name] for one in found], axis=0) for name in found[0]}
    off = np.sqrt(sums["later_off"] / sums["size"].clip(TINY))  # (deleted, later)
    intact_loss, gap = sums["loss"][0] / n_images, (sums["loss"][0] - sums["loss_without"]) / n_images
    shares = sums["path_share"] / n_images
    table = pd.DataFrame(
        {
            "deleted_position": [0, *(network.first_position + place for place in range(len(network.blocks)))],
            "downsampling": [False, *(block.downsampling for block in network.blocks)],
            "loss": sums["loss"] / n_images,
            "wrong_images": sums["wrong"].astype(int),
            "test_images": n_images,
            "error_percent": 100 * sums["wrong"] / n_images,
            **{name: [0, *sums[name] / n_images] for name in ("first_order", "branch_ratio", "influence")},
            "path_share": [0, *shares],
            "frozen_loss": [intact_loss, *sums["frozen_loss"] / n_images],
            "later_change": [0, *(off[place, place + 1 :].mean() for place in range(len(off) - 1)), 0],
            "compensated": [0, *sums["put_back"] / sums["missing"].clip(TINY)],
            "share_error": abs(-shares.sum() - gap) / max(abs(gap), TINY),
        }
    )
    return {"": table}, {"share_error": float(table.share_error[0])}


def of_batch(network: Network, images: Tensor, labels: Tensor, nodes: int) -> dict[str, np.ndarray]:
    """What one batch adds to the sums over images that the columns are made of."""
    stem = network.stem(images)
    intact = passed(network, stem, labels, 1)
    shares = torch.zeros_like(intact.slopes)
    for gain, weight in rule(nodes):
        shares -= weight * passed(network, stem, labels, gain).slopes
    blocks: list[Block] = [*network.blocks]
    found: dict[str, Tensor | list[Tensor]] = {
        "first_order": -intact.slopes,
        "path_share": shares,
        "loss_without": summed_loss(network, without_branches(network, stem), labels),
        "branch_ratio": [
            (norms(added) / norms(skipped)).sum() for added, skipped in zip(intact.added, intact.skipped, strict=True)
        ],
        "size": [squares(added) for added in intact.added],
        "influence": [
            (1 - cosine_similarity(flat(output), flat(block.after_addition(skipped)), dim=1, eps=TINY)).sum()
            for block, output, skipped in zip(blocks, intact.output, intact.skipped, strict=True)
        ],
    }
    lesions = [deleted(network, intact, labels, place) for place in range(len(blocks))]
    for name in lesions[0]:
        found[name] = [one[name] for one in lesions]
    wrong = (network.head(intact.output[-1]).argmax(dim=1) != labels).sum()
    found["loss"], found["wrong"] = [intact.loss, *found["loss"]], [wrong, *found["wrong"]]
    return {
        name: np.asarray(torch.stack(value).double().cpu() if isinstance(value, list) else value.double().cpu())
        for name, value in found.items()
    }


def rule(nodes: int) -> Iterator[tuple[float, float]]:
    """Gains and weights of the Gauss-Legendre rule on 0 to 1."""
    places, weights = np.polynomial.legendre.leggauss(nodes)
    return zip((places + 1) / 2, weights / 2, strict=True)


def passed(network: Network, stem: Tensor, labels: Tensor, gain: float) -> Pass:
    """Send a batch that has left the stem through all blocks, and the gradient of its loss back."""
    x = stem.detach().requires_grad_()
    skipped, added, scaled, output = [], [], [], []
    with torch.enable_grad():
        for block in network.blocks:
            assert isinstance(block, Block)
            skipped.append(block.skip(x))
            added.append(block.contribution(x))
            scaled.append(gain * added[-1])
            x = block.after_addition(skipped[-1] + scaled[-1])
            output.append(x)
        loss = summed_loss(network, x, labels)
    gradients = torch.autograd.grad(loss, scaled)
    slopes = [(one.detach().double() * back.double()).sum() for one, back in zip(added, gradients, strict=True)]
    skipped, added, output = ([tensor.detach() for tensor in tensors] for tensors in (skipped, added, output))
    return Pass(skipped, added, output, loss.detach(), torch.stack(slopes))


@torch.no_grad()
def deleted(network: Network, intact: Pass, labels: Tensor, place: int) -> dict[str, Tensor]:
    """One block deleted, with later branches as they then are, and frozen as they were.

    Where frozen, what is `missing` at the end is all that skip connections make of F_i. Later branches put back what
    their changes add up to in its direction: `put_back` over `missing` is the share, both are squares.
    """
    blocks: list[Block] = [*network.blocks]
    x = frozen = blocks[place].after_addition(intact.skipped[place])
    off = x.new_zeros(len(blocks), dtype=torch.float64)
    for later in range(place + 1, len(blocks)):
        block, was = blocks[later], intact.added[later]
        adds = block.contribution(x)
        off[later] = squares(adds - was)
        x, frozen = block.joined(x, adds), block.joined(frozen, was)
    missing = intact.output[-1] - frozen
    return {
        "loss": summed_loss(network, x, labels),
        "wrong": (network.head(x).argmax(dim=1) != labels).sum(),
        "frozen_loss": summed_loss(network, frozen, labels),
        "later_off": off,
        "put_back": (flat(x - frozen) * flat(missing)).sum(),
        "missing": squares(missing),
    }


def without_branches(network: Network, x: Tensor) -> Tensor:
    """What leaves the last block with every residual branch off."""
    for block in network.blocks:
        x = block(x, 0)
    return x


def summed_loss(network: Network, x: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, added up over a batch that leaves the last block."""
    return cross_entropy(network.head(x), labels, reduction="sum")


def flat(x: Tensor) -> Tensor:
    return x.flatten(1).double()


def squares(x: Tensor) -> Tensor:
    """The sum of the squares of all numbers; each image's is added up in the precision of x."""
    return x.square().sum(dim=(1, 2, 3)).double().sum()


def norms(x: Tensor) -> Tensor:
    """Of each image, (batch,)."""
    found: Tensor = flat(x).norm(dim=1)
    return found.clamp(min=TINY)
