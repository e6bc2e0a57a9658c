"""Checkpoints: a trained network in one safetensors file that says itself what it is. Nothing is ever unpickled."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from pydantic_core import from_json
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from unravel.config import NetworkSettings, Settings, Training, flat
from unravel.data.preparation import read_manifest
from unravel.files import InputError, atomic, regular
from unravel.networks import Network, build
from unravel.networks.base import misfit


class Card(Settings):
    """What a checkpoint says of itself: enough to rebuild the network and to know how it came about."""

    name: str
    network: NetworkSettings
    training: Training | None  # None: not trained here
    image_shape: tuple[int, int, int]
    classes: int
    dataset_sha256: str
    seed: int
    epochs: int
    test_error_percent: float
    torch: str
    commit: str | None


class DamagedError(InputError):
    """A file of tensors that is not what was once written; `reason` says why, the message also which and what to do."""

    def __init__(self, path: Path | str, reason: str, mend: str = "") -> None:
        super().__init__(f"{path}: {reason}{mend}")
        self.reason = reason


def write_tensors(path: Path | str, tensors: dict[str, Tensor], description: dict[str, Any]) -> None:
    """Write tensors and a description whole or not at all, as `written` does."""
    with written(path, tensors, description):
        pass


@contextmanager
def written(path: Path | str, tensors: dict[str, Tensor], description: dict[str, Any]) -> Iterator[None]:
    """Write tensors and a description; they get their name when the block ends, which finds them whole on the disk.

    The description is one metadata string: safetensors does not fix the order of several, and the same training must
    give the same bytes.
    """
    # Cloned, as a library's network may hold one tensor under two names, which safetensors refuses.
    contiguous = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    with atomic(path) as partial:
        save_file(contiguous, partial, metadata={"unravel": json.dumps(description, sort_keys=True)})
        yield


def read_tensors(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Raises InputError for a file that is missing or cannot be read, DamagedError for a broken or foreign one.
    """
    try:
        with safe_open(regular(path, "train it first"), framework="pt") as file:
            description = from_json((file.metadata() or {}).get("unravel", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); make it a readable file") from error
    except (SafetensorError, ValueError) as error:
        raise DamagedError(path, f"not a whole safetensors file ({error})", "; delete it and train again") from error
    if not isinstance(description, dict):
        raise DamagedError(path, "not a checkpoint of this project: it lacks the description in its metadata")
    return tensors, description


def save(path: Path | str, network: Network, card: Card) -> None:
    """Write a trained network and its card."""
    write_tensors(path, network.state_dict(), card.model_dump(mode="json"))


def load_for_run(path: Path | str, expected: NetworkSettings, manifest: Path) -> tuple[Network, Card]:
    """Load a checkpoint and check that it is the network the config asks for, trained on the data in `manifest`.

    Raises InputError as `load` does, and if architecture or data differ.
    """
    network, card = load(path)
    if card.network != expected:
        raise InputError(
            f"{path}: {_differences(card.network, expected)}; delete it to train again, or correct the config"
        )
    if card.dataset_sha256 != read_manifest(manifest).identity:
        raise InputError(f"{path}: was trained on other data than {manifest}; delete it to train again")
    return network, card


def _differences(found: NetworkSettings, expected: NetworkSettings) -> str:
    have, want = flat(found.model_dump(mode="json")), flat(expected.model_dump(mode="json"))
    differing = [key for key in want if have.get(key) != want[key]]
    return ", ".join(f"{key} is {have.get(key)}, the config says {want[key]}" for key in differing[:3])


def require_fit(path: Path | str, card: Card, image_shape: tuple[int, int, int], classes: int) -> None:
    """Check that a checkpoint can classify other data than it was trained on.

    Raises InputError if image shape (height, width, channel) or number of classes differ.
    """
    if (card.image_shape, card.classes) != (image_shape, classes):
        trained, given = (
            f"{shape[0]}x{shape[1]} pixels, {shape[2]} channels and {number} classes"
            for shape, number in ((card.image_shape, card.classes), (image_shape, classes))
        )
        raise InputError(f"{path}: was trained on {trained}, the data has {given}; choose data of that kind")


def load(path: Path | str) -> tuple[Network, Card]:
    """Rebuild a trained network, in eval mode, and read its card.

    Raises InputError if the file is missing, damaged, foreign, or its tensors are not those of the network it names.
    """
    tensors, description = read_tensors(path)
    try:
        card = Card.model_validate(description)
        network = build(card.network, card.image_shape, card.classes)
        if wrong := misfit(tensors, network.state_dict()):
            raise RuntimeError(wrong)
        network.load_state_dict(tensors)
    except (ValidationError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: the tensors are not those of the network it describes: {reason}; train it again"
        ) from error
    return network.eval(), card
