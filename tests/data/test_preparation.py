"""Prepared data: two files of tensors, and a manifest that can be trusted."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_helpers import encoded, noise, write_folder
from safetensors.numpy import load_file

from unravel.config import Arrays, Digits, Folder
from unravel.data import preparation
from unravel.files import InputError

LABELS = np.repeat([0, 1], [3, 2])


def arrays(folder: Path, train: np.ndarray, test: np.ndarray, labels: np.ndarray = LABELS) -> Arrays:
    """Settings of a dataset with the given images (5, height, width, channel) in both splits."""
    folder.mkdir(exist_ok=True)
    np.savez(folder / "train.npz", images=train, labels=labels)
    np.savez(folder / "test.npz", images=test, labels=labels)
    return Arrays(source="arrays", train=folder / "train.npz", test=folder / "test.npz", note="Made up.")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The manifest of a small prepared dataset."""
    settings = arrays(tmp_path / "source", noise(5, 6, 4, 3), noise(5, 6, 4, 3, seed=1))
    preparation.prepare(settings, tmp_path / "data")
    return tmp_path / "data" / "manifest.json"


def test_what_was_prepared_is_read_back(manifest: Path) -> None:
    for split, seed in (("train", 0), ("test", 1)):
        images, labels = preparation.load_split(manifest, split)
        np.testing.assert_array_equal(images, noise(5, 6, 4, 3, seed=seed))
        np.testing.assert_array_equal(labels, LABELS)
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
        assert images.flags.writeable  # torch warns of arrays that are not


def test_images_that_a_manifest_describes_are_written_again_and_others_are_not(manifest: Path) -> None:
    folder, source = manifest.parent, manifest.parents[1] / "source"
    settings = Arrays(source="arrays", train=source / "train.npz", test=source / "test.npz")
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    for split in ("train", "test"):
        (folder / f"{split}.safetensors").unlink()
    preparation.restore(settings, manifest)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: was for name, (was, _) in before.items()
    }
    assert manifest.stat().st_mtime_ns == before["manifest.json"][1]
    (folder / "test.safetensors").unlink()
    others = arrays(source, noise(5, 6, 4, 3), noise(5, 6, 4, 3, seed=2))
    with pytest.raises(
        InputError, match=r"manifest\.json: describes a test\.safetensors of SHA-256 .*; to fix it, put "
    ):
        preparation.restore(others, manifest)
    assert {path.name for path in folder.iterdir()} == {"manifest.json", "train.safetensors"}


def test_the_manifest_tells_what_the_data_is(manifest: Path) -> None:
    content = json.loads(manifest.read_text())
    source = manifest.parents[1] / "source"
    assert content == {
        "schema": 1,
        "name": "arrays",
        "source": "arrays",
        "origin": "The arrays of train.npz and test.npz, split as they are.",
        "classes": ["0", "1"],
        "image_shape": [6, 4, 3],
        "mean": content["mean"],
        "std": content["std"],
        **{
            split: {
                "file": f"{split}.safetensors",
                "sha256": hashlib.sha256((manifest.parent / f"{split}.safetensors").read_bytes()).hexdigest(),
                "images": 5,
                "per_class": {"0": 3, "1": 2},
            }
            for split in ("train", "test")
        },
        "identical": {"in_both": 0, "in_train": 0, "in_test": 0},
        "inputs": {
            str(source / name): hashlib.sha256((source / name).read_bytes()).hexdigest()
            for name in ("train.npz", "test.npz")
        },
    }


