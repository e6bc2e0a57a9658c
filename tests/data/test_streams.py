"""ImageNet's layout: listing it, what is refused, and batches that depend on nothing but the seed."""

import numpy as np
import pytest
import torch
from data_helpers import encoded, noise, write_folder
from PIL import Image
from torchvision.transforms import v2

from unravel.config import Augmentation, ImageNet
from unravel.data import listing, preparation
from unravel.data.batches import random_generator, read_split
from unravel.files import InputError

CPU = torch.device("cpu")


def tree(classes=3, train=4, test=2):
    """Class folders of colour images of several sizes."""
    return {
        f"{split}/n{label:02}/{number}.{kind}": encoded(
            noise(20 + 3 * number, 24 + label, 3, seed=10 * label + number), "JPEG"
        )
        for split, n, kind in (("train", train, "JPEG"), ("val", test, "jpg"))
        for label in range(classes)
        for number in range(n)
    }


@pytest.fixture
def settings(tmp_path):
    return ImageNet(
        source="imagenet", path=write_folder(tmp_path / "images", tree()), classes=3, image_size=12, resize=16
    )


@pytest.fixture
def prepared(settings, tmp_path):
    preparation.prepare(settings, tmp_path / "data")
    return tmp_path / "data" / "manifest.json"


def test_the_manifest_counts_classes_and_the_lists_name_files_with_sizes(settings, prepared):
    manifest = preparation.read_manifest(prepared)
    assert manifest.classes == ("n00", "n01", "n02")
    assert manifest.image_shape == (12, 12, 3)
    assert (manifest.train.images, manifest.test.images) == (12, 6)
    assert manifest.train.per_class == {"n00": 4, "n01": 4, "n02": 4}
    table = listing.read_list(prepared.with_name("test.csv"))
    assert table.file.tolist() == [f"val/n0{label}/{number}.jpg" for label in range(3) for number in range(2)]
    assert table.label.tolist() == [0, 0, 1, 1, 2, 2]
    assert table.bytes.tolist() == [(settings.path / name).stat().st_size for name in table.file]


def test_other_images_or_another_way_to_see_them_are_other_data(settings, prepared, tmp_path):
    before = preparation.read_manifest(prepared).identity
    for changed in (settings.model_copy(update={"resize": 17}), settings.model_copy(update={"mean": (0.5, 0.5, 0.5)})):
        assert preparation.prepare(changed, tmp_path / "other").identity != before
    assert preparation.prepare(settings, tmp_path / "again").identity == before
    (settings.path / "train/n00/9.JPEG").write_bytes(encoded(noise(9, 9, 3)))
    assert preparation.prepare(settings, tmp_path / "more").identity != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 4}, r"train: has 3 class folders, expected 4 \(dataset.classes\); unpack what is missing"),
        ({"train/n01/9.JPEG": b"no image"}, r"train/n01/9.JPEG: no readable png or jpeg image"),
        ({"train/n01/9.JPEG": b""}, r"train/n01/9.JPEG: no readable png or jpeg image"),
        ({"val/n02/list.txt": b"words"}, r"val/n02/list.txt: does not belong here"),
        ({"val/n03/": b"", "train/n04/": b"", "classes": 4}, r"class 'n03' is in val/ but not in train/"),
        ({"train/n03/": b"", "val/n03/": b"", "classes": 4}, r"train/n03: has no images"),
        ({"path": "elsewhere"}, r"elsewhere/train: no such folder; expected train/<class>/<image>"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(settings, tmp_path, change, message):
    keys = {key: value for key, value in change.items() if key in ("classes", "path")}
    write_folder(settings.path, {name: content for name, content in change.items() if name not in keys})
    if "path" in keys:
        keys["path"] = tmp_path / keys["path"]
    with pytest.raises(InputError, match=message) as told:
        preparation.prepare(settings.model_copy(update=keys), tmp_path / "data")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_damaged_after_its_head_is_named_when_it_is_decoded(settings, prepared, workers):
    path = settings.path / "val/n01/0.jpg"
    path.write_bytes(path.read_bytes()[:-40])
    split = read_split(prepared, "test", CPU, workers)
    with pytest.raises(
        InputError, match=r"^\S*val/n01/0.jpg: cannot be decoded \(image file is truncated.*again$"
    ) as told:
        list(split.batches(2))
    assert "\n" not in str(told.value)


def test_test_images_are_the_resized_centre(settings, prepared):
    split = read_split(prepared, "test", CPU)
    ((images, labels),) = split.batches(10)
    assert images.shape == (6, 3, 12, 12)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    image = Image.open(settings.path / "val/n01/1.jpg")  # 25x23: resized to 17x16, of which 12x12 remain
    pixels = np.asarray(image.resize((17, 16), Image.Resampling.BILINEAR))[2:14, 2:14] / 255
    expected = (pixels - np.array(settings.mean)) / np.array(settings.std)
    np.testing.assert_allclose(images[3].permute(1, 2, 0), expected, atol=1e-5)
    torch.testing.assert_close(split.normalised(torch.tensor([3, 0])), images[[3, 0]], rtol=0, atol=0)
    parts = [batch[0] for rank in range(2) for batch in split.portion(slice(rank, None, 2), 2)]
    torch.testing.assert_close(torch.cat(parts), images[[0, 2, 4, 1, 3, 5]], rtol=0, atol=0)


def epoch(prepared, workers, portions=(slice(0, 6), slice(6, 12)), seed=1, **augmentation):
    split = read_split(prepared, "train", CPU, workers)
    return list(split.training_batches(Augmentation(**augmentation), random_generator(seed, 1), portions))


def test_an_epoch_depends_on_its_seed_alone_not_on_workers_or_portions(prepared):
    whole = epoch(prepared, 0)
    assert sorted(label for _, labels in whole for label in labels.tolist()) == sorted([0, 1, 2] * 4)
    for again in (
        epoch(prepared, 2),
        [*epoch(prepared, 0, [slice(0, 6)]), *epoch(prepared, 1, [slice(6, 12)])],  # stopped and resumed
    ):
        for (images, labels), (expected, expected_labels) in zip(again, whole, strict=True):
            assert torch.equal(images, expected)
            assert torch.equal(labels, expected_labels)
    assert not torch.equal(epoch(prepared, 0, seed=2)[0][0], whole[0][0])


def test_a_crop_is_torchvisions_of_the_same_seed(settings, prepared):
    (images, _), _ = epoch(prepared, 0, crop_area=0.3)
    generator = random_generator(1, 1)
    first = torch.randperm(12, generator=generator)[0]
    torch.manual_seed(int(torch.randint(2**62, (12,), generator=generator)[0]))
    image = Image.open(settings.path / listing.read_list(prepared.with_name("train.csv")).file[int(first)])
    crop = v2.Compose([v2.RandomResizedCrop(12, scale=(0.3, 1)), v2.RandomHorizontalFlip(), v2.PILToTensor()])
    expected = crop(image).float() / 255
    expected = (expected - torch.tensor(settings.mean)[:, None, None]) / torch.tensor(settings.std)[:, None, None]
    torch.testing.assert_close(images[0], expected, rtol=0, atol=1e-6)


def test_reading_leaves_torchs_own_random_numbers_alone(prepared):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    epoch(prepared, 0)
    assert torch.equal(torch.rand(3), expected)
