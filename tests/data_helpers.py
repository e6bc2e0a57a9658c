"""Small data for the tests of the data package: images, and the same tree as folder, tar and zip."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

Tree = Mapping[str, bytes]  # content of each file by its name; the empty name of a folder ends with a slash


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Random uint8 values of a shape."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(image: np.ndarray | Image.Image, kind: str = "png") -> bytes:
    """An image (height, width[, 3]) uint8, or one of Pillow's, as the bytes of a file."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind)
    return file.getvalue()


def small_tree() -> dict[str, bytes]:
    """Two classes of 4x4 colour images, three to train and two to test each, in no particular order."""
    names = [f"{split}/{name}/{i}.png" for split, n in (("train", 3), ("test", 2)) for name in "ba" for i in range(n)]
    return {name: encoded(noise(4, 4, 3, seed=seed)) for seed, name in enumerate(names)}


def write_folder(root: Path, tree: Tree) -> Path:
    """Write a tree as a folder."""
    for name, content in tree.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return root


def write_tar(path: Path, tree: Tree, mode: str = "w", extra: tuple[tarfile.TarInfo, ...] = ()) -> Path:
    """Write a tree, and entries without content, as a tar; the mode chooses the compression."""
    with tarfile.open(path, mode) as archive:
        for name, content in tree.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return path


def write_zip(path: Path, tree: Tree) -> Path:
    """Write a tree as a zip archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in tree.items():
            archive.writestr(name, content)
    return path
