"""A stand-in for conda, as far as Snakemake calls it: environments of the packages that a file names, and of theirs.

Nothing is downloaded: a package is linked from the environment of the tests, whose versions are the locked ones. What
is not named, and needed by nothing that is, cannot be imported in such an environment.
"""

import argparse
import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import yaml
from packaging.requirements import Requirement

NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}  # of conda, where PyPI has others
ACTIVATE = 'export PATH="$1/bin:$PATH"\nunset PYTHONPATH\n'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    for option in ("--json", "--quiet", "--no-default-packages", "--version", "-y", "--tarballs"):
        parser.add_argument(option, action="store_true")
    for option in ("--file", "--prefix", "--get"):
        parser.add_argument(option)
    said = parser.parse_args()
    match said.words:
        case []:
            print("conda 24.7.1")
        case ["info"]:
            print(json.dumps({"conda_prefix": str(Path(sys.argv[0]).resolve().parents[1]), "platform": "linux-64"}))
        case ["config"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["clean"]:
            pass  # nothing was downloaded
        case ["env", "create"]:
            create(Path(said.file), Path(said.prefix))
        case _:
            sys.exit(f"conda: {said.words} is not stood in for")


def create(file, prefix):
    """Make the environment of a file."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    (site,) = prefix.glob("lib/python*/site-packages")
    listed = [line.split(" =") for line in yaml.safe_load(file.read_text())["dependencies"]]
    named = {NAMES.get(name, name): version for name, version in listed if name != "python"}
    for name, version in named.items():
        assert distribution(name).version.partition("+")[0] == version, name
    for name in closure(named):
        for path in distribution(name).files:
            first = path.parts[0]
            if first not in ("..", "__pycache__") and not (site / first).exists():
                (site / first).symlink_to(distribution(name).locate_file(first))


def closure(names):
    """These packages, and all that they need on this machine."""
    found, waiting = set(), list(names)
    while waiting:
        if (name := waiting.pop().lower()) not in found:
            found.add(name)
            needs = map(Requirement, distribution(name).requires or ())
            waiting += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


if __name__ == "__main__":
    main()
