"""Swap blocks of equal shape."""

from collections.abc import Sequence
from functools import partial
from itertools import groupby

import torch
from scipy.stats import kendalltau

from unravel.engine.sweeps import Facts, Images, Tables, sweep
from unravel.engine.wiring import swap
from unravel.files import InputError
from unravel.networks import Block, Network, Wiring
from unravel.studies.reordering.settings import Reorderings


def measure(
    network: Network, images: Images, settings: Reorderings, generator: torch.Generator
) -> tuple[Tables, Facts]:
    """Swap k random pairs of blocks of equal shape, for k from 0 to `most`, several draws each (section 4.3, Fig. 5b).

    The swaps of a draw follow one another, so that neighbouring numbers share more of their work. Columns: swaps (k),
    draw (1-based), order (the blocks, 1-based, as images pass them), kendall_tau (rank correlation between the old and
    the new order of all blocks), and those of `sweep`. Raises InputError if no two blocks have equal shape, or if
    there are fewer test images than asked for.
    """
    groups = swappable(network)
    if not groups:
        raise InputError(
            "reorderings: no two blocks of the network have equal shape; take one with more blocks in a stage"
        )
    orders: list[tuple[int, int, Wiring]] = [(0, 1, network.intact)]
    wirings = [network.intact] * settings.draws
    for swaps in range(1, settings.most + 1):
        wirings = [swapped(wiring, groups, generator) for wiring in wirings]
        orders += [(swaps, draw, wiring) for draw, wiring in enumerate(wirings, 1)]
    straight = range(len(network.blocks))
    columns = {
        "swaps": [swaps for swaps, _, _ in orders],
        "draw": [draw for _, draw, _ in orders],
        "order": [" ".join(str(block + 1) for block, *_ in wiring) for _, _, wiring in orders],
        "kendall_tau": [kendalltau(straight, [block for block, *_ in wiring]).statistic for _, _, wiring in orders],
    }
    wirings = [wiring for _, _, wiring in orders]
    return sweep(network, images, wirings, columns, partial(settings.tested, "reorderings"))


def swappable(network: Network) -> list[list[int]]:
    """Groups of places whose blocks can be exchanged: two or more, of equal shape.

    Blocks that change the shape stay where they are, whether they lower the resolution or only add channels.
    """
    keep_shape = [block.keeps_shape for block in network.blocks if isinstance(block, Block)]
    runs = groupby(range(len(keep_shape)), key=keep_shape.__getitem__)
    groups = [list(places) for keeps, places in runs if keeps]
    return [group for group in groups if len(group) > 1]


def swapped(wiring: Wiring, groups: Sequence[Sequence[int]], generator: torch.Generator) -> Wiring:
    """Swap a pair of places drawn evenly from all pairs that can be exchanged."""
    pairs = torch.tensor([len(group) * (len(group) - 1) / 2 for group in groups])
    group = groups[int(torch.multinomial(pairs, 1, generator=generator))]
    one, other = torch.randperm(len(group), generator=generator)[:2].tolist()
    return swap(wiring, group[one], group[other])
