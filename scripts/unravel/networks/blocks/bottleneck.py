"""A 3x3 convolution between two of 1x1, a quarter as wide inside as outside."""

from torch import Tensor, nn
from torch.nn.functional import relu

from unravel.networks.base import Block, Projection, amplified, convolution, folded


class BottleneckBlock(Block):
    """y = skip(x) + conv1x1(relu(bn(conv3x3(relu(bn(conv1x1(relu(bn(x)))))))), four times as wide outside as inside.

    As in the networks published for ImageNet, the first block of a stage applies its first BN and ReLU before the two
    ways part: its skip connection is a 1x1 projection of relu(bn(x)), which stays when the residual branch is deleted.
    """

    widening = 4

    def __init__(self, channels_in: int, width: int, stride: int, survival: float) -> None:
        super().__init__()
        channels_out = self.widening * width
        self.downsampling = stride > 1
        self.survival = survival
        self.norm1: nn.Module = nn.BatchNorm2d(channels_in)
        self.conv1 = convolution(channels_in, width, 1)
        self.norm2: nn.Module = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, stride=stride)
        self.norm3: nn.Module = nn.BatchNorm2d(width)
        self.conv3 = convolution(width, channels_out, 1)
        self.keeps_shape = stride == 1 and channels_in == channels_out
        self.projection = nn.Identity() if self.keeps_shape else Projection(channels_in, channels_out, stride)

    def forward(self, x: Tensor, gain: float = 1, skip_gain: float = 1) -> Tensor:
        if self.keeps_shape or not (gain and skip_gain):
            return super().forward(x, gain, skip_gain)
        activated = self.activated(x)  # once for both ways: BN counts every batch it sees in training
        projected: Tensor = self.projection(activated)
        return amplified(projected, skip_gain) + amplified(self.scaled(self.branch(activated)), gain)

    def skip(self, x: Tensor) -> Tensor:
        return x if self.keeps_shape else self.projection(self.activated(x))

    def residual(self, x: Tensor) -> Tensor:
        return self.branch(self.activated(x))

    def activated(self, x: Tensor) -> Tensor:
        """The block's input after its first BN and ReLU."""
        return relu(self.norm1(x), inplace=True)  # in place: no gradient needs the value before ReLU

    def branch(self, activated: Tensor) -> Tensor:
        """The residual branch from there on."""
        x = self.conv1(activated)
        x = self.conv2(relu(self.norm2(x), inplace=True))
        branch: Tensor = self.conv3(relu(self.norm3(x), inplace=True))
        return branch

    def fold_batch_norm(self) -> None:
        self.conv1, self.norm2 = folded(self.conv1, self.norm2), nn.Identity()
        self.conv2, self.norm3 = folded(self.conv2, self.norm3), nn.Identity()


BLOCK = BottleneckBlock
