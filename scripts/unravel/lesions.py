"""The paper's lesion studies (section 4): each hands a set of wirings to one engine and returns a table."""

import time
from collections.abc import Sequence
from itertools import groupby

import pandas as pd
import torch
from scipy.stats import kendalltau

from unravel.config import Deletions, RandomDeletions, Reorderings
from unravel.data.batches import AnySplit, random_generator
from unravel.files import InputError
from unravel.networks import Block, Network, Wiring
from unravel.wiring import Sweep, delete, evaluate, swap

Study = Deletions | RandomDeletions | Reorderings
STUDIES = (Deletions, RandomDeletions, Reorderings)  # the place in this list seeds a study's draws


def measure(
    network: Network, split: AnySplit, classes: int, study: Study, batch_size: int, *, name: str, seed: int
) -> tuple[pd.DataFrame, dict[str, float]]:
    """One lesion study of one network, its random draws those of `seed`.

    Returns its table, each row with the `name` and the `seed`, and what the work was, for the job record.
    Raises InputError as the studies below do.
    """
    generator = random_generator(seed, 0, STUDIES.index(type(study)))
    clock = time.perf_counter()
    match study:
        case Deletions():
            table, sweep = single_deletions(network, split, classes, batch_size)
        case RandomDeletions():
            table, sweep = random_deletions(network, split, study, batch_size, generator)
        case Reorderings():
            table, sweep = reorderings(network, split, study, batch_size, generator)
    seconds = time.perf_counter() - clock
    table.insert(0, "network", name)
    table.insert(1, "seed", seed)
    facts = {
        "block_evaluations": sweep.block_evaluations,
        "naive_block_evaluations": sweep.naive_block_evaluations,
        "images_per_second": round(sweep.images / seconds, 1),
    }
    return table, facts


def single_deletions(network: Network, split: AnySplit, classes: int, batch_size: int) -> tuple[pd.DataFrame, Sweep]:
    """Delete each block in turn (section 4.1, Figure 3).

    Columns: deleted_position (1-based, as a reader counts; 0: nothing deleted), downsampling, wrong_images,
    test_images, error_percent, chance_error_percent (guessing one of `classes`).
    """
    places = range(len(network.blocks))
    wirings = [network.intact, *(delete(network.intact, [place]) for place in places)]
    sweep = evaluate(network, wirings, split.batches(batch_size))
    columns = {
        "deleted_position": [0, *(network.first_position + place for place in places)],
        "downsampling": [False, *(block.downsampling for block in network.blocks)],
    }
    table = pd.DataFrame(columns | errors(sweep)).assign(chance_error_percent=100 * (1 - 1 / classes))
    return table, sweep


def random_deletions(
    network: Network, split: AnySplit, settings: RandomDeletions, batch_size: int, generator: torch.Generator
) -> tuple[pd.DataFrame, Sweep]:
    """Delete k random distinct blocks at once, for k from 0 to `most`, several draws each (section 4.2, Figure 5a).

    A draw is a random order of the blocks, of which the first k are deleted: any k blocks are equally likely, and
    neighbouring numbers of a draw share more of their work. Columns: deleted_blocks (k), draw (1-based),
    deleted_positions (separated by spaces), and those of `errors`. Raises InputError if there are fewer blocks than
    deletions.
    """
    n_blocks = len(network.blocks)
    if settings.most > n_blocks:
        raise InputError(
            f"random_deletions.most is {settings.most}, but the network has only {n_blocks} blocks; lower it"
        )
    draws = [torch.randperm(n_blocks, generator=generator).tolist() for _ in range(settings.draws)]
    lesions: list[tuple[int, int, list[int]]] = [(0, 1, [])]
    for deleted in range(1, settings.most + 1):
        lesions += [(deleted, draw, sorted(order[:deleted])) for draw, order in enumerate(draws, 1)]
    sweep = evaluate(network, [delete(network.intact, places) for _, _, places in lesions], split.batches(batch_size))
    columns = {
        "deleted_blocks": [deleted for deleted, _, _ in lesions],
        "draw": [draw for _, draw, _ in lesions],
        "deleted_positions": [
            " ".join(str(network.first_position + place) for place in places) for _, _, places in lesions
        ],
    }
    return pd.DataFrame(columns | errors(sweep)), sweep


def reorderings(
    network: Network, split: AnySplit, settings: Reorderings, batch_size: int, generator: torch.Generator
) -> tuple[pd.DataFrame, Sweep]:
    """Swap k random pairs of blocks of equal shape, for k from 0 to `most`, several draws each (section 4.3, Fig. 5b).

    The swaps of a draw follow one another, so that neighbouring numbers share more of their work. Columns: swaps (k),
    draw (1-based), kendall_tau (rank correlation between the old and the new order of all blocks), and those of
    `errors`. Raises InputError if no two blocks have equal shape.
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
    sweep = evaluate(network, [wiring for _, _, wiring in orders], split.batches(batch_size))
    straight = range(len(network.blocks))
    columns = {
        "swaps": [swaps for swaps, _, _ in orders],
        "draw": [draw for _, draw, _ in orders],
        "kendall_tau": [kendalltau(straight, [block for block, _ in wiring]).statistic for _, _, wiring in orders],
    }
    return pd.DataFrame(columns | errors(sweep)), sweep


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


def errors(sweep: Sweep) -> dict[str, object]:
    """The columns every lesion table ends with: wrong_images, test_images, error_percent."""
    return {"wrong_images": sweep.wrong, "test_images": sweep.images, "error_percent": sweep.error_percent}
