"""Batches: normalisation and augmentation against slow loops over single images."""

import torch
from torch.nn.functional import pad

from unravel.config import Augmentation
from unravel.data.batches import crop_and_flip, draw_epoch, random_generator


def test_normalised_images_have_mean_zero_and_variance_one(make_split):
    images = make_split(n=40).normalised(slice(None))
    assert images.shape == (40, 3, 8, 8)
    assert images.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(images.std((0, 2, 3)), torch.ones(3), rtol=0, atol=1e-3)


def test_crop_and_flip_equals_slicing_each_image():
    images = torch.randn(20, 3, 6, 6)
    draws = draw_epoch(20, Augmentation(pad=2, flip=True), random_generator(1), torch.device("cpu"))
    batch = crop_and_flip(images, draws.crop, draws.flipped, 2)
    for image, result, (row, column), flipped in zip(images, batch, draws.crop, draws.flipped, strict=True):
        expected = pad(image, (2, 2, 2, 2))[:, row : row + 6, column : column + 6]
        assert torch.equal(result, expected.flip(2) if flipped else expected)
    assert 0 < draws.flipped.sum() < 20
    assert draws.crop.min() == 0
    assert draws.crop.max() == 4


def test_half_of_the_images_are_flipped_and_every_crop_is_as_likely():
    draws = draw_epoch(10_000, Augmentation(pad=2, flip=True), random_generator(1), torch.device("cpu"))
    assert abs(int(draws.flipped.sum()) - 5000) < 5 * 50  # standard deviation 50
    for place in draws.crop.T:  # rows, columns: each of 0 to 4 2,000 times, standard deviation 40
        assert (abs(torch.bincount(place, minlength=5) - 2000) < 5 * 40).all()


def test_without_augmentation_images_stay_as_they_are():
    images = torch.randn(5, 1, 6, 6)
    draws = draw_epoch(5, Augmentation(pad=0, flip=False), random_generator(1), torch.device("cpu"))
    assert torch.equal(crop_and_flip(images, draws.crop, draws.flipped, 0), images)


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own():
    orders = [draw_epoch(50, Augmentation(), random_generator(1, epoch), torch.device("cpu")).order for epoch in (1, 2)]
    assert [sorted(order.tolist()) for order in orders] == [list(range(50))] * 2
    assert not torch.equal(*orders)


def test_generators_of_the_same_key_draw_the_same():
    one, same, other = (torch.rand(3, generator=random_generator(*key)) for key in ((1, 2), (1, 2), (2, 1)))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_batches_hold_every_image_in_order(make_split):
    split = make_split(n=23)
    sizes, labels = zip(*((len(images), labels) for images, labels in split.batches(10)), strict=True)
    assert sizes == (10, 10, 3)
    assert torch.equal(torch.cat(labels), split.labels)
