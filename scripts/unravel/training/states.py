"""Saved states: what a training that was interrupted goes on from, with a digest of its own. The last two are kept."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unravel.files import InputError
from unravel.networks import Network
from unravel.training import checkpoints
from unravel.training.checkpoints import DamagedError
from unravel.training.distributed import ALONE, Group

DIGEST = "sha256"

Momentum = Mapping[nn.Parameter, Tensor]
"""The momentum of each parameter, of its shape."""


@dataclass(frozen=True)
class Epoch:
    """One row of the history. Losses are nats per image; errors percent of images wrong."""

    epoch: int
    step: int
    learning_rate: float
    train_loss: float
    train_error_percent: float
    test_error_percent: float


@dataclass(frozen=True)
class Progress:
    """Where a training stands: its finished epochs, and the loss of each step (steps,) and wrong images of the next."""

    history: list[Epoch]
    losses: Tensor
    wrong: Tensor


@dataclass(frozen=True)
class Saving:
    """Where to save the state to resume from, how often (in epochs), and what must agree for it to be used."""

    path: Path
    every: int
    fingerprint: dict[str, Any]

    @property
    def previous(self) -> Path:
        """The state before the last one."""
        return self.path.with_suffix(f".previous{self.path.suffix}")

    @property
    def damaged(self) -> Path:
        """Where a state goes that cannot be used, out of the way of the good ones."""
        return self.path.with_suffix(f".damaged{self.path.suffix}")

    def forget(self) -> None:
        """Delete all that was saved: the training is done."""
        for path in (self.path, self.previous, self.damaged):
            path.unlink(missing_ok=True)


def at_epoch_start(history: list[Epoch]) -> Progress:
    """These epochs finished, and nothing of the next one done."""
    return Progress(history, torch.zeros(0), torch.zeros((), dtype=torch.long))


def save(network: Network, momentum: Momentum, saving: Saving, progress: Progress, group: Group = ALONE) -> None:
    """Save weights, BN statistics, momentum and progress, those of the first process, while the others wait."""
    if group.first:
        tensors = _of_training(network, momentum)
        tensors |= {"progress.losses": progress.losses.cpu(), "progress.wrong": progress.wrong.cpu()}
        description = {"fingerprint": saving.fingerprint, "history": [vars(row) for row in progress.history]}
        with checkpoints.written(saving.path, tensors, {**description, DIGEST: digest(tensors, description)}):
            if saving.path.exists():  # once the new one is whole, so that there is always a whole one
                os.replace(saving.path, saving.previous)
    group.wait()


def resume(network: Network, momentum: Momentum, saving: Saving, group: Group = ALONE) -> Progress:
    """Restore the newest state that is whole and return how far it was; nothing done if there is none.

    A damaged one is told and moved out of the way. Raises InputError if the state belongs to other settings, data,
    seed, code or torch version: it may be hours of work, and nothing but its owner can know what it is worth.
    """
    into = _of_training(network, momentum)
    found = _newest(saving, into) if group.first else None
    group.wait()  # until none that is damaged is in the way
    found = found if group.first else _newest(saving, into)
    if found is None:
        return at_epoch_start([])
    progress, tensors, saved = found
    ways_out = f"delete {saving.path.with_suffix('')}*{saving.path.suffix} to start over, or restore the old"
    for key, value in saving.fingerprint.items():
        if saved.get(key) != value:
            raise InputError(
                f"{saving.path}: saved by an interrupted training with another {key} ({saved.get(key)}, now {value}); "
                f"{ways_out} value to go on"
            )
    if not _fit(tensors, into):
        raise InputError(f"{saving.path}: its tensors are not those of the network in this code; {ways_out} code")
    with torch.no_grad():
        for name, tensor in into.items():
            tensor.copy_(tensors[name])
    return progress


def digest(tensors: dict[str, Tensor], description: dict[str, Any]) -> str:
    """SHA-256 over names, types, shapes and values of tensors, and their description."""
    found = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


Found = tuple[Progress, dict[str, Tensor], dict[str, Any]]
"""A state as it was read: progress, tensors and fingerprint."""


def _newest(saving: Saving, into: dict[str, Tensor]) -> Found | None:
    """The newest state that is whole. One line on stderr tells of those that are not, and where the training begins."""
    damaged, found, path = [], None, saving.path
    for path in (saving.path, saving.previous):
        if not path.exists():
            continue
        try:
            found = _read(path, into)
            break
        except DamagedError as error:
            os.replace(path, saving.damaged)
            damaged.append(f"{path}: this saved state is damaged ({error.reason})")
    if damaged:
        begun = f"from the one before it, {path.name}" if found else "anew"
        print(f"{'; '.join(damaged)}; the training goes on {begun}", file=sys.stderr, flush=True)
    return found


def _read(path: Path, into: dict[str, Tensor]) -> Found:
    tensors, description = checkpoints.read_tensors(path)
    saved = description.pop(DIGEST, None)
    if saved is not None:
        if saved != digest(tensors, description):
            raise DamagedError(path, "its SHA-256 is not the one it says")
    # What was saved before states had a digest has these keys and no other: a digest whose key is damaged is no such.
    elif description.keys() != {"fingerprint", "history"} or not _fit(tensors, into):
        raise DamagedError(path, "its keys are not those of a saved state")
    else:
        print(f"{path}: this saved state has no digest, so its values are taken unchecked", file=sys.stderr, flush=True)
    try:
        history = [Epoch(**row) for row in description["history"]]
    except TypeError as error:
        raise DamagedError(path, f"its history cannot be read: {error}") from error
    progress = Progress(history, tensors["progress.losses"], tensors["progress.wrong"])
    return progress, tensors, description["fingerprint"]


def _fit(tensors: dict[str, Tensor], into: dict[str, Tensor]) -> bool:
    """Whether the tensors of a state are those of a training, by name, type and shape."""

    def kinds(of: dict[str, Tensor]) -> dict[str, tuple[torch.dtype, torch.Size]]:
        return {name: (tensor.dtype, tensor.shape) for name, tensor in of.items()}

    found = kinds(tensors)
    losses, wrong = found.pop("progress.losses", None), found.pop("progress.wrong", None)
    progress = losses is not None and losses[0] == torch.float32 and wrong == (torch.long, torch.Size([]))
    return progress and found == kinds(into)


def _of_training(network: Network, momentum: Momentum) -> dict[str, Tensor]:
    """The tensors that a training changes, where they lie: weights and BN statistics, and the momentum of weights."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        tensors[f"momentum.{name}"] = momentum[parameter]
    return tensors
