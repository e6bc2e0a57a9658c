"""Finding the network that lesions are to be made in: a file's own, a library's, or a checkpoint of ours."""

import dataclasses
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unravel.data.batches import AnySplit
from unravel.data.preparation import Manifest
from unravel.files import InputError, regular
from unravel.networks import Network, named
from unravel.networks.apart import take_apart
from unravel.networks.base import misfit
from unravel.training import checkpoints

FORMS = "FILE.py:NAME, torchvision:NAME, timm:NAME, or a checkpoint of scripts/train.py"


@dataclass(frozen=True)
class Subject:
    """A network that fits the data.

    name, seed: what the table says of it; the seed is also that of all random draws.
    mean, std: per channel, of pixel values in 0..1: how its images are normalised; None: as the data's training images.
    """

    network: Network
    name: str
    seed: int
    mean: Sequence[float] | None
    std: Sequence[float] | None


Statistics = Sequence[float] | None
Shape = tuple[int, int, int]
Fit = Callable[[Shape, int, Manifest | None], Subject]
"""Fits a network to images of a shape (height, width, channel), a number of classes, and prepared data, if it is."""


def find(
    network: str, weights: str | None, blocks: str | None, seed: int | None, mean: Statistics, std: Statistics
) -> Fit:
    """Find a network by one of FORMS.

    The function returned fits it to data. What can be told without the data is told here, since preparing it may take
    minutes. What is None is chosen: the seed of the checkpoint's training, or 1; the mean and std of the data the
    checkpoint was trained on, or those the library uses. Both raise InputError.
    """
    first, colon, last = network.rpartition(":")
    if colon and first.endswith(".py"):
        model = own_model(first, last, weights)

        def fit_own(shape: Shape, classes: int, manifest: Manifest | None) -> Subject:
            return Subject(apart(model, blocks, shape), last, 1 if seed is None else seed, mean, std)

        return fit_own
    if colon:
        return _library_network(network, weights, blocks, 1 if seed is None else seed, mean, std)
    return _checkpoint(network, weights, blocks, seed, mean, std)


def apart(model: nn.Module, blocks: str | None, shape: Shape) -> Network:
    """A model in parts, for images of this shape (height, width, channel)."""
    height, width, channels = shape
    like = next(model.parameters(), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    return take_apart(model, blocks, torch.randn(2, channels, height, width, generator=generator).to(like))


def own_model(path: str, name: str, weights: str | None) -> nn.Module:
    """The module of that name in a Python file, or what the function or class makes, with weights from a file."""
    model = from_file(path, name)
    if callable(model) and not isinstance(model, nn.Module):
        try:
            model = model()
        except TypeError as error:
            raise InputError(
                f"{path}:{name}: cannot be called without arguments ({error}); name a function that can"
            ) from error
    if not isinstance(model, nn.Module):
        raise InputError(f"{path}:{name}: is {type(model).__name__}, expected a torch.nn.Module, or what makes one")
    if weights in (named.PRETRAINED, named.RANDOM):
        raise InputError(f"{path}:{name}: --weights {weights} is for networks of a library; give a file, or drop it")
    if weights is not None:
        fill(model, weights, f"{path}:{name}")
    return model


def fill(model: nn.Module, weights: str, name: str) -> None:
    """Load weights from a file. Raises InputError if they are not those of the model."""
    tensors = named.read_weights(Path(weights))
    if wrong := misfit(tensors, model.state_dict()):
        raise InputError(f"{weights}: does not fit {name}: {wrong}")
    model.load_state_dict(tensors)


def from_file(path: str, name: str) -> Any:
    """What a Python file calls `name`. The file is run, as by `python FILE`, its folder among those it imports from."""
    file = regular(Path(path)).resolve()
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(file.parent))
    if not hasattr(module, name):
        offered = [key for key, value in vars(module).items() if callable(value) or isinstance(value, nn.Module)]
        own = [key for key in offered if getattr(getattr(module, key), "__module__", file.stem) == file.stem]
        raise InputError(f"{path}: has no '{name}'; it has {', '.join(own) or 'neither functions nor modules'}")
    return getattr(module, name)


def _library_network(
    name: str, weights: str | None, blocks: str | None, seed: int, mean: Statistics, std: Statistics
) -> Fit:
    found = named.find(name)
    if weights is None:
        raise InputError(f"{name}: which weights? Add --weights pretrained, --weights random or --weights FILE")
    if weights not in (named.PRETRAINED, named.RANDOM):
        named.read_weights(Path(weights))

    def fit_to(shape: Shape, classes: int, manifest: Manifest | None) -> Subject:
        model = found.model(weights, shape, classes, seed)
        return Subject(apart(model, blocks, shape), name, seed, mean or found.mean, std or found.std)

    return fit_to


def _checkpoint(
    path: str, weights: str | None, blocks: str | None, seed: int | None, mean: Statistics, std: Statistics
) -> Fit:
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; expected {FORMS}")
    if weights is not None or blocks is not None:
        raise InputError(f"{path}: a checkpoint has its own weights and blocks; drop --weights and --blocks")
    try:
        if Path(path).suffix != ".safetensors":
            raise InputError(path)
        network, card = checkpoints.load(path)
    except InputError as error:
        raise InputError(
            f"{path}: is no checkpoint of scripts/train.py; if these are weights, name their network too: "
            f"lesion my_model.py:NAME --weights {path}, or torchvision:NAME or timm:NAME"
        ) from error

    def fit_to(shape: Shape, classes: int, manifest: Manifest | None) -> Subject:
        checkpoints.require_fit(path, card, shape, classes)
        same = manifest is None or card.dataset_sha256 == manifest.identity
        if not same and not (mean and std):
            raise InputError(
                f"{path}: was trained on other data; to have images normalised as they were then, give --mean and "
                "--std, which that data's manifest.json holds"
            )
        return Subject(network, card.name, card.seed if seed is None else seed, mean, std)

    return fit_to


def normalised_for(subject: Subject, split: AnySplit) -> AnySplit:
    """The split, its images normalised as the subject needs them.

    Raises InputError if mean or std do not have one value per channel, or a std is not above 0.
    """
    channels, device = len(split.mean), split.labels.device
    given = (subject.mean or split.mean.tolist(), subject.std or split.std.tolist())
    for option, values in zip(("--mean", "--std"), given, strict=True):
        if len(values) != channels:
            raise InputError(f"{option}: {len(values)} given, expected one for each of the images' {channels} channels")
    if min(given[1]) <= 0:
        raise InputError(f"--std: {min(given[1])} is not above 0, but images are divided by it")
    mean, std = (torch.tensor(values, device=device) for values in given)
    assert dataclasses.is_dataclass(split)
    return dataclasses.replace(split, mean=mean, std=std)
