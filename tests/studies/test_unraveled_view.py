"""Figures 1 and 2: the table of paths against plain enumeration, and the drawing followed from input to output."""

import csv
import itertools
import json
import re
from collections import Counter
from contextlib import nullcontext
from functools import partial

import pandas as pd
import pytest

from unravel import tables
from unravel.files import InputError
from unravel.studies import style
from unravel.studies.unraveled_view import TABLE, figure
from unravel.studies.unraveled_view.measure import measure


def list_paths(folder, network, blocks, deleted):
    """The path of the table that is measured."""
    output = folder / f"{network}-{blocks}-{deleted}.csv"
    tables.write(output, measure(network=network, blocks=blocks, deleted=deleted)[""])
    return output


LESIONS = [(2, []), (2, [2]), (3, []), (3, [2]), (3, [1, 3]), (4, [4]), (4, [1, 2, 3, 4])]


@pytest.mark.parametrize(("blocks", "deleted"), LESIONS)
def test_the_table_of_a_residual_network_lists_every_path_once(tmp_path, blocks, deleted):
    with list_paths(tmp_path, "residual", blocks, deleted).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["left"] == "True" for row in rows) == 2 ** (blocks - len(deleted))
    expected = {}
    for bits in itertools.product("01", repeat=blocks):
        passed = [block for block, bit in enumerate(bits, 1) if bit == "1"]
        expected["".join(bits)] = {
            "network": "residual",
            "deleted": "".join("1" if block in deleted else "0" for block in range(1, blocks + 1)),
            "branches": " ".join(f"f{block}" for block in passed) or "none",
            "length": str(len(passed)),
            "left": str(all(block not in deleted for block in passed)),
        }
    assert {row.pop("path"): row for row in rows} == expected


@pytest.mark.parametrize(("deleted", "left"), [([], True), ([2], False)])
def test_a_plain_network_has_one_path_and_every_layer_is_on_it(tmp_path, deleted, left):
    table = tables.read([list_paths(tmp_path, "plain", 3, deleted)], TABLE.columns)
    assert table[["path", "branches", "length", "left"]].values.tolist() == [["111", "f1 f2 f3", 3, left]]


# --- the layout -----------------------------------------------------------------------------------------------------


def followed(diagram):
    """Every way from the input to the output of a diagram, as the bits of its path; and whether all of it is left.

    Knows of each element only where it stands: a line leads from its first point to its last, a branch from its left to
    its right side, an addition from its left and its lower end to its right one.
    """
    steps = [(line.points[0], line.points[-1], None, line.left) for line in diagram.lines]
    for node in diagram.branches:
        x, y = node.at
        steps.append(((x - diagram.half_width, y), (x + diagram.half_width, y), node.block, node.left))
    for node in diagram.additions:
        (x, y), radius = node.at, figure.RADIUS
        steps += [(entry, (x + radius, y), None, node.left) for entry in ((x - radius, y), (x, y + radius))]

    def same(one, other):
        return one == pytest.approx(other, abs=1e-6)

    def ways(point, passed, left):
        if same(point, (diagram.room.output, 0)):
            yield "".join("1" if block in passed else "0" for block in range(1, diagram.blocks + 1)), left
        for start, end, block, step_left in steps:
            if same(start, point):
                yield from ways(end, {*passed, block}, left and step_left)

    return sorted(ways((diagram.room.input, 0), set(), True))


@pytest.fixture(params=["page", "phone"])
def width(request):
    """Each width that is drawn for."""
    with style.for_a_phone() if request.param == "phone" else nullcontext():
        yield request.param


@pytest.mark.parametrize(("blocks", "deleted"), LESIONS)
def test_the_unraveled_view_leads_along_each_path_of_the_table_once(tmp_path, width, blocks, deleted):
    table = tables.read([list_paths(tmp_path, "residual", blocks, deleted)], TABLE.columns)
    diagram = figure.unraveled(table)
    assert diagram.room.width == {"page": 7.1, "phone": 3.3}[width]
    assert followed(diagram) == sorted(zip(table.path, table.left, strict=True))
    assert sorted((name, left) for name, _, left in diagram.names) == followed(diagram)
    copies = {block: 2 ** (blocks - block) for block in range(1, blocks + 1)}
    assert Counter(node.block for node in diagram.branches) == copies
    assert Counter(node.block for node in diagram.additions) == copies


