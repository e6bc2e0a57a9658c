"""A small run that real job records describe: one network of each kind, single deletions, two figures, claims."""

import atexit
import json
import shutil
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import save_file

from unravel import place, tables
from unravel.data.preparation import Manifest
from unravel.evidence import claims, freshness, lineage, provenance, records
from unravel.evidence.lineage import read_records
from unravel.files import sha256
from unravel.run import parse_config, to_yaml
from unravel.studies import MEASURED, claims_files

ROOT = Path(__file__).resolve().parents[1]
RUN = Path("results/tiny")
CONFIG = {
    "run": "tiny",
    "scale": "ci",
    "dataset": {"source": "digits"},
    "networks": {
        "resnet": {"architecture": "resnet", "blocks_per_stage": [3], "channels": [4]},
        "vgg": {"architecture": "vgg", "layers_per_stage": [3]},
    },
    "seeds": [1],
    "deletions": {"figure_3": ["resnet", "vgg"], "figure_8": ["resnet"]},
    "random_deletions": {"most": 1},
    "bootstrap_samples": 60,
}
CRITERIA = "scripts/unravel/studies/single_deletion/claims.yaml"
CLAIMS = ("delete-vgg", "delete-resnet", "imagenet", "binomial")
MANIFEST = {
    "schema": 1, "name": "digits", "source": "digits", "origin": "made up", "classes": ["0", "1"],
    "image_shape": [8, 8, 1], "mean": [0.5], "std": [0.5], "inputs": {},
    **{split: {"file": f"{split}.safetensors", "sha256": "0" * 64, "images": 400, "per_class": {"0": 200, "1": 200}}
       for split in ("train", "test")},
}  # fmt: skip
LOCK = "pandas==3.0.0 \\\n    --hash=sha256:00\nnumpy==2.4.6 \\\n    --hash=sha256:00\n"
MADE = (
    "figures/single-deletion",
    "figures/class-overview",
    "claims",
    "checkpoints/resnet/seed1",
    "checkpoints/vgg/seed1",
)


def make_run(folder, monkeypatch):
    """A checkout with a finished run in it, as the working directory and in the place of this repository."""
    take_the_place(folder, monkeypatch)
    shutil.copytree(finished(), folder, dirs_exist_ok=True)


def take_the_place(folder, monkeypatch):
    """A folder as the working directory and as this repository."""
    monkeypatch.chdir(folder)
    for module in (place, records, provenance, freshness):
        monkeypatch.setattr(module, "REPOSITORY", folder)
    monkeypatch.setattr(records, "code_version", lambda: {"commit": "0" * 40, "dirty": False})
    monkeypatch.setattr(
        records, "environment", lambda: {"versions": {"pandas": "3.0.0"}, "lock_sha256": sha256("requirements.lock")}
    )


@cache
def finished():
    """The folder of such a checkout, made once."""
    temporary = tempfile.TemporaryDirectory()
    atexit.register(temporary.cleanup)
    with pytest.MonkeyPatch.context() as patch:
        take_the_place(Path(temporary.name), patch)
        write("requirements.lock", LOCK)
        for name in ("train", "measure", "unravel/training/loop", "unravel/studies/single_deletion/figure"):
            write(f"scripts/{name}.py", f"name = '{name}'\n")
        settings = parse_config(CONFIG)
        stated = [claim for path in claims_files(settings) for claim in yaml.safe_load(path.read_text())]
        write(CRITERIA, yaml.safe_dump([claim for claim in stated if claim["id"] in CLAIMS], sort_keys=False))
        write(RUN / "config.yaml", to_yaml(settings))
        write_jobs(settings, patch)
        write_page()
    return temporary.name


