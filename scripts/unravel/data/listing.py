"""Listing: what images a folder in ImageNet's layout holds, without decoding them; they are read while training."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pandas as pd
from PIL import Image

from unravel import tables
from unravel.config import ImageNet
from unravel.data.images import require_class_names
from unravel.files import InputError, regular

SUFFIXES = (".jpeg", ".jpg", ".png")
FOLDERS = {"train": "train", "test": "val"}  # of each split
READERS = 16  # threads, which wait for the disk together
COLUMNS = {"file": tables.text(), "bytes": tables.whole(), "label": tables.whole()}


def list_images(settings: ImageNet) -> tuple[tuple[str, ...], dict[Literal["train", "test"], pd.DataFrame]]:
    """Class names, sorted, and for each split a row per image: file (below the folder), bytes, label (class number).

    Hidden files are passed over. Only the head of each image is read; one damaged further on is found when it is
    decoded. Raises InputError if classes are missing, too many or without images, or a file is no png or jpeg image.
    """
    train, test = (_classes(settings, folder) for folder in FOLDERS.values())
    if differing := sorted(set(train) ^ set(test)):
        here, there = ("train", "val") if differing[0] in train else ("val", "train")
        raise InputError(
            f"{settings.path}: class '{differing[0]}' is in {here}/ but not in {there}/; both must have the same"
        )
    return train, {"train": _images(settings.path / "train", train), "test": _images(settings.path / "val", test)}


def _classes(settings: ImageNet, folder: str) -> tuple[str, ...]:
    root = settings.path / folder
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; expected train/<class>/<image> and val/<class>/<image>")
    classes = tuple(sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not _hidden(entry)))
    if len(classes) != settings.classes:
        raise InputError(
            f"{root}: has {len(classes)} class folders, expected {settings.classes} (dataset.classes); unpack what is "
            "missing, or change the key"
        )
    require_class_names(root, classes)
    return classes


def _images(root: Path, classes: tuple[str, ...]) -> pd.DataFrame:
    files = [(path, label) for label, name in enumerate(classes) for path in _files(root / name)]
    with ThreadPoolExecutor(READERS) as pool:
        sizes = list(pool.map(_size, (path for path, _ in files)))
    names = [path.relative_to(root.parent).as_posix() for path, _ in files]
    return pd.DataFrame(dict(zip(COLUMNS, (names, sizes, [label for _, label in files]), strict=True)))


def _files(folder: Path) -> Iterator[Path]:
    found = False
    for path in sorted(folder.iterdir()):
        if _hidden(path):
            continue
        if path.suffix.lower() not in SUFFIXES:
            raise InputError(f"{path}: does not belong here; expected images ending in {', '.join(SUFFIXES)}")
        found = True
        yield path
    if not found:
        raise InputError(f"{folder}: has no images; unpack it again or remove the class")


def _hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _size(path: Path) -> int:
    """The bytes of a file that begins as an image does."""
    regular(path, "copy or unpack it again")
    try:
        with Image.open(path, formats=("JPEG", "PNG")):
            return path.stat().st_size
    except Exception as error:  # on damaged bytes Pillow raises almost anything
        raise InputError(f"{path}: no readable png or jpeg image ({error}); copy or unpack it again") from error


def read_list(path: Path) -> pd.DataFrame:
    """The images of a split, as `list_images` gives them."""
    return tables.read([path], COLUMNS)
