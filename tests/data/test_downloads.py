"""Downloads, from a server on this machine that holds small archives in the real formats."""

import gzip
import hashlib
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import yaml
from data_helpers import noise, write_tar
from torchvision.datasets import FashionMNIST

from unravel.config import Download
from unravel.data import Images, downloads
from unravel.data.downloads import Archive
from unravel.files import InputError, sha256

ROOT = Path(__file__).resolve().parents[2]


class Server(ThreadingHTTPServer):
    """Serves `content` by path, after failing the first `failures` requests; it waits while `answering` is not set."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content: dict[str, bytes] = {}
        self.failures = 0
        self.requests = 0
        self.answering = threading.Event()
        self.answering.set()
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, *words: object) -> None:
        """Keep the tests' output clean of clients that hang up."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        self.server.answering.wait()
        if self.server.requests <= self.server.failures:
            return self.send_error(503)
        content = self.server.content[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return None

    def log_message(self, *words: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def serve(server: Server, monkeypatch: pytest.MonkeyPatch, source: str, contents: list[bytes]) -> None:
    """Let the server hold a dataset's files, and the dataset's table point to the server."""
    archives = []
    for real, content in zip(downloads.ARCHIVES[source], contents, strict=True):
        server.content["/" + real.place] = content
        archives.append(Archive(server.url + real.place, hashlib.md5(content).hexdigest(), real.place))
    monkeypatch.setitem(downloads.ARCHIVES, source, tuple(archives))


def records(images: np.ndarray, *labels: np.ndarray) -> bytes:
    """CIFAR's binary format: each image's labels, then its red, green and blue planes, row by row."""
    return b"".join(
        bytes([*label, *image[..., 0].ravel(), *image[..., 1].ravel(), *image[..., 2].ravel()])
        for image, *label in zip(images, *labels, strict=True)
    )


def idx(array: np.ndarray) -> bytes:
    """MNIST's format: two zeros, 8 for uint8, the number of axes, their lengths in big-endian order, and the values."""
    return gzip.compress(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


TRAIN, TEST = noise(10, 32, 32, 3), noise(4, 32, 32, 3, seed=1)
TRAIN_LABELS, TEST_LABELS = np.arange(10), np.array([3, 1, 4, 1])
NAMES = [f"class_{i}" for i in range(10)]


@pytest.fixture
def cifar10(tmp_path: Path) -> bytes:
    """A CIFAR-10 archive of ten training images in five batches and four test images."""
    members = {
        f"cifar-10-batches-bin/data_batch_{i + 1}.bin": records(
            TRAIN[2 * i : 2 * i + 2], TRAIN_LABELS[2 * i : 2 * i + 2]
        )
        for i in (4, 0, 3, 1, 2)
    }
    members["cifar-10-batches-bin/test_batch.bin"] = records(TEST, TEST_LABELS)
    members["cifar-10-batches-bin/batches.meta.txt"] = "\n".join([*NAMES, "", ""]).encode()
    members["cifar-10-batches-bin/readme.html"] = b"<html>"
    return write_tar(tmp_path / "x.tar.gz", members, "w:gz").read_bytes()


def load(folder: Path, source: str = "cifar10") -> tuple[Images, list[float]]:
    """The images, and the pauses that were made between attempts to get them."""
    pauses: list[float] = []
    settings = Download.model_validate({"source": source, "downloads": folder})
    return downloads.load(settings, sleep=pauses.append), pauses


def assert_is_small_cifar(images: Images) -> None:
    np.testing.assert_array_equal(images.train_images, TRAIN)
    np.testing.assert_array_equal(images.train_labels, TRAIN_LABELS)
    np.testing.assert_array_equal(images.test_images, TEST)
    np.testing.assert_array_equal(images.test_labels, TEST_LABELS)


def test_cifar10_is_downloaded_and_read(
    cifar10: bytes, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    serve(server, monkeypatch, "cifar10", [cifar10])
    images, _ = load(tmp_path / "downloads")
    assert_is_small_cifar(images)
    assert images.class_names == tuple(NAMES)
    path = tmp_path / "downloads" / "cifar-10-binary.tar.gz"
    assert images.inputs == {str(path): sha256(path)}
    assert capfd.readouterr().err == ""  # no progress bar where nobody watches
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_cifar100_has_its_fine_classes(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = {
        "cifar-100-binary/train.bin": records(TRAIN, TRAIN_LABELS // 5, TRAIN_LABELS),
        "cifar-100-binary/test.bin": records(TEST, TEST_LABELS // 5, TEST_LABELS),
        "cifar-100-binary/fine_label_names.txt": "\n".join([*NAMES, ""]).encode(),
        "cifar-100-binary/coarse_label_names.txt": b"small\nlarge\n",
    }
    archive = write_tar(tmp_path / "x.tar.gz", members, "w:gz").read_bytes()
    serve(server, monkeypatch, "cifar100", [archive])
    images, _ = load(tmp_path / "downloads", "cifar100")
    assert_is_small_cifar(images)
    assert images.class_names == tuple(NAMES)


def test_fashion_mnist_is_downloaded_and_read(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = noise(10, 28, 28), noise(4, 28, 28, seed=1)
    files = [train, TRAIN_LABELS.astype(np.uint8), test, TEST_LABELS.astype(np.uint8)]
    serve(server, monkeypatch, "fashion-mnist", [idx(array) for array in files])
    images, _ = load(tmp_path, "fashion-mnist")
    np.testing.assert_array_equal(images.train_images, train[..., np.newaxis])
    np.testing.assert_array_equal(images.train_labels, TRAIN_LABELS)
    np.testing.assert_array_equal(images.test_images, test[..., np.newaxis])
    np.testing.assert_array_equal(images.test_labels, TEST_LABELS)
    assert images.train_labels.dtype == np.int64
    assert images.class_names[0] == "T-shirt/top"
    assert str(tmp_path / "FashionMNIST/raw/train-images-idx3-ubyte.gz") in images.inputs


def test_the_tables_name_the_real_files() -> None:
    assert downloads.ARCHIVES["cifar10"] == (
        Archive(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
            "cifar-10-binary.tar.gz",
        ),
    )
    assert downloads.ARCHIVES["cifar100"][0].md5 == "03b5dce01913d631647c71ecec9e9cb8"
    assert [archive.url.rpartition("/")[2] for archive in downloads.ARCHIVES["fashion-mnist"]] == [
        f"{split}-{kind}-ubyte.gz" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
    ]


def test_fashion_mnist_is_the_one_that_torchvision_knows() -> None:
    names = [(archive.url.rpartition("/")[2], archive.md5) for archive in downloads.ARCHIVES["fashion-mnist"]]
    assert names == FashionMNIST.resources
    assert downloads.FASHION_HOME in FashionMNIST.mirrors
    assert list(downloads.FASHION) == FashionMNIST.classes


def test_a_download_that_is_cut_short_is_not_kept(
    cifar10: bytes, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(server, monkeypatch, "cifar10", [cifar10])
    server.content["/cifar-10-binary.tar.gz"] = cifar10[: len(cifar10) // 2]
    with pytest.raises(InputError, match="the file received has MD5"):
        load(tmp_path)
    assert list(tmp_path.glob("*cifar-10*")) == []


def test_a_download_that_fails_twice_is_tried_a_third_time(
    cifar10: bytes, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(server, monkeypatch, "cifar10", [cifar10])
    server.failures = 2
    images, pauses = load(tmp_path / "downloads")
    assert_is_small_cifar(images)
    assert pauses == [0, 2, 8]


def test_a_wrong_checksum_is_told_and_the_file_not_kept(
    cifar10: bytes, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(server, monkeypatch, "cifar10", [cifar10])
    good, bad = hashlib.md5(cifar10).hexdigest(), hashlib.md5(b"bad").hexdigest()
    server.content["/cifar-10-binary.tar.gz"] = b"bad"
    path = tmp_path / "downloads" / "cifar-10-binary.tar.gz"
    with pytest.raises(InputError) as caught:
        load(path.parent)
    assert str(caught.value) == (
        f"{server.url}cifar-10-binary.tar.gz: cannot be downloaded after 4 attempts: the file received has MD5 {bad}, "
        f"expected {good}; try later, or put the file there by hand: {path} with MD5 {good}"
    )
    assert list(path.parent.iterdir()) == []


def test_a_file_that_is_there_needs_no_server(
    cifar10: bytes, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(server, monkeypatch, "cifar10", [cifar10])
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(cifar10)
    images, pauses = load(tmp_path)
    assert_is_small_cifar(images)
    assert (server.requests, pauses) == (0, [])


def test_what_is_fetched_beforehand_is_all_that_is_needed_later(
    cifar10: bytes,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serve(server, monkeypatch, "cifar10", [cifar10])
    settings = yaml.safe_load((ROOT / "config" / "cifar10.yaml").read_text())
    settings["dataset"]["downloads"] = str(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.setattr("sys.argv", ["prefetch.py", "--config", str(tmp_path / "config.yaml")])
    import prefetch

    prefetch.main()
    assert capsys.readouterr().out == f"{tmp_path}/cifar-10-binary.tar.gz: there, with the right MD5\n"
    asked = server.requests
    assert_is_small_cifar(load(tmp_path)[0])
    assert server.requests == asked > 0


def test_a_damaged_file_that_is_there_is_refused(
    cifar10: bytes, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(server, monkeypatch, "cifar10", [cifar10])
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(cifar10[:-1])
    with pytest.raises(
        InputError, match=r"tar\.gz: has MD5 \w{32}, expected \w{32}: it is damaged or incomplete; delete"
    ):
        load(tmp_path)
    assert path.read_bytes() == cifar10[:-1]  # it may be the user's copy under way


def test_without_server_and_file_the_error_says_what_to_do(
    cifar10: bytes, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(server, monkeypatch, "cifar10", [cifar10])
    server.shutdown()
    server.server_close()
    pauses: list[float] = []
    settings = Download(source="cifar10", downloads=tmp_path / "downloads")
    with pytest.raises(InputError) as caught:
        downloads.load(settings, sleep=pauses.append)
    line = str(caught.value)
    assert line.startswith(f"{server.url}cifar-10-binary.tar.gz: cannot be downloaded after 4 attempts: ")
    assert "Connection refused" in line
    assert line.endswith(
        "try later, or put the file there by hand: "
        f"{tmp_path}/downloads/cifar-10-binary.tar.gz with MD5 {hashlib.md5(cifar10).hexdigest()}"
    )
    assert "\n" not in line
    assert pauses == [0, 2, 8, 30]


def test_a_server_that_never_answers_counts_as_failed(
    cifar10: bytes, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(server, monkeypatch, "cifar10", [cifar10])
    monkeypatch.setattr(downloads, "TIMEOUT", 0.05)
    server.answering.clear()
    with pytest.raises(InputError, match=r"cannot be downloaded after 4 attempts: .*timed out; try later"):
        load(tmp_path)
    server.answering.set()
