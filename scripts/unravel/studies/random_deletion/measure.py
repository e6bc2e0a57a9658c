"""Delete several random blocks at once."""

from functools import partial

import torch

from unravel.engine.sweeps import Facts, Images, Tables, sweep
from unravel.engine.wiring import delete
from unravel.files import InputError
from unravel.networks import Network
from unravel.studies.random_deletion.settings import RandomDeletions


def measure(
    network: Network, images: Images, settings: RandomDeletions, generator: torch.Generator
) -> tuple[Tables, Facts]:
    """Delete k random distinct blocks at once, for k from 0 to `most`, several draws each (section 4.2, Figure 5a).

    A draw is a random order of the blocks, of which the first k are deleted: any k blocks are equally likely, and
    neighbouring numbers of a draw share more of their work. Columns: deleted_blocks (k), draw (1-based),
    deleted_positions (separated by spaces), and those of `sweep`. Raises InputError if there are fewer blocks than
    deletions, or fewer test images than asked for.
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
    columns = {
        "deleted_blocks": [deleted for deleted, _, _ in lesions],
        "draw": [draw for _, draw, _ in lesions],
        "deleted_positions": [
            " ".join(str(network.first_position + place) for place in places) for _, _, places in lesions
        ],
    }
    wirings = [delete(network.intact, places) for _, _, places in lesions]
    return sweep(network, images, wirings, columns, partial(settings.tested, "random_deletions"))
