"""A small run that the real scripts make, in the order in which snakemake would run them."""

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
RUN = Path("results/tiny")
NOTE = "<script>alert(1)</script> & more."
CLASSES = ('<b>bold</b> & "quoted"', "null", "007")


def write_images(path, n, seed):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % len(CLASSES)
    images = (80 * labels[:, None, None] + random.integers(0, 80, (n, 8, 8))).astype(np.uint8)
    np.savez(path, images=images, labels=labels, class_names=np.array(CLASSES))


def write_config():
    """The ci run's config for the images above, cut down to one seed and one epoch."""
    config = yaml.safe_load((ROOT / "config" / "ci.yaml").read_text())
    config |= {"run": "tiny", "seeds": [1], "training": config["training"] | {"epochs": 1, "batch_size": 8}}
    config["dataset"] = {"source": "arrays", "train": "train.npz", "test": "test.npz", "note": NOTE}
    (RUN / "config.yaml").parent.mkdir(parents=True)
    (RUN / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def planned_commands():
    """The commands that snakemake would run, in its order."""
    options = ["--snakefile", ROOT / "workflow" / "Snakefile", "--configfile", RUN / "config.yaml", "--cores", "1"]
    command = [sys.executable, "-m", "snakemake", *options, "--dry-run", "--printshellcmds"]
    plan = subprocess.run(command, capture_output=True, text=True, check=True)
    return [shlex.split(line) for line in re.findall(r"python (scripts/\S+\.py .*) 2> ", plan.stdout + plan.stderr)]


def run_script(command):
    """Run a script in this process: importing torch anew for each takes longer than the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", command)
        runpy.run_path(command[0], run_name="__main__")


def make_run(folder):
    """Make the run in `folder`: records name files relative to it."""
    for name in ("scripts", "report"):
        (folder / name).symlink_to(ROOT / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_images("train.npz", 48, seed=1)
        write_images("test.npz", 30, seed=2)
        write_config()
        for command in planned_commands():
            run_script(command)
