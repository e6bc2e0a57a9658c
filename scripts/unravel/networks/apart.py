"""Take any residual network apart: find its additions, and run its own code as stem, residual blocks and head.

Nothing is known of any library or class. One pass of the model is watched. A value that all ways from the images to
the output go through is a waist of the network; a waist that adds two values ends a residual block, if one of the two
is the waist before, or the shorter way from there: the skip connection. So a transformer's layer has two blocks,
attention and MLP; what is between two blocks belongs to the first where the same forward does it (a ReLU after the
addition, He et al. 2016a), else to the second (a lower resolution), which keeps it when its branch is deleted.
"""

import copy
import fnmatch
import math
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_map

from unravel.files import InputError
from unravel.networks.adapters import kind
from unravel.networks.base import Block, Network, amplified
from unravel.networks.passes import Address, Event, Replay, Shape, Watch

# Relative to the largest logit: what may differ between the parts and the whole in float32.
TOLERANCE = 1e-4
TRIED = (32, 224, 28)  # pixels a side, where neither the model nor the caller says what it takes


@dataclass(frozen=True)
class Point:
    """A waist of the network. shape: of its value. changed: the model's code writes into it later, or, `over`, it is
    written over what was there before.
    """

    address: Address
    shape: Shape
    changed: bool
    over: bool = False


@dataclass(frozen=True)
class Place:
    """Where one residual block is: from `entry` over `start`, where its two ways part, and its addition to `end`.

    name: of the module whose code adds. skip_term: which term of the addition is the skip connection. straight: that
    is the very value at entry. idle: calls of modules that the skip connection does without.
    """

    name: str
    entry: Point
    addition: Point
    end: Point
    skip_term: int
    straight: bool
    idle: frozenset[Address]


@dataclass(frozen=True)
class Plan:
    """A model and how it is run in parts. outputs: what calls of modules give, as shapes. image: without the batch."""

    model: nn.Module
    image: tuple[int, ...]
    outputs: dict[Address, object]
    places: list[Place]
    first: Point

    def run(
        self,
        value: Tensor,
        entry: Point,
        stop: Address | None = None,
        at: Address | None = None,
        combine: Callable[[Tensor, Tensor], Tensor] | None = None,
        idle: frozenset[Address] = frozenset(),
    ) -> Tensor:
        """The model's code from one point, which is given `value`, to another or the output."""
        images = entry.shape.images(value)
        value = value.clone() if entry.changed else value
        replay = Replay(self.model, self.outputs, value, images, entry.address, entry.over, stop, at, combine, idle)
        given = value if entry.address == () else value.new_zeros((images, *self.image))
        with sdpa_kernel(SDPBackend.MATH) if torch.is_grad_enabled() else nullcontext():  # paths batch its derivative
            return replay.result(given)


class Stem(nn.Module):
    """The model up to where the first block begins."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    def forward(self, images: Tensor) -> Tensor:
        if tuple(images.shape[1:]) != self.plan.image:
            raise InputError(
                f"images are {shown(images.shape[1:])}, expected {shown(self.plan.image)}, which the network was taken "
                "apart with; give take_apart such images"
            )
        if self.plan.first.address == ():
            return images
        whole = Point((), Shape((2,), (1,), images.dtype), changed=False)
        return self.plan.run(images, whole, self.plan.first.address)


class Head(nn.Module):
    """The model from where the last block ends."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    def forward(self, x: Tensor) -> Tensor:
        return self.plan.run(x, self.plan.places[-1].end)


class FoundBlock(Block):
    """A residual block of the model: the model's own code, with the gains put in at its addition."""

    def __init__(self, plan: Plan, place: Place) -> None:
        super().__init__()
        self.plan, self.place, self.name = plan, place, place.name
        before, after = place.entry.shape.at_2, place.end.shape.at_2
        self.keeps_shape = before == after
        if len(before) == len(after):
            self.downsampling = any(new < old for old, new in zip(before, after, strict=True))
        else:  # rows and columns became one list, or the other way round
            self.downsampling = math.prod(after) < math.prod(before)

    def skip(self, x: Tensor) -> Tensor:
        return x if self.place.straight else self._term(x, self.place.skip_term, self.place.idle)

    def residual(self, x: Tensor) -> Tensor:
        return self._term(x, 1 - self.place.skip_term)

    def after_addition(self, x: Tensor) -> Tensor:
        place = self.place
        return x if place.end == place.addition else self.plan.run(x, place.addition, place.end.address)

    def forward(self, x: Tensor, gain: float = 1, skip_gain: float = 1) -> Tensor:
        if not gain:
            return super().forward(x, gain, skip_gain)
        place = self.place

        def combine(*terms: Tensor) -> Tensor:
            skip, residual = terms[place.skip_term], amplified(terms[1 - place.skip_term], gain)
            return amplified(skip, skip_gain) + residual if skip_gain else residual

        return self.plan.run(x, place.entry, place.end.address, place.addition.address, combine)

    def _term(self, x: Tensor, term: int, idle: frozenset[Address] = frozenset()) -> Tensor:
        place = self.place
        terms: list[Tensor] = []

        def take(*both: Tensor) -> Tensor:
            terms.append(both[term])
            return both[term]

        self.plan.run(x, place.entry, place.addition.address, place.addition.address, take, idle)
        return terms[0]


