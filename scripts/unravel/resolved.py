"""The config of a run as its jobs read it, a file that never changes; two calls that differ do not share a run."""

import fcntl
import hashlib
import sys
from pathlib import Path
from typing import TextIO

from unravel.files import InputError, atomic
from unravel.run import Config, to_yaml

DIGITS = 12  # of the SHA-256 in a file's name


def path(run: Path, config: Config) -> Path:
    """The file that jobs of this config read, named by its content: jobs that wait in a queue get what they were
    planned with, whatever a later call asks for."""
    digest = hashlib.sha256(to_yaml(config).encode()).hexdigest()
    return run / "configs" / f"{digest[:DIGITS]}.yaml"


def run_of(config: Path) -> Path:
    """The folder of the run that a config stands in: its own, or one that jobs read."""
    return config.parent.parent if config.parent.name == "configs" else config.parent


def occupy(run: Path, config: Config, sealed: bool) -> TextIO:
    """Write the config, for jobs and as the run's own, and hold the run until the process ends or closes what it gets.

    A sealed run keeps its own config. Calls with the same config may run at once.
    Raises InputError if a call with another config is at work.
    """
    text = to_yaml(config)
    _write(path(run, config), text)
    lock = (run / ".lock").open("w")
    own = run / "config.yaml"
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not sealed:
            _write(own, text)
    except BlockingIOError:
        pass  # others are at work; whether they have the same config, what they wrote will say
    except OSError as error:
        print(f"{run}: no protection from a second call at the same time ({error.strerror})", file=sys.stderr)
        return lock
    fcntl.flock(lock, fcntl.LOCK_SH)
    if not sealed and own.read_text(encoding="utf-8") != text:
        lock.close()
        raise InputError(
            f"{run}: another call of snakemake works on this run with another config ({own}); wait until it has ended, "
            "or give this one a run of its own, as by --config run=other"
        )
    return lock


def _write(path: Path, text: str) -> None:
    """Write a config, unless it is there: what jobs read is not touched while they run."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with atomic(path) as partial:
            partial.write_text(text, encoding="utf-8")
