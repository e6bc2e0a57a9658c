"""Train a vision transformer and a residual network with as many branches; lesion both, split their gradients."""

import math
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from unravel.engine import paths
from unravel.engine.sweeps import Facts, Images, Tables, batches_of, sweep
from unravel.engine.wiring import delete, swap
from unravel.files import InputError
from unravel.networks import Block, Network
from unravel.networks.transformer import build_transformer
from unravel.studies.vision_transformer import KINDS
from unravel.studies.vision_transformer.settings import VisionTransformer
from unravel.training import beside

LOG_10 = math.log(10)


def measure(
    network: Network, images: Images, settings: VisionTransformer, generator: torch.Generator
) -> tuple[Tables, Facts]:
    """Four tables, all but the last of both networks (`system`).

    "deletions": position (1-based; 0: nothing deleted), kind (of the branch deleted), wrong_images, test_images,
    error_percent. "swaps": draw (1-based), and the same errors with two random blocks of one kind and shape exchanged.
    "lengths": length, log10_norm (of the gradient at the first block summed over all paths of that length, of the mean
    loss over a batch of training images, BN in eval mode), sum_error (relative error of the sum over all lengths
    against autograd's gradient, the same in every row). "by_kind": the same of the transformer, by the number of
    attention and of MLP branches on a path. Raises InputError as a training does, and if there are fewer images than
    asked for.
    """
    train = images.split("train")
    if settings.images > len(train.labels):
        raise InputError(
            f"vision_transformer.images is {settings.images}, expected at most the {len(train.labels)} training "
            "images; lower it"
        )
    batch = next(batches_of(train, settings.images, settings.images))
    made = trained(network, images, settings, generator)
    found = {
        system: {**lesioned(one, images, settings, generator), "lengths": by_length(paths.record(one, *batch, False))}
        for system, one in made.items()
    }
    tables = {
        name: pd.concat([tables[name].assign(system=system) for system, tables in found.items()], ignore_index=True)
        for name in ("deletions", "swaps", "lengths")
    }
    kinds = [kind_of(block) for block in made["transformer"].blocks]
    tape = paths.record(made["transformer"], *batch, train_mode=False)
    return {**tables, "by_kind": by_kind(tape, kinds)}, {}


def trained(
    network: Network, images: Images, settings: VisionTransformer, generator: torch.Generator
) -> dict[str, Network]:
    """Both networks: the residual one has the first blocks of each of the run's network's stages."""
    shape = images.split("train").normalised(slice(0, 1)).shape
    transformer = build_transformer(
        (shape[2], shape[3], shape[1]), images.classes, settings.layers, settings.width, settings.heads, settings.patch
    )
    residual = beside.shallow(network, settings.branches, len(network.blocks))
    seeds = torch.randint(2**31, (2,), generator=generator).tolist()
    epochs, rate = settings.epochs, settings.learning_rate
    return {
        "transformer": beside.trained(transformer, images, seeds[0], epochs=epochs, learning_rate=rate),
        "residual": beside.trained(residual, images, seeds[1]),
    }


# --- lesions --------------------------------------------------------------------------------------------------------


def kind_of(block: object) -> str:
    """What a block is called in the tables."""
    return {"AttentionBlock": "attention", "MLPBlock": "mlp"}.get(type(block).__name__, "block")


def lesioned(network: Network, images: Images, settings: VisionTransformer, generator: torch.Generator) -> Tables:
    """The tables of deletions and of swaps of one network, from one sweep."""
    places = range(len(network.blocks))
    pairs = swaps(network, settings.swaps, generator)
    wirings = [network.intact, *(delete(network.intact, [place]) for place in places)]
    wirings += [swap(network.intact, *pair) for pair in pairs]
    tables, _ = sweep(network, images, wirings, {}, partial(settings.tested, "vision_transformer"))
    deletions, exchanged = tables[""][: len(places) + 1], tables[""][len(places) + 1 :]
    kinds = ["intact", *(kind_of(block) for block in network.blocks)]
    return {
        "deletions": deletions.assign(position=range(len(places) + 1), kind=kinds),
        "swaps": exchanged.assign(draw=range(1, len(pairs) + 1)),
    }


def swaps(network: Network, number: int, generator: torch.Generator) -> list[tuple[int, int]]:
    """Random pairs of places, drawn evenly from those whose blocks are of one kind, take one shape and keep it.

    In a transformer an attention changes places with an attention; in a residual network, two blocks of one stage do.
    """
    groups: dict[tuple[str, int], list[int]] = {}
    stage = 0
    for place, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        stage += not block.keeps_shape
        if block.keeps_shape:
            groups.setdefault((kind_of(block), stage), []).append(place)
    pairs = [(one, other) for group in groups.values() for one in group for other in group if one < other]
    if not pairs:
        raise InputError("vision_transformer: no two blocks have one kind and shape; take networks with more blocks")
    return [pairs[place] for place in torch.randint(len(pairs), (number,), generator=generator).tolist()]


# --- gradients ------------------------------------------------------------------------------------------------------


def by_length(tape: paths.Tape) -> pd.DataFrame:
    """The table of lengths of one network."""
    exact = paths.exact_by_length(tape)
    return pd.DataFrame(
        {
            "length": range(len(exact.log_norm)),
            "log10_norm": (exact.log_norm.double() / LOG_10).tolist(),
            "sum_error": paths.explained_by_length(exact, tape.full).full_error,
        }
    )


def by_kind(tape: paths.Tape, kinds: list[str]) -> pd.DataFrame:
    """The table of a transformer's gradient by the number of attention and MLP branches."""
    sums = exact_by_kind(tape, kinds)
    norms = sums.double().flatten(2).norm(dim=2)
    attention, mlp = torch.meshgrid(*(torch.arange(size) for size in norms.shape), indexing="ij")
    return pd.DataFrame(
        {
            "attention": attention.flatten().tolist(),
            "mlp": mlp.flatten().tolist(),
            "log10_norm": norms.log10().flatten().tolist(),
            "sum_error": float((sums.sum(dim=(0, 1)) - tape.full).norm() / tape.full.norm()),
        }
    )


def exact_by_kind(tape: paths.Tape, kinds: list[str]) -> Tensor:
    """The gradient at the first block summed over all paths of a attention and m MLP branches: (a, m, *shape).

    From the last block to the first, with J and S the Jacobians of a block's residual branch and skip connection:
    G_i[a, m] = S_i^T G_{i+1}[a, m] + J_i^T G_{i+1}[a - 1, m] where block i is an attention, and so for MLPs.
    """
    held = tape.top[None, None]
    for kind, (x, residual, skip, added, output) in zip(reversed(kinds), reversed(tape.blocks), strict=True):
        counts, axis = held.shape[:2], KINDS.index(kind)
        cotangents = paths.pull_back(output, added, held.flatten(0, 1))
        skipped = paths.pull_back(skip, x, cotangents).unflatten(0, counts)  # type: ignore[no-untyped-call]
        passed = paths.pull_back(residual, x, cotangents).unflatten(0, counts)  # type: ignore[no-untyped-call]
        nothing = torch.zeros_like(skipped.narrow(axis, 0, 1))
        held = torch.cat([skipped, nothing], dim=axis) + torch.cat([nothing, passed], dim=axis)
    return held
