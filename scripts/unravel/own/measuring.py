"""The lesion studies of the pipeline, called with a network and a loader; each gives the pipeline's tables."""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from unravel.config import Evaluation
from unravel.data.batches import Split
from unravel.engine.paths import ROUNDING
from unravel.engine.sweeps import Images, Tables
from unravel.files import InputError
from unravel.networks import Block, Network
from unravel.networks.apart import TakenApart, shown, take_apart
from unravel.studies import MEASURED
from unravel.studies.base import StudySettings
from unravel.studies.measuring import measured
from unravel.studies.path_gradients.settings import Gradients
from unravel.studies.random_deletion.settings import RandomDeletions
from unravel.studies.reordering.settings import Reorderings
from unravel.studies.single_deletion.settings import Deletions

Batches = Iterable[tuple[Tensor, Tensor]]
MOST = 20  # lesions made at once, as in the paper, where the network has as many blocks
SAMPLES = 100  # paths of each length; the paper follows about as many
BATCH = 128  # images whose gradient is followed, as in the paper


class Loaded(Split):
    """Images (n, ...) as a loader gives them, normalised already, and labels (n,), in memory."""

    def normalised(self, index: Tensor | slice) -> Tensor:
        return self.images[index]


class PathGradients(NamedTuple):
    """The gradient by path length: of single sampled paths, and summed over all paths of each length."""

    sampled: pd.DataFrame
    exact: pd.DataFrame


def deletions(network: Network, loader: Batches, seed: int = 1) -> pd.DataFrame:
    """Test error after deleting each block in turn (paper, Figure 3); see `single_deletion.measure` for the columns."""
    return measure(network, load(loader, network), "deletions", Deletions(), seed)[""]


def random_deletions(
    network: Network, loader: Batches, most: int | None = None, draws: int = 100, seed: int = 1
) -> pd.DataFrame:
    """Test error after deleting 1 to `most` random blocks at once (paper, Figure 5a)."""
    settings = RandomDeletions(most=most or min(MOST, len(network.blocks)), draws=draws)
    return measure(network, load(loader, network), "random_deletions", settings, seed)[""]


def reorderings(network: Network, loader: Batches, most: int = MOST, draws: int = 100, seed: int = 1) -> pd.DataFrame:
    """Test error after 1 to `most` swaps of two blocks of equal shape (paper, Figure 5b)."""
    return measure(network, load(loader, network), "reorderings", Reorderings(most=most, draws=draws), seed)[""]


def gradients(
    network: Network, loader: Batches, samples: int = SAMPLES, batch_size: int = BATCH, seed: int = 1
) -> PathGradients:
    """The gradient at the first block by path length (paper, Figure 6), of random images of the loader.

    Raises InputError if the sum over all paths is not autograd's gradient.
    """
    split = load(loader, network)
    settings = Gradients(samples_per_length=samples, batch_size=min(batch_size, len(split.labels)))
    return path_gradients(measure(network, split, "gradients", settings, seed))


def path_gradients(made: Tables) -> PathGradients:
    """The tables of `path_gradients.measure`, if the sum over all paths is autograd's gradient."""
    error = float(made["exact"].full_error.max())
    if not error <= ROUNDING:
        raise InputError(
            f"gradients: the sum over all paths is off by a relative error of {error:.1e} from autograd's gradient, at "
            f"most {ROUNDING:.0e} is rounding; run the network in double precision: take_apart(model.double(), ...)"
        )
    return PathGradients(made["sampled"], made["exact"])


def measure(
    network: Network,
    split: Split,
    key: str,
    settings: StudySettings,
    seed: int,
    name: str | None = None,
    evaluation: Evaluation | None = None,
) -> Tables:
    """The tables of one study, by its key, on a split in memory."""
    network = fitted(network, split.normalised(slice(0, 2)))
    require_residual(network)
    classes = _classes(network, split)
    images = Images(lambda _: split, classes, evaluation or Evaluation())
    return measured(MEASURED[key], settings, network, images, name or called(network), seed)[0]


def load(loader: Batches, network: nn.Module) -> Loaded:
    """All that a loader gives, on the network's device and in its precision: once, so that it may shuffle.

    Raises InputError if it gives anything else than batches of images and labels.
    """
    like = next(network.parameters(), torch.empty(0))
    images, labels = [], []
    for number, batch in enumerate(loader):
        whole = isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)
        if not whole or len(batch[0]) != len(batch[1]) or batch[1].ndim != 1 or batch[1].is_floating_point():
            raise InputError(
                f"loader: batch {number} is {_described(batch)}, expected a pair of tensors: images (batch, ...) and "
                "their labels (batch,) as whole numbers"
            )
        images.append(batch[0].to(like))
        labels.append(batch[1].to(like.device).long())
    if not images:
        raise InputError("loader: gives no batch; give a DataLoader, or a list of batches (images, labels)")
    zero = torch.zeros(1)
    return Loaded(torch.cat(images), torch.cat(labels), zero, zero + 1)


def fitted(network: Network, images: Tensor) -> Network:
    """The network for such images: taken apart once more where they have another size."""
    if isinstance(network, TakenApart) and network.image != tuple(images.shape[1:]):
        return take_apart(network.model, network.pattern, images)
    return network


def called(network: Network) -> str:
    """What the tables call it: the model's class."""
    return type(network.model if isinstance(network, TakenApart) else network).__name__


def require_residual(network: Network) -> None:
    """Raise InputError unless the network is one of ours, with residual blocks or plain layers."""
    if not isinstance(network, Network) or not all(isinstance(block, Block) for block in network.blocks):
        raise InputError(f"{type(network).__name__}: is no network in parts; call take_apart(model, blocks=...) first")


@torch.no_grad()
def _classes(network: Network, split: Split) -> int:
    logits: Tensor = network(split.normalised(slice(0, 2)))
    if logits.ndim != 2:
        raise InputError(
            f"{called(network)}: its output has the shape {shown(logits.shape)} for 2 images, expected (2, classes)"
        )
    highest, classes = int(split.labels.max()), logits.shape[1]
    if highest >= classes or int(split.labels.min()) < 0:
        raise InputError(
            f"labels: {highest} is the highest, expected 0 to {classes - 1}, since the network tells {classes} classes "
            "apart"
        )
    return classes


def _described(batch: object) -> str:
    if isinstance(batch, tuple | list):
        parts = (shown(part.shape) if isinstance(part, Tensor) else type(part).__name__ for part in batch)
        return f"a {type(batch).__name__} of {', '.join(parts)}"
    return type(batch).__name__
