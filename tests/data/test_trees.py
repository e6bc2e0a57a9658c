"""Files of folders and archives: read once, in memory, and never outside of the tree."""

import errno
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from data_helpers import write_folder, write_tar, write_zip

from unravel.data import trees
from unravel.files import InputError

TREE = {"b/2.txt": b"two", "a/1.txt": b"one" * 1000, "empty/": b""}
WRITERS: dict[str, Callable[[Path], Path]] = {
    "folder": lambda path: write_folder(path, TREE),
    "tar": lambda path: write_tar(path, TREE, "w"),
    "gz": lambda path: write_tar(path, TREE, "w:gz"),
    "bz2": lambda path: write_tar(path, TREE, "w:bz2"),
    "xz": lambda path: write_tar(path, TREE, "w:xz"),
    "zip": lambda path: write_zip(path, TREE),
}


def read(path: Path) -> dict[str, bytes | None]:
    return {str(name): content for name, content in trees.members(path)}


def entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("kind", WRITERS)
def test_all_containers_hold_the_same_files(kind: str, tmp_path: Path) -> None:
    found = read(WRITERS[kind](tmp_path / "no-suffix-needed"))
    assert found.pop("a/1.txt") == b"one" * 1000
    assert found.pop("b/2.txt") == b"two"
    assert found.pop("empty") is None
    assert set(found) <= {"a", "b"}  # not every archive lists its folders


def test_leftovers_of_file_managers_are_ignored(tmp_path: Path) -> None:
    leftovers = dict.fromkeys((".DS_Store", "a/.hidden", "a/Thumbs.db", "a/desktop.ini", "__MACOSX/a/1.txt"), b"")
    assert read(write_zip(tmp_path / "x.zip", leftovers)) == {}
    assert set(read(write_folder(tmp_path / "x", leftovers))) == {"a"}


def test_leading_dots_do_not_matter(tmp_path: Path) -> None:
    assert set(read(write_tar(tmp_path / "x.tar", {"./": b"", "./a/1.txt": b"one"}))) == {"a/1.txt"}


@pytest.mark.parametrize("write", [write_tar, write_zip])
@pytest.mark.parametrize("name", ["/etc/passwd", "../outside.png", "train/../../outside.png"])
def test_names_that_lead_out_of_the_archive_are_refused(write: Callable[..., Path], name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"'{name}' leads out of the archive; pack it with relative names"):
        read(write(tmp_path / "archive", {name: b"x"}))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a special file"),
        (tarfile.FIFOTYPE, "a special file"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(kind: bytes, words: str, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", {}, extra=(entry("train/a/evil.png", kind, "/etc/passwd"),))
    with pytest.raises(InputError, match=f"'train/a/evil.png' is {words}, expected a file or a folder"):
        read(path)


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("train/a/evil.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match=r"'train/a/evil.png' is a symbolic link"):
        read(tmp_path / "x.zip")


def test_links_inside_a_folder_are_refused_but_the_root_may_be_one(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "x", {"a/1.txt": b"one"})
    (tmp_path / "link").symlink_to(root)
    assert read(tmp_path / "link")["a/1.txt"] == b"one"
    (root / "b").symlink_to(root / "a")
    with pytest.raises(InputError, match="'b' is a symbolic link"):
        read(root)


def test_a_pipe_in_a_folder_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="'pipe' is a special file"):
        read(tmp_path)


@pytest.mark.parametrize("name", [b"a/\xff.png", b"a/line\nbreak.png"])
def test_names_that_cannot_be_written_in_a_line_are_refused(name: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / os.fsdecode(name)).touch()
    with pytest.raises(InputError, match="has control characters or bytes that are no UTF-8; rename it") as caught:
        read(tmp_path)
    assert str(caught.value).isascii()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_too_large_for_an_image_is_not_even_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "LARGEST", 2999)
    with pytest.raises(InputError, match=r"'a/1.txt' has 3,000 bytes, expected an image of at most 2,999"):
        read(WRITERS[kind](tmp_path / "x"))


@pytest.mark.parametrize("kind", ["tar", "gz", "bz2", "xz", "zip"])
@pytest.mark.parametrize("kept", [0, 1000, 10_000, 30_000])
def test_a_truncated_archive_is_never_taken_for_a_whole_one(
    kind: str, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TREE, "b/2.txt", os.urandom(40_000))  # does not compress, so it fills most of any archive
    path = WRITERS[kind](tmp_path / "x")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"x: truncated, damaged or no archive \(.*: copy or download it again"):
        read(path)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip"])
def test_a_single_missing_byte_is_noticed(kind: str, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path / "x")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="x: truncated, damaged or no archive"):
        read(path)


def test_a_tar_cut_between_two_members_is_noticed(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", {"1.txt": b"one", "2.txt": b"two"})
    path.write_bytes(path.read_bytes()[:1024])  # one header, one block of data
    with pytest.raises(
        InputError, match=r"truncated, damaged or no archive \(empty header, at or after member '1.txt'\)"
    ):
        read(path)


def test_a_flipped_bit_in_a_tar_header_is_noticed(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", {"1.txt": b"one", "2.txt": b"two"})
    data = bytearray(path.read_bytes())
    data[1024] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"\(bad checksum, at or after member '1.txt'\)"):
        read(path)


def test_a_flipped_bit_in_compressed_content_is_noticed(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar.gz", {"1.bin": os.urandom(10_000)}, "w:gz")
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="truncated, damaged or no archive"):
        read(path)


def test_a_path_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: does not exist; expected a folder, a tar or a zip archive"):
        read(tmp_path / "nowhere")


def test_a_file_that_is_no_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no archive")
    with pytest.raises(InputError, match=r"notes.txt: truncated, damaged or no archive"):
        read(tmp_path / "notes.txt")


def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    root = write_folder(tmp_path / "x", {"a/1.txt": b"one"})
    monkeypatch.setattr(os, "scandir", scandir)  # a test run as root may read everything
    with pytest.raises(InputError, match="x: cannot be read: Permission denied"):
        read(root)
