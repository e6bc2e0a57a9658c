"""Write a trained network down for a page: its weights rounded, random test images, and torch's own logits.

Batch normalisation is folded into the convolution before it; where none is before it, its scale and shift are kept.
A weight (output, row, column, input) is one of LETTERS, which count evenly from -MOST to MOST. Other numbers in a cell
are little-endian float32 in base64.
"""

import base64
import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from unravel.data.batches import AnySplit
from unravel.engine.sweeps import Facts, Images, Tables
from unravel.engine.wiring import delete, evaluate, swap
from unravel.files import InputError
from unravel.networks import Network, Wiring, for_inference
from unravel.networks.base import Projection, folded
from unravel.networks.blocks.basic import BasicBlock
from unravel.networks.vgg import PlainLayer
from unravel.studies.live_network import HEAD, LETTERS, MOST, NONE, PICTURES, STEM, WIRINGS

CODES = np.frombuffer(LETTERS.encode(), np.uint8)


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer of a network without the batch normalisation that followed it.

    norm: the batch normalisation before it, with its ReLU. pooled: a 2x2 max pooling follows. factor: of its output.
    """

    block: int
    part: str
    module: nn.Conv2d | nn.Linear
    norm: nn.Module | None = None
    pooled: bool = False
    factor: float = 1.0


def measure(network: Network, images: Images, settings: object, generator: torch.Generator) -> tuple[Tables, Facts]:
    """Tables: "weights" (a row per layer), "images", "steps" (of each wiring; 0 is the intact network) and "logits".

    steps: the blocks in the order they are passed, by position, with a minus before one whose residual branch is off.
    logit: by the network as trained. logit_rounded: by the same with the rounded weights; both in fp32 on the CPU.
    The images are drawn first, so they are the same for all networks of a seed. Raises InputError for a network that
    is neither VGG nor made of basic blocks.
    """
    split = images.split("test")
    places = drawn_places(len(split.labels), generator)
    wirings = [network.intact, *(random_wiring(network, generator) for _ in range(WIRINGS))]
    exact = plain(network)
    rounded, weights = copy.deepcopy(exact), []
    for layer in layers(rounded):
        whole, scale = quantised(layer.module.weight.data)
        layer.module.weight.data = dequantised(whole, scale)
        weights.append(row(layer, whole, scale))
    pixels = split.normalised(places.to(split.labels.device)).cpu()
    labels = split.labels.cpu()[places].tolist()
    tables = {
        "weights": pd.DataFrame(weights).assign(layer=range(1, len(weights) + 1)),
        "images": image_table(places, labels, as_bytes(pixels, split)),
        "steps": pd.DataFrame({"wiring": range(len(wirings)), "steps": [steps(network, one) for one in wirings]}),
        "logits": pd.concat(
            [logit_table(exact, rounded, wiring, pixels).assign(wiring=number)
             for number, wiring in enumerate(wirings)], ignore_index=True
        ),
    }  # fmt: skip
    device = split.labels.device
    tested = evaluate(rounded.to(device), [network.intact], split.batches(images.evaluation.batch_size))
    return tables, {"rounded_error_percent": tested.error_percent[0]}


def drawn_places(available: int, generator: torch.Generator) -> Tensor:
    """Places (at most PICTURES,) of random distinct test images, in order."""
    return torch.randperm(available, generator=generator)[:PICTURES].sort().values


def random_wiring(network: Network, generator: torch.Generator) -> Wiring:
    """One to half of the blocks deleted, any of a number as likely, and two neighbours of one shape swapped."""
    n_blocks = len(network.blocks)
    deleted = 1 + int(torch.randint(max(1, n_blocks // 2), (1,), generator=generator))
    wiring = delete(network.intact, torch.randperm(n_blocks, generator=generator)[:deleted].tolist())
    keeps = [bool(block.keeps_shape) for block in network.blocks]
    pairs = [place for place in range(n_blocks - 1) if keeps[place] and keeps[place + 1]]
    if not pairs:
        return wiring
    place = pairs[int(torch.randint(len(pairs), (1,), generator=generator))]
    return swap(wiring, place, place + 1)


def steps(network: Network, wiring: Wiring) -> str:
    """A wiring in words, such as "1 -2 4 3": the third and fourth block swapped, the second deleted."""
    return " ".join(f"{'' if on else '-'}{network.first_position + block}" for block, on, *_ in wiring)


# --- the network as layers ------------------------------------------------------------------------------------------


def plain(network: Network) -> Network:
    """A copy in fp32 on the CPU, with every batch normalisation that follows a convolution folded into it."""
    fast = for_inference(network, "fp32")
    if isinstance(fast.stem, nn.Sequential):
        convolution, norm, *rest = fast.stem
        assert isinstance(convolution, nn.Conv2d)
        fast.stem = nn.Sequential(folded(convolution, norm), *rest)
    return fast


def layers(network: Network) -> Iterator[Layer]:
    """The layers of such a copy, in the order of its blocks. Raises InputError for blocks of another kind."""
    stem = network.stem[0] if isinstance(network.stem, nn.Sequential) else network.stem
    pooled = isinstance(network.stem, nn.Sequential) and isinstance(network.stem[-1], nn.MaxPool2d)
    assert isinstance(stem, nn.Conv2d)
    yield Layer(0, STEM, stem, pooled=pooled)
    for number, block in enumerate(network.blocks, 1):
        match block:
            case PlainLayer():
                yield Layer(number, "layer", block.conv, pooled=block.downsampling)
            case BasicBlock():
                yield Layer(number, "branch1", block.conv1, block.norm1)
                yield Layer(number, "branch2", block.conv2, factor=block.survival)
                if isinstance(block.projection, Projection):
                    yield Layer(number, "skip", block.projection)
            case _:
                raise InputError(
                    f"live_network: the page computes basic blocks and layers of VGG, this network has "
                    f"{type(block).__name__}; leave it out of deletions.figure_3, or set live_network.most_weights to 0"
                )
    assert isinstance(network.head, nn.Sequential)
    *before, linear = network.head
    assert isinstance(linear, nn.Linear)
    norm = before[0] if isinstance(before[0], nn.BatchNorm2d) else None
    yield Layer(len(network.blocks) + 1, HEAD, linear, norm)


def quantised(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (output, ...) as -MOST to MOST (int8) times a scale (output,) of each output, to the nearest."""
    largest = weights.flatten(1).abs().amax(dim=1)
    scale = torch.where(largest > 0, largest / MOST, torch.ones_like(largest))
    return (weights / _along(scale, weights)).round().to(torch.int8), scale


