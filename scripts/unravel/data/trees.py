"""Trees: the files of a folder, a tar or a zip archive, one after the other, in memory and wary of their names.

Nothing is extracted to disk, and an archive is decompressed once.
"""

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, cast

from unravel.data.images import unwritable
from unravel.files import InputError, regular

FILE, FOLDER = "a file", "a folder"
KINDS = {stat.S_IFREG: FILE, stat.S_IFDIR: FOLDER, stat.S_IFLNK: "a symbolic link"}
# Left behind by file managers; hidden files are passed over as well.
IGNORED = {"thumbs.db", "desktop.ini", "__macosx"}
LARGEST = 2**28  # bytes; no image that Pillow agrees to open is larger, so a larger file is a mistake or an attack
OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
READ_ERRORS = (
    OSError,
    EOFError,
    RuntimeError,  # an encrypted zip, or a compression method that Python lacks
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


class Member(NamedTuple):
    """An entry of a tree: its name below the root, what it is, its size in bytes, and how to read it."""

    name: str
    kind: str
    size: int
    read: Callable[[], bytes]


def members(root: Path) -> Iterator[tuple[PurePosixPath, bytes | None]]:
    """Yield the name of each file with its content, and of each folder with None; hidden ones are passed over.

    Files come in the order of the archive, those of a folder sorted folder by folder.
    Raises InputError naming the member for links, devices, files over 256 MiB and names that lead out of the tree or
    cannot be written in a line; and for a root that is missing, unreadable, truncated, damaged or no archive.
    """
    if not root.exists():
        raise InputError(f"{root}: does not exist; expected a folder, a tar or a zip archive: check the path")
    name = PurePosixPath()
    try:
        for member in _container(root)(root):
            name = PurePosixPath(member.name)
            _refuse_unsafe(root, member, name)
            if not _ignored(name):
                yield name, None if member.kind == FOLDER else member.read()
    except READ_ERRORS as error:
        if isinstance(error, OSError) and error.strerror:
            raise InputError(f"{error.filename or root}: cannot be read: {error.strerror}") from error
        raise InputError(
            f"{root}: truncated, damaged or no archive ({error}, at or after member '{name}'); expected a folder, "
            "a tar (plain, gz, bz2 or xz) or a zip: copy or download it again"
        ) from error


def _container(root: Path) -> Callable[[Path], Iterator[Member]]:
    if root.is_dir():
        return _folder
    regular(root, "expected a folder, a tar or a zip archive: check the path")
    return _zip if _first_bytes(root).startswith(b"PK") else _tar


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(6)


def _refuse_unsafe(root: Path, member: Member, name: PurePosixPath) -> None:
    if unwritable(member.name):
        raise InputError(f"{root}: {member.name!a} has control characters or bytes that are no UTF-8; rename it")
    if name.is_absolute() or ".." in name.parts:
        raise InputError(f"{root}: '{member.name}' leads out of the archive; pack it with relative names")
    if member.kind not in (FILE, FOLDER):
        raise InputError(f"{root}: '{member.name}' is {member.kind}, expected a file or a folder; replace it by one")
    if member.size > LARGEST:
        raise InputError(
            f"{root}: '{member.name}' has {member.size:,} bytes, expected an image of at most {LARGEST:,}; remove it"
        )


def _ignored(name: PurePosixPath) -> bool:
    return not name.parts or any(part.startswith(".") or part.lower() in IGNORED for part in name.parts)


def _folder(root: Path) -> Iterator[Member]:
    def fail(error: OSError) -> None:  # os.walk would pass over what it may not read
        raise error

    for folder, folders, files in os.walk(root, onerror=fail):
        folders.sort()
        for name in sorted(folders + files):
            path = Path(folder, name)
            status = path.lstat()
            yield Member(path.relative_to(root).as_posix(), _kind(status.st_mode), _size(status), path.read_bytes)


def _kind(mode: int) -> str:
    return KINDS.get(stat.S_IFMT(mode), "a special file")


def _size(status: os.stat_result) -> int:
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16  # no file type in archives from outside Unix
            kind = FOLDER if info.is_dir() else _kind(mode) if stat.S_IFMT(mode) else FILE
            yield Member(info.filename, kind, info.file_size, partial(archive.read, info))


def _tar(path: Path) -> Iterator[Member]:
    opener = next((opener for magic, opener in OPENERS.items() if _first_bytes(path).startswith(magic)), None)
    with opener(path) if opener else path.open("rb") as file:
        with tarfile.open(fileobj=file, mode="r|", tarinfo=_StrictTarInfo) as archive:
            for info in archive:
                yield Member(info.name, _tar_kind(info), info.size, partial(_read, archive, info))
        while file.read(1 << 20):  # to the end, where the decompressor compares its checksum
            pass


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.islnk():
        return "a hard link"
    if info.issym():
        return "a symbolic link"
    return FILE if info.isfile() else FOLDER if info.isdir() else "a special file"


def _read(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    return cast(IO[bytes], archive.extractfile(info)).read()  # None only for what _refuse_unsafe refuses


class _StrictTarInfo(tarfile.TarInfo):
    """Headers that must be whole: tarfile silently takes a damaged or missing one for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_StrictTarInfo":
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):  # the end, properly marked
                raise
            raise tarfile.ReadError(str(error)) from error
