"""Lesion one block after the other in several ways, and see what each costs.

Where a lesion puts something in place of what a block contributes, a substitute of the block joins the network's list
of blocks, so that every kind is a wiring and all of them share their prefixes in one walk. Only where statistics are
estimated anew after the lesion does each have a network of its own, from the lesion on.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from unravel.engine.sweeps import Facts, Images, Tables, spread
from unravel.engine.wiring import delete, evaluate, put
from unravel.networks import Block, Network, Wiring, for_inference, forget, untrained
from unravel.networks.vgg import PlainLayer
from unravel.studies.lesion_kinds.settings import LesionKinds

Batch = tuple[Tensor, Tensor]  # images (batch, channel, height, width), labels (batch,)


class Substitute(Block):
    """A block whose contribution is another one."""

    def __init__(self, block: Block, contribution: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.block, self.other = block, contribution

    def forward(self, x: Tensor, gain: float = 1, skip_gain: float = 1) -> Tensor:
        return self.block.joined(x, self.other(x))


@torch.no_grad()
def measure(
    network: Network, images: Images, settings: LesionKinds, generator: torch.Generator
) -> tuple[Tables, Facts]:
    """A row for each kind of lesion and place; place 0 is the intact network, of kind "reestimated" with its own
    statistics estimated anew.

    Columns: kind, place (1 to the number of lesioned blocks), deleted_position (1-based, as a reader counts),
    downsampling, wrong_images, test_images, error_percent, chance_error_percent. Kinds: "zero" (the branch off, as in
    Figure 3), "mean" (its mean over training images, for each channel and pixel), "resampled" (that of another image of
    the batch, which is drawn at random), "reinitialised" (of new random weights, with batch normalisation that has seen
    training images), "reestimated" (the branch off, and all batch normalisation behind it estimated anew on training
    images), "skip" (the skip connection off; not in a plain network). Raises InputError if there are fewer images
    than asked for.
    """
    split = images.split("test")
    n_images = settings.tested("lesion_kinds", len(split.labels))
    order = spread(split.labels, n_images)[torch.randperm(n_images, generator=generator).to(split.labels.device)]

    def tested() -> Iterator[Batch]:
        # parts of equal size: none has a single image, which has no other to be given the branch of
        for part in order.chunk(math.ceil(n_images / images.evaluation.batch_size)):
            yield split.normalised(part), split.labels[part]

    trained = images.drawn("lesion_kinds", settings.batches, settings.batch_size, generator)
    places = spaced(len(network.blocks), settings.positions)
    network = copy.deepcopy(network).eval().float().requires_grad_(False)
    learned = estimate(network, places, trained, generator)
    precision, device = images.evaluation.precision, split.labels.device
    fast = for_inference(network, precision, device)
    extended, wirings = with_substitutes(fast, places, learned, precision)
    swept = evaluate(extended, list(wirings.values()), tested())
    wrong = dict(zip(wirings, swept.wrong, strict=True))
    tails = {place: (for_inference(rest, precision, device), wiring) for place, (rest, wiring) in learned.tails.items()}
    wrong |= {("reestimated", place): count for place, count in mistakes(fast, tails, tested()).items()}
    kinds = dict.fromkeys(kind for kind, _ in wrong)
    rows = [
        {
            "kind": kind,
            "place": number,
            "deleted_position": 0 if place is None else network.first_position + place,
            "downsampling": place is not None and network.blocks[place].downsampling,
            "wrong_images": wrong.get((kind, place), wrong["zero", None]),
        }
        for kind in kinds
        for number, place in enumerate([None, *places])
    ]
    table = pd.DataFrame(rows)
    error = [100 * count / n_images for count in table.wrong_images]
    chance = 100 * (1 - 1 / images.classes)
    facts = {
        "block_evaluations": swept.block_evaluations,
        "naive_block_evaluations": swept.naive_block_evaluations,
    }
    return {"": table.assign(test_images=n_images, error_percent=error, chance_error_percent=chance)}, facts


def spaced(n_blocks: int, most: int) -> list[int]:
    """Places of at most so many blocks, from the first to the last, evenly spaced."""
    if n_blocks <= most:
        return list(range(n_blocks))
    return [round(number * (n_blocks - 1) / max(1, most - 1)) for number in range(most)]


# --- what is learned from training images -----------------------------------------------------------------------------


Tails = dict[int | None, tuple[Network, Wiring]]
"""By place the network from that block on, with a wiring in which the block's branch is off; by None the intact one."""


@dataclass(frozen=True)
class Learned:
    """By place: the mean contribution (channel, height, width), a fresh block, and the rest with statistics anew."""

    means: dict[int, Tensor]
    fresh: dict[int, Block]
    tails: Tails


