"""Arrays that nobody thought of: whatever a file holds, its images are whole, or it is refused."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unravel.config import Arrays
from unravel.data import load
from unravel.files import InputError

KINDS = arrays.scalar_dtypes() | st.just(np.dtype(np.uint8)) | arrays.unicode_string_dtypes(max_len=3)
ANY = arrays.arrays(KINDS, arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
PIXELS = arrays.arrays(np.uint8, arrays.array_shapes(min_dims=3, max_dims=4, max_side=4))
LABELS = arrays.arrays(np.int64, st.integers(0, 5), elements=st.integers(-1, 2))
FILE = st.fixed_dictionaries(
    {"images": ANY | PIXELS, "labels": ANY | LABELS}, optional={"class_names": ANY, "lossless": ANY}
)


def load_both(train, test):
    """The images of two files of these arrays; None if they are refused."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.npz" for name in ("train", "test")}
        np.savez(paths["train"], **train)
        np.savez(paths["test"], **test)
        try:
            return load(Arrays(source="arrays", **paths))
        except InputError:
            return None


def require_whole(images):
    for pixels, labels in ((images.train_images, images.train_labels), (images.test_images, images.test_labels)):
        assert pixels.dtype == np.uint8
        assert pixels.shape[1:] == images.test_images.shape[1:]
        assert 1 <= pixels.shape[3] <= 4
        assert pixels.size > 0
        assert labels.dtype == np.int64
        assert labels.shape == pixels.shape[:1]
        assert set(labels.tolist()) == set(range(len(images.class_names)))


@given(FILE, FILE)
def test_any_arrays_are_whole_images_or_refused(train, test):
    images = load_both(train, test)
    if images is not None:
        require_whole(images)


@given(PIXELS, st.data())
def test_images_of_every_class_are_taken(pixels, data):
    pixels = pixels if pixels.ndim == 4 else pixels[..., None]
    n_classes = data.draw(st.integers(1, len(pixels)))
    labels = np.arange(len(pixels)) % n_classes
    assume(pixels.size)
    images = load_both({"images": pixels, "labels": labels}, {"images": pixels, "labels": labels})
    require_whole(images)
    np.testing.assert_array_equal(images.train_images, pixels)
