"""Snakemake as a user calls it, on the ci run, with the Python of these tests."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUN = Path("results/ci")
CONFIG = ("--configfile", "config/ci.yaml")
GENERATED = (".git", ".venv", ".hypothesis", ".*_cache", ".snakemake", "results", "__pycache__")


def copy_code(folder):
    """A copy of the checkout with nothing generated in it."""
    return Path(shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*GENERATED)))


def make_ci(checkout):
    """Make the ci run in a checkout: by all its planned commands in one process, which saves most of the time that a
    process for each takes to start. Snakemake then takes the files as made by its jobs."""
    environment = {
        **os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": "scripts:tests"
    }  # fmt: skip
    code = f"import article_helpers; from pathlib import Path; article_helpers.run_planned(Path({CONFIG[1]!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    finish(begin(checkout, "--touch", "--forceall", "--cores", "1"))


def begin(checkout, *arguments, **variables):
    """Start snakemake in a checkout, with these variables in its environment."""
    path = f"{Path(sys.executable).parent}:{variables.get('PATH', os.environ['PATH'])}"
    environment = {**os.environ, **variables, "PATH": path}
    command = [sys.executable, "-m", "snakemake", *map(str, arguments), *CONFIG]
    out = subprocess.PIPE
    return subprocess.Popen(command, cwd=checkout, env=environment, text=True, stdout=out, stderr=subprocess.STDOUT)


def finish(job, seconds=900):
    """What a call of snakemake said, which must have ended well."""
    try:
        said, _ = job.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        job.send_signal(signal.SIGINT)  # which also cancels what it has submitted to a cluster
        said = job.communicate()[0]
    assert job.returncode == 0, said
    return said
