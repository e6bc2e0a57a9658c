"""Networks that a study trains for itself, by the loop that trains a run's: nothing of them is left on the disk."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from unravel.config import AllBlocks, ResNet, Training
from unravel.engine.sweeps import Images
from unravel.networks import Network, build, initialise
from unravel.training import loop
from unravel.training.states import Epoch, Saving


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
    generator: torch.Generator,
    before_step: Callable[[], None] = lambda: None,
) -> list[Epoch]:
    """Train a network in place with all blocks on every batch, in an order of images of its own; its history.

    `before_step` is called before every step. Raises InputError as a run's training does.
    """
    seed = int(torch.randint(2**31, (1,), generator=generator))
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