class TakenApart(Network):
    """A model as stem, blocks and head, which all run the model's own code."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(Stem(plan), [FoundBlock(plan, place) for place in plan.places], Head(plan))
        self.model = plan.model
        self.image = plan.image
        self.pattern: str | None = None

    def train(self, mode: bool = True) -> "TakenApart":
        """Put batch normalisation into train mode, and nothing else: dropout and random depth stay off."""
        super().train(False)
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.train(mode)
        return self

    @property
    def names(self) -> list[str]:
        """The modules whose code ends the blocks, in order."""
        return [block.name for block in self.blocks]  # type: ignore[misc]


def take_apart(model: nn.Module, blocks: str | None = None, images: Tensor | None = None) -> TakenApart:
    """A copy of a model, in eval mode, as stem, residual blocks and head.

    blocks: the modules whose residual blocks are meant, as named_modules calls them, with * for a part of a name, such
    as "layer*.*"; not given, all that are found. images: a batch such as it takes; not given, its size is asked of the
    model or tried. Raises InputError if a block of that name is no residual block, or if the parts together do not
    compute what the model does.
    """
    if isinstance(model, torch.jit.ScriptModule) or hasattr(model, "_orig_mod"):
        raise InputError(f"{kind(model)}: torch.jit and torch.compile hide what a model adds; give it as it was before")
    model = copy.deepcopy(model).eval().requires_grad_(False)
    shape = tuple(images.shape[1:]) if images is not None else _image_shape(model)
    plan = _plan(model, blocks, shape)
    network = TakenApart(plan).eval()
    network.pattern = blocks
    _require_same(network, images)
    return network


def found_names(model: nn.Module, images: Tensor | None = None) -> dict[str, int]:
    """What can be named as blocks: patterns, with how many residual blocks each stands for."""
    names = take_apart(model, None, images).names
    patterns = [re.sub(r"\d+", "*", name) or "(the model itself)" for name in names]
    return {pattern: patterns.count(pattern) for pattern in patterns}


# --- finding the blocks -----------------------------------------------------------------------------------------------


def _plan(model: nn.Module, blocks: str | None, image: tuple[int, ...]) -> Plan:
    two, three = (_watched(model, image, n) for n in (2, 3))
    if [event.address for event in two.events] != [event.address for event in three.events]:
        raise InputError(
            f"{kind(model)}: its forward does not do the same for two images as for three, so that it cannot be run in "
            "parts; take out what depends on the batch"
        )
    waists = _waists(two)
    names = {module: name for name, module in model.named_modules()}
    called = {address: names.get(module, "") for address, module in two.modules.items()}
    shapes = _Shapes(two, three)
    ends = [event for event in waists if _adds_two(two.events[event])]
    wanted: list[tuple[str, int, int, int]] = []
    faults: dict[str, str] = {}
    for event in ends:
        name = _name_of(two.events[event].address, blocks, called)
        if name is None:
            continue
        start = waists[waists.index(event) - 1]
        term = _skip_term(two.events, start, event)
        if isinstance(term, str):
            faults.setdefault(name, term)
        else:
            wanted.append((name, start, event, term))
    _require_named(model, blocks, called, faults)
    _require_all_added(two, blocks, called, {event for _, _, event, _ in wanted})
    if not wanted:
        raise InputError(
            f"{kind(model)}: has no residual block{f' of the name {blocks}' if blocks else ''}: nowhere is a branch "
            "added to a skip connection that nothing goes past (VGG adds nothing, DenseNet puts values side by side)"
        )
    bounds = [wanted[0][1]]
    for place, (_, _, event, _) in enumerate(wanted):
        after = wanted[place + 1][1] if place + 1 < len(wanted) else waists[-1]
        bounds.append(_end(two.events, waists, event, after))
    places = [
        Place(
            name,
            shapes.point(bounds[place]),
            shapes.point(event),
            shapes.point(bounds[place + 1]),
            term,
            straight=two.events[event].operands[term] == bounds[place],  # type: ignore[index]
            idle=_idle(two, start, event, term),
        )
        for place, (name, start, event, term) in enumerate(wanted)
    ]
    return Plan(model, image, shapes.outputs(), places, places[0].entry)


def _watched(model: nn.Module, image: tuple[int, ...], n: int) -> Watch:
    watch = Watch(model)
    generator = torch.Generator().manual_seed(n)
    like = next(model.parameters(), torch.empty(0))
    with torch.inference_mode(False), torch.no_grad():  # in inference mode nothing tells what is written over
        try:
            output = watch.run(torch.randn(n, *image, generator=generator).to(like))
        except Exception as error:  # its own forward, which may fail in any way
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{kind(model)}: its forward fails on images of {shown(image)} ({type(error).__name__}: {reason}); "
                "give images of the kind that it takes"
            ) from error
    last = watch.makers.get(id(output)) if isinstance(output, Tensor) else None
    if last is None:
        raise InputError(
            f"{kind(model)}: its output is {type(output).__name__}, expected one tensor of logits (batch, class) that "
            "is made of the images by functions of torch; wrap it in a module that gives that"
        )
    watch.events.append(Event((), (last,), None, 0, over=False))
    return watch


def _waists(watch: Watch) -> list[int]:
    """Events whose value all ways from the images to the output go through, but for the output itself, in order."""
    events = watch.events
    needed = {len(events) - 1}
    for event in reversed(range(len(events))):
        if event in needed:
            needed.update(events[event].inputs)
    last_use = {event: event for event in needed}
    for event in needed:
        for maker in events[event].inputs:
            last_use[maker] = max(last_use[maker], event)
    waists, furthest = [], 0
    for event in sorted(needed)[:-1]:
        if furthest <= event and events[event].value is not None:
            waists.append(event)
        furthest = max(furthest, last_use[event])
    return waists


def _adds_two(event: Event) -> bool:
    return event.operands is not None and None not in event.operands and event.operands[0] != event.operands[1]


def _skip_term(events: Sequence[Event], start: int, addition: int) -> int | str:
    """Which term of an addition is the skip connection from `start`, or why none is."""
    operands = events[addition].operands
    assert operands is not None
    one, other = operands
    assert one is not None
    assert other is not None
    if start in (one, other):
        return 0 if one == start else 1
    terms = _terms(events, one) + _terms(events, other)
    if len(terms) > 2:
        return "it adds up more than two ways, so that none of them is the residual branch"
    ways = [_between(events, start, end) for end in (one, other)]
    straight = [all(len(events[event].inputs) == 1 for event in way) for way in ways]
    short = 0 if len(ways[0]) < len(ways[1]) else 1
    if not straight[short] or len(ways[0]) == len(ways[1]):
        return "neither of the two values that it adds is a skip connection (in a highway network both are gated)"
    return short


def _terms(events: Sequence[Event], event: int) -> list[int]:
    if not _adds_two(events[event]):
        return [event]
    return [term for operand in events[event].operands or () for term in _terms(events, operand)]  # type: ignore[arg-type]


def _between(events: Sequence[Event], start: int, end: int) -> set[int]:
    """The events that `end` is made by, after `start`."""
    found, waiting = set(), [end]
    while waiting:
        event = waiting.pop()
        if event > start and event not in found:
            found.add(event)
            waiting += events[event].inputs
    return found


def _end(events: Sequence[Event], waists: Sequence[int], addition: int, before: int) -> int:
    """The last waist up to `before` that the code which adds makes too, itself or by calls."""
    owner = events[addition].address[:-1]
    end = addition
    for event in waists[waists.index(addition) + 1 :]:
        if not owner or event > before or events[event].address[: len(owner)] != owner:
            break
        end = event
    return end


def _idle(watch: Watch, start: int, addition: int, term: int) -> frozenset[Address]:
    """Calls of modules after `start` that make something, and nothing of what this term of the addition is made of."""
    operand = watch.events[addition].operands[term]  # type: ignore[index]
    used = {watch.events[event].address for event in _between(watch.events, start, operand)}  # type: ignore[arg-type]
    made = {watch.events[event].address for event in range(start + 1, addition)}
    last = watch.events[addition].address

    def within(address: Address, events: set[Address]) -> bool:
        return any(event[: len(address)] == address for event in events)

    return frozenset(
        address
        for address in watch.modules
        if last[: len(address)] != address and within(address, made) and not within(address, used)
    )


class _Shapes:
    """Values and outputs of two passes, of two and of three images, as shapes."""

    def __init__(self, two: Watch, three: Watch) -> None:
        self.two, self.three = two, three

    def point(self, event: int) -> Point:
        """A waist as a point. Raises InputError if its value does not tell how many images it is of."""
        of_two, of_three = self.two.events[event], self.three.events[event]
        assert of_two.value is not None
        assert of_three.value is not None
        shape = Shape.of(of_two.value, of_three.value)
        assert any(shape.more)
        return Point(of_two.address, shape, of_two.value._version != of_two.version, of_two.over)

    def outputs(self) -> dict[Address, object]:
        """What each call of a module gives."""

        def shape(one: object, other: object) -> object:
            return Shape.of(one, other) if isinstance(one, Tensor) and isinstance(other, Tensor) else one

        return {
            address: tree_map(shape, output, self.three.outputs[address])
            for address, output in self.two.outputs.items()
            if address in self.three.outputs
        }


# --- names and checks -------------------------------------------------------------------------------------------------


def _name_of(address: Address, blocks: str | None, called: dict[Address, str]) -> str | None:
    """The module that an addition belongs to: the one of that pattern which it is made in, if any."""
    around = [called[address[:end]] for end in range(1, len(address)) if address[:end] in called]
    if blocks is None:
        return around[-1] if around else ""
    return next((name for name in around if matches(name, blocks)), None)


def matches(name: str, pattern: str) -> bool:
    """Whether a module has such a name, part by part between its dots."""
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _require_named(model: nn.Module, blocks: str | None, called: dict[Address, str], faults: dict[str, str]) -> None:
    """Raise InputError if no module has such a name, or one that has is no residual block."""
    named = [name for name in dict.fromkeys(called.values()) if blocks is not None and matches(name, blocks)]
    if blocks is not None and not named:
        have = ", ".join(dict.fromkeys(re.sub(r"\d+", "*", name) for name in called.values()))
        raise InputError(f"blocks='{blocks}': {kind(model)} runs no module of that name; it has {have[:300]}")
    if faults:
        name, fault = next(iter(faults.items()))
        raise InputError(f"{name or kind(model)}: cannot be taken as a residual block: {fault}; name others by blocks=")


def _require_all_added(watch: Watch, blocks: str | None, called: dict[Address, str], ends: set[int]) -> None:
    """Raise InputError if a module that was named adds two values, and none of its additions ends a block."""
    if blocks is None:
        return
    have = {_name_of(watch.events[event].address, blocks, called) for event in ends}
    for event in filter(_adds_two, watch.events):
        name = _name_of(event.address, blocks, called)
        if name is not None and name not in have:
            raise InputError(
                f"{name}: is no residual block: it adds two values, and something goes from the images to the output "
                "past the sum; name other modules by blocks="
            )


@torch.no_grad()
def _require_same(network: TakenApart, images: Tensor | None) -> None:
    """Raise InputError unless stem, blocks and head give the model's own output, by both ways to run a block."""
    if images is None:
        like = next(network.parameters(), torch.empty(0))
        images = torch.randn(4, *network.image, generator=torch.Generator().manual_seed(0)).to(like)
    expected = network.model(images)
    x = network.stem(images)
    for block in network.blocks:
        assert isinstance(block, Block)
        x = block.after_addition(block.skip(x) + block.residual(x))
    for found, how in ((network(images), "blocks"), (network.head(x), "branches")):
        error = float((found - expected).abs().max() / (expected.abs().max() or 1))
        if not error <= TOLERANCE:
            raise InputError(
                f"{kind(network.model)}: run by its {how}, it gives another output (relative error {error:.1e}, at "
                f"most {TOLERANCE:.0e} is rounding): something goes from the images past the blocks, or is random"
            )


