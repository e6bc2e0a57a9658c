"""Images: what every data source hands over, whatever it read."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
