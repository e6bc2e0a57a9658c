"""Batches: prepared images on the device, normalised and, for training, randomly cropped and flipped there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from unravel.config import Augmentation
from unravel.data.preparation import load_split, read_manifest, split_file


class AnySplit(Protocol):
    """What trainings and measurements ask of a split, wherever its images are."""

    @property
    def labels(self) -> Tensor: ...
    @property
    def mean(self) -> Tensor: ...
    @property
    def std(self) -> Tensor: ...
    def normalised(self, index: Tensor | slice) -> Tensor: ...
    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]: ...
    def portion(self, places: slice, size: int) -> Iterator[tuple[Tensor, Tensor]]: ...
    def training_batches(
        self, augmentation: Augmentation, generator: torch.Generator, portions: Iterable[slice]
    ) -> Iterator[tuple[Tensor, Tensor]]: ...


@dataclass(frozen=True)
class Split:
    """Images (n, height, width, channel) uint8 and labels (n,) int64 on one device, with the training set's statistics.

    `mean` and `std` are (channel,) float32, in units of pixel value / 255.
    """

    images: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor

    def normalised(self, index: Tensor | slice) -> Tensor:
        """Chosen images as (batch, channel, height, width) float32, mean 0 and variance 1, channels last in memory."""
        return ((self.images[index].float() / 255 - self.mean) / self.std).permute(0, 3, 1, 2)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order, `size` at a time, as (images, labels)."""
        return self.portion(slice(None), size)

    def portion(self, places: slice, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The images at these places, `size` at a time, as (images, labels)."""
        chosen = range(len(self.labels))[places]
        for start in range(0, len(chosen), size):
            part = chosen[start : start + size]
            index = slice(part.start, part.stop, part.step)
            yield self.normalised(index), self.labels[index]

    def training_batches(
        self, augmentation: Augmentation, generator: torch.Generator, portions: Iterable[slice]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Portions of an epoch's random order, cropped and flipped; all is drawn at once, before the first one."""
        draws = draw_epoch(len(self.labels), augmentation, generator, self.labels.device)
        return (training_batch(self, draws, augmentation.pad, part.start, part.stop) for part in portions)


def read_split(manifest: Path, split: Literal["train", "test"], device: torch.device, workers: int = 0) -> AnySplit:
    """Put one split of prepared data on the device, or what is needed to decode its images with so many workers."""
    described = read_manifest(manifest)
    if described.streaming:
        from unravel.data import streams  # here: torchvision takes seconds to import

        return streams.read_stream(described, split_file(manifest, split), device, workers)
    images, labels = load_split(manifest, split)
    mean, std = torch.tensor(described.mean), torch.tensor(described.std)
    tensors = (torch.from_numpy(images), torch.from_numpy(labels), mean, std)
    return Split(*(tensor.to(device) for tensor in tensors))


def random_generator(*key: int) -> torch.Generator:
    """A random generator for a key such as (seed, epoch): no state to save, so a resumed run draws the same numbers."""
    # 63 bits: torch takes a signed seed
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class EpochDraws:
    """Every random choice of one epoch about images, drawn on the CPU at once so that no step waits for it.

    order (n,), crop (n, 2) in pixels from the padded image's corner, flipped (n,) bool.
    """

    order: Tensor
    crop: Tensor
    flipped: Tensor


def draw_epoch(
    n_images: int, augmentation: Augmentation, generator: torch.Generator, device: torch.device
) -> EpochDraws:
    """Shuffle the images and choose each one's crop and flip."""
    order = torch.randperm(n_images, generator=generator)
    crop = torch.randint(0, 2 * augmentation.pad + 1, (n_images, 2), generator=generator)
    flipped = torch.rand(n_images, generator=generator) < (0.5 if augmentation.flip else 0.0)
    return EpochDraws(order.to(device), crop.to(device), flipped.to(device))


def training_batch(split: Split, draws: EpochDraws, pad: int, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Images `start` to `stop` of the epoch's order, cropped and flipped, and their labels."""
    index = draws.order[start:stop]
    images = crop_and_flip(split.normalised(index), draws.crop[start:stop], draws.flipped[start:stop], pad)
    return images, split.labels[index]


def crop_and_flip(images: Tensor, crop: Tensor, flipped: Tensor, pad: int) -> Tensor:
    """Pad by zeros, cut each image (batch, channel, height, width) at its own place, mirror the flipped ones."""
    batch, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad)).permute(0, 2, 3, 1)
    rows = crop[:, :1] + torch.arange(height, device=images.device)  # (batch, height)
    columns = torch.arange(width, device=images.device).expand(batch, width)
    columns = crop[:, 1:] + torch.where(flipped[:, None], width - 1 - columns, columns)  # (batch, width)
    image = torch.arange(batch, device=images.device)
    return padded[image[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
