"""The sections of a config file that belong to no study: what each key means, its unit, range and default.

Defaults are the paper's recipe on CIFAR-10, so a config file lists only what a run does otherwise. `config/README.md`
is generated from these files and from the studies' own settings.
"""

from unravel.config.base import Name, Positive, Probability, Settings, flat
from unravel.config.data import Arrays, Dataset, Digits, Download, Folder, ImageNet
from unravel.config.execution import Evaluation, Execution
from unravel.config.networks import (
    VGG,
    AllBlocks,
    BlockSampling,
    ExactlyBlocks,
    LinearSurvival,
    NetworkSettings,
    Pretrained,
    ResNet,
)
from unravel.config.training import Augmentation, Training

__all__ = [
    "VGG",
    "AllBlocks",
    "Arrays",
    "Augmentation",
    "BlockSampling",
    "Dataset",
    "Digits",
    "Download",
    "Evaluation",
    "ExactlyBlocks",
    "Execution",
    "Folder",
    "ImageNet",
    "LinearSurvival",
    "Name",
    "NetworkSettings",
    "Positive",
    "Pretrained",
    "Probability",
    "ResNet",
    "Settings",
    "Training",
    "flat",
]
