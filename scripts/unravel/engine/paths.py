"""Paths (paper, section 5): how much gradient single paths carry, and all paths of each length together.

A path through n blocks takes, at every block, either the residual branch or the skip connection; its length is the
number of residual branches. Let J_i and S_i be the Jacobians of block i's residual branch and skip connection, and D_i
that of what follows its addition (the identity in the paper's networks, a ReLU in others), taken at the activations of
the whole network. The gradient at the first block is the product over i of (S_i + J_i)^T D_i applied to the gradient at
the last block's output; multiplied out, it is a sum over all 2^n paths.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from unravel.engine import progress
from unravel.files import InputError
from unravel.networks import Block, Network

# Relative error of the gradient up to which it is one of rounding: float32 makes one near 1e-6.
ROUNDING = 1e-4
# Numbers in the cotangents sent through a block at once: what fits a CPU's cache, and outweighs a GPU's launches.
CHUNK_ELEMENTS = {"cpu": 2**20, "cuda": 2**24}
# The same for all paths followed together, which are 16 at least: neighbours share much of their work. Memory grows
# with both: benchmarks/memory.py counts it.
TOGETHER_ELEMENTS = {"cpu": 2**20, "cuda": 2**27}


@dataclass(frozen=True)
class Tape:
    """One forward pass with every block's graph kept, so that any number of paths can be followed back through it.

    blocks: for each block its input, its residual branch, its skip connection, their sum and its output; where one of
    them is the very tensor that it is made of, that step is the identity.
    top: the loss gradient at the last block's output. full: autograd's gradient at the first block's input.
    All are (batch, channel, height, width); the loss is the mean over the batch.
    """

    blocks: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]
    top: Tensor
    full: Tensor


def record(network: Network, images: Tensor, labels: Tensor, train_mode: bool) -> Tape:
    """Run a copy of the network on a batch, BN in train mode (as during training) or eval mode.

    Raises InputError if the gradient through what was recorded is not autograd's: a block then does something else.
    """
    network = copy.deepcopy(network).train(train_mode)  # a copy: BN in train mode changes its running statistics
    x = network.stem(images).detach().requires_grad_()
    (full,) = torch.autograd.grad(_loss(network, x, labels), x)
    blocks = []
    for block in network.blocks:
        assert isinstance(block, Block)
        residual, skip = block.scaled(block.residual(x)), block.skip(x)
        added = residual + skip
        output = block.after_addition(added)
        blocks.append((x, residual, skip, added, output))
        x = output.detach().requires_grad_()
    (top,) = torch.autograd.grad(cross_entropy(network.head(x), labels), x)
    tape = Tape(blocks, top, full)
    _require_full_gradient(tape, network)
    return tape


def _loss(network: Network, x: Tensor, labels: Tensor) -> Tensor:
    for block in network.blocks:
        x = block(x)
    return cross_entropy(network.head(x), labels)


def _require_full_gradient(tape: Tape, network: Network) -> None:
    gradient = tape.top
    for x, _, _, _, output in reversed(tape.blocks):
        (gradient,) = torch.autograd.grad(output, x, gradient, retain_graph=True)
    error, size = (gradient - tape.full).double().norm(), tape.full.double().norm()
    if not error <= ROUNDING * size:  # so written, it refuses what is not a number too
        kinds = ", ".join(sorted({type(block).__name__ for block in network.blocks}))
        raise InputError(
            f"{kinds}: the gradient through the recorded branches of these blocks is off by a relative error of "
            f"{float(error / size):.1e} from autograd's, expected at most {ROUNDING:.0e}; their forward must be "
            "after_addition(skip(x) + scaled(residual(x))) without random numbers: declare in after_addition what an "
            "overridden forward does after the sum"
        )


def pull_back(output: Tensor, x: Tensor, cotangents: Tensor) -> Tensor:
    """Vector-Jacobian products of one step of a block: (paths, *output shape) -> (paths, *shape of x)."""
    if output is x:
        return cotangents
    if len(cotangents) == 0:
        return cotangents.new_empty((0, *x.shape))
    # torch.vmap makes one batch of all paths; autograd's own is_grads_batched would loop over them here.
    product = torch.vmap(lambda cotangent: torch.autograd.grad(output, x, cotangent, retain_graph=True)[0])
    chunks = torch.split(cotangents, max(1, CHUNK_ELEMENTS[output.device.type] // output.numel()))
    return torch.cat([product(chunk) for chunk in chunks])


@dataclass(frozen=True)
class Scaled:
    """Vectors times exp(log_norm), so that the gradient of a long path is a number and not zero.

    vectors: (paths, *shape), of unit norm but for zeros. log_norm: (paths,); minus infinity for a vector of zeros.
    """

    vectors: Tensor
    log_norm: Tensor


def rescaled(vectors: Tensor, log_norm: Tensor) -> Scaled:
    """Move each vector's norm into its log_norm, in place."""
    norms = vectors.flatten(1).norm(dim=1)
    vectors /= _like(torch.where(norms > 0, norms, 1), vectors)
    return Scaled(vectors, log_norm + norms.log())


def _like(values: Tensor, vectors: Tensor) -> Tensor:
    return values.view(-1, *[1] * (vectors.dim() - 1))


