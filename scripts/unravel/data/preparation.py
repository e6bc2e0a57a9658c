"""Preparation: any source's images become two safetensors files and a manifest that says what is in them.

The same input gives the same bytes, so the manifest's hashes identify the data. Images too many for memory stay where
they are: the two files are then lists of them.
"""

import hashlib
import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from unravel import tables
from unravel.config import Dataset, ImageNet
from unravel.data import listing, load
from unravel.data.images import Labels, Pixels
from unravel.files import InputError, atomic, cut, read_bytes, sha256

SCHEMA = 1
CHUNK = 1000  # images counted at once: bounds the memory of the statistics

Count = Annotated[int, Field(ge=1)]


class SplitFile(BaseModel):
    """One split: its file beside the manifest, the file's hash, and how many images it holds in all and per class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Literal["train.safetensors", "test.safetensors", "train.csv", "test.csv"]
    sha256: str
    images: Count
    per_class: dict[str, int]


class Identical(BaseModel):
    """How many images repeat another to the last bit: test images that are in the training split, and within each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    in_both: Annotated[int, Field(ge=0)]
    in_train: Annotated[int, Field(ge=0)]
    in_test: Annotated[int, Field(ge=0)]


class Streaming(BaseModel):
    """Where listed images lie, and the pixels that a test image's shorter side is resized to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    resize: Count


class Manifest(BaseModel):
    """What prepared data is: where it comes from, and all that a network needs to know of it.

    image_shape: (height, width, channels). mean, std: per channel over the training images, pixel values in 0..1.
    inputs: SHA-256 of what was read, by path or name. streaming: given if the splits are lists of images.
    identical: not given where nobody looked, as of listed images.
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
    streaming: Streaming | None = Field(None, exclude_if=lambda streaming: streaming is None)
    identical: Identical | None = Field(None, exclude_if=lambda identical: identical is None)

    @property
    def identity(self) -> str:
        """A hash of the images and labels alone: the same wherever they were read from.

        Of listed images it takes names, sizes in bytes, and how they are resized and normalised.
        """
        parts = [self.train.sha256, self.test.sha256]
        if self.streaming:
            parts += map(str, (*self.image_shape, self.streaming.resize, *self.mean, *self.std))
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

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
    For source imagenet each is a list instead, as `listing` describes it.
    Raises InputError if the dataset cannot be read, has fewer than two classes, or cannot be normalised.
    """
    if isinstance(settings, ImageNet):
        return _prepare_lists(settings, folder)
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
        identical=identical_images(images.train_images, images.test_images),
    )
    _write_manifest(folder / "manifest.json", manifest)
    return manifest


def restore(settings: Dataset, manifest_path: Path) -> None:
    """Write the two splits that a manifest describes again, beside it; it stays as it is.

    Raises InputError as `prepare` does, and if the dataset now gives other images.
    """
    described = read_manifest(manifest_path)
    with TemporaryDirectory(dir=manifest_path.parent) as folder:
        found = prepare(settings, Path(folder))
        for was, now in ((described.train, found.train), (described.test, found.test)):
            if now.sha256 != was.sha256:
                raise InputError(
                    f"{manifest_path}: describes a {was.file} of SHA-256 {was.sha256}, dataset '{settings.name}' now "
                    f"gives {now.sha256}; to fix it, put the images in place that the run was made with"
                )
        for split in (described.train, described.test):
            (Path(folder) / split.file).replace(manifest_path.with_name(split.file))


def _prepare_lists(settings: ImageNet, folder: Path) -> Manifest:
    classes, images = listing.list_images(settings)
    train, test = (_write_list(folder / f"{split}.csv", table, classes) for split, table in images.items())
    manifest = Manifest(
        schema=SCHEMA,
        name=settings.name,
        source=settings.source,
        origin=f"The class folders of {settings.path.absolute().name}, split as they are, decoded while they are used.",
        classes=classes,
        image_shape=(settings.image_size, settings.image_size, 3),
        mean=settings.mean,
        std=settings.std,
        train=train,
        test=test,
        inputs={},
        streaming=Streaming(path=settings.path, resize=settings.resize),
    )
    _write_manifest(folder / "manifest.json", manifest)
    return manifest


def _write_list(path: Path, table: pd.DataFrame, classes: tuple[str, ...]) -> SplitFile:
    tables.write(path, table)
    counts = np.bincount(table.label, minlength=len(classes)).tolist()
    return SplitFile(
        file=path.name, sha256=sha256(path), images=len(table), per_class=dict(zip(classes, counts, strict=True))
    )


def _write_manifest(path: Path, manifest: Manifest) -> None:
    with atomic(path) as partial:
        content = manifest.model_dump(mode="json", by_alias=True)
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


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


def identical_images(train: Pixels, test: Pixels) -> Identical:
    """Count the images, (n, height, width, channel) each, that are the same as another, by their SHA-256."""
    hashes = [[hashlib.sha256(image.tobytes()).digest() for image in images] for images in (train, test)]
    in_train = set(hashes[0])
    return Identical(
        in_both=sum(digest in in_train for digest in hashes[1]),
        in_train=len(train) - len(in_train),
        in_test=len(test) - len(set(hashes[1])),
    )


def read_manifest(path: Path | str) -> Manifest:
    """Read and check a manifest. Raises InputError if it is missing, broken or of another schema."""
    try:
        return Manifest.model_validate_json(read_bytes(path, "prepare the data first"))
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = cut(".".join(map(str, first["loc"]))) or "top level"
        raise InputError(f"{path}: no valid manifest: {where}: {first['msg']}; prepare the data again") from invalid


def load_split(manifest_path: Path | str, split: Literal["train", "test"]) -> tuple[Pixels, Labels]:
    """Images (n, height, width, channel) uint8 and labels (n,) int64 of a split.

    Raises InputError if the manifest or the file is missing, or the file is not the one that the manifest describes.
    """
    path = split_file(manifest_path, split)
    try:
        tensors = load_file(path)
        return tensors["images"], tensors["labels"]
    except (SafetensorError, KeyError) as error:  # the manifest's hash is right, but someone else wrote the two
        raise InputError(f"{path}: holds no images and labels ({error}); prepare the data again") from error


def split_file(manifest_path: Path | str, split: Literal["train", "test"]) -> Path:
    """The file of a split.

    Raises InputError if the manifest or the file is missing, or the file is not the one that the manifest describes.
    """
    manifest = read_manifest(manifest_path)
    part = manifest.train if split == "train" else manifest.test
    path = Path(manifest_path).with_name(part.file)
    if not path.is_file():
        raise InputError(f"{path}: is missing beside its manifest; prepare the data again")
    if (found := sha256(path)) != part.sha256:
        raise InputError(f"{path}: has SHA-256 {found}, its manifest says {part.sha256}; prepare the data again")
    return path
