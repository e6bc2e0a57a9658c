"""Figures: the same tables give the same bytes, tables hold what was drawn, and odd data is shown or refused."""

import csv
import html
import io
import itertools
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import matplotlib as mpl
import pytest
from figure_helpers import DELETIONS, DRAWN, HISTORIES, draw, drawing_of, prepared_data, write_csv
from PIL import Image

from unravel.files import InputError
from unravel.studies import style

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SUFFIXES = ("svg", "narrow.svg", "pdf", "png", "csv", "json")
NOTED = [study for study in DRAWN if study != "unraveled_view"]  # which holds nothing of a run's data


DRAW_ALL = """
import importlib, json, sys
from functools import partial
from pathlib import Path
from unravel.studies import style
for study, paths in json.loads(sys.argv[1]).items():
    figure = importlib.import_module(f"unravel.studies.{study}.figure")
    style.save(partial(figure.draw, [Path(path) for path in paths], "demo"), Path(sys.argv[2], f"{study}.svg"))
"""


def test_the_same_tables_give_the_same_bytes_in_another_process(inputs, drawn, tmp_path):
    """Of every other figure: the sealed run in test_workflow.py draws each again."""
    chosen = DRAWN[::2]
    as_json = json.dumps({study: [str(path) for path in inputs[study]] for study in chosen})
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", DRAW_ALL, as_json, tmp_path], env=environment, check=True, timeout=300)
    here, there = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (drawn, tmp_path))
    assert set(here) == {f"{study}.{suffix}" for study in DRAWN for suffix in SUFFIXES}
    assert set(there) == {f"{study}.{suffix}" for study in chosen for suffix in SUFFIXES}
    for name, content in there.items():
        assert len(content) > 20, name
        assert here[name] == content, name


def test_a_bitmap_can_be_read_on_a_dark_page(drawn):
    for study in DRAWN:
        with Image.open(drawn / f"{study}.png") as picture:
            assert picture.convert("RGBA").getextrema()[3] == (255, 255), study  # opaque


@pytest.mark.parametrize("study", NOTED)
def test_a_figure_says_itself_which_kind_of_run_it_shows(inputs, tmp_path, study):
    texts = {}
    for scale in style.RUN_NOTES:
        drawing = drawing_of(study).draw(inputs[study], scale)
        with mpl.rc_context(style.SETTINGS):
            drawing.figure.savefig(tmp_path / "figure.svg")
        texts[scale] = html.unescape((tmp_path / "figure.svg").read_text())
    assert "ci run: for tests only, the numbers mean nothing" in texts["ci"]
    assert "demo run: 8x8 digits, not the paper's CIFAR-10" in texts["demo"]
    assert "short run: fewer blocks or epochs than the paper's" in texts["short"]
    assert " run:" not in texts["paper"]


# --- two widths ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [style.WIDE, style.NARROW])
@pytest.mark.parametrize("study", DRAWN)
def test_nothing_is_cut_off_at_either_width(inputs, study, width):
    with style.for_a_phone() if width == style.NARROW else nullcontext():
        figure = drawing_of(study).draw(inputs[study], "short").figure
    with mpl.rc_context(style.SETTINGS):
        figure.savefig(io.BytesIO(), format="svg")  # which lays it out
        drawn = figure.get_tightbbox()  # inches
    assert figure.get_figwidth() == width
    assert min(drawn.xmin, drawn.ymin) > -0.03  # the tail of a letter in the last line
    assert drawn.xmax < width + 0.03
    assert drawn.ymax < figure.get_figheight() + 0.03


def test_a_phone_gets_panels_one_below_the_other(inputs):
    def corners():
        return [
            panel.get_position().p0
            for panel in drawing_of("path_gradients").draw(inputs["path_gradients"], "ci").figure.axes
        ]

    (a, b, c) = corners()
    assert a[0] < b[0] < c[0]
    with style.for_a_phone():
        (a, b, c) = corners()
    assert a[1] > b[1] > c[1]
    assert not style.is_narrow()  # again


def test_a_saved_svg_keeps_what_is_drawn_and_what_is_referred_to():
    head = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 2 3">'
    saved = f"""<?xml version="1.0"?>
{head}
 <defs><path id="m1" d="M 0.123456 -1.999
L 10.5 3" style="stroke: #000000"/> <clipPath id="p1"><rect id="r" x="1.0049"/></clipPath></defs>
 <g id="patch_1"> <path d="M 0 0" style="fill: none"/> </g>
 <g id="mark0" clip-path="url(#p1)">
  <g><use xlink:href="#m1" x="1.5" style="stroke: #000000"/><use xlink:href="#m1" style="fill: #000000"/></g>
 </g>
 <g id="text_1"><!-- A --><text id="t" transform="rotate(-0 1 2)">0.123456 <tspan> of it</tspan></text></g>
 <g id="text_2"><text transform="rotate(-90 1.001 2)">up</text></g>
</svg>"""
    assert style._trimmed(saved) == (
        f'{head}<defs><path id="m1" d="M 0.12 -2 L 10.5 3" style="stroke: #000000" />'
        '<clipPath id="p1"><rect x="1" /></clipPath></defs>'
        '<g id="mark0" clip-path="url(#p1)"><use xlink:href="#m1" x="1.5" />'
        '<use xlink:href="#m1" style="fill: #000000" /></g>'
        '<text>0.123456 <tspan> of it</tspan></text><text transform="rotate(-90 1 2)">up</text></svg>\n'
    )


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


@pytest.mark.parametrize("study", ["single_deletion", "training_curves"])
def test_a_table_without_a_needed_column_or_without_rows_is_named(inputs, tmp_path, study):
    good = inputs[study][0]
    header, *rows = csv.reader(good.read_text().splitlines())
    bad = tmp_path / good.parent.name / good.name
    drawing = drawing_of(study)
    for column in getattr(drawing, "COLUMNS", drawing.TABLE.columns):
        write_csv(bad, ["renamed" if name == column else name for name in header], rows)
        with pytest.raises(InputError, match=f"{bad}: lacks the column '{column}'; delete it and measure again"):
            drawing.draw([*inputs[study], bad], "demo")
    write_csv(bad, header, [])
    with pytest.raises(InputError, match=f"{bad}: has no rows; delete it and measure again"):
        drawing.draw([*inputs[study], bad], "demo")


def test_data_without_its_images_is_named(tmp_path):
    drawing = drawing_of("class_overview")
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
