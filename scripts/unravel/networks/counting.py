"""Counting: what a network computes and holds, asked of the network itself, without giving it any memory."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from unravel.config import NetworkSettings
from unravel.networks import Network, build


@dataclass(frozen=True)
class Layers:
    """Multiply-adds of one image's forward pass, and values that it leaves behind.

    residual: of each block's residual branch (or plain layer). rest: of stem, skip connections and head together.
    outputs: values that the blocks put out. parameters: weights of convolutions and linear layers.
    """

    residual: tuple[int, ...]
    rest: int
    outputs: int
    parameters: int

    @property
    def forward(self) -> int:
        """Multiply-adds of a forward pass with all blocks."""
        return sum(self.residual) + self.rest


@lru_cache
def layers(network: NetworkSettings, shape: tuple[int, int, int], classes: int) -> Layers:
    """Count the layers of a network for images of this shape (height, width, channels).

    Raises InputError as `build` does.
    """
    with torch.device("meta"), torch.inference_mode():
        built: Network = build(network, shape, classes).eval()
        images = torch.empty(1, shape[2], *shape[:2])
        total, _ = _counted(built, images)
        x = built.stem(images)
        residual, outputs = [], 0
        for block in built.blocks:
            whole, output = _counted(block, x)
            residual.append(whole - _counted(block, x, False)[0])
            outputs += output.numel()
            x = output
    weights = [module.weight.numel() for module in built.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return Layers(tuple(residual), total - sum(residual), outputs, sum(weights))


def _counted(module: nn.Module, *arguments: object) -> tuple[int, Tensor]:
    """Multiply-adds of a call, and what it gave; torch counts a multiply-add as two operations."""
    with FlopCounterMode(display=False) as counter:
        output: Tensor = module(*arguments)
    return counter.get_total_flops() // 2, output
