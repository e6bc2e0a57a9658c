"""Named networks: residual networks of torchvision and timm, such as torchvision:resnet50, with weights of choice."""

import argparse
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from unravel.files import InputError, optional, regular
from unravel.networks.adapters import adapt
from unravel.networks.base import Network, misfit

PRETRAINED, RANDOM = "pretrained", "random"
# Under what training scripts keep a network's weights, beside their own state.
CONTAINERS = ("state_dict", "model_state_dict", "model", "net")
PARALLEL = "module."  # before every name, where a network was saved inside DataParallel
SAVE = "save network.state_dict(), best as safetensors"


@dataclass(frozen=True)
class Named:
    """A library's network that can be taken apart, not yet built.

    mean, std: per colour channel, of pixel values in 0..1: how the library normalises images for it.
    pretrained_classes: the classes of the library's own weights.
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pretrained_classes: int
    build: Callable[[int], nn.Module]  # classes -> randomly initialised
    download: Callable[[], nn.Module]  # with the library's own weights

    def model(self, weights: str, image_shape: tuple[int, int, int], classes: int, seed: int) -> nn.Module:
        """The library's network for images of `image_shape` (height, width, channel), in eval mode.

        weights: "pretrained" (the library's own, downloaded by it), "random" (initialised from `seed`), or a file.
        Raises InputError if the images or the weights do not fit, or the weights cannot be had.
        """
        if image_shape[2] != len(self.mean):
            raise InputError(
                f"{self.name}: takes images of {len(self.mean)} channels, the data has {image_shape[2]}; "
                "convert the images"
            )
        if weights == PRETRAINED:
            if classes != self.pretrained_classes:
                raise InputError(
                    f"{self.name}: its pretrained weights are for {self.pretrained_classes} classes, the data has "
                    f"{classes}; give weights for them in a file"
                )
            return self.pretrained().eval()
        with torch.random.fork_rng(devices=[]):  # the libraries draw from torch's global generator
            torch.manual_seed(seed)
            network = self.build(classes)
        if weights != RANDOM:
            tensors = read_weights(Path(weights))
            if wrong := misfit(tensors, network.state_dict()):
                raise InputError(f"{weights}: does not fit {self.name} with {classes} classes: {wrong}")
            network.load_state_dict(tensors)
        return network.eval()

    def load(self, weights: str, image_shape: tuple[int, int, int], classes: int, seed: int) -> Network:
        """The same in parts, its batch normalisations ready to be folded, as the pipeline takes it."""
        return adapt(self.model(weights, image_shape, classes, seed), self.name)

    def take_apart(self, classes: int) -> Network:
        """The network as the library initialises it, without taking from torch's own random numbers."""
        with torch.random.fork_rng(devices=[]):
            return adapt(self.build(classes), self.name)

    def pretrained(self) -> nn.Module:
        """The library's network with its own weights, downloaded into the library's cache where they are not there.

        Raises InputError if they cannot be had.
        """
        try:
            return self.download()
        except Exception as error:  # each library and each way of failing has its own exception
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{self.name}: its pretrained weights cannot be downloaded ({reason}); download them where there is a "
                "network (make prefetch), or give them in a file"
            ) from error


def find(name: str) -> Named:
    """Look a network up by `torchvision:<name>` or `timm:<name>`. Raises InputError if there is none of that name."""
    library, _, model = name.partition(":")
    match library:
        case "torchvision":
            return _torchvision(name, model)
        case "timm":
            return _timm(name, model)
    raise InputError(f"{name}: there is no library '{library}' here, expected torchvision:<name> or timm:<name>")


def _torchvision(name: str, model: str) -> Named:
    models = optional("torchvision.models", name)

    _require_known(name, model, models.list_models())
    builder = models.get_model_builder(model)
    if builder.__module__.count(".") > 2:  # torchvision.models.detection.*, segmentation, video, quantization
        raise InputError(f"{name}: is one of {builder.__module__}, expected a network that classifies images")
    weights = models.get_model_weights(builder).DEFAULT
    preset = weights.transforms()

    def download() -> nn.Module:
        network: nn.Module = builder()
        network.load_state_dict(weights.get_state_dict(check_hash=True, weights_only=True))
        return network

    return Named(
        name,
        tuple(preset.mean),
        tuple(preset.std),
        pretrained_classes=len(weights.meta["categories"]),
        build=lambda classes: builder(num_classes=classes),
        download=download,
    )


def _timm(name: str, model: str) -> Named:
    timm = optional("timm", name)  # here, so that only who names one of its networks waits for it

    _require_known(name, model.partition(".")[0], timm.list_models())
    try:
        pretrained: Any = timm.get_pretrained_cfg(model)
    except RuntimeError as error:
        raise InputError(f"{name}: {error} timm.list_pretrained() lists them all") from error
    return Named(
        name,
        pretrained.mean,
        pretrained.std,
        pretrained_classes=pretrained.num_classes,
        build=lambda classes: timm.create_model(model, num_classes=classes),
        download=lambda: timm.create_model(model, pretrained=True),
    )


def _require_known(name: str, model: str, known: Sequence[str]) -> None:
    if model not in known:
        nearest = difflib.get_close_matches(model, known, n=1)
        suggestion = f"; did you mean '{nearest[0]}'?" if nearest else ""
        raise InputError(f"{name}: this library has no network of that name{suggestion}")


def read_weights(path: Path) -> dict[str, Tensor]:
    """A network's own state dict from a safetensors file, or from one that `torch.save` wrote.

    It may lie under one of CONTAINERS, as training scripts save it, and have the names that DataParallel gives.
    Of what torch.save wrote only plain values are read (`weights_only=True`): nothing in it can run. Raises InputError
    if the file is missing, damaged, or holds anything else.
    """
    regular(path)
    tensors = _read_safetensors(path) if path.suffix == ".safetensors" else _read_saved(path)
    parallel = all(name.startswith(PARALLEL) for name in tensors)
    return {name.removeprefix(PARALLEL): tensor for name, tensor in tensors.items()} if parallel else tensors


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error}); save the weights again") from error


def _read_saved(path: Path) -> dict[str, Tensor]:
    try:
        # Beside the weights, torchvision's and timm's training scripts save their options: a namespace of plain values.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on foreign bytes torch raises almost anything
        unsafe = re.search(r"GLOBAL (\S+)", str(error))
        reason = (
            f"it holds {unsafe[1]}, which could run code"
            if unsafe
            else "torch.save did not write it, or not all of it is there"
        )
        raise InputError(f"{path}: cannot be read by torch.load(weights_only=True): {reason}; {SAVE}") from error
    if isinstance(content, dict):
        content = next((content[key] for key in CONTAINERS if isinstance(content.get(key), dict)), content)
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise InputError(f"{path}: holds no state dict of tensors, nor one under {', '.join(CONTAINERS)}; {SAVE}")
    return content
