"""Downloads: CIFAR-10, CIFAR-100 and Fashion-MNIST, fetched from their homes and checked by MD5.

CIFAR comes from the binary archives, because the others hold pickles and this project reads none. Archives are kept as
they came, where torchvision keeps them too, and are parsed in memory; nothing is extracted. A download that breaks
starts again from its first byte.
"""

import gzip
import hashlib
import shutil
import sys
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

import numpy as np
from tqdm import tqdm

from unravel.config import Download
from unravel.data import trees
from unravel.data.images import Images, Labels, Pixels
from unravel.files import InputError, atomic, regular, sha256

Split = tuple[Pixels, Labels]


class Archive(NamedTuple):
    """A file to download: from where, its MD5, and its place below the downloads folder."""

    url: str
    md5: str
    place: str


class CifarFormat(NamedTuple):
    """How a CIFAR binary archive is laid out: label bytes before each image, and the names of its members."""

    label_bytes: int
    train: tuple[str, ...]
    test: str
    class_names: str


CIFAR_HOME = "https://www.cs.toronto.edu/~kriz/"
FASHION_HOME = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION: tuple[str, ...] = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
ARCHIVES = {
    "cifar10": (
        Archive(CIFAR_HOME + "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", "cifar-10-binary.tar.gz"),
    ),
    "cifar100": (
        Archive(CIFAR_HOME + "cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", "cifar-100-binary.tar.gz"),
    ),
    # train images, train labels, test images, test labels
    "fashion-mnist": tuple(
        Archive(FASHION_HOME + name, md5, f"FashionMNIST/raw/{name}")
        for name, md5 in (
            ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
            ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
            ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
        )
    ),
}
FORMATS = {
    "cifar10": CifarFormat(1, tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin", "batches.meta.txt"),
    "cifar100": CifarFormat(2, ("train.bin",), "test.bin", "fine_label_names.txt"),
}
ORIGINS = {
    "cifar10": f"CIFAR-10 (Krizhevsky 2009), binary version from {CIFAR_HOME}cifar.html, with its own split.",
    "cifar100": f"CIFAR-100 (Krizhevsky 2009), binary version from {CIFAR_HOME}cifar.html, with its own split and its "
    "100 fine classes.",
    "fashion-mnist": "Fashion-MNIST (Xiao, Rasul and Vollgraf 2017), from its authors' server, with its own split.",
}
PAUSES = (0, 2, 8, 30)  # seconds before each attempt to download
TIMEOUT = 60  # seconds without a byte before an attempt counts as failed
AGENT = {"User-Agent": "unravel"}  # some servers answer no client without a name


def load(settings: Download, sleep: Callable[[float], None] = time.sleep) -> Images:
    """The chosen dataset, downloaded first where it is not below `settings.downloads` yet.

    CIFAR: (n, 32, 32, 3); Fashion-MNIST: (n, 28, 28, 1). `sleep` waits the given seconds between two attempts.
    Raises InputError if a file cannot be downloaded or has the wrong MD5.
    """
    paths = fetch_all(settings, sleep)
    if settings.source == "fashion-mnist":
        train_images, train_labels, test_images, test_labels = (_read_idx(path) for path in paths)
        train, test = _as_split(train_images, train_labels), _as_split(test_images, test_labels)
        class_names = FASHION
    else:
        train, test, class_names = _read_cifar(paths[0], FORMATS[settings.source])
    return Images(*train, *test, class_names, ORIGINS[settings.source], {str(path): sha256(path) for path in paths})


def fetch_all(settings: Download, sleep: Callable[[float], None] = time.sleep) -> list[Path]:
    """The paths of all files of the chosen dataset, each as `fetch` gives it. Raises InputError as `fetch` does."""
    return [fetch(archive, settings.downloads, sleep) for archive in ARCHIVES[settings.source]]


def fetch(archive: Archive, downloads: Path, sleep: Callable[[float], None]) -> Path:
    """The path of a file with the right MD5: the one that is there, or a new download, tried again where it fails.

    Raises InputError if the one that is there has another MD5, or if all attempts fail.
    """
    path = downloads / archive.place
    if path.exists():
        if (md5 := _md5(regular(path, "delete it to download it again"))) != archive.md5:
            raise InputError(
                f"{path}: has MD5 {md5}, expected {archive.md5}: it is damaged or incomplete; "
                "delete it to download it again"
            )
        return path
    reason = ""
    for pause in PAUSES:
        sleep(pause)
        try:
            _download(archive, path)
            return path
        except (OSError, HTTPException) as error:
            reason = str(error)
    raise InputError(
        f"{archive.url}: cannot be downloaded after {len(PAUSES)} attempts: {reason}; "
        f"try later, or put the file there by hand: {path} with MD5 {archive.md5}"
    )


def _download(archive: Archive, path: Path) -> None:
    with atomic(path) as partial:
        with urlopen(Request(archive.url, headers=AGENT), timeout=TIMEOUT) as answer, partial.open("wb") as file:
            length = int(answer.headers.get("Content-Length", 0)) or None
            watched = sys.stderr.isatty()
            with tqdm.wrapattr(answer, "read", total=length, desc=path.name, disable=not watched, leave=False) as body:
                shutil.copyfileobj(body, file)
        if (md5 := _md5(partial)) != archive.md5:
            raise OSError(f"the file received has MD5 {md5}, expected {archive.md5}")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _read_cifar(path: Path, layout: CifarFormat) -> tuple[Split, Split, tuple[str, ...]]:
    """Train split, test split and class names of a CIFAR binary archive."""
    members = {name.name: content for name, content in trees.members(path) if content is not None}
    train = _read_records(b"".join(members[name] for name in layout.train), layout.label_bytes)
    test = _read_records(members[layout.test], layout.label_bytes)
    return train, test, tuple(members[layout.class_names].decode().split())


def _read_records(content: bytes, label_bytes: int) -> Split:
    """Records of the label bytes and a red, a green and a blue plane of 32x32; the last label byte is the class."""
    records = np.frombuffer(content, np.uint8).reshape(-1, label_bytes + 3 * 32 * 32)
    planes = records[:, label_bytes:].reshape(-1, 3, 32, 32)
    return planes.transpose(0, 2, 3, 1), records[:, label_bytes - 1].astype(np.int64)


def _read_idx(path: Path) -> Pixels:
    """The bytes of a gzipped IDX file in their shape: two zeros, a type, the number of axes, their lengths, data."""
    content = gzip.decompress(path.read_bytes())
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _as_split(images: Pixels, labels: Pixels) -> Split:
    return images[..., np.newaxis], labels.astype(np.int64)
