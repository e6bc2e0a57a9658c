"""Images and labels in npz files."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_helpers import noise

from unravel.config import Arrays
from unravel.data import Images, load
from unravel.files import InputError, sha256

TRAIN = {"images": noise(6, 4, 5, 3), "labels": np.array([0, 1, 2, 0, 1, 2])}
TEST = {"images": noise(3, 4, 5, 3, seed=1), "labels": np.array([2, 1, 0])}


def read(tmp_path: Path, train: dict[str, Any] | None = None, test: dict[str, Any] | None = None) -> Images:
    """Read the good arrays with some of them changed or, for None, left out."""
    for name, arrays in (("train", TRAIN | (train or {})), ("test", TEST | (test or {}))):
        np.savez(tmp_path / f"{name}.npz", **{key: array for key, array in arrays.items() if array is not None})
    return load(Arrays(source="arrays", train=tmp_path / "train.npz", test=tmp_path / "test.npz"))


def test_arrays_are_taken_as_they_are(tmp_path: Path) -> None:
    images = read(tmp_path)
    np.testing.assert_array_equal(images.train_images, TRAIN["images"])
    np.testing.assert_array_equal(images.train_labels, TRAIN["labels"])
    np.testing.assert_array_equal(images.test_images, TEST["images"])
    np.testing.assert_array_equal(images.test_labels, TEST["labels"])
    assert images.train_labels.dtype == np.int64
    assert images.class_names == ("0", "1", "2")
    assert images.origin == "The arrays of train.npz and test.npz, split as they are."
    assert images.inputs == {str(tmp_path / name): sha256(tmp_path / name) for name in ("train.npz", "test.npz")}


def test_images_without_channels_have_one(tmp_path: Path) -> None:
    images = read(tmp_path, {"images": noise(6, 4, 5)}, {"images": noise(3, 4, 5)})
    assert images.train_images.shape == (6, 4, 5, 1)


def test_names_of_classes_are_kept(tmp_path: Path) -> None:
    names = {"class_names": np.array(["ant", "bee", "cat"])}
    assert read(tmp_path, names, names).class_names == ("ant", "bee", "cat")


def test_the_origin_counts_the_images_that_are_not_lossless(tmp_path: Path) -> None:
    train = {"lossless": np.array([True, False, True, True, False, True])}
    test = {"lossless": np.array([True, True, False])}
    origin = read(tmp_path, train, test).origin
    assert origin.endswith("as they are. Not lossless: 2 of 6 training images and 1 of 3 test images.")


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"images": None}, "has no array 'images', expected 'images' and 'labels'"),
    "no labels": ({"labels": None}, "has no array 'labels', expected 'images' and 'labels'"),
    "floats": ({"images": np.zeros((3, 4, 5, 3))}, "images are float64, expected uint8 with values from 0 to 255"),
    "flat": ({"images": noise(3, 60)}, r"images have shape \(3, 60\), expected \(n, height, width\) or"),
    "channels first": (
        {"images": noise(3, 3, 4, 5)},
        r"images have shape \(3, 3, 4, 5\), expected .* in the last axis",
    ),
    "none": ({"images": noise(0, 4, 5, 3), "labels": np.array([], int)}, r"images have shape \(0, 4, 5, 3\), expected"),
    "too few labels": (
        {"labels": np.array([2, 1])},
        r"labels are int64 of shape \(2,\), expected one integer for each of the 3 images",
    ),
    "label vectors": ({"labels": np.eye(3, dtype=int)}, r"labels are int64 of shape \(3, 3\), expected one integer"),
    "fractions": ({"labels": np.array([2.0, 1.0, 0.0])}, r"labels are float64 of shape \(3,\), expected one integer"),
    "label too large": ({"labels": np.array([3, 1, 0])}, "labels run from 0 to 3, expected 0 to 2"),
    "label negative": ({"labels": np.array([-1, 1, 0])}, "labels run from -1 to 1, expected 0 to 2"),
    "other size": ({"images": noise(3, 4, 4, 3)}, r"images are \(4, 4, 3\) .*, but those of .* are \(4, 5, 3\)"),
    "names once": (
        {"class_names": np.array(["a", "b", "c"])},
        "class_names are a, b, c, but those of .* are not given",
    ),
    "names repeat": (
        {"class_names": np.array(["a", "a", "c"])},
        "class_names are a, a, c, expected .* different strings",
    ),
    "names read the same": (
        {"class_names": np.array(["\u00e9", "e\u0301", "c"])},
        r"classes '\\xe9' and 'e\\u0301' read the same; rename one",
    ),
    "a name is empty": ({"class_names": np.array(["a", " ", "c"])}, "class ' ' has no name that can be written"),
    "a name is half a letter": (
        {"class_names": np.array(["a", "\ud800", "c"])},
        r"class '\\ud800' has no name that can be written",
    ),
    "a class without images": (
        {"labels": np.array([2, 0, 0])},
        "class '1' has no images, expected some of every class to train and to test on",
    ),
    "names are numbers": ({"class_names": np.arange(3)}, "class_names are 0, 1, 2, expected .* different strings"),
    "lossless floats": ({"lossless": np.ones(3)}, r"lossless is float64 of shape \(3,\), expected one bool for each"),
    "lossless short": ({"lossless": np.ones(2, bool)}, r"lossless is bool of shape \(2,\), expected one bool for each"),
    "objects": ({"labels": np.array([2, "one", None], object)}, "cannot be read as plain arrays: Object arrays cannot"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_arrays_that_do_not_fit_are_refused(fault: str, tmp_path: Path) -> None:
    changes, message = FAULTS[fault]
    with pytest.raises(InputError, match=rf"test\.npz: {message}") as caught:
        read(tmp_path, test=changes)
    assert "\n" not in str(caught.value)


def test_labels_that_start_at_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.npz: labels run from 1 to 3, expected 0 to 2"):
        read(tmp_path, {"labels": TRAIN["labels"] + 1}, {"labels": TEST["labels"] + 1})


def test_files_with_other_names_of_classes_are_refused(tmp_path: Path) -> None:
    train, test = ({"class_names": np.array(names)} for names in (["a", "b", "c"], ["a", "c", "b"]))
    with pytest.raises(InputError, match=r"test\.npz: class_names are a, c, b, but those of .*train\.npz are a, b, c"):
        read(tmp_path, train, test)


def test_a_named_class_without_training_images_is_refused(tmp_path: Path) -> None:
    names = {"class_names": np.array(["ant", "bee", "cat"])}
    with pytest.raises(InputError, match=r"train\.npz: class 'cat' has no images, expected some of every class"):
        read(tmp_path, names | {"labels": TRAIN["labels"] % 2}, names)


@pytest.mark.parametrize("key", ["images", "labels", "class_names"])
def test_an_array_that_says_it_is_larger_than_it_is_is_refused_before_memory_is_taken(key: str, tmp_path: Path) -> None:
    read(tmp_path)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 10**3)})
    with zipfile.ZipFile(tmp_path / "train.npz", "w") as archive:
        archive.writestr(f"{key}.npy", header.getvalue() + b"few")
    with pytest.raises(InputError, match=rf"train\.npz: .*'{key}' says that it has the shape .* bytes, but holds 3"):
        load(Arrays(source="arrays", train=tmp_path / "train.npz", test=tmp_path / "test.npz"))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 damaged"])
def test_a_file_that_is_no_npz_is_refused(content: bytes, tmp_path: Path) -> None:
    read(tmp_path)
    (tmp_path / "train.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"train\.npz: cannot be read as plain arrays: .*; save it again with numpy"):
        load(Arrays(source="arrays", train=tmp_path / "train.npz", test=tmp_path / "test.npz"))


def test_a_truncated_npz_is_refused(tmp_path: Path) -> None:
    read(tmp_path)
    whole = (tmp_path / "train.npz").read_bytes()
    (tmp_path / "train.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"train\.npz: cannot be read as plain arrays"):
        load(Arrays(source="arrays", train=tmp_path / "train.npz", test=tmp_path / "test.npz"))


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "train.npy", TRAIN["images"])
    with pytest.raises(InputError, match=r"train\.npy: .* it is no npz file but a single array"):
        load(Arrays(source="arrays", train=tmp_path / "train.npy", test=tmp_path / "train.npy"))


def test_a_file_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.npz: is missing; check the path"):
        load(Arrays(source="arrays", train=tmp_path / "nowhere.npz", test=tmp_path / "nowhere.npz"))
