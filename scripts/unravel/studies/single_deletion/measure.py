"""Delete each block in turn."""

import torch

from unravel.engine.sweeps import Facts, Images, Tables, sweep
from unravel.engine.wiring import delete
from unravel.networks import Network
from unravel.studies.single_deletion.settings import Deletions


def measure(network: Network, images: Images, settings: Deletions, generator: torch.Generator) -> tuple[Tables, Facts]:
    """Delete each block in turn (section 4.1, Figure 3).

    Columns: deleted_position (1-based, as a reader counts; 0: nothing deleted), downsampling, those of `sweep`, and
    chance_error_percent (guessing one of the classes).
    """
    places = range(len(network.blocks))
    wirings = [network.intact, *(delete(network.intact, [place]) for place in places)]
    columns = {
        "deleted_position": [0, *(network.first_position + place for place in places)],
        "downsampling": [False, *(block.downsampling for block in network.blocks)],
    }
    tables, facts = sweep(network, images, wirings, columns)
    return {"": tables[""].assign(chance_error_percent=100 * (1 - 1 / images.classes))}, facts