def sampled_log_norms(tape: Tape, paths: Sequence[Sequence[int]]) -> Tensor:
    """Log of the gradient norm at the first block along each path alone, for paths given as their residual blocks.

    Many paths are followed together, from the last block to the first, and those that agree so far are followed once: a
    path of length k costs at most k residual products. Raises InputError for a path that the network does not have.
    """
    n_blocks = len(tape.blocks)
    passes = torch.zeros(len(paths), n_blocks, dtype=torch.bool)
    for path, members in zip(passes, paths, strict=True):
        if len(members) > n_blocks or not set(members) <= set(range(n_blocks)):
            raise InputError(
                f"a path of length {len(members)} through blocks {list(members)}: the network has {n_blocks} blocks, "
                f"counted from 0; give at most {n_blocks} of them"
            )
        path[list(members)] = True
    # Neighbours in this order agree over the most blocks, counted from the last.
    order = torch.tensor(sorted(range(len(paths)), key=passes.flip(1).tolist().__getitem__), dtype=torch.long)
    together = max(16, TOGETHER_ELEMENTS[tape.top.device.type] // tape.full.numel())
    log_norms = tape.top.new_empty(len(paths))
    for some in torch.split(order, together):
        log_norms[some] = _followed(tape, passes[some].to(tape.top.device))
    return log_norms


def _followed(tape: Tape, passes: Tensor) -> Tensor:
    """Log norms of paths given as which residual branches (paths, block) they pass."""
    group = torch.zeros(len(passes), dtype=torch.long, device=passes.device)  # which vector each path shares
    held = Scaled(tape.top[None], tape.top.new_zeros(1))
    for place in progress.steps(reversed(range(len(tape.blocks))), len(tape.blocks)):
        x, residual, skip, added, output = tape.blocks[place]
        here = len(held.vectors)
        parted, group = torch.unique(here * passes[:, place] + group, return_inverse=True)
        parent = parted % here  # of those that skip the block, then of those that pass its residual branch
        skipping, passing = parent[parted < here], parent[parted >= here]
        vectors = pull_back(output, added, held.vectors)
        skipped, passed = pull_back(skip, x, vectors[skipping]), pull_back(residual, x, vectors[passing])
        held = rescaled(torch.cat([skipped, passed]), held.log_norm[parent])
    return held.log_norm[group]


def draw(n_blocks: int, samples: int, generator: torch.Generator) -> list[list[int]]:
    """So many paths of each length 0 to n, each drawn evenly from all of that length, as their residual blocks."""
    return [
        torch.randperm(n_blocks, generator=generator)[:length].tolist()
        for length in range(n_blocks + 1)
        for _ in range(samples)
    ]


def exact_by_length(tape: Tape) -> Scaled:
    """The gradient at the first block summed over all paths of each length 0 to n, without enumerating a single one.

    From the last block to the first, G_i[k] = S_i^T D_i G_{i+1}[k] + J_i^T D_i G_{i+1}[k-1]: a path of length k from
    block i on either skips block i or passes its branch. n(n+1)/2 residual products give every length at once.
    """
    held = rescaled(tape.top[None].clone(), tape.top.new_zeros(1))
    for x, residual, skip, added, output in progress.steps(reversed(tape.blocks), len(tape.blocks)):
        vectors = pull_back(output, added, held.vectors)
        skipped, passed = pull_back(skip, x, vectors), pull_back(residual, x, vectors)
        held = _add_shifted(skipped, passed, held.log_norm)
    return held


def _add_shifted(skipped: Tensor, passed: Tensor, log_norm: Tensor) -> Scaled:
    """Row k is row k of `skipped` plus row k-1 of `passed`; each sum is taken relative to its larger term's scale."""
    nothing = log_norm.new_full((1,), -math.inf)
    log_skipped, log_passed = torch.cat([log_norm, nothing]), torch.cat([nothing, log_norm])
    # Finite, as two vectors of zeros have none to be taken relative to.
    scale = torch.maximum(log_skipped, log_passed).clamp(min=torch.finfo(log_norm.dtype).min)
    vectors = skipped.new_zeros((len(scale), *skipped.shape[1:]))
    torch.mul(skipped, _like((log_skipped - scale).exp()[:-1], skipped), out=vectors[:-1])
    vectors[1:].addcmul_(passed, _like((log_passed - scale).exp()[1:], passed))
    return rescaled(vectors, scale)


@dataclass(frozen=True)
class Explained:
    """How much of the full gradient the paths up to each length give: cosine and norm ratio, (n + 1,) each.

    full_error: norm of (sum over all lengths - autograd's full gradient) relative to the latter's norm.
    """

    cosine: Tensor
    norm_ratio: Tensor
    full_error: float


def explained_by_length(exact: Scaled, full: Tensor) -> Explained:
    """Compare the sum over all lengths <= L, for every L, with the full gradient."""
    lengths = exact.vectors.double() * _like(exact.log_norm.double().exp(), exact.vectors)
    sums = lengths.cumsum(dim=0).flatten(1)
    target = full.double().flatten()
    cosine = torch.nn.functional.cosine_similarity(sums, target[None], dim=1)
    error = float((sums[-1] - target).norm() / target.norm())
    return Explained(cosine, sums.norm(dim=1) / target.norm(), error)


def branch_gains(tape: Tape) -> Tensor:
    """Of each block, the gradient's norm through its residual branch over that through its skip connection: (blocks,).

    What arrives at the block is the whole gradient, of all paths from there on.
    """
    arriving, gains = tape.top[None], []
    for x, residual, skip, added, output in reversed(tape.blocks):
        arriving = pull_back(output, added, arriving)
        passed, skipped = pull_back(residual, x, arriving), pull_back(skip, x, arriving)
        gains.append(passed.norm() / skipped.norm())
        arriving = passed + skipped
    return torch.stack(gains[::-1])
