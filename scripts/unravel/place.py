"""Where the code lies. A run lies in the working directory, the same folder unless Snakemake was told otherwise.

Files of the code are recorded by their path in the repository: a record reads the same wherever its job ran, and names
no folder of the machine.
"""

import shlex
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SNAKEFILE = Path("workflow", "Snakefile")
FOLDERS = ("scripts", "report")  # with the files of the code that jobs read


def recorded(path: Path | str) -> str:
    """The path that a record calls a file by; also any other word of a command, which stays as it is."""
    path = str(path)
    if "/" in path and Path(path).is_file():
        real = Path(path).resolve()
        if any(real.is_relative_to(REPOSITORY / folder) for folder in FOLDERS):
            return real.relative_to(REPOSITORY).as_posix()
    return path


def is_code(path: Path | str) -> bool:
    """Whether a recorded path is that of a file of the code."""
    return Path(path).parts[:1] in [(folder,) for folder in FOLDERS]


def here() -> bool:
    """Whether the working directory shows the code: by the same relative paths, and so to a bare `snakemake`."""
    return all(Path(name).resolve() == REPOSITORY / name for name in (SNAKEFILE, *FOLDERS))


def snakemake(*words: str) -> str:
    """A call of Snakemake, to be given in the working directory.

    Where that is another than the code's, UNRAVEL stands for the latter: the text may be published.
    """
    start = "snakemake" if here() else f'snakemake -s "$UNRAVEL/{SNAKEFILE}"'
    return f"{start} {shlex.join(words)}"
