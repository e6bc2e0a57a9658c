"""The networks: `build` makes one from its settings, `for_inference` the fast copy that lesions are measured on."""

import copy

import torch
from torch import nn

from unravel.config import VGG, NetworkSettings, Pretrained, ResNet
from unravel.files import InputError
from unravel.networks.base import Block, Network, Step, Wiring, initialise
from unravel.networks.resnet import build_resnet
from unravel.networks.vgg import build_vgg

__all__ = ["Block", "Network", "Step", "Wiring", "build", "for_inference", "forget", "initialise", "untrained"]


def build(settings: NetworkSettings, image_shape: tuple[int, int, int], classes: int) -> Network:
    """The untrained network for images of `image_shape` (height, width, channel).

    Raises InputError if the images are too small to be halved once per stage.
    """
    height, width, channels = image_shape
    if isinstance(settings, Pretrained):
        from unravel.networks import named  # here, so that only who wants a library's network waits for it

        return named.find(settings.name).take_apart(classes)
    stages = len(settings.blocks_per_stage if isinstance(settings, ResNet) else settings.layers_per_stage)
    halvings = stages - 1 + (2 if isinstance(settings, ResNet) and settings.stem == "7x7" else 0)
    if min(height, width) < 2**halvings:
        raise InputError(
            f"images of {height}x{width} pixels are too small to be halved {halvings} times in {stages} stages; "
            "use fewer stages or larger images"
        )
    if isinstance(settings, VGG):
        return build_vgg(settings, channels, classes)
    return build_resnet(settings, channels, classes)


def for_inference(network: Network, precision: str, device: torch.device | str = "cpu") -> Network:
    """A copy in eval mode that computes the same faster: channels last, BN folded where a convolution precedes it.

    `precision` is "fp32" or "bf16" (weights and activations).
    """
    fast = copy.deepcopy(network).eval()
    for block in fast.blocks:
        assert isinstance(block, Block)
        block.fold_batch_norm()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    fast.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return fast.requires_grad_(False)


def untrained(network: Network, generator: torch.Generator) -> Network:
    """A copy with weights drawn anew as before training, and batch normalisation that has seen nothing."""
    device = next(network.parameters()).device
    fresh = copy.deepcopy(network).cpu()  # whose generator the weights are drawn from
    for module in fresh.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    initialise(fresh, generator)
    return fresh.to(device)


def forget(module: nn.Module) -> None:
    """Let batch normalisation forget its statistics, and take the mean of those of all batches that come now.

    Only batch normalisation is put into train mode; `eval` ends it.
    """
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