def dequantised(whole: Tensor, scale: Tensor) -> Tensor:
    """The float32 weights that such numbers stand for."""
    return whole.float() * _along(scale, whole)


def _along(scale: Tensor, weights: Tensor) -> Tensor:
    return scale.reshape(-1, *[1] * (weights.dim() - 1))


# --- the tables -----------------------------------------------------------------------------------------------------


def row(layer: Layer, whole: Tensor, scale: Tensor) -> dict[str, object]:
    """A layer's row of the table of weights."""
    outputs, inputs, size = (*whole.shape, 1)[:3]
    bias, norm = layer.module.bias, layer.norm
    norm_scale = norm_shift = None
    if norm is not None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm_scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm_shift = norm.bias - norm.running_mean * norm_scale
    return {
        "block": layer.block,
        "part": layer.part,
        "inputs": inputs,
        "outputs": outputs,
        "size": size,
        "stride": getattr(layer.module, "stride", (1, 1))[0],
        "pooled": layer.pooled,
        "weights": as_letters(whole.reshape(outputs, inputs, -1).permute(0, 2, 1).numpy()),
        "scale": _cell((scale * layer.factor).numpy()),
        "bias": NONE if bias is None else _cell((bias.data * layer.factor).numpy()),
        "norm_scale": NONE if norm_scale is None else _cell(norm_scale.data.numpy()),
        "norm_shift": NONE if norm_shift is None else _cell(norm_shift.data.numpy()),
    }


def as_letters(whole: np.ndarray) -> str:
    """Whole numbers from -MOST to MOST, a letter each."""
    letters: bytes = CODES[whole.astype(int) + MOST].tobytes()
    return letters.decode()


def as_bytes(normalised: Tensor, split: AnySplit) -> np.ndarray:
    """The uint8 pixels (image, height, width, channel) that normalised images were made of."""
    mean, std = split.mean.cpu(), split.std.cpu()
    pixels: np.ndarray = ((normalised.permute(0, 2, 3, 1) * std + mean) * 255).round().to(torch.uint8).numpy()
    return pixels


def image_table(places: Tensor, labels: list[int], pixels: np.ndarray) -> pd.DataFrame:
    """Columns: picture (from 1), place (from 0, in the test set), label, height, width, channels, pixels (uint8)."""
    _, height, width, channels = pixels.shape
    return pd.DataFrame(
        {
            "picture": range(1, len(labels) + 1),
            "place": places.tolist(),
            "label": labels,
            "height": height,
            "width": width,
            "channels": channels,
            "pixels": [_cell(image) for image in pixels],
        }
    )


@torch.inference_mode()
def logit_table(exact: Network, rounded: Network, wiring: Wiring, images: Tensor) -> pd.DataFrame:
    """Columns: picture (from 1), label (a class's number), logit, logit_rounded."""
    found = {"logit": exact(images, wiring), "logit_rounded": rounded(images, wiring)}
    pictures, classes = found["logit"].shape
    return pd.DataFrame(
        {
            "picture": [picture for picture in range(1, pictures + 1) for _ in range(classes)],
            "label": [*range(classes)] * pictures,
            **{name: logits.flatten().tolist() for name, logits in found.items()},
        }
    )


def _cell(numbers: np.ndarray) -> str:
    little = numbers.dtype.newbyteorder("<")
    return base64.b64encode(np.ascontiguousarray(numbers, little).tobytes()).decode()
