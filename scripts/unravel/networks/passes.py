"""Passes: a model's own forward, watched, or run from one of its values to another; its code is not copied.

Every call of a module and every function that makes a tensor is an event, and has an address: its number among the
events of the module whose forward calls it, after the address of that module's own call. Addresses stay the same
whatever the batch, so that a value found in one pass can be given or taken in any other. Written for models whose
forward does the same in every pass: `networks.apart` checks that.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

Address = tuple[int, ...]
Call = Callable[..., Any]

ADDITIONS = frozenset({torch.Tensor.add, torch.Tensor.add_, torch.add})
# What takes no more than the kind of a tensor: what it makes does not depend on the image.
CONSTANTS = {f"new_{name}" for name in ("zeros", "ones", "empty", "full", "tensor")} | {
    f"{name}_like" for name in ("zeros", "ones", "empty", "full")
}
# torch's own modules that have others inside which matter here; all else of torch is one event.
OPEN = (
    nn.Sequential,
    nn.ModuleList,
    nn.ModuleDict,
    nn.TransformerEncoder,
    nn.TransformerEncoderLayer,
)


class Pass(TorchFunctionMode):
    """One forward pass of a model, whose events go through `called`, `added` and `made`."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.open: list[Address] = []  # the calls of modules that are at work
        self.counts: list[int] = []  # the events in each of them so far
        self.unwatched = False

    def run(self, images: Tensor) -> Any:
        """The model's output for these images."""
        self.open, self.counts = [()], [0]
        with _calls_through(self._call), self:
            return self.model.forward(images)

    # What a kind of pass does at its events.

    def called(self, address: Address, module: nn.Module, call: Call, arguments: Any) -> Any:
        """A module is called; `call()` runs it."""
        return call()

    def added(self, address: Address, add: Call, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Two values are added; `add(*arguments, **options)` does it."""
        return add(*arguments, **options)

    def made(self, address: Address, function: Call, arguments: Any, result: Any) -> Any:
        """Any other function has made tensors."""
        return result

    @contextmanager
    def _unwatched(self) -> Iterator[None]:
        """Within it, nothing is an event."""
        self.unwatched = True
        try:
            yield
        finally:
            self.unwatched = False

    def _address(self) -> Address:
        address = (*self.open[-1], self.counts[-1])
        self.counts[-1] += 1
        return address

    def _call(self, original: Call, module: nn.Module, args: Any, kwargs: Any) -> Any:
        if self.unwatched:
            return original(module, *args, **kwargs)
        address = self._address()

        def call() -> Any:
            if is_leaf(module):
                with self._unwatched():
                    return original(module, *args, **kwargs)
            self.open.append(address)
            self.counts.append(0)
            try:
                return original(module, *args, **kwargs)
            finally:
                self.open.pop()
                self.counts.pop()

        return self.called(address, module, call, (args, kwargs))

    def __torch_function__(
        self, func: Call, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.unwatched:
            return func(*args, **kwargs)
        if func in ADDITIONS:
            return self.added(self._address(), func, args, kwargs)
        result = func(*args, **kwargs)
        made = args[0] if func is Tensor.__setitem__ else result
        if not tensors_in(made):
            return result
        made = self.made(self._address(), func, (args, kwargs), made)
        return result if func is Tensor.__setitem__ else made


def is_leaf(module: nn.Module) -> bool:
    """Whether a module's call is one event: torch's own layers, and every batch normalisation."""
    return isinstance(module, _BatchNorm) or (
        type(module).__module__.startswith("torch.nn.") and not isinstance(module, OPEN)
    )


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists and dictionaries."""
    return [value] if isinstance(value, Tensor) else [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


@contextmanager
def _calls_through(through: Callable[[Call, nn.Module, Any, Any], Any]) -> Iterator[None]:
    """Within it, every call of a module goes through a function, as torch.fx does it when it traces."""
    original = nn.Module.__call__

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return through(original, module, args, kwargs)

    nn.Module.__call__ = call  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__call__ = original  # type: ignore[method-assign]


# --- watching ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """What made tensors that depend on the images.

    inputs: the events that made what it takes. value: the tensor, None for several. version: how often that had been
    written into by then. over: it was written over the first argument. operands: of an addition, the events that made
    its two terms, None for a term that does not depend on the images.
    """

    address: Address
    inputs: tuple[int, ...]
    value: Tensor | None
    version: int
    over: bool
    operands: tuple[int | None, int | None] | None = None


class Watch(Pass):
    """A pass that notes which event depends on which, and what each call of a module gave; event 0 is the images."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.events: list[Event] = []
        self.outputs: dict[Address, Any] = {}
        self.modules: dict[Address, nn.Module] = {}
        self.makers: dict[int, int] = {}  # the event that made each tensor, by the tensor's id
        self.kept: list[Any] = []  # all tensors, so that no id is given twice

    def run(self, images: Tensor) -> Any:
        self._note((), (), images, ())
        return super().run(images)

    def called(self, address: Address, module: nn.Module, call: Call, arguments: Any) -> Any:
        self.modules[address] = module
        inputs = self._makers_of(arguments)
        output = call()
        self.outputs[address] = output
        if is_leaf(module) and inputs and not self._is_given_back(output, arguments):
            self._note(address, inputs, output, arguments)
        return output

    def added(self, address: Address, add: Call, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        inputs = self._makers_of((arguments, options))
        terms = (*arguments, *options.values())
        pair = None
        if len(terms) == 2 and all(isinstance(term, Tensor) for term in terms):
            pair = (self.makers.get(id(terms[0])), self.makers.get(id(terms[1])))
        result = add(*arguments, **options)
        if inputs:
            self._note(address, inputs, result, (arguments, options), pair)
        return result

    def made(self, address: Address, function: Call, arguments: Any, result: Any) -> Any:
        name = getattr(function, "__name__", "function")
        inputs = self._makers_of(arguments)
        if inputs and name not in CONSTANTS and (name == "__setitem__" or not self._is_given_back(result, arguments)):
            self._note(address, inputs, result, arguments)
        return result

    def _is_given_back(self, result: Any, arguments: Any) -> bool:
        """Whether a call gives back a tensor that it was given and has not changed: nothing new is made then."""
        maker = self.makers.get(id(result))
        given = any(result is tensor for tensor in tensors_in(arguments))
        return given and maker is not None and self.events[maker].version == result._version

    def _makers_of(self, arguments: Any) -> tuple[int, ...]:
        makers = {self.makers[id(tensor)] for tensor in tensors_in(arguments) if id(tensor) in self.makers}
        return tuple(sorted(makers))

    def _note(
        self,
        address: Address,
        inputs: tuple[int, ...],
        result: Any,
        arguments: Any,
        operands: tuple[int | None, int | None] | None = None,
    ) -> None:
        value = result if isinstance(result, Tensor) else None
        version = 0 if value is None else value._version
        for tensor in tensors_in(result):
            self.makers[id(tensor)] = len(self.events)
            self.kept.append(tensor)
        over = value is not None and any(value is tensor for tensor in tensors_in(arguments)[:1])
        self.events.append(Event(address, inputs, value, version, over, operands))


# --- replaying --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """The shape of a value by the size of the batch: `at_2`, and what each image more adds to it."""

    at_2: tuple[int, ...]
    more: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, two: Tensor, three: Tensor) -> "Shape":
        """From the values of a batch of two and of three images."""
        more = tuple(b - a for a, b in zip(two.shape, three.shape, strict=True))
        return cls(tuple(two.shape), more, two.dtype)

    def images(self, value: Tensor) -> int:
        """How many images a value of this kind is of."""
        axis = next(axis for axis, more in enumerate(self.more) if more)
        return 2 + (value.shape[axis] - self.at_2[axis]) // self.more[axis]

    def empty(self, images: int, like: Tensor) -> Tensor:
        """Memory of this shape with anything in it, of the device and, for floating point, the precision of `like`."""
        size = [two + more * (images - 2) for two, more in zip(self.at_2, self.more, strict=True)]
        return torch.empty(size, dtype=like.dtype if self.dtype.is_floating_point else self.dtype, device=like.device)


class Reached(Exception):  # noqa: N818 (no error: how a pass is left early)
    """The pass has come to the value it was run for."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value


class Replay(Pass):
    """A pass from a value that is given in place of what an event made, `start`, to what another makes, `stop`.

    Calls of modules before the start, and those in `idle`, are not made: they give empty tensors of the right shape.
    over: what is given is written over the first argument of what it stands in for, which the model uses later.
    combine: what is done at one addition instead of adding its two terms.
    """

    def __init__(
        self,
        model: nn.Module,
        outputs: Mapping[Address, Any],
        value: Tensor,
        images: int,
        start: Address,
        over: bool = False,
        stop: Address | None = None,
        at: Address | None = None,
        combine: Callable[[Tensor, Tensor], Tensor] | None = None,
        idle: frozenset[Address] = frozenset(),
    ) -> None:
        super().__init__(model)
        self.outputs, self.value, self.images = outputs, value, images
        self.start, self.over, self.stop = start, over, stop
        self.at, self.combine, self.idle = at, combine, idle

    def result(self, images: Tensor) -> Tensor:
        """What the pass was run for. `images` are looked at only before the start."""
        try:
            output: Tensor = self.run(images)
        except Reached as reached:
            return reached.value
        return output

    def called(self, address: Address, module: nn.Module, call: Call, arguments: Any) -> Any:
        if address == self.start:
            with self._unwatched():
                return self._given(arguments)
        done = address < self.start and self.start[: len(address)] != address
        if (done or address in self.idle) and address in self.outputs:
            with self._unwatched():
                return tree_map(self._empty, self.outputs[address])
        return self._passed(address, call())

    def added(self, address: Address, add: Call, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        result: Any
        if address == self.start:
            result = self._passed(address, self.value)
        elif address == self.at and self.combine is not None:
            one, other = (*arguments, *options.values())
            result = self.combine(one, other)
        else:
            return self._passed(address, add(*arguments, **options))
        if add is Tensor.add_:  # which may be a statement: what it was called on has to hold the result
            result = arguments[0].copy_(result)
        return self._passed(address, result)

    def made(self, address: Address, function: Call, arguments: Any, result: Any) -> Any:
        return self._given(arguments) if address == self.start else self._passed(address, result)

    def _given(self, arguments: Any) -> Any:
        first = tensors_in(arguments)[0] if self.over else None
        return self._passed(self.start, self.value if first is None else first.copy_(self.value))

    def _passed(self, address: Address, result: Any) -> Any:
        if address == self.stop:
            raise Reached(result)
        return result

    def _empty(self, leaf: Any) -> Any:
        return leaf.empty(self.images, self.value) if isinstance(leaf, Shape) else leaf