def test_prepare_returns_the_manifest_that_it_writes(tmp_path: Path) -> None:
    returned = preparation.prepare(Digits(source="digits"), tmp_path)
    assert returned == preparation.read_manifest(tmp_path / "manifest.json")


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        preparation.prepare(Digits(source="digits"), tmp_path / folder)
    for name in ("train.safetensors", "test.safetensors", "manifest.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_arrays_and_a_folder_of_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    train, test = noise(5, 4, 4, 3), noise(5, 4, 4, 3, seed=1)
    tree = {
        f"{split}/{label}/{i}.png": encoded(image)
        for split, images in (("train", train), ("test", test))
        for i, (image, label) in enumerate(zip(images, LABELS, strict=True))
    }
    folder = Folder(source="folder", path=write_folder(tmp_path / "tree", tree))
    preparation.prepare(folder, tmp_path / "from-folder")
    preparation.prepare(arrays(tmp_path / "npz", train, test), tmp_path / "from-arrays")
    for name in ("train.safetensors", "test.safetensors"):
        assert (tmp_path / "from-folder" / name).read_bytes() == (tmp_path / "from-arrays" / name).read_bytes()


def test_data_is_the_same_if_both_splits_are_wherever_they_lie(tmp_path: Path) -> None:
    def identity(name: str, train: int, test: int, labels: np.ndarray = LABELS) -> str:
        settings = arrays(tmp_path / name, noise(5, 4, 4, 3, seed=train), noise(5, 4, 4, 3, seed=test), labels)
        return preparation.prepare(settings, tmp_path / f"{name}-data").identity

    made = identity("one", 0, 1)
    assert identity("elsewhere", 0, 1) == made
    others = [
        identity("other-train", 2, 1),
        identity("other-test", 0, 2),
        identity("turned", 1, 0),
        identity("other-labels", 0, 1, np.repeat([0, 1], [2, 3])),
    ]
    assert len({made, *others}) == 5


def test_images_that_lie_otherwise_in_memory_are_written_in_order(tmp_path: Path) -> None:
    images = noise(3, 5, 6, 4).transpose(1, 2, 3, 0)  # (5, 6, 4, 3) seen through strides, and saved like that by numpy
    preparation.prepare(arrays(tmp_path / "source", np.asfortranarray(images), images), tmp_path)
    np.testing.assert_array_equal(load_file(tmp_path / "train.safetensors")["images"], images)


@pytest.mark.parametrize("n_images", [1, 7, 2500])  # 2,500 images are counted in three chunks
def test_statistics_agree_with_numpy(n_images: int) -> None:
    images = noise(n_images, 5, 4, 3)
    images[..., 1] //= 3
    mean, std = preparation.channel_statistics(images)
    np.testing.assert_allclose(mean, (images / 255).mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, (images / 255).std((0, 1, 2)), rtol=1e-12)


def test_statistics_are_exact() -> None:
    images = np.zeros((2, 1, 1, 1), np.uint8)
    images[0] = 255
    assert preparation.channel_statistics(images) == ((0.5,), (0.5,))


def test_a_channel_that_never_varies_is_refused(tmp_path: Path) -> None:
    train = noise(5, 4, 4, 3)
    train[..., 2] = 7
    with pytest.raises(InputError, match="dataset 'arrays': channel 2 has one value in all training images"):
        preparation.prepare(arrays(tmp_path, train, train), tmp_path / "data")


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    images = noise(5, 4, 4, 3)
    with pytest.raises(InputError, match="dataset 'arrays': has one class, expected at least two"):
        preparation.prepare(arrays(tmp_path, images, images, np.zeros(5, int)), tmp_path / "data")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema: Input should be 1"),
        ({"mean": [0.5]}, "1 means and 3 stds for 3 channels"),
        ({"std": [0.1, 0.0, 0.1]}, "std.1: Input should be greater than 0"),
        ({"classes": ["0", "1", "2"]}, "the counts per class of train.safetensors do not fit its classes and images"),
        ({"image_shape": [6, 4]}, "image_shape"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
    ],
)
def test_a_broken_manifest_is_refused_in_one_line(change: dict[str, object], message: str, manifest: Path) -> None:
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(InputError) as caught:
        preparation.read_manifest(manifest)
    line = str(caught.value)
    assert line.startswith(f"{manifest}: no valid manifest: ")
    assert message in line
    assert line.endswith("; prepare the data again")
    assert "\n" not in line


def test_a_manifest_cut_short_is_refused(manifest: Path) -> None:
    manifest.write_text(manifest.read_text()[:100])
    with pytest.raises(InputError, match=r"manifest\.json: no valid manifest: top level: Invalid JSON"):
        preparation.read_manifest(manifest)


def test_a_missing_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json: is missing; prepare the data first"):
        preparation.read_manifest(tmp_path / "manifest.json")


def test_a_split_that_is_not_the_one_described_is_refused(manifest: Path) -> None:
    path = manifest.with_name("test.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"test\.safetensors: has SHA-256 \w{64}, its manifest says \w{64}"):
        preparation.load_split(manifest, "test")
    path.unlink()
    with pytest.raises(InputError, match=r"test\.safetensors: is missing beside its manifest; prepare the data again"):
        preparation.load_split(manifest, "test")


def run_script(folder: Path, dataset: str) -> subprocess.CompletedProcess[str]:
    network = "{resnet: {architecture: resnet}, vgg: {architecture: vgg}}"
    (folder / "config.yaml").write_text(
        f"run: demo\nscale: ci\ndataset: {dataset}\nnetworks: {network}\ndeletions: {{figure_8: [resnet]}}\n"
    )
    command = [sys.executable, Path("scripts/prepare_data.py").resolve()]
    command += ["--config", "config.yaml", "--output", "data", "--record", "jobs/data.json"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ, check=False)


def test_the_script_prepares_and_records(tmp_path: Path) -> None:
    arrays(tmp_path / "source", noise(5, 4, 4, 3), noise(5, 4, 4, 3, seed=1))
    done = run_script(tmp_path, "{source: arrays, train: source/train.npz, test: source/test.npz}")
    assert (done.returncode, done.stderr) == (0, "")
    record = json.loads((tmp_path / "jobs/data.json").read_text())
    assert set(record["inputs"]) == {"source/train.npz", "source/test.npz"}
    assert set(record["outputs"]) == {"data/train.safetensors", "data/test.safetensors", "data/manifest.json"}
    assert record["settings"]["source"] == "arrays"


def test_the_script_ends_with_one_line_where_the_user_can_mend_it(tmp_path: Path) -> None:
    done = run_script(tmp_path, "{source: folder, path: nowhere}")
    assert done.returncode == 1
    assert done.stderr == (
        "error: nowhere: does not exist; expected a folder, a tar or a zip archive: check the path\n"
    )
    assert not (tmp_path / "data").exists()
