"""Preparation: any source's images become two safetensors files and a manifest that says what is in them.

The same input gives the same bytes, so the manifest's hashes identify the data.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors.numpy import load_file, save_file

from unravel.config import Dataset
from unravel.data import load
from unravel.data.images import Labels, Pixels
from unravel.files import InputError, atomic, sha256

SCHEMA = 1
FILES = ("train.safetensors", "test.safetensors", "manifest.json")
CHUNK = 1000  # images counted at once: bounds the memory of the statistics

Count = Annotated[int, Field(ge=1)]


class SplitFile(BaseModel):
    """One split: its file beside the manifest, the file's hash, and how many images it holds in all and per class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    sha256: str
    images: Count
    per_class: dict[str, int]


class Manifest(BaseModel):
    """What prepared data is: where it comes from, and all that a network needs to know of it.

    image_shape: (height, width, channels). mean, std: per channel over the training images, pixel values in 0..1.
    inputs: SHA-256 of what was read, by path or name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_: Literal[1] = Field(alias="schema")
    name: str
    source: str
    origin: str
    classes: tuple[str, ...]
    image_shape: tuple[Count, Count, Count]
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]
    train: SplitFile
    test: SplitFile
    inputs: dict[str, str]

    @property
    def identity(self) -> str:
        """A hash of the images and labels alone: the same wherever they were read from."""
        return hashlib.sha256(f"{self.train.sha256} {self.test.sha256}".encode()).hexdigest()

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if not len(self.mean) == len(self.std) == self.image_shape[2]:
            raise ValueError(f"{len(self.mean)} means and {len(self.std)} stds for {self.image_shape[2]} channels")
        for split in (self.train, self.test):
            if tuple(split.per_class) != self.classes or sum(split.per_class.values()) != split.images:
                raise ValueError(f"the counts per class of {split.file} do not fit its classes and images")
        return self


def prepare(settings: Dataset, folder: Path) -> Manifest:
    """Read a dataset and write it to `folder`: the two splits, and last the manifest, which is also returned.

    Each split holds `images` (n, height, width, channel) uint8 and `labels` (n,) int64.
    Raises InputError if the dataset cannot be read, has fewer than two classes, or cannot be normalised.
    """
    images = load(settings)
    if len(images.class_names) < 2:
        raise InputError(f"dataset '{settings.name}': has one class, expected at least two")
    mean, std = channel_statistics(images.train_images)
    if 0 in std:
        raise InputError(
            f"dataset '{settings.name}': channel {std.index(0)} has one value in all training images, so it cannot be "
            "normalised; expected images that differ"
        )
    manifest = Manifest(
        schema=SCHEMA,
        name=settings.name,
        source=settings.source,
        origin=images.origin,
        classes=images.class_names,
        image_shape=images.train_images.shape[1:],
        mean=mean,
        std=std,
        train=_write_split(folder / "train.safetensors", images.train_images, images.train_labels, images.class_names),
        test=_write_split(folder / "test.safetensors", images.test_images, images.test_labels, images.class_names),
        inputs=dict(images.inputs),
    )
    with atomic(folder / "manifest.json") as partial:
        content = manifest.model_dump(mode="json", by_alias=True)
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return manifest


def _write_split(path: Path, images: Pixels, labels: Labels, class_names: tuple[str, ...]) -> SplitFile:
    with atomic(path) as partial:
        # safetensors writes a view's memory as it lies, whatever its strides say
        save_file({"images": np.ascontiguousarray(images), "labels": np.ascontiguousarray(labels)}, partial)
    counts = np.bincount(labels, minlength=len(class_names)).tolist()
    return SplitFile(
        file=path.name, sha256=sha256(path), images=len(images), per_class=dict(zip(class_names, counts, strict=True))
    )


def channel_statistics(images: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of images (n, height, width, channel), for pixel values in 0..1.

    Both come from integer histograms, so they are exact up to the last rounding, and no float copy is made.
    """
    histograms = np.zeros((images.shape[3], 256), np.int64)
    for start in range(0, len(images), CHUNK):
        for channel, histogram in enumerate(histograms):
            histogram += np.bincount(images[start : start + CHUNK, ..., channel].ravel(), minlength=256)
    moments = [_moments(histogram.tolist()) for histogram in histograms]
    return tuple(mean for mean, _ in moments), tuple(std for _, std in moments)


def _moments(histogram: list[int]) -> tuple[float, float]:
    """Mean and population standard deviation of values 0..255 by their counts, divided by 255; in Python's integers."""
    n = sum(histogram)
    total = sum(value * count for value, count in enumerate(histogram))
    squares = sum(value * value * count for value, count in enumerate(histogram))
    return total / (255 * n), math.sqrt((n * squares - total * total) / n**2) / 255


def read_manifest(path: Path | str) -> Manifest:
    """Read and check a manifest. Raises InputError if it is missing, broken or of another schema."""
    try:
        return Manifest.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; prepare the data first") from error
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(map(str, first["loc"])) or "top level"
        raise InputError(f"{path}: no valid manifest: {where}: {first['msg']}; prepare the data again") from invalid


def load_split(manifest_path: Path | str, split: Literal["train", "test"]) -> tuple[Pixels, Labels]:
    """Images (n, height, width, channel) uint8 and labels (n,) int64 of a split.

    Raises InputError if the manifest or the file is missing, or the file is not the one that the manifest describes.
    """
    manifest = read_manifest(manifest_path)
    part = manifest.train if split == "train" else manifest.test
    path = Path(manifest_path).with_name(part.file)
    if not path.is_file():
        raise InputError(f"{path}: is missing beside its manifest; prepare the data again")
    if (found := sha256(path)) != part.sha256:
        raise InputError(f"{path}: has SHA-256 {found}, its manifest says {part.sha256}; prepare the data again")
    tensors = load_file(path)
    return tensors["images"], tensors["labels"]
