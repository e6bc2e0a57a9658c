"""Arrays: two npz files of images and labels, one for training and one for testing."""

import math
import textwrap
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unravel.config import Arrays
from unravel.data.images import Images, Labels, Pixels, require_class_names
from unravel.files import InputError, regular, sha256

READ_ERRORS = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,  # an encrypted archive, or a compression method that Python lacks
    zipfile.BadZipFile,
    zlib.error,
)
KEYS = ("images", "labels", "class_names", "lossless")
MAX_CHANNELS = 4  # more in the last axis means that the channels are not there


class _Split(NamedTuple):
    """One file, its own checks passed: `images` (n, height, width, channel), `labels` (n,), `class_names` if given."""

    path: Path
    images: Pixels
    labels: Labels
    class_names: tuple[str, ...] | None
    n_lossy: int | None  # None where the file has no array `lossless`


def load(settings: Arrays) -> Images:
    """The images of two npz files; (n, height, width) is taken as one channel, classes without names as "0", "1", ...

    An array `lossless` (n,) bool, if there, says which images are exact; `origin` then tells how many are not.
    Raises InputError naming the file and the array for anything that does not fit. Nothing is ever unpickled.
    """
    train, test = _read(settings.train), _read(settings.test)
    if train.images.shape[1:] != test.images.shape[1:]:
        raise InputError(
            f"{test.path}: images are {test.images.shape[1:]} (height, width, channels), but those of {train.path} are "
            f"{train.images.shape[1:]}; both files must agree"
        )
    if train.class_names != test.class_names:
        raise InputError(
            f"{test.path}: class_names are {_listed(test.class_names)}, but those of {train.path} are "
            f"{_listed(train.class_names)}; both files must agree"
        )
    class_names = train.class_names or tuple(str(label) for label in range(len(np.unique(train.labels))))
    for split in (train, test):
        _check_labels(split, class_names)
    return Images(
        train_images=train.images,
        train_labels=train.labels,
        test_images=test.images,
        test_labels=test.labels,
        class_names=class_names,
        origin=f"The arrays of {train.path.name} and {test.path.name}, split as they are.{_losses(train, test)}",
        inputs={str(split.path): sha256(split.path) for split in (train, test)},
    )


def _read(path: Path) -> _Split:
    arrays = _open(path)
    for key in ("images", "labels"):
        if key not in arrays:
            raise InputError(f"{path}: has no array '{key}', expected 'images' and 'labels'")
    images = _images(path, arrays["images"])
    labels = arrays["labels"]
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise InputError(
            f"{path}: labels are {labels.dtype} of shape {labels.shape}, expected one integer for each of the "
            f"{len(images)} images"
        )
    class_names = _class_names(path, arrays.get("class_names"))
    n_lossy = _n_lossy(path, arrays.get("lossless"), len(images))
    return _Split(path, images, labels.astype(np.int64), class_names, n_lossy)


def _open(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with regular(path).open("rb") as source:  # numpy leaves a damaged file open
            file = np.load(source, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it is no npz file but a single array")
            assert file.zip is not None  # until it is closed
            present = [key for key in KEYS if key in file]
            for key in present:
                _require_size(file.zip, key)
            return {key: file[key] for key in present}
    except MemoryError as error:
        raise InputError(f"{path}: does not fit into memory ({error}); use a part of it") from error
    except READ_ERRORS as error:  # other files, objects, damaged or encrypted archives
        raise InputError(f"{path}: cannot be read as plain arrays: {error}; save it again with numpy.savez") from error


def _require_size(archive: zipfile.ZipFile, key: str) -> None:
    """Check that an array is as large as it says it is: memory is taken for what it says. Raises ValueError if not."""
    info = archive.getinfo(key if key in archive.namelist() else f"{key}.npy")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read_header(member)
        says, holds = math.prod(shape) * kind.itemsize, info.file_size - member.tell()
    if not kind.hasobject and says != holds:
        raise ValueError(f"'{key}' says that it has the shape {shape}, {says:,} bytes, but holds {holds:,}")


def _images(path: Path, images: NDArray[Any]) -> Pixels:
    if images.dtype != np.uint8:
        raise InputError(f"{path}: images are {images.dtype}, expected uint8 with values from 0 to 255; convert them")
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or 0 in images.shape or images.shape[3] > MAX_CHANNELS:
        raise InputError(
            f"{path}: images have shape {images.shape}, expected (n, height, width) or (n, height, width, channels) "
            f"with 1 to {MAX_CHANNELS} channels in the last axis"
        )
    return images


def _class_names(path: Path, names: NDArray[Any] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    if names.dtype.kind != "U" or names.ndim != 1 or len(np.unique(names)) != len(names):
        raise InputError(
            f"{path}: class_names are {_listed(names.ravel().tolist())}, expected a list of different strings"
        )
    require_class_names(path, names.tolist())
    return tuple(names.tolist())


def _n_lossy(path: Path, lossless: NDArray[Any] | None, n_images: int) -> int | None:
    if lossless is None:
        return None
    if lossless.dtype != bool or lossless.shape != (n_images,):
        raise InputError(
            f"{path}: lossless is {lossless.dtype} of shape {lossless.shape}, expected one bool for each of the "
            f"{n_images} images"
        )
    return int(n_images - np.count_nonzero(lossless))


def _check_labels(split: _Split, class_names: tuple[str, ...]) -> None:
    least, greatest = split.labels.min(), split.labels.max()
    if least < 0 or greatest >= len(class_names):
        raise InputError(
            f"{split.path}: labels run from {least} to {greatest}, expected 0 to {len(class_names) - 1} for its classes"
        )
    counts = np.bincount(split.labels, minlength=len(class_names))
    if 0 in counts:
        name = class_names[int(counts.argmin())]
        raise InputError(
            f"{split.path}: class '{name}' has no images, expected some of every class to train and to test on; add "
            "them or remove the class"
        )


def _losses(train: _Split, test: _Split) -> str:
    """A sentence on images that are not exact, or nothing where no file tells."""
    counts = [
        f"{split.n_lossy:,} of {len(split.images):,} {name} images"
        for name, split in (("training", train), ("test", test))
        if split.n_lossy is not None
    ]
    return f" Not lossless: {' and '.join(counts)}." if counts else ""


def _listed(names: Iterable[object] | None) -> str:
    return (
        "not given" if names is None else textwrap.shorten(", ".join(map(str, names)), width=100, placeholder=", ...")
    )