def estimate(network: Network, places: list[int], batches: Iterable[Batch], generator: torch.Generator) -> Learned:
    """One pass of training images through the intact network, and from each place on through the lesioned one."""
    fresh = {place: newborn(network.blocks[place], generator) for place in places}
    tails = {place: tail(network, place) for place in (None, *places)}
    totals: dict[int, Tensor] = {}
    seen = 0
    for images, _ in batches:
        for place, tap in enumerate(network.taps(images)):
            if place in fresh:
                block = network.blocks[place]
                assert isinstance(block, Block)
                total = block.contribution(tap).double().sum(dim=0)
                totals[place] = totals[place] + total if place in totals else total
                fresh[place].contribution(tap)
            for rest, wiring in starting_at(place, tails).values():
                rest(tap, wiring)
        seen += len(images)
    for module in (*fresh.values(), *(rest for rest, _ in tails.values())):
        module.eval()
    return Learned({place: (total / seen).float() for place, total in totals.items()}, fresh, tails)


def starting_at(place: int, tails: Tails) -> Tails:
    """Those that take what goes into the block at this place."""
    return {key: tails[key] for key in ((None, 0) if place == 0 else (place,)) if key in tails}


def tail(network: Network, place: int | None) -> tuple[Network, Wiring]:
    """The network behind the stem, or from a block on whose branch is off, with statistics to be estimated anew.

    What the lesioned block's own skip connection sees is what it saw before: that one keeps its statistics.
    """
    rest = Network(nn.Identity(), copy.deepcopy([*network.blocks[place or 0 :]]), copy.deepcopy(network.head))
    forget(rest.head)
    for block in rest.blocks if place is None else rest.blocks[1:]:
        forget(block)
    return rest, rest.intact if place is None else delete(rest.intact, [0])


def newborn(block: nn.Module, generator: torch.Generator) -> Block:
    """A copy of a block as before training, whose batch normalisation learns from what it is given now."""
    assert isinstance(block, Block)
    fresh = untrained(alone(block), generator).blocks[0]
    assert isinstance(fresh, Block)
    forget(fresh)
    return fresh


def alone(block: Block) -> Network:
    """A network of one block and nothing else."""
    return Network(nn.Identity(), [block], nn.Identity())


# --- the lesions ------------------------------------------------------------------------------------------------------


def with_substitutes(
    fast: Network, places: list[int], learned: Learned, precision: str
) -> tuple[Network, dict[tuple[str, int | None], Wiring]]:
    """The network with three substitutes of each lesioned block behind its own blocks, and the wirings by kind."""
    example = next(fast.parameters())
    blocks: list[Block] = [*fast.blocks]
    wirings: dict[tuple[str, int | None], Wiring] = {("zero", None): fast.intact}
    for place in places:
        block, mean = blocks[place], learned.means[place].to(example.dtype)
        fresh = for_inference(alone(learned.fresh[place]), precision, example.device).blocks[0]
        assert isinstance(fresh, Block)
        contributions: dict[str, Callable[[Tensor], Tensor]] = {
            "mean": partial(constant, mean),
            "resampled": partial(of_another_image, block),
            "reinitialised": fresh.contribution,
        }
        wirings["zero", place] = delete(fast.intact, [place])
        for kind, contribution in contributions.items():
            wirings[kind, place] = put(fast.intact, place, (len(blocks), True))
            blocks.append(Substitute(block, contribution))
        if not isinstance(block, PlainLayer):
            wirings["skip", place] = put(fast.intact, place, (place, True, 0))
    return Network(fast.stem, blocks, fast.head, fast.first_position), wirings


def constant(contribution: Tensor, x: Tensor) -> Tensor:
    """The same for every image."""
    return contribution.expand(len(x), *contribution.shape)


def of_another_image(block: Block, x: Tensor) -> Tensor:
    """What the block contributes to the image before in the batch, whose order is random."""
    return block.contribution(x).roll(1, dims=0)


def mistakes(fast: Network, tails: Tails, batches: Iterable[Batch]) -> dict[int | None, int]:
    """Wrong images of each tail, given what the intact network gives the block that it starts with."""
    wrong: dict[int | None, int] = dict.fromkeys(tails, 0)
    dtype = next(fast.parameters()).dtype
    for images, labels in batches:
        for place, tap in enumerate(fast.taps(images.to(dtype))):
            for key, (rest, wiring) in starting_at(place, tails).items():
                wrong[key] += int((rest(tap, wiring).argmax(dim=1) != labels).sum())
    return wrong
