"""VGG: the plain network without skip connections that the paper holds residual networks against (section 4.1)."""

from torch import Tensor, nn

from unravel.config import VGG
from unravel.files import InputError
from unravel.networks.base import Block, Network, convolution, folded


class PlainLayer(Block):
    """y = pool(relu(bn(conv(x)))), where pool is 2x2 max pooling at the end of a stage and nothing elsewhere.

    Deleting a layer leaves its pooling. As a block, the layer is used instead of its skip connection, not added to it.
    """

    def __init__(self, channels: int, pooled: bool) -> None:
        super().__init__()
        self.downsampling, self.keeps_shape = pooled, not pooled
        self.conv = convolution(channels, channels)
        self.norm: nn.Module = nn.BatchNorm2d(channels)
        self.pool = nn.MaxPool2d(2) if pooled else nn.Identity()

    def skip(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.pool(x)
        return pooled

    def forward(self, x: Tensor, gain: float = 1, skip_gain: float = 1) -> Tensor:
        """Raises InputError for other gains than 0 and 1 of the layer, since nothing is added up here."""
        if gain not in (0, 1) or skip_gain != 1:
            raise InputError(
                f"{type(self).__name__}: a gain of {gain} of the layer, {skip_gain} of its skip connection, expected 0 "
                "or 1, and 1: a plain layer is not added to a skip connection; take a residual network"
            )
        return self.skip(self.contribution(x) if gain else x)

    def contribution(self, x: Tensor) -> Tensor:
        made: Tensor = self.norm(self.conv(x)).relu_()
        return made

    def joined(self, x: Tensor, contribution: Tensor) -> Tensor:
        return self.skip(contribution)

    def fold_batch_norm(self) -> None:
        self.conv, self.norm = folded(self.conv, self.norm), nn.Identity()


def build_vgg(settings: VGG, channels: int, classes: int) -> Network:
    """The network for images of `channels` channels.

    The first layer changes the number of channels, so it cannot be deleted: it is the stem, and blocks count from 2.
    """
    ends = [sum(settings.layers_per_stage[: stage + 1]) for stage in range(len(settings.layers_per_stage) - 1)]
    width, depth = settings.channels, sum(settings.layers_per_stage)
    stem = nn.Sequential(convolution(channels, width), nn.BatchNorm2d(width), nn.ReLU())
    if 1 in ends:
        stem.append(nn.MaxPool2d(2))
    blocks = [PlainLayer(width, pooled=layer in ends) for layer in range(2, depth + 1)]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
    return Network(stem, blocks, head, first_position=2)
