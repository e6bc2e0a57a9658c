"""Pre-activation residual networks (He et al. 2016b): a stem, stages of blocks of one kind, a head."""

import importlib

from torch import nn

from unravel.config import ResNet
from unravel.networks.base import Block, Network, convolution


def build_resnet(settings: ResNet, channels: int, classes: int) -> Network:
    """The network for images of `channels` channels; the first block of each stage but the first is downsampling."""
    kind: type[Block] = importlib.import_module(f"unravel.networks.blocks.{settings.block}").BLOCK
    survival = iter(settings.block_sampling.survival(settings.n_blocks))
    blocks: list[Block] = []
    outside = settings.channels[0]
    for stage, (n_blocks, width) in enumerate(zip(settings.blocks_per_stage, settings.channels, strict=True)):
        for block in range(n_blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            blocks.append(kind(outside, width, stride, next(survival)))
            outside = kind.widening * width
    head = nn.Sequential(
        nn.BatchNorm2d(outside), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(outside, classes)
    )
    return Network(_stem(settings, channels), blocks, head)


def _stem(settings: ResNet, channels: int) -> nn.Module:
    """What comes before the first block: a 3x3 convolution, or ImageNet's, which quarters the resolution."""
    width = settings.channels[0]
    if settings.stem == "3x3":
        return convolution(channels, width)
    return nn.Sequential(convolution(channels, width, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1))
