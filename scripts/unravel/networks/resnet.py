"""Pre-activation residual networks (He et al. 2016b): BN-ReLU-convolution two or three times per block."""

from torch import Tensor, nn
from torch.nn.functional import conv2d, relu

from unravel.config import ResNet
from unravel.networks.base import Block, Network, convolution, folded

WIDENING = 4  # a bottleneck block's channels outside by those inside


class Projection(nn.Conv2d):
    """A 1x1 convolution without bias that sees every `stride`-th pixel of each row and column.

    The pixels are taken first, with the same result to the last bit: oneDNN 3.12, which comes with torch 2.13, writes
    past the end of its memory in the backward pass of a strided 1x1 convolution of fewer than 8 channels in the
    channels-last layout, on CPUs with AVX2 and without AVX-512.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__(channels_in, channels_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.stride
        return conv2d(x[:, :, ::rows, ::columns], self.weight)


class ResidualBlock(Block):
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


class BottleneckBlock(Block):
    """y = skip(x) + conv1x1(relu(bn(conv3x3(relu(bn(conv1x1(relu(bn(x)))))))), four times as wide outside as inside.

    As in the networks published for ImageNet, the first block of a stage applies its first BN and ReLU before the two
    ways part: its skip connection is a 1x1 projection of relu(bn(x)), which stays when the residual branch is deleted.
    """

    def __init__(self, channels_in: int, width: int, stride: int, survival: float) -> None:
        super().__init__()
        channels_out = WIDENING * width
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

    def forward(self, x: Tensor, residual_on: bool = True) -> Tensor:
        if self.keeps_shape or not residual_on:
            return super().forward(x, residual_on)
        activated = self.activated(x)  # once for both ways: BN counts every batch it sees in training
        projected: Tensor = self.projection(activated)
        return projected + self.scaled(self.branch(activated))

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


def build_resnet(settings: ResNet, channels: int, classes: int) -> Network:
    """The network for images of `channels` channels; the first block of each stage but the first is downsampling."""
    kind = BottleneckBlock if settings.block == "bottleneck" else ResidualBlock
    widening = WIDENING if settings.block == "bottleneck" else 1
    survival = iter(settings.block_sampling.survival(settings.n_blocks))
    blocks: list[Block] = []
    outside = settings.channels[0]
    for stage, (n_blocks, width) in enumerate(zip(settings.blocks_per_stage, settings.channels, strict=True)):
        for block in range(n_blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            blocks.append(kind(outside, width, stride, next(survival)))
            outside = widening * width
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