def write_jobs(settings, monkeypatch):
    """Every job of the run, in order: outputs and record."""

    def job(name, command, inputs, outputs, part, modules=(), seed=None, facts=None):
        monkeypatch.setattr("sys.argv", [f"scripts/{command[0]}.py", *command[1:]])
        with records.job(RUN / f"jobs/{name}.json", inputs=inputs, outputs=outputs, settings=part, seed=seed) as found:
            for path, content in outputs.items():
                content(path) if callable(content) else write(path, content)
            found |= facts or {}
        with changed_record(RUN / f"jobs/{name}.json") as record:
            record["code"]["modules"] = {f"scripts/{path}.py": sha256(f"scripts/{path}.py") for path in modules}

    manifest = RUN / "data/digits/manifest.json"
    images = {manifest.with_name(f"{split}.safetensors"): f"{split} images" for split in ("train", "test")}
    job("data/digits", ["prepare_data"], [], {**images, manifest: json.dumps(MANIFEST)}, settings.dataset_part())
    measured = []
    for network, increases in (("resnet", [9, 0, 2]), ("vgg", [85, 85])):
        checkpoint, history = (RUN / f"checkpoints/{network}/seed1.{end}" for end in ("safetensors", "history.csv"))
        job(
            f"checkpoints/{network}/seed1", ["train", "--network", network], [manifest],
            {checkpoint: lambda path, name=network: write_checkpoint(path, name), history: write_history},
            settings.training_part(network),
            ["train", "unravel/training/loop"], 1, {"test_error_percent": 5.0},
        )  # fmt: skip
        table = pd.DataFrame({"error_percent": [5.0, *(5.0 + increase for increase in increases)]})
        halving = (table.index == 1) & (network == "resnet")  # the other never halves: a value of its claim is nan
        table = table.assign(deleted_position=table.index, downsampling=halving, network=network, seed=1)
        table = table.assign(chance_error_percent=90.0, wrong_images=4 * table.error_percent, test_images=400)
        measured.append(RUN / f"measurements/deletions/{network}-seed1.csv")
        job(
            f"measurements/deletions/{network}-seed1",
            ["measure", "--study", "deletions", "--network", network], [manifest, checkpoint],
            {measured[-1]: lambda path, table=table: tables.write(path, table)},
            MEASURED["deletions"].measurement.decides(settings, network), ["measure"],
        )  # fmt: skip
    for slug, inputs in (("single-deletion", measured), ("class-overview", [manifest])):
        module = "scripts/unravel/studies/single_deletion/figure.py"
        job(
            f"figures/{slug}", ["draw_figure"], [module, *inputs],
            {
                RUN / f"figures/{slug}.svg": f"{slug} svg",
                RUN / f"figures/{slug}.csv": f"{slug} csv",
                RUN / f"figures/{slug}.json": '{"blocks": 3, "networks": {"vgg": {"worst": 85.0}}, "points": []}',
            },
            {"scale": "ci"}, ["unravel/studies/single_deletion/figure"],
        )  # fmt: skip
    verdicts = claims.judge(claims.read(Path(CRITERIA)), claims.evidence_of(RUN, settings))
    written = {RUN / "claims.json": json.dumps(verdicts)}
    job("claims", ["judge_claims"], [CRITERIA, *measured], written, settings.claims_part())


def write_checkpoint(path, network):
    """A file as trainings write it, with a card that says the least and no network in it."""
    card = {"name": network, "seed": 1, "test_error_percent": 5.0}
    card["dataset_sha256"] = Manifest.model_validate(MANIFEST).identity
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {"weights": np.frombuffer(network.encode().ljust(8), np.uint8)}, path, metadata={"unravel": json.dumps(card)}
    )


def write_history(path):
    """A history of all epochs, at one and the same error."""
    epochs = np.arange(1, parse_config(CONFIG).training.epochs + 1)
    same = {"learning_rate": 0.1, "train_loss": 0.1, "train_error_percent": 5.0, "test_error_percent": 5.0}
    tables.write(path, pd.DataFrame({"epoch": epochs, "step": 10 * epochs}).assign(**same))


@contextmanager
def changed_record(path):
    """A job's record, to be changed; what is written says of itself that it is whole."""
    record = json.loads(Path(path).read_text())
    yield record
    record["digest"] = lineage.digest(record)
    write(path, json.dumps(record))


def write_page():
    """A report with what other files are read from it."""
    title = '<title id="single-deletion-title">Figure 3. Error &amp; more</title>'
    finding = '<desc id="single-deletion-desc">Falls.</desc>'
    write(RUN / "report.html", f'<p data-results="{freshness.digest(read_records(RUN / "jobs"))}"></p>{title}{finding}')


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
