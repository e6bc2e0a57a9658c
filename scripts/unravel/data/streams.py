"""Streams: splits whose images are decoded while they are needed, by torch's DataLoader.

Its worker processes read ahead and keep the order. The transforms are torchvision's, those of the usual recipe (He et
al. 2016b); each image gets a random seed of its own, so that its crop depends neither on the number of workers or
processes, nor on where a training was resumed.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unravel.config import Augmentation
from unravel.data import listing
from unravel.data.preparation import Manifest
from unravel.files import InputError, optional, regular

v2 = optional("torchvision.transforms.v2", "images that are decoded while they are used")
Crop = Callable[[Image.Image], Tensor]  # one of torchvision's transforms

NO_SEED = -1  # of an image that is not changed at random


class Decoding(Dataset[tuple[Tensor, int]]):
    """Listed images as (channel, height, width) uint8 with their labels, by (place in the list, random seed)."""

    def __init__(self, root: Path, files: NDArray[np.str_], labels: NDArray[np.int64], crop: Crop) -> None:
        self.root, self.files, self.labels, self.crop = root, files, labels, crop  # arrays: workers share their memory

    def __getitem__(self, which: tuple[int, int]) -> tuple[Tensor, int]:
        place, seed = which
        image = decode(self.root / str(self.files[place]))
        with torch.random.fork_rng(devices=[], enabled=seed != NO_SEED):  # torchvision draws from torch's generator
            if seed != NO_SEED:
                torch.manual_seed(seed)
            return self.crop(image), int(self.labels[place])


def decode(path: Path) -> Image.Image:
    """A png or jpeg image in RGB. Raises InputError if it is damaged."""
    regular(path, "copy or unpack it again")
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            return image.convert("RGB")
    except Exception as error:  # on damaged bytes Pillow raises almost anything
        raise InputError(f"{path}: cannot be decoded ({error}); copy or unpack it again") from error


@dataclass(frozen=True)
class StreamedSplit:
    """A split whose images are on disk; labels (n,) int64 and mean and std (channel,) float32 are on the device."""

    manifest: Manifest
    files: NDArray[np.str_]
    labels: Tensor
    mean: Tensor
    std: Tensor
    workers: int

    def normalised(self, index: Tensor | slice) -> Tensor:
        """The centres of chosen images as (batch, channel, height, width) float32, channels last in memory."""
        places = torch.arange(len(self.labels))[index.cpu() if isinstance(index, Tensor) else index].tolist()
        ((images, _),) = self._load([[(place, NO_SEED) for place in places]], self._centre(), workers=0)
        return images

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The centres of all images in order, `size` at a time, as (images, labels)."""
        return self.portion(slice(None), size)

    def portion(self, places: slice, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The centres of the images at these places, `size` at a time, as (images, labels)."""
        chosen = [(place, NO_SEED) for place in range(len(self.labels))[places]]
        return self._load([chosen[at : at + size] for at in range(0, len(chosen), size)], self._centre(), self.workers)

    def training_batches(
        self, augmentation: Augmentation, generator: torch.Generator, portions: Iterable[slice]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Portions of an epoch's random order, each image cropped at random, resized and perhaps mirrored."""
        order = torch.randperm(len(self.labels), generator=generator).tolist()
        seeds = torch.randint(2**62, (len(order),), generator=generator).tolist()
        chosen = [list(zip(order[portion], seeds[portion], strict=True)) for portion in portions]
        crop = v2.Compose(
            [
                v2.RandomResizedCrop(self.manifest.image_shape[:2], scale=(augmentation.crop_area, 1)),
                v2.RandomHorizontalFlip(0.5 if augmentation.flip else 0),
                v2.PILToTensor(),
            ]
        )
        return self._load(chosen, crop, self.workers)

    def _centre(self) -> Crop:
        assert self.manifest.streaming is not None
        return v2.Compose(  # type: ignore[no-any-return]
            [
                v2.Resize(self.manifest.streaming.resize),
                v2.CenterCrop(self.manifest.image_shape[:2]),
                v2.PILToTensor(),
            ]
        )

    def _load(self, chosen: list[list[tuple[int, int]]], crop: Crop, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
        assert self.manifest.streaming is not None
        device = self.labels.device
        loader = DataLoader(
            Decoding(self.manifest.streaming.path, self.files, self.labels.cpu().numpy(), crop),
            batch_sampler=chosen,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            worker_init_fn=_begin_worker,
            generator=torch.Generator(),  # else it draws from torch's own
        )
        try:
            with _term_blocked():
                loaded = iter(loader)
            for images, labels in loaded:
                yield self._normalise(images.to(device, non_blocking=True)), labels.to(device, non_blocking=True)
        except InputError as error:  # a worker's comes with its trace before its message
            raise InputError(str(error).rpartition("InputError: ")[2].strip()) from error

    def _normalise(self, images: Tensor) -> Tensor:
        scaled = images.to(memory_format=torch.channels_last).float().div_(255)
        return scaled.sub_(self.mean[:, None, None]).div_(self.std[:, None, None])


@contextmanager
def _term_blocked() -> Iterator[None]:
    """Processes started here are born deaf to SIGTERM.

    A time limit asks all processes of a job to end at once. A training answers at its next step, for which it still
    wants its workers, and ends them itself.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(_: int) -> None:
    torch.set_num_threads(1)  # workers are as many as the config says, and each is one thread
    threading.Thread(target=_obey, args=(os.getppid(),), daemon=True).start()


def _obey(parent: int) -> None:
    """End when the parent says so, and nobody else."""
    while True:
        told = signal.sigwaitinfo({signal.SIGTERM})
        if told.si_pid == parent:
            os._exit(0)


def read_stream(manifest: Manifest, path: Path, device: torch.device, workers: int) -> StreamedSplit:
    """The split whose list is at `path`."""
    table = listing.read_list(path)
    labels, mean, std = torch.tensor(table.label), torch.tensor(manifest.mean), torch.tensor(manifest.std)
    return StreamedSplit(
        manifest, table.file.to_numpy(np.str_), labels.to(device), mean.to(device), std.to(device), workers
    )
