"""Networks that a study trains for itself, by the loop that trains a run's: nothing of them is left on the disk."""

import copy
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from unravel.config import AllBlocks, ResNet, Training
from unravel.data.batches import random_generator
from unravel.engine.sweeps import Images
from unravel.networks import Block, Network, build, initialise, untrained
from unravel.training import loop
from unravel.training.states import Epoch, Saving


def drawn_seed(generator: torch.Generator) -> int:
    """A seed for a training beside others."""
    return int(torch.randint(2**31, (1,), generator=generator))


def build_anew(settings: ResNet, images: Images, generator: torch.Generator) -> Network:
    """A network with random weights for these images, where they are. Raises InputError as `build` does."""
    split = images.split("train")
    _, channels, height, width = split.normalised(slice(0, 1)).shape
    network = build(settings, (height, width, channels), images.classes)
    initialise(network, generator)
    return network.to(split.labels.device)


def train_anew(
    network: Network,
    images: Images,
    recipe: Training,
    seed: int,
    before_step: Callable[[], None] = lambda: None,
) -> list[Epoch]:
    """Train a network in place with all blocks on every batch, in the order of images of a seed; its history.

    `before_step` is called before every step. Raises InputError as a run's training does.
    """
    with TemporaryDirectory() as folder:
        never = Saving(Path(folder, "state.safetensors"), every=recipe.epochs, fingerprint={})
        return loop.train(
            network,
            images.split("train"),
            images.split("test"),
            recipe,
            AllBlocks(scheme="all"),
            seed,
            never,
            report=lambda epoch, rate: None,
            before_step=before_step,
        )


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
    """A copy with new weights, trained with all blocks as the networks of a run are.

    own: what differs from the recipe in `images`; None for what does not. Raises InputError as a run's training does.
    """
    assert isinstance(images.training, Training)
    recipe = images.training.model_copy(update={key: value for key, value in own.items() if value is not None})
    fresh = untrained(network, random_generator(seed, 0)).requires_grad_(True)
    train_anew(fresh, images, recipe, seed)
    return fresh.eval()
