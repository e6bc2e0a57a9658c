"""What a network is: a stem, a list of blocks, a head; and what a block is: a skip connection and a residual branch.

Every lesion is a change of the list of blocks that images pass, so no experiment ever re-implements a forward pass.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d
from torch.nn.utils.fusion import fuse_conv_bn_eval

Step = tuple[int, float] | tuple[int, float, float]
"""A block that images pass: its index, the gain of its residual branch, and that of its skip connection if it is not 1.

A gain is what a branch's output is multiplied by: 0 or False is off, 1 or True is on. No kind of block has several
residual branches yet; one that had would take a gain of each.
"""

Wiring = tuple[Step, ...]
"""The blocks that images pass, in order; a block may stand in it any number of times."""


class Block(nn.Module):
    """A residual block: y = after_addition(skip(x) + residual(x)), where the residual branch is scaled by `survival`.

    downsampling: it lowers the resolution. keeps_shape: its output has its input's shape, channels included.
    survival: scales the residual branch at test time (Huang et al. 2016, Eq. 5).
    widening: in a residual network, the channels that leave the block by the `width` it is built with.
    """

    widening = 1

    downsampling = False
    keeps_shape = True
    survival = 1.0

    def skip(self, x: Tensor) -> Tensor:
        """The skip connection: (batch, channel, height, width) -> the block's output shape."""
        return x

    def residual(self, x: Tensor) -> Tensor:
        """The residual branch: (batch, channel, height, width) -> the block's output shape."""
        raise TypeError(f"{type(self).__name__} has no residual branch")

    def after_addition(self, x: Tensor) -> Tensor:
        """What follows the addition: the identity (He et al. 2016b), or an activation of each value (He et al. 2016a).

        It keeps the shape, and is not in place: with the residual branch off, `x` may be the block's input.
        """
        return x

    def forward(self, x: Tensor, gain: float = 1, skip_gain: float = 1) -> Tensor:
        """The gains are those of a `Step`; what is off is not computed, and what is on as it is costs nothing more."""
        if not gain:
            return self.after_addition(amplified(self.skip(x), skip_gain))
        residual = amplified(self.scaled(self.residual(x)), gain)
        if not skip_gain:
            return self.after_addition(residual)
        return self.after_addition(amplified(self.skip(x), skip_gain) + residual)

    def contribution(self, x: Tensor) -> Tensor:
        """What a lesion takes away, of the intact block: the residual branch as it counts."""
        return self.scaled(self.residual(x))

    def joined(self, x: Tensor, contribution: Tensor) -> Tensor:
        """The block's output with that in place of its own contribution."""
        return self.after_addition(self.skip(x) + contribution)

    def scaled(self, residual: Tensor) -> Tensor:
        """The residual branch's output as it counts: in full in training, by `survival` at test time."""
        return residual if self.survival == 1 or self.training else self.survival * residual

    def fold_batch_norm(self) -> None:
        """Fold the batch normalisations that follow a convolution into it; exact in eval mode up to rounding."""


class Network(nn.Module):
    """stem -> blocks -> head. `first_position` is the number a reader counts the first block as."""

    def __init__(self, stem: nn.Module, blocks: Sequence[Block], head: nn.Module, first_position: int = 1) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = stem, nn.ModuleList(blocks), head
        self.first_position = first_position

    @property
    def intact(self) -> Wiring:
        """The wiring with nothing changed."""
        return tuple((block, True) for block in range(len(self.blocks)))

    def taps(self, images: Tensor, wiring: Wiring | None = None) -> Iterator[Tensor]:
        """What leaves the stem, and then each step of the wiring: (batch, channel, height, width), from one pass."""
        x = self.stem(images)
        yield x
        for block, *gains in self.intact if wiring is None else wiring:
            x = self.blocks[block](x, *gains)
            yield x

    def forward(self, images: Tensor, wiring: Wiring | None = None) -> Tensor:
        """Logits (batch, class) of normalised images (batch, channel, height, width)."""
        for x in self.taps(images, wiring):  # one by one, so that none is kept beside the last
            last = x
        logits: Tensor = self.head(last)
        return logits


def amplified(x: Tensor, gain: float) -> Tensor:
    """`x` times a gain, and `x` itself where that is 1."""
    return x if gain == 1 else gain * x


def initialise(network: Network, generator: torch.Generator) -> None:
    """He initialisation for convolutions, uniform in 1/sqrt(inputs) for linear layers; biases zero.

    Batch and layer normalisation begin as the identity, embeddings small (Dosovitskiy et al. 2021).

    Raises TypeError for a module with other parameters: torch drew these from a generator that no seed decides.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02, generator=generator)
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
        elif not isinstance(module, nn.BatchNorm2d) and next(module.parameters(recurse=False), None) is not None:
            raise TypeError(f"initialise does not know {type(module).__name__}: say there how its parameters begin")
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


class Projection(nn.Conv2d):
    """A 1x1 convolution without bias that sees every `stride`-th pixel of each row and column.

    The pixels are taken first, with the same result to the last bit: oneDNN 3.12, which comes with torch 2.13, writes
    past the end of its memory in the backward pass of a strided 1x1 convolution of fewer than 8 channels in the
    channels-last layout, on CPUs with AVX2 and without AVX-512.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__(channels_in, channels_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # Pooling a window of one pixel takes the pixels as a slice does, but the gradient that passes back through it
        # keeps the channels-last layout, in which all earlier blocks are faster.
        return conv2d(avg_pool2d(x, 1, self.stride), self.weight)


def convolution(channels_in: int, channels_out: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the resolution, but for its stride; no bias, as batch normalisation follows."""
    return nn.Conv2d(channels_in, channels_out, size, stride, padding=size // 2, bias=False)


def folded(convolution: nn.Conv2d, norm: nn.Module) -> nn.Conv2d:
    """One convolution that does what `convolution` and the batch normalisation after it do in eval mode."""
    assert isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution, norm)


def misfit(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    """The first difference between two state dicts, in words; also a value that is no finite number."""
    for name, tensor in expected.items():
        if name not in found:
            return f"it lacks {name}"
        given = found[name]
        if given.shape != tensor.shape:
            return f"{name} is {tuple(given.shape)}, expected {tuple(tensor.shape)}"
        if given.is_floating_point() != tensor.is_floating_point():
            return f"{name} holds {given.dtype}, expected {tensor.dtype}"
        if not given.isfinite().all():
            return f"{name} holds values that are nan or infinite"
    unknown = [name for name in found if name not in expected]
    return f"it holds {unknown[0]}, which the network has not" if unknown else None
