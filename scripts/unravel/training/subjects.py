"""Subjects: any network that lesions can be made in, a checkpoint of ours or a library's network, fitted to data."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from unravel.data.batches import AnySplit
from unravel.data.preparation import Manifest
from unravel.files import InputError
from unravel.networks import Network, named
from unravel.training import checkpoints


@dataclass(frozen=True)
class Subject:
    """A network that fits the data.

    name, seed: what the table says of it; the seed is also that of all random draws.
    mean, std: per channel, of pixel values in 0..1: how its images are normalised.
    """

    network: Network
    name: str
    seed: int
    mean: Sequence[float]
    std: Sequence[float]


Statistics = Sequence[float] | None


def find(
    network: str, weights: str | None, seed: int | None, mean: Statistics, std: Statistics
) -> Callable[[Manifest], Subject]:
    """Find a network: `torchvision:<name>`, `timm:<name>` or the path of a checkpoint.

    The function returned fits it to prepared data. What can be told without the data is told here, since preparing it
    may take minutes. What is None is chosen: the seed of the checkpoint's training, or 1; the mean and std of the data
    the checkpoint was trained on, or those the library uses. Both raise InputError.
    """
    if ":" in network:
        return _library_network(network, weights, 1 if seed is None else seed, mean, std)
    return _checkpoint(network, weights, seed, mean, std)


def _library_network(
    name: str, weights: str | None, seed: int, mean: Statistics, std: Statistics
) -> Callable[[Manifest], Subject]:
    found = named.find(name)
    if weights is None:
        raise InputError(f"{name}: which weights? Add --weights pretrained, --weights random or --weights FILE")
    if weights not in (named.PRETRAINED, named.RANDOM):
        named.read_weights(Path(weights))

    def fit_to(manifest: Manifest) -> Subject:
        network = found.load(weights, manifest.image_shape, len(manifest.classes), seed)
        return Subject(network, name, seed, mean or found.mean, std or found.std)

    return fit_to


def _checkpoint(
    path: str, weights: str | None, seed: int | None, mean: Statistics, std: Statistics
) -> Callable[[Manifest], Subject]:
    if not Path(path).is_file():
        raise InputError(f"{path}: no such checkpoint; give one of scripts/train.py, torchvision:<name> or timm:<name>")
    if Path(path).suffix != ".safetensors":
        raise InputError(
            f"{path}: not a checkpoint of scripts/train.py, which are safetensors; for weights that torch.save wrote, "
            f"name their network: torchvision:<name> or timm:<name>, and --weights {path}"
        )
    if weights is not None:
        raise InputError(f"{path}: a checkpoint has its own weights; drop --weights")
    network, card = checkpoints.load(path)

    def fit_to(manifest: Manifest) -> Subject:
        checkpoints.require_fit(path, card, manifest.image_shape, len(manifest.classes))
        if card.dataset_sha256 != manifest.identity and not (mean and std):
            raise InputError(
                f"{path}: was trained on other data; to have images normalised as they were then, give --mean and "
                "--std, which that data's manifest.json holds"
            )
        return Subject(
            network, card.name, card.seed if seed is None else seed, mean or manifest.mean, std or manifest.std
        )

    return fit_to


def normalised_for(subject: Subject, split: AnySplit) -> AnySplit:
    """The split, its images normalised as the subject needs them.

    Raises InputError if mean or std do not have one value per channel, or a std is not above 0.
    """
    channels, device = len(split.mean), split.labels.device
    for option, values in (("--mean", subject.mean), ("--std", subject.std)):
        if len(values) != channels:
            raise InputError(f"{option}: {len(values)} given, expected one for each of the images' {channels} channels")
    if min(subject.std) <= 0:
        raise InputError(f"--std: {min(subject.std)} is not above 0, but images are divided by it")
    mean, std = (torch.tensor(values, device=device) for values in (subject.mean, subject.std))
    assert dataclasses.is_dataclass(split)
    return dataclasses.replace(split, mean=mean, std=std)
