"""The bundled digits."""

import subprocess
import sys

import numpy as np
import sklearn.datasets

from unravel.config import Digits
from unravel.data import load


def test_every_third_digit_is_a_test_image() -> None:
    images = load(Digits(source="digits"))
    everything = sklearn.datasets.load_digits()
    assert images.train_images.shape == (1198, 8, 8, 1)
    assert images.test_images.shape == (599, 8, 8, 1)
    np.testing.assert_array_equal(images.test_labels, everything.target[2::3])
    np.testing.assert_array_equal(images.train_labels[:4], everything.target[[0, 1, 3, 4]])
    assert images.class_names == tuple("0123456789")


def test_grey_values_are_stretched_to_the_whole_byte() -> None:
    images = load(Digits(source="digits"))
    original = sklearn.datasets.load_digits().images[2::3]
    assert images.test_images.dtype == np.uint8
    np.testing.assert_allclose(images.test_images[..., 0] * (16 / 255), original, atol=0.5 * 16 / 255)
    assert {images.test_images.min(), images.test_images.max()} == {0, 255}


def test_the_origin_of_the_data_is_told_and_hashed() -> None:
    images = load(Digits(source="digits"))
    assert "scikit-learn" in images.origin
    assert list(images.inputs) == ["sklearn/datasets/data/digits.csv.gz"]  # no path of this machine


def test_digits_need_no_torch() -> None:
    code = (
        "import sys; from unravel.config import Digits; from unravel.data import preparation, load;"
        "load(Digits(source='digits')); sys.exit('torch' in sys.modules)"
    )
    environment = {"PYTHONPATH": "scripts"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
