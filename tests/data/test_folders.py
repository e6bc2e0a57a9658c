"""Class folders and archives of them."""

import hashlib
import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_helpers import encoded, noise, small_tree, write_folder, write_tar, write_zip
from PIL import Image

from unravel.config import Folder
from unravel.data import Images, load
from unravel.files import InputError, sha256

Write = Callable[..., Path]


def read(path: Path, image_size: int | None = None) -> Images:
    return load(Folder(source="folder", path=path, image_size=image_size))


def refusal(tmp_path: Path, **changes: bytes | Image.Image | np.ndarray | None) -> str:
    """The one line that refuses the small tree with some files added, changed or, for None, left out."""
    tree = small_tree()
    for name, content in changes.items():
        if content is None:
            del tree[name]
        else:
            tree[name] = content if isinstance(content, bytes) else encoded(content)
    with pytest.raises(InputError) as caught:
        read(write_folder(tmp_path / "data", tree))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'data'}: ")
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path / 'data'}: ")


def as_array(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_images_are_sorted_by_class_and_name(tmp_path: Path) -> None:
    tree = small_tree()
    images = read(write_folder(tmp_path / "data", tree))
    assert images.class_names == ("a", "b")
    assert images.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.test_labels.tolist() == [0, 0, 1, 1]
    for image, name in zip(images.train_images, sorted(name for name in tree if name.startswith("train")), strict=True):
        np.testing.assert_array_equal(image, as_array(tree[name]))


@pytest.mark.parametrize("top", ["", "cifar/"])
def test_folder_tar_and_zip_of_one_tree_give_the_same_images(top: str, tmp_path: Path) -> None:
    tree = {top + name: content for name, content in small_tree().items()}
    backwards = dict(reversed(tree.items()))
    read_all = [
        read(write_folder(tmp_path / "data", tree)),
        read(write_tar(tmp_path / "data.tar", backwards)),
        read(write_tar(tmp_path / "data.tar.xz", tree, "w:xz")),
        read(write_zip(tmp_path / "data.zip", backwards)),
    ]
    for images in read_all[1:]:
        assert images.class_names == read_all[0].class_names
        for part in ("train_images", "train_labels", "test_images", "test_labels"):
            np.testing.assert_array_equal(getattr(images, part), getattr(read_all[0], part))


def test_an_archive_is_identified_by_its_hash(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "data.zip", small_tree())
    assert read(path).inputs == {str(path): sha256(path)}


def test_a_folder_is_identified_by_one_hash_over_names_and_contents(tmp_path: Path) -> None:
    tree = small_tree()
    path = write_folder(tmp_path / "data", tree | {".DS_Store": b"ignored"})
    sha256sum = "".join(f"{hashlib.sha256(tree[name]).hexdigest()}  {name}\n" for name in sorted(tree))
    assert read(path).inputs == {str(path): hashlib.sha256(sha256sum.encode()).hexdigest()}


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_images_give_one_channel(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(noise(4, 4)).convert(mode)
    images = read(write_folder(tmp_path / "data", dict.fromkeys(small_tree(), encoded(image))))
    assert images.test_images.shape == (4, 4, 4, 1)
    np.testing.assert_array_equal(images.test_images[0, ..., 0], np.asarray(image.convert("L")))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colour_images_give_three_channels(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(noise(4, 4, 3)).convert(mode)
    images = read(write_folder(tmp_path / "data", dict.fromkeys(small_tree(), encoded(image))))
    np.testing.assert_array_equal(images.test_images[0], np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_images_are_read(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), (200, 200, 200)).convert(mode)
    tree = {name.replace("png", "JPG"): encoded(image, "jpeg") for name in small_tree()}
    images = read(write_folder(tmp_path / "data", tree))
    assert images.test_images.shape[3] == (1 if mode == "L" else 3)
    np.testing.assert_allclose(images.test_images, 200, atol=2)


def test_images_of_any_size_are_resized_on_demand(tmp_path: Path) -> None:
    wide = encoded(Image.new("RGB", (20, 7), (10, 20, 30)))
    images = read(write_folder(tmp_path / "data", small_tree() | {"test/b/9.png": wide}), image_size=8)
    assert images.train_images.shape == (6, 8, 8, 3)
    assert "resized to 8x8 pixels" in images.origin
    np.testing.assert_array_equal(images.test_images[-1], np.full((8, 8, 3), (10, 20, 30)))


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    whole = encoded(noise(40, 40, 3), "jpeg")
    message = refusal(tmp_path, **{"train/a/1.png": whole[: len(whole) // 2]})
    assert message.startswith("'train/a/1.png' cannot be used: ")
    assert "truncated" in message
    assert message.endswith("expected a whole, opaque png or jpeg image of 8 bits per value: repair or remove it")


@pytest.mark.parametrize("content", [b"", b"GIF89a", encoded(noise(4, 4, 3), "bmp")])
def test_a_file_that_only_says_it_is_a_png_is_named(content: bytes, tmp_path: Path) -> None:
    assert "'test/b/0.png' cannot be used: it is no png or jpeg image" in refusal(tmp_path, **{"test/b/0.png": content})


def test_transparent_images_are_refused(tmp_path: Path) -> None:
    assert "'test/b/0.png' cannot be used: it has transparent pixels" in refusal(
        tmp_path, **{"test/b/0.png": noise(4, 4, 4)}
    )


def test_sixteen_bit_images_are_refused(tmp_path: Path) -> None:
    deep = Image.fromarray(noise(4, 4).astype(np.uint16) * 257)
    assert "'test/b/0.png' cannot be used: its values are not 8 bits wide" in refusal(
        tmp_path, **{"test/b/0.png": deep}
    )


@pytest.mark.parametrize("side", [11, 16])  # Pillow warns above its limit and raises above twice its limit
def test_a_decompression_bomb_is_refused(side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    message = refusal(tmp_path, **{"test/b/0.png": noise(side, side, 3)})
    assert re.match(rf"'test/b/0.png' cannot be used: Image size \({side**2} pixels\) exceeds limit", message)


def test_two_sizes_are_refused_and_both_named(tmp_path: Path) -> None:
    assert refusal(tmp_path, **{"train/b/2.png": noise(5, 4, 3)}) == (
        "'train/b/2.png' is 4x5 pixels, in colour, but 'test/a/0.png' is 4x4 pixels, in colour; "
        "make all the same size, or set dataset.image_size (or --image-size) to have them resized"
    )


def test_a_mix_of_grey_and_colour_is_refused_and_both_named(tmp_path: Path) -> None:
    assert refusal(tmp_path, **{"train/b/2.png": noise(4, 4)}) == (
        "'train/b/2.png' is 4x4 pixels, grey, but 'test/a/0.png' is 4x4 pixels, in colour; "
        "convert all images to grey or all to colour"
    )


@pytest.mark.parametrize("name", ["README.md", "train/a/labels.csv", "train/1.png", "train/a/b/c/1.png", "val/a/1.png"])
def test_a_file_out_of_place_is_named(name: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, **{name: noise(4, 4, 3)})
    assert message.startswith(f"'{name}' does not belong here: expected train/<class>/<image> and test/<class>/<image>")
    assert message.endswith("move it away")


def test_two_trees_in_one_are_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, **{"old/train/a/0.png": noise(4, 4, 3)})
    assert message == "'test/a/0.png' and 'old/train/a/0.png' lie in different trees; pass one of them"


@pytest.mark.parametrize(("there", "missing"), [("train", "test"), ("test", "train")])
def test_a_class_in_only_one_split_is_named(there: str, missing: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, **{f"{there}/c/0.png": noise(4, 4, 3)})
    assert message.startswith(
        f"class 'c' has no images in {missing}/, expected some of every class in train/ and in test/"
    )


@pytest.mark.parametrize("write", [write_folder, write_tar, write_zip])
def test_an_empty_class_is_named(write: Write, tmp_path: Path) -> None:
    path = write(tmp_path / "data", small_tree() | {"train/c/": b"", "test/c/": b""})
    with pytest.raises(InputError, match="class 'c' has no images in train/"):
        read(path)


@pytest.mark.parametrize(("kept", "missing"), [("train", "test"), ("test", "train")])
def test_a_missing_split_is_told(kept: str, missing: str, tmp_path: Path) -> None:
    tree = {name: content for name, content in small_tree().items() if name.startswith(kept)}
    with pytest.raises(InputError, match=f"data: has no images in {missing}/: expected train/<class>/<image> and"):
        read(write_folder(tmp_path / "data", tree))


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no images in train/"):
        read(tmp_path)


def test_a_name_that_an_archive_holds_twice_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "data.tar", small_tree() | {"./train/a/0.png": encoded(noise(4, 4, 3, seed=9))})
    with pytest.raises(InputError, match=r"'train/a/0.png' is there twice"):
        read(path)


def test_a_path_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: does not exist; expected a folder, a tar or a zip archive"):
        read(tmp_path / "nowhere")


def test_classes_that_read_the_same_are_refused(tmp_path: Path) -> None:
    renamed = {"a": "caf\u00e9", "b": "cafe\u0301"}  # one letter, or a letter and its accent
    tree = {
        "/".join(renamed.get(part, part) for part in name.split("/")): content for name, content in small_tree().items()
    }
    with pytest.raises(InputError, match=r"classes 'cafe\\u0301' and 'caf\\xe9' read the same; rename one, or join"):
        read(write_tar(tmp_path / "data.tar", tree))


def test_what_is_no_folder_and_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(
        InputError, match=r"pipe: is a pipe, expected a regular file; expected a folder, a tar or a zip"
    ):
        read(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"/dev/zero: is a device, expected a regular file"):
        read(Path("/dev/zero"))
