"""Lesions: a wiring is the list of blocks that images pass; one engine measures any set of wirings of a network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unravel.networks import Network, Step, Wiring


def delete(wiring: Wiring, places: Iterable[int]) -> Wiring:
    """Switch off the residual branches at these places of the wiring; the skip connections stay."""
    gone = set(places)
    return tuple((step[0], False, *step[2:]) if place in gone else step for place, step in enumerate(wiring))


def put(wiring: Wiring, place: int, step: Step) -> Wiring:
    """Put another step at one place of the wiring: other gains, or another block."""
    return (*wiring[:place], step, *wiring[place + 1 :])


def swap(wiring: Wiring, one: int, other: int) -> Wiring:
    """Exchange the steps at two places of the wiring."""
    steps = list(wiring)
    steps[one], steps[other] = steps[other], steps[one]
    return tuple(steps)


@dataclass(frozen=True)
class Sweep:
    """What `evaluate` found: wrong test images per wiring, and the work it took.

    `block_evaluations` counts blocks run per batch, `naive_block_evaluations` those of one forward pass per wiring.
    """

    wrong: list[int]
    images: int
    block_evaluations: int
    naive_block_evaluations: int

    @property
    def error_percent(self) -> list[float]:
        """Percent of images wrong, per wiring."""
        return [100 * wrong / self.images for wrong in self.wrong]


@torch.inference_mode()
def evaluate(network: Network, wirings: Sequence[Wiring], batches: Iterable[tuple[Tensor, Tensor]]) -> Sweep:
    """Measure every wiring on all batches of (images (batch, channel, height, width), labels (batch,)).

    The wirings are walked in sorted order, which is a depth-first walk of their prefix tree: only the activations along
    the current wiring are kept, at most one per block and one for the stem, and every shared prefix is computed once.
    """
    order = sorted(range(len(wirings)), key=wirings.__getitem__)
    dtype = next(network.parameters()).dtype
    wrong: Tensor | None = None
    images_seen = 0
    for images, labels in batches:
        batch_wrong = torch.empty(len(wirings), dtype=torch.long, device=images.device)
        activations = [network.stem(images.to(dtype))]
        previous: Wiring = ()
        for index in order:
            wiring = wirings[index]
            shared = shared_prefix(previous, wiring)
            del activations[shared + 1 :]
            for block, *gains in wiring[shared:]:
                activations.append(network.blocks[block](activations[-1], *gains))
            batch_wrong[index] = (network.head(activations[-1]).argmax(dim=1) != labels).sum()
            previous = wiring
        wrong = batch_wrong if wrong is None else wrong + batch_wrong  # stays on the device until the end
        images_seen += len(labels)
    return Sweep(
        wrong=[] if wrong is None else wrong.tolist(),
        images=images_seen,
        block_evaluations=count_block_evaluations([wirings[index] for index in order]),
        naive_block_evaluations=sum(map(len, wirings)),
    )


def shared_prefix(one: Wiring, other: Wiring) -> int:
    """How many steps two wirings have in common before they part."""
    for place, (step, other_step) in enumerate(zip(one, other, strict=False)):
        if step != other_step:
            return place
    return min(len(one), len(other))


def count_block_evaluations(wirings: Sequence[Wiring]) -> int:
    """Blocks to run when sorted wirings share their prefixes: the edges of the prefix tree."""
    previous: Wiring = ()
    edges = 0
    for wiring in wirings:
        edges += len(wiring) - shared_prefix(previous, wiring)
        previous = wiring
    return edges
