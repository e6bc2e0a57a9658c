"""Pretrained weights as a checkpoint of the pipeline: the library's network, checked; no network access."""

import json
import re
import sys
from dataclasses import replace

import pytest
import timm
import torch
import yaml
from data_helpers import encoded, noise, write_folder

import fetch_weights
import measure
import prefetch
from unravel import tables
from unravel.config import ImageNet
from unravel.data.preparation import prepare
from unravel.files import run_command_line
from unravel.networks import named
from unravel.studies import MEASURED
from unravel.training import checkpoints

MODEL = "resnetv2_18.ra4_e3600_r224_in1k"
HALF = (0.5, 0.5, 0.5)


def weights():
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return timm.create_model(MODEL, num_classes=3).eval()


@pytest.fixture
def fetch(tmp_path, monkeypatch):
    """Fetch into a folder, with the changes given to the network's settings and to the dataset's."""
    found = named.find(f"timm:{MODEL}")
    changed = {**vars(found), "pretrained_classes": 3, "download": weights}
    monkeypatch.setattr(named, "find", lambda name: named.Named(**changed))
    tree = {
        f"{split}/c{label}/{i}.png": encoded(noise(40, 36, 3, seed=9 * label + i))
        for split in ("train", "val")
        for label in range(3)
        for i in range(2)
    }
    images = write_folder(tmp_path / "images", tree)

    def call(network=None, **dataset):
        raw = {
            "source": "imagenet", "path": str(images), "classes": 3, "image_size": 32, "resize": 36,
            "mean": HALF, "std": HALF, **dataset,
        }  # fmt: skip
        settings = {
            "run": "r", "scale": "ci", "dataset": raw,
            "networks": {"net": {"architecture": "pretrained", "name": MODEL, "blocks": 8, **(network or {})}},
            "deletions": {"figure_3": [], "figure_4": ["net"], "figure_8": []},
            "random_deletions": {"networks": []}, "reorderings": {"networks": []}, "gradients": {"network": None},
        }  # fmt: skip
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(settings))))
        prepare(ImageNet.model_validate(raw), tmp_path / "data")
        run(fetch_weights.main, "--seed=1")

    def run(main, *more):
        name = "checkpoint" if main is fetch_weights.main else "output"
        options = {
            "config": tmp_path / "config.yaml", "data": tmp_path / "data/manifest.json", "network": "net",
            "checkpoint": tmp_path / "out.safetensors", "record": tmp_path / f"{name}.json",
        }  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["x", *(f"--{key}={value}" for key, value in options.items()), *more])
        run_command_line(main)

    call.run = run
    call.folder = tmp_path
    return call


def test_the_checkpoint_computes_what_the_librarys_network_does_and_lesions_are_measured_on_it(fetch):
    fetch()
    network, card = checkpoints.load(fetch.folder / "out.safetensors")
    assert (card.training, card.epochs, card.classes) == (None, 0, 3)
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(network(images), weights()(images), rtol=1e-5, atol=1e-5)
    fetch.run(measure.main, "--study=deletions", f"--outputs={fetch.folder / 'table.csv'}")
    table = tables.read([fetch.folder / "table.csv"], MEASURED["deletions"].measurement.tables[""].columns)
    assert table.deleted_position.tolist() == list(range(9))
    assert table.deleted_position[table.downsampling].tolist() == [3, 5, 7]
    assert table.error_percent[0] == pytest.approx(card.test_error_percent)


def test_the_record_holds_the_sha256_and_another_one_is_refused(fetch):
    fetch()
    sha256 = json.loads((fetch.folder / "checkpoint.json").read_text())["facts"]["weights_sha256"]
    assert re.fullmatch("[0-9a-f]{64}", sha256)
    fetch({"sha256": sha256})
    with pytest.raises(SystemExit, match=f"its weights have SHA-256 {sha256}, the config says 00; correct one"):
        fetch({"sha256": "00"})


def test_weights_can_be_downloaded_before_the_run(fetch, monkeypatch, capsys):
    fetch()
    downloaded = []
    found = named.find(MODEL)
    monkeypatch.setattr(named, "find", lambda name: replace(found, download=lambda: downloaded.append(name)))
    monkeypatch.setattr(sys, "argv", ["x", f"--config={fetch.folder / 'config.yaml'}"])
    run_command_line(prefetch.main)
    assert downloaded == [MODEL]
    said = f"images: nothing to download, dataset.source is imagenet\n{MODEL}: its weights are there\n"
    assert capsys.readouterr().out.endswith(said)


@pytest.mark.parametrize(
    ("network", "dataset", "message"),
    [
        ({"blocks": 9}, {}, "has 8 blocks, the config says 9"),
        (
            {},
            {"mean": (0.4, 0.5, 0.5)},
            r"mean \[0.5, 0.5, 0.5\] and std \[0.5, 0.5, 0.5\]; set dataset.mean and datas",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(fetch, network, dataset, message):
    with pytest.raises(SystemExit, match=message) as refused:
        fetch(network, **dataset)
    assert "\n" not in str(refused.value)
    assert not (fetch.folder / "out.safetensors").exists()
