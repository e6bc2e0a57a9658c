"""What a checkpoint of a small network says of itself."""

import torch
from conftest import RESNET

from unravel.config import Training
from unravel.training import checkpoints


def make_card(settings=RESNET, **changes):
    fields = {
        "name": "resnet",
        "network": settings,
        "training": Training(),
        "image_shape": (8, 8, 3),
        "classes": 4,
        "dataset_sha256": "0" * 64,
        "seed": 1,
        "epochs": 2,
        "test_error_percent": 5.0,
        "torch": torch.__version__,
        "commit": None,
    }
    return checkpoints.Card(**{**fields, **changes})
