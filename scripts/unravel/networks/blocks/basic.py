"""Two 3x3 convolutions.

Each follows batch normalisation and ReLU, as pre-activation residual networks have it (He et al. 2016b).
"""

from torch import Tensor, nn
from torch.nn.functional import relu

from unravel.networks.base import Block, Projection, convolution, folded


class BasicBlock(Block):
    """y = skip(x) + conv(relu(bn(conv(relu(bn(x)))))).

    A downsampling block halves the resolution; its skip connection is a strided 1x1 projection of x, which stays when
    the residual branch is deleted. Every other skip connection is the identity, or a 1x1 projection where only the
    number of channels changes.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, survival: float) -> None:
        super().__init__()
        self.downsampling = stride > 1
        self.survival = survival
        self.norm1: nn.Module = nn.BatchNorm2d(channels_in)
        self.conv1 = convolution(channels_in, channels_out, stride=stride)
        self.norm2: nn.Module = nn.BatchNorm2d(channels_out)
        self.conv2 = convolution(channels_out, channels_out)
        self.keeps_shape = stride == 1 and channels_in == channels_out
        self.projection = nn.Identity() if self.keeps_shape else Projection(channels_in, channels_out, stride)

    def skip(self, x: Tensor) -> Tensor:
        projected: Tensor = self.projection(x)
        return projected

    def residual(self, x: Tensor) -> Tensor:
        x = self.conv1(relu(self.norm1(x), inplace=True))  # in place: no gradient needs the value before ReLU
        branch: Tensor = self.conv2(relu(self.norm2(x), inplace=True))
        return branch

    def fold_batch_norm(self) -> None:
        self.conv1, self.norm2 = folded(self.conv1, self.norm2), nn.Identity()


BLOCK = BasicBlock
