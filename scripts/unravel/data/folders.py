"""Folders: images sorted into `train/<class>/` and `test/<class>/`, in a folder or in an archive of one."""

import hashlib
import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from unravel.config import Folder
from unravel.data import trees
from unravel.data.images import Images, Labels, Pixels, require_class_names
from unravel.files import InputError, sha256

SUFFIXES = (".png", ".jpg", ".jpeg")
SPLITS = ("train", "test")
LAYOUT = "expected train/<class>/<image> and test/<class>/<image>, images ending in .png, .jpg or .jpeg"
GREY = {"1", "L", "LA"}
COLOUR = {"RGB", "RGBA", "P", "PA", "CMYK", "YCbCr"}


def load(settings: Folder) -> Images:
    """The images below `settings.path`, classes and images sorted by name, so their order on disk does not matter.

    Grey images give one channel, others three. With `image_size` each image is resized to that many pixels a side
    (bicubic); without, all must agree. Hidden files are ignored, and so is the rotation a camera notes in a JPEG.
    Raises InputError naming the file for anything but whole images of one kind in the expected places.
    """
    path, size = settings.path, settings.image_size
    tree = _Tree(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for name, content in trees.members(path):
            if content is None:
                tree.note_folder(name)
            else:
                tree.add(name, content, size)
    classes = tree.classes()
    require_class_names(path, classes)
    resized = f", each resized to {size}x{size} pixels" if size else ""
    return Images(
        *tree.arrays("train", classes),
        *tree.arrays("test", classes),
        class_names=classes,
        origin=f"The class folders of {path.absolute().name}, split as they are{resized}.",
        inputs={str(path): tree.digest() if path.is_dir() else sha256(path)},
    )


class Picture(NamedTuple):
    """A decoded image: (height, width, channel), and its bytes in that order."""

    shape: tuple[int, int, int]
    pixels: bytes

    def __str__(self) -> str:
        height, width, channels = self.shape
        return f"{width}x{height} pixels, {'grey' if channels == 1 else 'in colour'}"


def decode(content: bytes, size: int | None) -> Picture:
    """Decode a png or jpeg image, resized to `size` pixels a side if given.

    Raises ValueError for another format, 16 bits per value or transparent pixels; for damaged bytes what Pillow raises.
    """
    with _open(content) as image:
        if image.mode not in GREY | COLOUR:
            raise ValueError(f"its values are not 8 bits wide (mode {image.mode})")
        if image.has_transparency_data and min(image.convert("RGBA").getchannel("A").tobytes()) < 255:
            raise ValueError("it has transparent pixels")
        plain = image.convert("L" if image.mode in GREY else "RGB")
    if size:
        plain = plain.resize((size, size), Image.Resampling.BICUBIC)
    return Picture((plain.height, plain.width, len(plain.getbands())), plain.tobytes())


def _open(content: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
    except UnidentifiedImageError as error:  # Pillow's message is a memory address
        raise ValueError("it is no png or jpeg image") from error


@dataclass
class _Split:
    """The images of one split as they arrive. `pixels` grows in place: a tar does not say how many are to come."""

    folders: set[str] = field(default_factory=set)  # class folders, which may be empty
    keys: list[tuple[str, str]] = field(default_factory=list)  # (class, file) of each image
    pixels: bytearray = field(default_factory=bytearray)


@dataclass
class _Tree:
    """What has been read so far. All images must agree with the first, in kind, in size and in the folder around."""

    path: Path
    splits: dict[str, _Split] = field(default_factory=lambda: {split: _Split() for split in SPLITS})
    digests: dict[str, str] = field(default_factory=dict)
    first: tuple[PurePosixPath, Picture] | None = None

    def note_folder(self, name: PurePosixPath) -> None:
        """Remember a class folder, so that one without images is found."""
        if _in_layout(name):
            self.splits[name.parts[-2]].folders.add(name.name)

    def add(self, name: PurePosixPath, content: bytes, size: int | None) -> None:
        """Decode an image and put it to its split."""
        if not _in_layout(name.parent) or name.suffix.lower() not in SUFFIXES:
            raise InputError(f"{self.path}: '{name}' does not belong here: {LAYOUT}; move it away")
        try:
            picture = decode(content, size)
        except Exception as error:  # on damaged bytes Pillow raises almost anything
            raise InputError(
                f"{self.path}: '{name}' cannot be used: {error}; expected a whole, opaque png or jpeg image of 8 bits "
                "per value: repair or remove it"
            ) from error
        self._check(name, picture)
        split, class_name, file = name.parts[-3], name.parts[-2], name.name
        self.splits[split].folders.add(class_name)
        self.splits[split].keys.append((class_name, file))
        self.splits[split].pixels += picture.pixels
        self.digests[str(name)] = hashlib.sha256(content).hexdigest()

    def _check(self, name: PurePosixPath, picture: Picture) -> None:
        if str(name) in self.digests:
            raise InputError(f"{self.path}: '{name}' is there twice; pack the archive again with one of them")
        if self.first is None:
            self.first = name, picture
        first_name, first = self.first
        both = f"{self.path}: '{name}' is {picture}, but '{first_name}' is {first}"
        if name.parts[:-3] != first_name.parts[:-3]:
            raise InputError(f"{self.path}: '{name}' and '{first_name}' lie in different trees; pass one of them")
        if picture.shape[2] != first.shape[2]:
            raise InputError(f"{both}; convert all images to grey or all to colour")
        if picture.shape != first.shape:
            raise InputError(
                f"{both}; make all the same size, or set dataset.image_size (or --image-size) to have them resized"
            )

    def classes(self) -> tuple[str, ...]:
        """Class names, sorted. Raises InputError if a split or a class of it has no images."""
        classes = sorted(self.splits["train"].folders | self.splits["test"].folders)
        for split in SPLITS:
            if not self.splits[split].keys:
                raise InputError(f"{self.path}: has no images in {split}/: {LAYOUT}")
            present = {class_name for class_name, _ in self.splits[split].keys}
            if missing := [class_name for class_name in classes if class_name not in present]:
                raise InputError(
                    f"{self.path}: class '{missing[0]}' has no images in {split}/, expected some of every class in "
                    "train/ and in test/; add them or remove the class"
                )
        return tuple(classes)

    def arrays(self, split: str, classes: tuple[str, ...]) -> tuple[Pixels, Labels]:
        """Images (n, height, width, channel) and labels (n,) of a split, sorted by class and file name."""
        assert self.first is not None  # else `classes` has raised
        keys = self.splits[split].keys
        order = sorted(range(len(keys)), key=keys.__getitem__)
        label = {name: i for i, name in enumerate(classes)}
        images = np.frombuffer(self.splits[split].pixels, np.uint8).reshape(-1, *self.first[1].shape)
        return images[order], np.array([label[keys[i][0]] for i in order], np.int64)

    def digest(self) -> str:
        """One SHA-256 for all files: that of their `sha256sum` lines, sorted by name."""
        lines = "".join(f"{self.digests[name]}  {name}\n" for name in sorted(self.digests))
        return hashlib.sha256(lines.encode()).hexdigest()


def _in_layout(folder: PurePosixPath) -> bool:
    """Whether a folder is a class folder: train/<class> or test/<class>, perhaps below one folder around all."""
    return len(folder.parts) in (2, 3) and folder.parts[-2] in SPLITS
