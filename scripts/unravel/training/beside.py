"""Networks that a study trains itself, beside the one that it measures: from new weights, by that one's recipe."""

import copy
from pathlib import Path
from tempfile import TemporaryDirectory

from unravel.config import AllBlocks, Training
from unravel.data.batches import random_generator
from unravel.engine.sweeps import Images
from unravel.networks import Block, Network, untrained
from unravel.training import loop
from unravel.training.states import Saving


def shallow(network: Network, kept: int, of: int) -> Network:
    """A network with the first `kept` of every `of` blocks of each stage; a stage begins where shapes change."""
    stages: list[list[Block]] = []
    for block in network.blocks:
        assert isinstance(block, Block)
        if not stages or not block.keeps_shape:
            stages.append([])
        stages[-1].append(block)
    blocks = [block for stage in stages for block in stage[: len(stage) * kept // of]]
    return Network(copy.deepcopy(network.stem), copy.deepcopy(blocks), copy.deepcopy(network.head))


def trained(network: Network, images: Images, seed: int, **own: float | None) -> Network:
    """A copy with new weights, trained with all blocks as the networks of a run are; its state is never saved.

    own: what differs from the recipe in `images`; None for what does not. Raises InputError as `loop.train` does.
    """
    assert isinstance(images.training, Training)
    differs = {key: value for key, value in own.items() if value is not None}
    recipe = images.training.model_copy(update=differs)
    fresh = untrained(network, random_generator(seed, 0)).requires_grad_(True)
    with TemporaryDirectory() as folder:
        loop.train(
            fresh,
            images.split("train"),
            images.split("test"),
            recipe,
            AllBlocks(scheme="all"),
            seed,
            Saving(Path(folder, "state.safetensors"), every=recipe.epochs, fingerprint={}),
            report=lambda epoch, rate: None,
        )
    return fresh.eval()
