"""Graphs: which jobs rest on which, laid out in layers from left to right, ready to be drawn on a page."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from unravel.evidence import lineage
from unravel.evidence.lineage import Records

Kind = tuple[str, str]  # of a job: its script, and what it is about ("" for all that the script did)

GAP, ROW = 36, 54  # between two layers, and from one box of a layer to the next, in pixels; a box is 40 high
LETTER, PADDING = 6.8, 16  # about the width of a letter, and what a box has beside its words


@dataclass(frozen=True)
class Node:
    """Jobs of one kind, the two lines of words in their box, and the box itself in pixels."""

    name: str
    jobs: tuple[str, ...]
    script: str
    words: str
    left: float
    top: float
    width: float


@dataclass(frozen=True)
class Graph:
    """Nodes by layer and from top to bottom, edges (from node, to node), and the size of the drawing in pixels."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[Node, Node], ...]
    width: float
    height: float


def by_script(job: str, records: Records) -> Kind:
    """A job's kind in a graph of everything: what its script did, and of measurements, for which study."""
    return lineage.script(records[job]), lineage.option(records[job], "--study") or ""


def by_part(job: str, records: Records) -> Kind:
    """A job's kind in a graph of what a figure rests on: jobs of one kind differ by nothing but their seed."""
    return lineage.script(records[job]), lineage.without_seed(job).partition("/")[2]


def graph(jobs: Iterable[str], records: Records, kind_of: Callable[[str, Records], Kind]) -> Graph:
    """The graph of these jobs, those of one kind as one node.

    A node stands as far to the right as what rests on it allows, so that few edges pass behind others. An edge is left
    out where a longer way says the same: that a job reads the data that its network was trained on.
    """
    made_by, chosen = lineage.makers(records), set(jobs)
    members: dict[Kind, list[str]] = {}
    for job in sorted(chosen):
        members.setdefault(kind_of(job, records), []).append(job)
    before: dict[Kind, set[Kind]] = {kind: set() for kind in members}
    for kind, of_kind in members.items():
        read = {made_by.get(path) for job in of_kind for path in records[job]["inputs"]}
        before[kind] = {kind_of(job, records) for job in read if job in chosen} - {kind}

    @cache
    def all_before(kind: Kind) -> frozenset[Kind]:
        return frozenset(before[kind]).union(*map(all_before, before[kind]))

    @cache
    def steps_after(kind: Kind) -> int:
        return 1 + max((steps_after(other) for other in members if kind in before[other]), default=-1)

    direct = {
        kind: {one for one in sources if not any(one in all_before(other) for other in sources)}
        for kind, sources in before.items()
    }
    most = max(map(steps_after, members))
    layers = [[kind for kind in members if steps_after(kind) == steps] for steps in range(most, -1, -1)]
    nodes = _boxes(layers, members, direct)
    edges = [(nodes[source], nodes[kind]) for kind, sources in direct.items() for source in sorted(sources)]
    width = max(node.left + node.width for node in nodes.values())
    return Graph(tuple(nodes.values()), tuple(edges), width, ROW * max(map(len, layers)))


def _boxes(
    layers: Sequence[Sequence[Kind]], members: Mapping[Kind, list[str]], direct: Mapping[Kind, set[Kind]]
) -> dict[Kind, Node]:
    """A node for each kind: a layer is as wide as its longest words, and follows the order of the layers before it."""
    nodes: dict[Kind, Node] = {}
    left = 0.0
    for layer in layers:
        words = {kind: _words(kind, members[kind]) for kind in layer}
        width = round(PADDING + LETTER * max(len(line) for kind in layer for line in (kind[0], words[kind])))
        tops = {kind: [nodes[source].top for source in direct[kind]] for kind in layer}
        ordered = sorted(layer, key=lambda kind: (sum(tops[kind]) / max(1, len(tops[kind])), kind))
        above = (max(map(len, layers)) - len(layer)) / 2
        for row, kind in enumerate(ordered):
            name = "-".join(filter(None, kind)).replace("/", "-")
            top = ROW * (above + row) + 7
            nodes[kind] = Node(name, tuple(members[kind]), kind[0], words[kind], left, top, width)
        left += width + GAP
    return nodes


def _words(kind: Kind, jobs: Sequence[str]) -> str:
    count = f"× {len(jobs)}" if len(jobs) > 1 else ""
    return " ".join(filter(None, [kind[1], count]))
