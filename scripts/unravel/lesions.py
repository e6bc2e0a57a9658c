"""The paper's lesion studies (section 4): each hands a set of wirings to one engine and returns a table."""

import pandas as pd

from unravel.data.batches import Split
from unravel.networks import Network
from unravel.wiring import Sweep, delete, evaluate


def single_deletions(network: Network, split: Split, classes: int, batch_size: int) -> tuple[pd.DataFrame, Sweep]:
    """Delete each block in turn (section 4.1, Figure 3).

    Columns: deleted_position (1-based, as a reader counts; 0: nothing deleted), downsampling, wrong_images,
    test_images, error_percent, chance_error_percent (guessing one of `classes`).
    """
    places = range(len(network.blocks))
    wirings = [network.intact, *(delete(network.intact, [place]) for place in places)]
    sweep = evaluate(network, wirings, split.batches(batch_size))
    table = pd.DataFrame(
        {
            "deleted_position": [0, *(network.first_position + place for place in places)],
            "downsampling": [False, *(block.downsampling for block in network.blocks)],
            "wrong_images": sweep.wrong,
            "test_images": sweep.images,
            "error_percent": sweep.error_percent,
            "chance_error_percent": 100 * (1 - 1 / classes),
        }
    )
    return table, sweep