def test_the_order_of_the_table_does_not_matter(tmp_path):
    table = tables.read([list_paths(tmp_path, "residual", 3, [2])], TABLE.columns)
    assert figure.unraveled(table[::-1]) == figure.unraveled(table)


@pytest.mark.parametrize("blocks", [2, 3, 4])
def test_the_usual_drawing_holds_all_paths_with_each_branch_once(width, blocks):
    diagram = figure.in_a_row(blocks)
    assert followed(diagram) == [("".join(bits), True) for bits in itertools.product("01", repeat=blocks)]
    assert [node.block for node in diagram.branches] == list(range(1, blocks + 1))


@pytest.mark.parametrize(("deleted", "left"), [([], True), ([2], False)])
def test_the_plain_network_leads_through_every_layer(tmp_path, width, deleted, left):
    table = tables.read([list_paths(tmp_path, "plain", 3, deleted)], TABLE.columns)
    assert followed(figure.plain(table)) == [("111", left)]


@pytest.mark.parametrize("blocks", [2, 3, 4, 5])
def test_no_line_crosses_another(tmp_path, width, blocks):
    table = tables.read([list_paths(tmp_path, "residual", blocks, [])], TABLE.columns)
    for diagram in (figure.unraveled(table), figure.in_a_row(blocks)):
        pieces = [piece for line in diagram.lines for piece in itertools.pairwise(line.points)]
        for (left, y), (right, other_y) in pieces:
            for (x, low), (other_x, high) in pieces:
                if y == other_y and x == other_x:
                    low, high = sorted((low, high))
                    assert not (left < x < right and low < y < high)


# --- the figures ----------------------------------------------------------------------------------------------------


def texts(path):
    return Counter(re.findall(r">([^<>\n]+)</text>", path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("blocks", [2, 3, 4])
def test_figure_1_names_every_branch_path_and_output(tmp_path, blocks):
    paths = list_paths(tmp_path, "residual", blocks, [])
    style.save(partial(figure.draw, [paths], "ci"), tmp_path / "figure.svg")
    found, rows = texts(tmp_path / "figure.svg"), pd.read_csv(paths, dtype=str)
    for block, subscript in enumerate("₁₂₃₄"[:blocks], 1):
        assert found[f"f{subscript}"] == found[f"y{subscript}"] == 1 + 2 ** (blocks - block)  # 1: as usually drawn
    assert {name: found[name] for name in rows.path} == dict.fromkeys(rows.path, 1)
    assert " run:" not in (tmp_path / "figure.svg").read_text()  # nothing was measured
    assert json.loads((tmp_path / "figure.json").read_text()) == {
        "points": [],
        "blocks": blocks,
        "deleted_blocks": [],
        "copies": [2 ** (blocks - block) for block in range(1, blocks + 1)],
        "paths": {"residual": len(rows)},
        "paths_left": {"residual": len(rows)},
    }


def test_figure_2_counts_the_paths_that_its_table_leaves(tmp_path):
    inputs = [list_paths(tmp_path, network, 3, [2]) for network in ("residual", "plain")]
    style.save(partial(figure.draw, inputs, "ci"), tmp_path / "figure.svg")
    titles = texts(tmp_path / "figure.svg")
    assert titles["residual network without f₂: 4 of 8 paths left"] == 1
    assert titles["plain network without f₂: 0 of 1 path left"] == 1
    assert [texts(tmp_path / "figure.svg")[f"f{subscript}"] for subscript in "₁₂₃"] == [5, 3, 2]  # 4, 2, 1 and plain
    rows = list(csv.DictReader((tmp_path / "figure.csv").read_text().splitlines()))
    values = json.loads((tmp_path / "figure.json").read_text())
    assert values["deleted_blocks"] == [2]
    for network in ("residual", "plain"):
        of_network = [row for row in rows if row["network"] == network]
        assert values["paths"][network] == len(of_network)
        assert values["paths_left"][network] == sum(row["left"] == "True" for row in of_network)


def test_tables_that_do_not_list_a_residual_networks_paths_are_refused(tmp_path):
    with pytest.raises(InputError, match="a table of a residual network's paths is needed"):
        figure.draw([list_paths(tmp_path, "plain", 3, [])], "ci")
    whole = list_paths(tmp_path, "residual", 3, [])
    whole.write_text("".join(whole.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError, match="a table lacks or repeats paths of 3 residual blocks"):
        figure.draw([whole], "ci")
