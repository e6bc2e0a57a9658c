"""Images: what every data source hands over, whatever it read, and the names that classes may have."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unravel.files import InputError, cut

UNWRITABLE = ("Cc", "Cs")  # control characters; surrogates stand for bytes that are no UTF-8
Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images in two splits.

    train_images, test_images: (n, height, width, channel) uint8; height, width and channel agree in both.
    train_labels, test_labels: (n,) int64, indices into `class_names`.
    origin: where the images come from and how they were split or converted, in words.
    inputs: SHA-256 of what was read, by path, or by a name where there is no single file of the user's.
    """

    train_images: Pixels
    train_labels: Labels
    test_images: Pixels
    test_labels: Labels
    class_names: tuple[str, ...]
    origin: str
    inputs: Mapping[str, str]


def unwritable(text: str) -> bool:
    """Whether a text has control characters, or bytes that are no UTF-8."""
    return any(unicodedata.category(character) in UNWRITABLE for character in text)


def require_class_names(source: Path, names: Iterable[str]) -> None:
    """Check that every class has a name, which can be written and told from the others.

    Raises InputError naming the source for an empty name, control characters and half surrogate pairs, and for two
    names that differ by nothing but how Unicode writes the same letters.
    """
    seen: dict[str, str] = {}
    for name in names:
        if not name.strip() or unwritable(name):
            raise InputError(f"{source}: class {cut(ascii(name))} has no name that can be written; rename it")
        if (other := seen.setdefault(unicodedata.normalize("NFC", name), name)) != name:
            raise InputError(
                f"{source}: classes {cut(ascii(other))} and {cut(ascii(name))} read the same; rename one, or join them"
            )
