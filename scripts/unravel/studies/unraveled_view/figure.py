"""Figures 1 and 2 of the paper: a residual network unraveled into its paths, and which of them a deletion leaves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle
from matplotlib.path import Path as Polyline

from unravel import tables
from unravel.files import InputError
from unravel.studies import style
from unravel.studies.unraveled_view import TABLE

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#9C18FC")  # of f1, f2 and so on

Point = tuple[float, float]  # inches to the right, and inches down from the first row
ROW = 0.43  # inches from one row to the next
RADIUS, HALF_BOX = 0.09, 0.15  # of an addition; half the height of a branch


@dataclass(frozen=True)
class Room:
    """The width there is, and how far to the right things stand in it, in inches.

    input, split: where the input ends, and where it splits. last: the last addition. output: the output.
    box: half the width of a branch, as a share of its block's. letters: their size, as a share of that on a wide page.
    """

    width: float
    input: float
    split: float
    last: float
    output: float
    box: float
    letters: float


PAGE = Room(width=7.1, input=0.52, split=0.9, last=6.1, output=6.52, box=0.18, letters=1)
PHONE = Room(width=3.3, input=0.2, split=0.42, last=2.8, output=3.08, box=0.26, letters=0.85)


@dataclass(frozen=True)
class Node:
    """A branch or an addition: the number of its block, its middle, and whether a path through it is left."""

    block: int
    at: Point
    left: bool


@dataclass(frozen=True)
class Line:
    """A connection, from where the data comes to where it goes, and whether a path along it is left."""

    points: tuple[Point, ...]
    left: bool
    arrow: bool


@dataclass(frozen=True)
class Diagram:
    """What there is to draw of one network, in rows; the first row runs from the input to the output."""

    blocks: int
    rows: int
    branches: list[Node] = field(default_factory=list)
    additions: list[Node] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    names: list[tuple[str, Point, bool]] = field(default_factory=list)  # of the paths, and whether each is left
    room: Room = field(default_factory=lambda: PHONE if style.is_narrow() else PAGE)

    def addition(self, block: int) -> float:
        """How far to the right a block's additions stand, and with block 0 where the first block begins."""
        first = self.room.split + 0.1 + 0.095 * self.blocks  # a path's name, one digit per block, fits before it
        return first + (self.room.last - first) * block / self.blocks

    def branch(self, block: int) -> float:
        """How far to the right the middle of a block's branches is."""
        return (self.addition(block - 1) + self.addition(block)) / 2

    @property
    def half_width(self) -> float:
        """Half the width of a branch."""
        return self.room.box * (self.addition(1) - self.addition(0))

    def connect(self, *points: Point, left: bool, arrow: bool = True) -> None:
        """Add a line."""
        self.lines.append(Line(points, left, arrow))


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw the paths of a residual network: below its usual drawing, or above a plain network if a table has one.

    `inputs` are measurements/single_paths tables, all with the same blocks deleted. They hold nothing of a run's data,
    so the figure does not say which run it belongs to.
    """
    table = tables.read(inputs, TABLE.columns)
    networks = {str(name): paths for name, paths in table.groupby("network")}
    deleted = [block for block, bit in enumerate(table.deleted[0], 1) if bit == "1"]
    if "residual" not in networks:
        raise InputError("a table of a residual network's paths is needed; list them and draw again")
    view = unraveled(networks["residual"])
    if "plain" in networks:
        panels = {
            _lesion_title("residual", deleted, networks["residual"]): view,
            _lesion_title("plain", deleted, networks["plain"]): plain(networks["plain"]),
        }
    else:
        panels = {
            f"residual network of {view.blocks} blocks": in_a_row(view.blocks),
            f"the same, unraveled: {view.rows} paths": view,
        }
    heights = [ROW * (diagram.rows + 0.2) for diagram in panels.values()]
    with style.axes(rows=2, height=sum(heights) + 0.65, height_ratios=heights) as (figure, axes):
        for panel, letter, (title, diagram) in zip(axes, "AB", panels.items(), strict=True):
            style.panel_title(panel, letter, title, fontsize=9 if style.is_narrow() else 11)
            _paint(panel, diagram, deleted)
        values = {
            "blocks": view.blocks,
            "deleted_blocks": deleted,
            "copies": [sum(node.block == block + 1 for node in view.branches) for block in range(view.blocks)],
            "paths": {name: len(paths) for name, paths in networks.items()},
            "paths_left": {name: paths.left.sum() for name, paths in networks.items()},
        }
        return style.Drawing(figure, table, values)


def _lesion_title(kind: str, deleted: Sequence[int], paths: pd.DataFrame) -> str:
    names = " and ".join(_name("f", block) for block in deleted)
    noun = "path" if len(paths) == 1 else "paths"
    return f"{kind} network without {names}: {paths.left.sum()} of {len(paths)} {noun} left"


# --- where everything stands ----------------------------------------------------------------------------------------


def unraveled(paths: pd.DataFrame) -> Diagram:
    """Lay out the unraveled view (paper, Figure 1b): one row per path, joined by additions until one row is left.

    A copy of y_i is made up of 2^i paths and goes on in the first of their rows. Block i joins copies of y_(i-1) in
    pairs: the upper one is the skip connection, the lower one passes the branch. So f_i is there 2^(n-i) times.
    """
    rows = paths.set_index(paths.path.map(lambda bits: int(bits[::-1], 2))).sort_index()  # block 1 joins neighbours
    left, blocks = rows.left.tolist(), len(paths.path.iloc[0])
    if rows.index.tolist() != list(range(2**blocks)):
        raise InputError(f"a table lacks or repeats paths of {blocks} residual blocks; delete it and list them again")
    diagram = Diagram(blocks, len(rows))
    _add_ends(diagram, any(left))
    for row, name in enumerate(rows.path):
        here = (diagram.room.split, row * ROW)
        diagram.names.append((name, here, left[row]))
        if row > 0:
            diagram.connect((diagram.room.split, (row - 1) * ROW), here, left=any(left[row:]), arrow=False)
    for block in range(1, diagram.blocks + 1):
        copy = 2 ** (block - 1)  # paths in a copy of this block's input
        for row in range(0, diagram.rows, 2 * copy):
            x = diagram.addition(block - 1) + RADIUS if block > 1 else diagram.room.split
            upper, lower = any(left[row : row + copy]), any(left[row + copy : row + 2 * copy])
            _add_block(diagram, block, ((x, row * ROW), (x, (row + copy) * ROW)), (upper, lower))
    return diagram


def in_a_row(blocks: int) -> Diagram:
    """Lay out an intact residual network as it is usually drawn (paper, Figure 1a): block after block."""
    diagram = Diagram(blocks, rows=2)
    _add_ends(diagram, left=True)
    x = diagram.room.split
    for block in range(1, blocks + 1):
        fork = (diagram.addition(block - 1) + RADIUS + diagram.branch(block) - diagram.half_width) / 2
        diagram.connect((x, 0), (fork, 0), left=True, arrow=False)
        diagram.connect((fork, 0), (fork, ROW), left=True, arrow=False)
        _add_block(diagram, block, ((fork, 0), (fork, ROW)), (True, True))
        x = diagram.addition(block) + RADIUS
    return diagram


def plain(paths: pd.DataFrame) -> Diagram:
    """Lay out a plain network (paper, Figure 2b): layer after layer, on its only path."""
    ((name, left),) = zip(paths.path, paths.left, strict=True)
    diagram = Diagram(len(name), rows=1)
    x = diagram.room.input
    for block in range(1, diagram.blocks + 1):
        middle = diagram.branch(block)
        diagram.connect((x, 0), (middle - diagram.half_width, 0), left=left)
        diagram.branches.append(Node(block, (middle, 0), left))
        x = middle + diagram.half_width
    diagram.connect((x, 0), (diagram.room.output, 0), left=left)
    return diagram


def _add_ends(diagram: Diagram, left: bool) -> None:
    """Add the line that comes from the input and the one that goes to the output."""
    room = diagram.room
    diagram.connect((room.input, 0), (room.split, 0), left=left, arrow=False)
    diagram.connect((room.last + RADIUS, 0), (room.output, 0), left=left)


def _add_block(diagram: Diagram, block: int, starts: tuple[Point, Point], left: tuple[bool, bool]) -> None:
    """Add a skip connection and, below it, a branch, each from its start, and the addition where they meet."""
    (skip, residual), (skip_left, residual_left) = starts, left
    middle, half, end = diagram.branch(block), diagram.half_width, diagram.addition(block)
    y, below = skip[1], residual[1]
    diagram.connect(skip, (end - RADIUS, y), left=skip_left)
    diagram.connect(residual, (middle - half, below), left=residual_left)
    diagram.branches.append(Node(block, (middle, below), residual_left))
    diagram.connect((middle + half, below), (end, below), (end, y + RADIUS), left=residual_left)
    diagram.additions.append(Node(block, (end, y), skip_left or residual_left))


# --- how it looks ---------------------------------------------------------------------------------------------------


def _look(left: bool) -> dict[str, Any]:
    """Black, and faint where no path is left: a colour of its own would not suit both a light and a dark page."""
    return {"color": "black", "alpha": 1 if left else 0.6}


def _stroke(left: bool) -> dict[str, Any]:
    return {**_look(left), "linewidth": 1.2, "linestyle": "-" if left else (0, (3, 2))}


def _name(letter: str, index: int) -> str:
    return letter + "".join(chr(ord("₀") + int(digit)) for digit in str(index))


def _paint(panel: Axes, diagram: Diagram, deleted: Sequence[int]) -> None:
    room = diagram.room
    panel.set_xlim(0, room.width)
    panel.set_ylim((diagram.rows - 0.4) * ROW, -0.6 * ROW)
    panel.set_aspect("equal")
    panel.set_axis_off()
    ends: Any = {"fontsize": 11 * room.letters, "va": "center", "rotation": "vertical" if style.is_narrow() else None}
    panel.text(room.input - 0.05, 0, "input", ha="right", **ends)
    panel.text(room.output + 0.03, 0, "output", ha="left", **ends)
    for line in diagram.lines:
        tip = "-|>" if line.arrow else "-"
        panel.add_patch(
            FancyArrowPatch(
                path=Polyline(line.points),
                arrowstyle=tip,
                mutation_scale=9 * diagram.room.letters,
                **_stroke(line.left),
            )
        )
    for node in diagram.branches:
        _paint_branch(panel, node, diagram, node.block in deleted)
    outputs: Any = {"fontsize": 12 * room.letters, "style": "italic"}
    for node in diagram.additions:
        panel.add_patch(Circle(node.at, RADIUS, fill=False, **_stroke(node.left)))
        panel.plot(*node.at, "+", markersize=7, **_look(node.left))
        side = -0.27 if style.is_narrow() else RADIUS  # on a phone there is room before an addition only
        _above(panel, (node.at[0] + side, node.at[1]), _name("y", node.block), node.left, **outputs)
    _above(panel, (room.input, 0), _name("y", 0), True, **outputs)
    for name, at, left in diagram.names:
        _above(panel, at, name, left, fontsize=11 * room.letters)


def _above(panel: Axes, at: Point, text: str, left: bool, **options: Any) -> None:
    panel.text(at[0] + 0.04, at[1] - 0.03, text, ha="left", va="bottom", **_look(left), **options)


def _paint_branch(panel: Axes, node: Node, diagram: Diagram, deleted: bool) -> None:
    (x, y), half_width = node.at, diagram.half_width
    outline = {"color": COLOURS[(node.block - 1) % len(COLOURS)], "linewidth": 2} if node.left else _stroke(False)
    panel.add_patch(Rectangle((x - half_width, y - HALF_BOX), 2 * half_width, 2 * HALF_BOX, fill=False, **outline))
    letters: Any = {"fontsize": 14 * diagram.room.letters, "style": "italic", "ha": "center", "va": "center"}
    panel.text(x, y, _name("f", node.block), **letters, **_look(node.left))
    if deleted:  # a cross that leaves the name free
        for right in (-1, 1):
            for down in (-1, 1):
                ends = [(x + right * 1.2 * far, y + down * far) for far in (0.24, 0.11)]
                panel.plot(*zip(*ends, strict=True), color="black", linewidth=2)
