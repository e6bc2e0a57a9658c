"""Progress: long loops say how far they are to whoever watches, and know nothing of who that is."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

Item = TypeVar("Item")
Watcher = Callable[[Iterable[Any], int], Iterable[Any]]

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Within it, `watcher` passes the items of each long loop on; it is told how many they are."""
    before = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(before)


def steps(items: Iterable[Item], total: int) -> Iterable[Item]:
    """The items of a long loop, `total` of them, for whoever watches."""
    watcher = _watcher.get()
    return items if watcher is None else watcher(items, total)
