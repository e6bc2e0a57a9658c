"""Files: errors a user can mend, reads of regular files only, writes that happen whole or not at all, and hashes."""

import errno
import hashlib
import importlib
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic_core import from_json

INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended


class InputError(Exception):
    """Something the user can mend. The message is one line: what, the value, what was expected, how to mend it."""


def cut(text: str, most: int = 80) -> str:
    """A text for a message, cut to at most `most` characters: a foreign file may hold values of any length."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


# --- reading ----------------------------------------------------------------------------------------------------------

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def regular(path: Path | str, mend: str = "check the path") -> Path:
    """The path, if it leads to a regular file: a pipe is waited for, and some devices are read, without end.

    `mend` says what to do if not. Raises InputError for anything else, what is missing and links that lead nowhere.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "is a link that leads nowhere" if path.is_symlink() else "is missing"
        raise InputError(f"{path}: {what}; {mend}") from error
    except (OSError, ValueError) as error:  # the latter for a path with a zero byte
        raise InputError(f"{str(path)!r}: cannot be read ({_reason(error)}); {mend}") from error
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: is {_KINDS[stat.S_IFMT(mode)]}, expected a regular file; {mend}")
    return path


def read_bytes(path: Path | str, mend: str = "check the path") -> bytes:
    """What a regular file holds. Raises InputError, which ends with `mend`, if it cannot be read."""
    try:
        return regular(path, mend).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({_reason(error)}); {mend}") from error


def read_text(path: Path | str, mend: str = "check the path") -> str:
    """The text of a regular file in UTF-8. Raises InputError, which ends with `mend`, if it is none."""
    try:
        return read_bytes(path, mend).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not text in UTF-8 (byte {error.start}); {mend}") from error


def read_json(path: Path | str, mend: str = "check the path", kind: type = dict) -> Any:
    """The value in a JSON file, which must be an object unless `kind` says otherwise.

    Strings that are no text (half a surrogate pair) and deep nests are refused. Raises InputError, which ends with
    `mend`.
    """
    try:
        value = from_json(read_bytes(path, mend))
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error}); {mend}") from error
    if not isinstance(value, kind):
        raise InputError(f"{path}: holds {type(value).__name__}, expected {kind.__name__}; {mend}")
    return value


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


# --- writing ----------------------------------------------------------------------------------------------------------


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` when the block ends well, delete it when not.

    What was written is on the disk before it gets its name, and the name before this ends: after a loss of power too,
    `path` is the old file or the whole new one.
    The name is fixed, so a killed job's leftover is overwritten by the next attempt instead of piling up.
    Raises InputError if the folder cannot be written or the disk is full.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.chmod(0o666 & ~_umask())  # safetensors would keep others on the same cluster from reading it
        _to_disk(partial)
        os.replace(partial, path)
        _to_disk(path.parent)
    except Exception as error:
        cleanup(partial)
        # safetensors reports a full disk in its own exception type, with the system's number inside.
        inside = re.search(r"\(os error (\d+)\)", str(error))
        number = error.errno if isinstance(error, OSError) else int(inside[1]) if inside else None
        if number in _MENDABLE:
            raise InputError(f"{path}: cannot be written: {_MENDABLE[number]}") from error
        raise


def _to_disk(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _umask() -> int:
    """The permissions that new files do not get; there is no way to ask but to set it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


_MENDABLE = {
    errno.ENOSPC: "no space left on the device; free some, then run the same command again",
    errno.EIO: "the disk reports an error; check it, then run the same command again",
    errno.EACCES: "no permission; make the folder writable or choose another `run` folder",
    errno.EROFS: "the file system is read-only; choose a `run` folder on a writable disk",
    errno.EEXIST: "a file stands where a folder was expected; move that file away",
    errno.EISDIR: "a folder stands where a file was expected; move that folder away",
    errno.ENOTDIR: "part of this path is a file where a folder was expected; move that file away",
    errno.EFBIG: "no file may grow so large here (see `ulimit -f`); raise the limit, then run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space, then run the same command again",
}


def require_writable(folder: Path | str) -> None:
    """Check before any job starts that `folder` is there or can be made, and can be written to.

    Raises InputError if not.
    """
    folder = Path(folder)
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists() or path.is_symlink())
    if not existing.is_dir():
        raise InputError(f"{folder}: cannot be written: {existing} is not a folder; move it away")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: cannot be written: no permission in {existing}; make it writable")


def cleanup(path: Path) -> None:
    """Delete `path` if it is there. The caller is already failing: a second failure is not reported over the first."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def sha256(path: Path | str) -> str:
    """SHA-256 of a regular file, as hex. Raises InputError if it cannot be read."""
    try:
        with regular(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({_reason(error)}); check its permissions and the disk") from error


def optional(name: str, needed_for: str) -> Any:
    """Import a module of a library that only some runs need. Raises InputError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        raise InputError(f"{needed_for}: {error.name} is not installed; `make everything` installs it") from error


def run_command_line(main: Callable[[], None]) -> None:
    """Run a script's main: an InputError ends it with one line and exit code 1, other errors keep their trace.

    Ctrl-C ends it with one line too, and with the exit code that shells use for it.
    """
    try:
        main()
        sys.stdout.flush()
    except InputError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted; the same command starts this again", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # what read the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
