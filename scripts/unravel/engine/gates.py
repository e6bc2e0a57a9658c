"""Frozen gates: a network in which every ReLU lets through what it lets through in the intact pass, and nothing else.

A ReLU multiplies a value by 1 or 0. Once these gates are taken from the intact pass of an image, a network in eval mode
is affine in that image's activations, and its logits are exactly the sum over all 2^n paths of what each path carries
(Veit et al. 2016, Eq. 6, which has no such sum without frozen gates). Elhage et al. (2021) take attention-only networks
apart in the same way, with frozen attention.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from unravel.files import InputError
from unravel.networks import Block, Network

# The layers that are affine wherever no ReLU opens or closes, and no maximum moves.
PIECEWISE_AFFINE = (
    nn.Conv2d,
    nn.Linear,
    nn.BatchNorm2d,
    nn.ReLU,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Flatten,
    nn.Dropout,
    nn.Identity,
)
WHICH = (
    "gates can be frozen in networks of ReLUs with batch normalisation: architecture resnet, and torchvision:resnet*"
)
VECTORS = {"cpu": 2**20, "cuda": 2**26}  # numbers that are sent through a layer at once; a CPU's cache holds these


class Frozen:
    """An affine function: `function` with the gates that it has at x.

    For a function of ReLUs it is the function's own tangent at x: y -> function(x) + J (y - x), of any y of x's shape.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], x: Tensor) -> None:
        # forward-mode derivatives are slow in the channels-last layout, and warn of it
        self.function, self.x = function, x.contiguous()
        self.output = function(self.x)

    def __call__(self, y: Tensor) -> Tensor:
        return self.output + self.linear((y - self.x)[None])[0]

    def linear(self, vectors: Tensor) -> Tensor:
        """J times each vector: (vectors, *shape of x) -> (vectors, *output shape)."""
        product = torch.vmap(lambda vector: torch.func.jvp(self.function, (self.x,), (vector,))[1])
        some = torch.split(vectors.contiguous(), max(1, VECTORS[vectors.device.type] // self.x.numel()))
        return torch.cat([product(part) for part in some])

    def by_degree(self, terms: Tensor) -> Tensor:
        """What it makes of a sum of terms (terms, *shape of x), term by term; its constant joins the first."""
        made = self.linear(torch.cat([terms, self.x[None]]))
        made[0] += self.output - made[-1]
        return made[:-1]


class FrozenBlock(Block):
    """A block whose skip connection, residual branch and step after the addition have the gates of the intact pass."""

    def __init__(self, block: Block, x: Tensor) -> None:
        super().__init__()
        self.ways = (
            Frozen(block.skip, x),
            Frozen(lambda x: block.scaled(block.residual(x)), x),
        )
        self.after = Frozen(block.after_addition, self.ways[0].output + self.ways[1].output)

    def skip(self, x: Tensor) -> Tensor:
        return self.ways[0](x)

    def residual(self, x: Tensor) -> Tensor:
        return self.ways[1](x)

    def after_addition(self, x: Tensor) -> Tensor:
        return self.after(x)


def freeze(network: Network, images: Tensor) -> Network:
    """The network with the gates of its intact pass of these images, for these images alone; any wiring of it can run.

    Raises InputError for a network in train mode, or with a layer that no gates make affine.
    """
    require_gates(network)
    x = Frozen(network.stem, images)
    blocks: list[FrozenBlock] = []
    here = x.output
    for block in network.blocks:
        assert isinstance(block, Block)
        blocks.append(FrozenBlock(block, here))
        here = blocks[-1].after.output
    return Network(_Layer(x), blocks, _Layer(Frozen(network.head, here)), network.first_position)


class _Layer(nn.Module):
    def __init__(self, function: Frozen) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def require_gates(network: Network) -> None:
    """Raise InputError unless all layers are affine between gates, and the network is in eval mode."""
    for block in network.blocks:
        assert isinstance(block, Block)
        if type(block).residual is Block.residual:
            raise InputError(f"gates: {type(block).__name__} has no residual branch, so there are no paths; {WHICH}")
    for layer in network.modules():
        if isinstance(layer, Block | nn.Sequential) or ([*layer.children()] and not layer._parameters):
            continue  # it is made of layers, which are looked at themselves
        if not isinstance(layer, PIECEWISE_AFFINE):
            raise InputError(f"gates: {type(layer).__name__} stays curved between gates; {WHICH}")
        if layer.training and isinstance(layer, nn.BatchNorm2d | nn.Dropout):
            raise InputError("gates: the network is in train mode, where an image's scale depends on others; call eval")


def logits_by_length(network: Network, images: Tensor) -> Tensor:
    """The logits of the network with frozen gates split by path length: (blocks + 1, batch, class).

    Times its gain g, each residual branch makes the logits a polynomial in g; the part of length k is its term in g^k.
    So a constant that a branch adds counts as having passed that branch. From the stem on, with F[k] for the paths of
    length k, S and J for the linear parts of skip connection and branch: F[k] <- S F[k] + J F[k-1]. With n blocks it
    takes n(n+3)/2 branches instead of n. Raises InputError as `freeze` does.
    """
    require_gates(network)
    here = network.stem(images)
    terms = here[None]
    for block in network.blocks:
        assert isinstance(block, Block)
        frozen = FrozenBlock(block, here)
        skipped, passed = (way.by_degree(terms) for way in frozen.ways)
        nothing = skipped.new_zeros((1, *skipped.shape[1:]))
        terms = frozen.after.by_degree(torch.cat([skipped, nothing]) + torch.cat([nothing, passed]))
        here = frozen.after.output
    return Frozen(network.head, here).by_degree(terms)
