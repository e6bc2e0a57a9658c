"""Records: what each job did, in its own words (command, inputs, outputs, settings, environment, time)."""

import json
import os
import platform
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from unravel.evidence import lineage
from unravel.files import InputError, atomic, sha256
from unravel.place import REPOSITORY, recorded

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pandas",
    "matplotlib",
    "safetensors",
    "scikit-learn",
    "pillow",
    "timm",
    "unravel-resnets",  # where this library is installed
)
# Code that decides no result.
UNDECIDING = (
    *(f"scripts/unravel/{name}" for name in ("files.py", "place.py", "run.py", "config/", "cluster/")),
    *(f"scripts/unravel/evidence/{name}.py" for name in ("records", "lineage")),
    "scripts/unravel/records.py",  # where it was when the oldest published records were written
    "scripts/unravel/studies/__init__.py",
    "scripts/unravel/studies/base.py",
)
STUDIES = "scripts/unravel/studies/"
PARTS_OF_STUDIES = ("/measure.py", "/figure.py", "/values.py")  # those that a job uses of a study
LOCK = REPOSITORY / "requirements.lock"  # which only a checkout has: installed, the library's version says what it is


@contextmanager
def job(
    record: Path | str,
    *,
    inputs: Iterable[Path | str],
    outputs: Iterable[Path | str],
    settings: Mapping[str, Any],
    seed: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Time the block and write `record` when it ends well: what ran, on what, with which result, where and how long.

    Yields a dictionary for facts only the job knows (images per second, epochs resumed); it is stored as `facts`.
    Inputs and outputs are stored with their SHA-256 and size; nothing names the user or the host. Inputs that are there
    when the block begins are hashed then, as they are about to be read; a job may name more of them until it ends.
    Raises InputError if an input is not the file that another job of this run made, or is another one at the end, or
    if an output is sealed.
    """
    facts: dict[str, Any] = {}
    read = {recorded(path): describe(path) for path in inputs if Path(path).is_file()}
    if jobs := next((folder for folder in Path(record).parents if folder.name == "jobs"), None):
        lineage.require_unsealed(map(str, outputs), jobs.parent)
        hashes = {path: file["sha256"] for path, file in read.items()}
        lineage.require_as_made(hashes, lineage.read_records(jobs), jobs.parent)
    modules = loaded_modules()
    started, clock = datetime.now(UTC), time.perf_counter()
    yield facts
    seconds = time.perf_counter() - clock
    used = {recorded(path): describe(path) for path in inputs}
    for path, was in read.items():
        if used.get(path, was) != was:
            raise InputError(f"{path}: changed while the job was running; run the job again")
    entry = {
        "schema": lineage.SCHEMA,
        "command": shlex.join(["python", *map(recorded, sys.argv)]),
        "inputs": used,
        "outputs": {str(path): describe(path) for path in outputs},
        "settings": settings,
        "seed": seed,
        "facts": facts | gpu_memory(),
        "code": {**code_version(), "modules": loaded_modules() | modules},  # as they were when the job read them
        "environment": environment(),
        "hardware": hardware(),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    # Read back, as its reader will see it: a path or a tuple is text or a list there.
    entry["digest"] = lineage.digest(json.loads(json.dumps(entry)))
    with atomic(record) as partial:
        partial.write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")


def describe(path: Path | str) -> dict[str, Any]:
    """SHA-256 and size of a file."""
    return {"sha256": sha256(path), "bytes": Path(path).stat().st_size}


def code_version() -> dict[str, Any]:
    """The commit the code was at, and whether tracked files differed from it; `commit` is None outside a checkout.

    The files of published runs do not count: they are results, which the job itself may be making again.
    """

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", REPOSITORY, *words], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD") if LOCK.is_file() else None  # an environment may lie in another's repository
    return {
        "commit": commit,
        "dirty": commit is not None
        and git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results") != "",
    }


def loaded_modules() -> dict[str, str]:
    """SHA-256 of each file of this project's code that the process has imported and that may decide a result.

    Its script is among them. Left out is what reads a config, since a record holds the settings themselves, what writes
    records, and of studies that the job did not use what they say of themselves, which every config is made of.
    """
    names = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    # Thousands of files are loaded: their names tell which may be ours, before any is looked at on the disk.
    ours = {name for name in names if isinstance(name, str) and "site-packages" not in name}
    files = sorted({Path(name).resolve() for name in ours})
    code = [path for path in files if path.is_relative_to(REPOSITORY / "scripts") and path.is_file()]
    relative = [path.relative_to(REPOSITORY).as_posix() for path in code]
    used = {name.rpartition("/")[0] for name in relative if name.endswith(PARTS_OF_STUDIES)}
    return {
        name: sha256(path)
        for name, path in zip(relative, code, strict=True)
        if not name.startswith(UNDECIDING)
        and (not name.startswith(STUDIES) or name.count("/") == 3 or name.rpartition("/")[0] in used)
    }


def environment() -> dict[str, Any]:
    """Versions of Python and the packages that decide a result, and the hash of the lock file."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # an environment for figures has no torch
            continue
    return {"versions": versions, "lock_sha256": sha256(LOCK) if LOCK.is_file() else None}


def hardware() -> dict[str, Any]:
    """The kind of machine: processor, cores, memory and GPU, but not whose it is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = {"cpu": _processor(), "cores": os.cpu_count(), "memory_gb": round(memory / 2**30)}
    torch = sys.modules.get("torch")  # only a job that already uses torch can have used a GPU
    if torch is not None and torch.cuda.is_available():
        found |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    return found


def gpu_memory() -> dict[str, int]:
    """The most GPU memory that this process has taken, in MB: what a GPU must have free for such a job."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return {}
    return {"peak_gpu_memory_mb": round(torch.cuda.max_memory_reserved() / 2**20)}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