def _image_shape(model: nn.Module) -> tuple[int, ...]:
    """The first shape of an image that the model takes, of those that it says itself and of TRIED.

    Raises InputError if it takes none.
    """
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None:
        raise InputError(f"{kind(model)}: what does it take? Give take_apart a batch by images=")
    said = [getattr(module, name, None) for module in model.modules() for name in ("image_size", "img_size")]
    sides = [side[0] if isinstance(side, tuple) else side for side in said]
    shapes = [(first.in_channels, side, side) for side in (*sides, *TRIED) if isinstance(side, int)]
    for card in (getattr(model, "pretrained_cfg", None), getattr(model, "default_cfg", None)):
        if isinstance(card, dict) and card.get("input_size"):
            shapes.insert(0, tuple(card["input_size"]))
    for shape in dict.fromkeys(shapes):
        with torch.no_grad():
            try:
                model(torch.zeros(2, *shape).to(first.weight))
            except Exception:  # its own forward, which may refuse a size in any way
                continue
        return shape
    raise InputError(
        f"{kind(model)}: takes no images of {' or '.join(map(shown, dict.fromkeys(shapes)))}; give take_apart a batch "
        "by images="
    )


def shown(shape: Sequence[int]) -> str:
    """A shape in words."""
    return "x".join(map(str, shape))
