"""Digits: the 1,797 handwritten digits that ship inside scikit-learn, so that a first run needs no download."""

from pathlib import Path

import numpy as np
import sklearn.datasets

from unravel.data.images import Images
from unravel.files import sha256

FILE = "data/digits.csv.gz"  # below sklearn.datasets


def load() -> Images:
    """The digits as (n, 8, 8, 1) uint8: 1,198 training images and, every third of the set, 599 test images."""
    bundle = sklearn.datasets.load_digits()
    images = np.rint(bundle.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    labels = bundle.target.astype(np.int64)
    in_test = np.arange(len(labels)) % 3 == 2
    return Images(
        train_images=images[~in_test],
        train_labels=labels[~in_test],
        test_images=images[in_test],
        test_labels=labels[in_test],
        class_names=tuple(str(digit) for digit in bundle.target_names),
        origin=(
            "The 1,797 handwritten 8x8 digits that ship inside scikit-learn (test part of the UCI Optical Recognition "
            "of Handwritten Digits data); every third image is a test image, grey values 0..16 are scaled to 0..255."
        ),
        inputs={f"sklearn/datasets/{FILE}": sha256(Path(sklearn.datasets.__file__).parent / FILE)},
    )
