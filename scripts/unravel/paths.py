"""Paths (paper, section 5): how much gradient single paths carry, and all paths of each length together.

A path through n blocks takes, at every block, either the residual branch or the skip connection; its length is the
number of residual branches. Let J_i and S_i be the Jacobians of block i's residual branch and skip connection, taken at
the activations of the whole network. The gradient at the first block is the product over i of (S_i + J_i)^T applied to
the gradient at the last block's output; multiplied out, it is a sum over all 2^n paths.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from unravel.networks import Block, Network

CHUNK_ELEMENTS = 2**20  # numbers in the cotangents sent through a block at once: fits a CPU's cache, bounds memory
RESCALE_EVERY = 8  # blocks between two rescalings: far more often than float32 needs to underflow


@dataclass(frozen=True)
class Tape:
    """One forward pass with every block's graph kept, so that any number of paths can be followed back through it.

    blocks: for each block its input, its residual branch and its skip connection (None: the identity).
    top: the loss gradient at the last block's output. full: autograd's gradient at the first block's input.
    All are (batch, channel, height, width); the loss is the mean over the batch.
    """

    blocks: list[tuple[Tensor, Tensor, Tensor | None]]
    top: Tensor
    full: Tensor


def record(network: Network, images: Tensor, labels: Tensor, train_mode: bool) -> Tape:
    """Run a copy of the network on a batch, BN in train mode (as during training) or eval mode."""
    network = copy.deepcopy(network).train(train_mode)  # a copy: BN in train mode changes its running statistics
    x = network.stem(images).detach().requires_grad_()
    (full,) = torch.autograd.grad(_loss(network, x, labels), x)
    blocks = []
    for block in network.blocks:
        assert isinstance(block, Block)
        residual, skip = block.residual(x), block.skip(x)
        if not train_mode:
            residual = block.survival * residual
        blocks.append((x, residual, None if skip is x else skip))
        x = (residual + skip).detach().requires_grad_()
    (top,) = torch.autograd.grad(cross_entropy(network.head(x), labels), x)
    return Tape(blocks, top, full)


def _loss(network: Network, x: Tensor, labels: Tensor) -> Tensor:
    for block in network.blocks:
        x = block(x)
    return cross_entropy(network.head(x), labels)


def pull_back(output: Tensor | None, x: Tensor, cotangents: Tensor) -> Tensor:
    """Vector-Jacobian products of a branch: (paths, *output shape) -> (paths, *input shape). None is the identity."""
    if output is None:
        return cotangents
    if len(cotangents) == 0:
        return cotangents.new_empty((0, *x.shape))
    chunks = torch.split(cotangents, max(1, CHUNK_ELEMENTS // output.numel()))
    return torch.cat(
        [torch.autograd.grad(output, x, chunk, retain_graph=True, is_grads_batched=True)[0] for chunk in chunks]
    )


@dataclass(frozen=True)
class Scaled:
    """Vectors as unit vectors times exp(log_norm), so that the gradient of a long path is a number and not zero.

    vectors: (paths, *shape). log_norm: (paths,); minus infinity for a vector of zeros.
    """

    vectors: Tensor
    log_norm: Tensor


def rescaled(vectors: Tensor, log_norm: Tensor) -> Scaled:
    """Move each vector's norm into its log_norm."""
    norms = vectors.flatten(1).norm(dim=1)
    unit = torch.where(norms > 0, norms, 1)
    return Scaled(vectors / _like(unit, vectors), log_norm + norms.log())


def _like(values: Tensor, vectors: Tensor) -> Tensor:
    return values.view(-1, *[1] * (vectors.dim() - 1))


def sampled_log_norms(tape: Tape, paths: Sequence[Sequence[int]]) -> Tensor:
    """Log of the gradient norm at the first block along each path alone, for paths given as their residual blocks.

    All paths are followed together, from the last block to the first: a path of length k costs k residual products.
    """
    passes = torch.zeros(len(paths), len(tape.blocks), dtype=torch.bool, device=tape.top.device)
    for path, members in zip(passes, paths, strict=True):
        path[list(members)] = True
    vectors = tape.top.repeat(len(paths), *[1] * tape.top.dim())
    log_norm = torch.zeros(len(paths), dtype=tape.top.dtype, device=tape.top.device)
    for place in reversed(range(len(tape.blocks))):
        x, residual, skip = tape.blocks[place]
        through = passes[:, place]
        passed = pull_back(residual, x, vectors[through])
        if skip is not None:
            skipped = pull_back(skip, x, vectors[~through])
            vectors = vectors.new_empty((len(paths), *x.shape))
            vectors[~through] = skipped
        vectors[through] = passed  # along an identity, nothing changes for the others
        if place % RESCALE_EVERY == 0:
            held = rescaled(vectors, log_norm)
            vectors, log_norm = held.vectors, held.log_norm
    return log_norm


def exact_by_length(tape: Tape) -> Scaled:
    """The gradient at the first block summed over all paths of each length 0 to n, without enumerating a single one.

    From the last block to the first, G_i[k] = S_i^T G_{i+1}[k] + J_i^T G_{i+1}[k-1]: a path of length k from block i on
    either skips block i or passes its branch. n(n+1)/2 residual products give every length at once.
    """
    held = rescaled(tape.top[None], torch.zeros(1, dtype=tape.top.dtype, device=tape.top.device))
    for x, residual, skip in reversed(tape.blocks):
        skipped, passed = pull_back(skip, x, held.vectors), pull_back(residual, x, held.vectors)
        held = _add_shifted(Scaled(skipped, held.log_norm), Scaled(passed, held.log_norm))
    return held


def _add_shifted(skipped: Scaled, passed: Scaled) -> Scaled:
    """Row k is row k of `skipped` plus row k-1 of `passed`; each sum is taken relative to its larger term's scale."""
    nothing = skipped.log_norm.new_full((1,), -math.inf)
    log_skipped = torch.cat([skipped.log_norm, nothing])
    log_passed = torch.cat([nothing, passed.log_norm])
    scale = torch.maximum(log_skipped, log_passed)
    zeros = torch.zeros_like(skipped.vectors[:1])
    vectors = torch.cat([skipped.vectors, zeros]) * _like((log_skipped - scale).exp(), skipped.vectors)
    vectors += torch.cat([zeros, passed.vectors]) * _like((log_passed - scale).exp(), passed.vectors)
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
