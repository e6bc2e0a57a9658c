"""Figures: the same tables give the same bytes, tables hold what was drawn, and odd data is shown or refused."""

import csv
import html
import importlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from figure_helpers import DELETIONS, HISTORIES, draw, prepared_data, write_csv

from unravel.figures import style
from unravel.files import InputError

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
MEASURED = (
    "class_overview", "single_deletion", "random_deletion", "reordering", "path_gradients", "paths_left", "test_errors",
    "training_curves",
)  # fmt: skip
MODULES = (*MEASURED, "unraveled_view")


def in_another_process(program, *arguments, **variables):
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), **variables}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    subprocess.run(command, env=environment, check=True, timeout=60)


DRAW_ALL = """
import importlib, json, sys
from pathlib import Path
from unravel.figures import style
for module, paths in json.loads(sys.argv[1]).items():
    drawing = importlib.import_module(f"unravel.figures.{module}").draw([Path(path) for path in paths], "demo")
    style.save(drawing, Path(sys.argv[2], f"{module}.svg"))
"""


def test_the_same_tables_give_the_same_bytes_in_another_process(inputs, drawn, tmp_path):
    as_json = json.dumps({module: [str(path) for path in paths] for module, paths in inputs.items()})
    in_another_process(DRAW_ALL, as_json, tmp_path, PYTHONHASHSEED="1", TZ="Asia/Tokyo")
    here, there = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (drawn, tmp_path))
    assert set(here) == {f"{module}.{suffix}" for module in MODULES for suffix in ("svg", "pdf", "png", "csv", "json")}
    assert set(there) == set(here)
    for name, content in here.items():
        assert len(content) > 20, name
        assert there[name] == content, name


def test_a_bitmap_can_be_read_on_a_dark_page(drawn):
    for module in MODULES:
        alpha = mpl.image.imread(drawn / f"{module}.png")[..., 3]
        assert alpha.min() == 1, module


@pytest.mark.parametrize("module", MEASURED)
def test_a_figure_says_itself_which_kind_of_run_it_shows(inputs, tmp_path, module):
    texts = {}
    for scale in style.RUN_NOTES:
        drawing = importlib.import_module(f"unravel.figures.{module}").draw(inputs[module], scale)
        with mpl.rc_context(style.SETTINGS):
            drawing.figure.savefig(tmp_path / "figure.svg")
        texts[scale] = html.unescape((tmp_path / "figure.svg").read_text())
    assert "ci run: for tests only, the numbers mean nothing" in texts["ci"]
    assert "demo run: 8x8 digits, not the paper's CIFAR-10" in texts["demo"]
    assert "short run: fewer blocks and epochs than the paper's" in texts["short"]
    assert " run:" not in texts["paper"]


def test_drawing_and_the_article_do_without_torch():
    modules = [f"unravel.figures.{path.stem}" for path in (SCRIPTS / "unravel" / "figures").glob("[a-z]*.py")]
    assert len(modules) >= len(MODULES)
    program = f"import sys, unravel.article, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    in_another_process(program)


# --- the table behind a figure --------------------------------------------------------------------------------------


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_of_figure_3_holds_every_deletion(drawn):
    intact = {row[:2]: row[4] for row in DELETIONS if row[2] == 0}
    expected = [(*row, row[4] - intact[row[:2]]) for row in DELETIONS if row[2] > 0]
    rows = read_csv(drawn / "single_deletion.csv")
    keys = [(row["network"], int(row["seed"]), int(row["deleted_position"])) for row in rows]
    assert keys == [row[:3] for row in expected]
    assert [float(row["increase_points"]) for row in rows] == [row[5] for row in expected]


def test_the_table_of_the_training_curves_names_network_and_seed(drawn):
    rows = [tuple(row.values()) for row in read_csv(drawn / "training_curves.csv")]
    assert rows == [
        (network, str(seed), str(epoch), f"{loss:.10g}", f"{error:.10g}")
        for network, seeds in HISTORIES.items()
        for seed, epochs in enumerate(seeds, 1)
        for epoch, (loss, error) in enumerate(epochs, 1)
    ]


def test_the_table_of_the_class_overview_counts_the_images(drawn):
    assert read_csv(drawn / "class_overview.csv") == [
        {"class": "<ant> & bee", "train_images": "2", "test_images": "2"},
        {"class": "$cat_1$", "train_images": "3", "test_images": "3"},
    ]


# --- odd data -------------------------------------------------------------------------------------------------------


def test_class_names_are_shown_as_they_are(drawn):
    svg = (drawn / "class_overview.svg").read_text()
    assert ">&lt;ant&gt; &amp; bee<" in svg
    assert ">$cat_1$<" in svg  # no formula


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 2), (4, 6, 3), (4, 6, 4)], ids=str)
def test_images_of_any_number_of_channels_are_shown(tmp_path, shape):
    draw("class_overview", prepared_data(tmp_path, shape=shape), tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").read_text().count("<image") == 2


def test_a_class_without_training_images_has_an_empty_row(tmp_path):
    paths = prepared_data(tmp_path, classes=("ant", "bee", "cat"), labels=[0, 0, 2])
    draw("class_overview", paths, tmp_path / "figure.svg")
    svg = (tmp_path / "figure.svg").read_text()
    assert svg.count("<image") == 2
    assert ">bee<" in svg


@pytest.mark.parametrize("module", ["single_deletion", "training_curves"])
def test_a_table_without_a_needed_column_or_without_rows_is_named(inputs, tmp_path, module):
    good = inputs[module][0]
    header, *rows = csv.reader(good.read_text().splitlines())
    bad = tmp_path / good.parent.name / good.name
    drawing = importlib.import_module(f"unravel.figures.{module}")
    for column in drawing.COLUMNS:
        write_csv(bad, ["renamed" if name == column else name for name in header], rows)
        with pytest.raises(InputError, match=f"{bad}: lacks the column '{column}'; delete it and measure again"):
            drawing.draw([*inputs[module], bad], "demo")
    write_csv(bad, header, [])
    with pytest.raises(InputError, match=f"{bad}: has no rows; delete it and measure again"):
        drawing.draw([*inputs[module], bad], "demo")


def test_data_without_its_images_is_named(tmp_path):
    drawing = importlib.import_module("unravel.figures.class_overview")
    (manifest,) = prepared_data(tmp_path)
    (tmp_path / "train.safetensors").unlink()
    with pytest.raises(InputError, match=r"train\.safetensors: is missing beside its manifest"):
        drawing.draw([manifest], "demo")


# --- marks ----------------------------------------------------------------------------------------------------------


def test_the_papers_networks_differ_in_colour_and_marker_and_dash():
    for one, other in itertools.combinations(style.KNOWN_MARKS.values(), 2):
        assert one.colour != other.colour
        assert one.marker != other.marker
        assert one.dash != other.dash


def test_a_network_keeps_its_mark_whatever_else_is_drawn():
    alone = style.marks(["vgg"])
    together = style.marks(["vgg", "wide", "resnet", "narrow", "vgg"])
    assert together["vgg"] == alone["vgg"]
    assert len({mark.colour for mark in together.values()}) == 4
