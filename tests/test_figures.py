"""Figures: the same tables give the same bytes, and captions name the numbers that plain Python finds in them."""

import csv
import html
import importlib
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from unravel.config import Arrays
from unravel.data.preparation import prepare
from unravel.figures import style
from unravel.files import InputError

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
MEASURED = (
    "class_overview", "single_deletion", "random_deletion", "reordering", "path_gradients", "paths_left", "test_errors",
    "training_curves",
)  # fmt: skip
MODULES = (*MEASURED, "unraveled_view")
T_975 = {2: 12.70620474, 3: 4.30265273}  # Student's t by the number of seeds, from any table

# network, seed, deleted_position, downsampling, error_percent
DELETIONS = [
    *[("resnet", 1, position, position == 3, error) for position, error in enumerate([6.0, 9.0, 6.5, 40.0, 5.0])],
    *[("resnet", 2, position, position == 3, error) for position, error in enumerate([7.0, 7.0, 8.5, 21.0, 7.25])],
    *[("vgg", 1, position, position == 4, error) for position, error in [(0, 8.0), (2, 85.0), (3, 89.5), (4, 60.0)]],
    *[("vgg", 2, position, position == 4, error) for position, error in [(0, 9.5), (2, 90.0), (3, 70.0), (4, 75.0)]],
]
# network: for each seed the training loss and the test error of three epochs
HISTORIES = {
    "resnet": [[(2.0, 50.0), (1.0, 20.0), (0.25, 6.0)], [(1.5, 40.0), (1.25, 10.0), (0.5, 7.0)]],
    "a-new-one": [[(2.5, 80.0), (2.0, 60.0), (1.0, 30.0)], [(2.25, 81.0), (1.0, 50.0), (0.75, 0.0)]],
}


def write_csv(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def deletion_tables(folder):
    header = ["network", "seed", "deleted_position", "downsampling", "error_percent", "chance_error_percent"]
    return [
        write_csv(folder / f"{network}-seed{seed}.csv", header, [[*row, 90] for row in rows])
        for (network, seed), rows in itertools.groupby(DELETIONS, key=lambda row: row[:2])
    ]


def history_tables(folder):
    header = ["epoch", "train_loss", "test_error_percent"]
    return [
        write_csv(folder / network / f"seed{seed}.history.csv", header, [(i, *row) for i, row in enumerate(rows, 1)])
        for network, seeds in HISTORIES.items()
        for seed, rows in enumerate(seeds, 1)
    ]


def random_deletion_tables(folder):
    """Error 5 k + draw of seed s, plus s, after k deletions."""
    header = ["network", "seed", "deleted_blocks", "draw", "error_percent"]
    rows = [("resnet", seed, k, draw, 5 * k + draw + seed) for seed in (1, 2) for k in range(4) for draw in (1, 2, 3)]
    return [write_csv(folder / "resnet.csv", header, rows)]


def reordering_tables(folder):
    """Error 10 (1 - tau), in bins of tau that do not touch."""
    header = ["network", "seed", "swaps", "draw", "kendall_tau", "error_percent"]
    rows = [("resnet", seed, k, 1, 1 - 0.1 * k, k) for seed in (1, 2) for k in range(5)]
    return [write_csv(folder / "resnet.csv", header, rows)]


def gradient_tables(folder, blocks=60):
    """A path's norm falls by half a decade per block; the sum over a length is as large as one path."""
    keys = [("resnet", seed, mode, 1) for seed in (1, 2) for mode in ("train", "eval")]
    header = ["network", "seed", "batch_norm", "batch", "length", "log10_norm"]
    lengths = range(blocks + 1)
    sampled = [(*key, length, -length / 2) for key in keys for length in lengths for _ in range(3)]
    exact = [(*key, length, -length / 2, 1 - 0.1**length, 1.0, 2e-7) for key in keys for length in lengths]
    counts = [(0, length, math.comb(blocks, length)) for length in lengths]
    return [
        write_csv(folder / "gradients" / "resnet.sampled.csv", header, sampled),
        write_csv(folder / "gradients" / "resnet.exact.csv", [*header, "cosine", "norm_ratio", "full_error"], exact),
        write_csv(folder / "paths" / "resnet.csv", ["deleted_blocks", "length", "paths"], counts),
    ]


def path_count_tables(folder):
    rows = [(d, x, math.comb(6 - d, x) / math.comb(6, x)) for d in (0, 1, 3) for x in range(7)]
    return [write_csv(folder / "resnet.csv", ["deleted_blocks", "length", "fraction_left"], rows)]


def prediction_tables(folder):
    """Of 20 images, `resnet` gets its first `seed` wrong, `effective-paths` one more, and unscaled all."""
    header = ["network", "seed", "convention", "image", "label", "predicted"]
    wrong = {("resnet", "scaled"): 0, ("effective-paths", "scaled"): 1, ("effective-paths", "unscaled"): 20}
    rows = [
        (network, seed, convention, image, 0, int(image < seed + more))
        for (network, convention), more in wrong.items()
        for seed in (1, 2)
        for image in range(20)
    ]
    return [write_csv(folder / "all.csv", header, rows)]


def path_tables(folder):
    header = ["network", "deleted", "path", "branches", "length", "left"]
    rows = [("residual", "10", path, "", 0, path[0] == "0") for path in ("00", "10", "01", "11")]
    return [write_csv(folder / "residual.csv", header, rows)]


def prepared_data(folder, classes=("<ant> & bee", "$cat_1$"), shape=(8, 8), labels=(0, 1, 1, 0, 1)):
    random = np.random.default_rng(0)
    labels = np.array(labels)
    for split in ("train", "test"):
        images = random.integers(0, 256, (len(labels), *shape), np.uint8)
        np.savez(folder / f"{split}.npz", images=images, labels=labels, class_names=np.array(classes))
    prepare(Arrays(source="arrays", train=folder / "train.npz", test=folder / "test.npz"), folder)
    return [folder / "manifest.json"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """The input files of each figure module."""
    folder = tmp_path_factory.mktemp("inputs")
    return {
        "class_overview": prepared_data(folder),
        "single_deletion": deletion_tables(folder / "deletions"),
        "random_deletion": random_deletion_tables(folder / "random_deletions"),
        "reordering": reordering_tables(folder / "reorderings"),
        "path_gradients": gradient_tables(folder),
        "paths_left": path_count_tables(folder / "left"),
        "test_errors": prediction_tables(folder / "predictions"),
        "training_curves": history_tables(folder / "checkpoints"),
        "unraveled_view": path_tables(folder / "single_paths"),
    }


def draw(module, paths, output, scale="demo"):
    style.save(importlib.import_module(f"unravel.figures.{module}").draw(paths, scale), output)


@pytest.fixture(scope="module")
def drawn(inputs, tmp_path_factory):
    """A folder with the files of every figure."""
    folder = tmp_path_factory.mktemp("figures")
    for module, paths in inputs.items():
        draw(module, paths, folder / f"{module}.svg")
    return folder


def read_values(path):
    """What captions say; where the drawn points are is tested in test_figure_points.py."""
    values = json.loads(path.with_suffix(".json").read_text())
    del values["points"]
    return values


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


# --- captions -------------------------------------------------------------------------------------------------------


def assert_interval(found, values):
    half = T_975[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    mean = statistics.mean(values)
    assert found == pytest.approx({"mean": mean, "low": mean - half, "high": mean + half, "n": len(values)})


def test_the_caption_of_figure_3(drawn):
    values = read_values(drawn / "single_deletion.svg")
    assert values["seeds"] == [1, 2]
    assert values["chance_error_percent"] == 90
    resnet, vgg = values["networks"]["resnet"], values["networks"]["vgg"]
    assert (resnet["blocks"], vgg["blocks"]) == (4, 3)
    assert (resnet["worst_position"], vgg["worst_position"]) == (3, 2)  # vgg: 85 and 90 against 89.5 and 70
    assert (resnet["downsampling_positions"], vgg["downsampling_positions"]) == ([3], [4])


@pytest.mark.parametrize("network", ["resnet", "vgg"])
def test_the_numbers_in_the_caption_of_figure_3(drawn, network):
    found = read_values(drawn / "single_deletion.svg")["networks"][network]
    intact = {seed: error for name, seed, position, _, error in DELETIONS if name == network and position == 0}
    deleted = [row[1:] for row in DELETIONS if row[0] == network and row[2] > 0]
    ordinary = [error - intact[seed] for seed, _, downsampling, error in deleted if not downsampling]
    halving = [error - intact[seed] for seed, _, downsampling, error in deleted if downsampling]
    expected = {
        "lowest_error_percent": min(error for *_, error in deleted),
        "highest_error_percent": max(error for *_, error in deleted),
        "median_increase_points": statistics.median(ordinary + halving),
        "highest_increase_points": max(ordinary + halving),
        "ordinary_median_increase_points": statistics.median(ordinary),
        "ordinary_p90_increase_points": statistics.quantiles(ordinary, n=10, method="inclusive")[8],
        "downsampling_mean_increase_points": statistics.mean(halving),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert_interval(found["intact_error_percent"], list(intact.values()))


def test_figure_3_of_a_network_that_never_halves_the_resolution(tmp_path):
    header = ["network", "seed", "deleted_position", "downsampling", "error_percent", "chance_error_percent"]
    rows = [("flat", 1, 0, False, 5.0, 90), ("flat", 1, 1, False, 6.0, 90)]
    draw("single_deletion", [write_csv(tmp_path / "flat.csv", header, rows)], tmp_path / "figure.svg")
    values = read_values(tmp_path / "figure.svg")["networks"]["flat"]
    assert values["downsampling_positions"] == []
    assert values["downsampling_mean_increase_points"] is None
    assert values["intact_error_percent"]["n"] == 1


def test_the_caption_of_the_training_curves(drawn):
    values = read_values(drawn / "training_curves.svg")
    assert values["epochs"] == 3
    assert set(values["final_test_error_percent"]) == set(HISTORIES)
    for network, seeds in HISTORIES.items():
        assert_interval(values["final_test_error_percent"][network], [rows[-1][1] for rows in seeds])


def test_the_caption_of_figure_5a(drawn):
    values = read_values(drawn / "random_deletion.svg")
    assert (values["draws"], values["most"], values["seeds"]) == (3, 3, [1, 2])
    # of errors 5 k + 1 to 3 plus 1 to 2, the median is 5 k + 3.5
    expected = {"0": 3.5, "1": 8.5, "2": 13.5, "3": 18.5}
    assert values["networks"]["resnet"]["median_error_percent"] == expected
    assert values["networks"]["resnet"]["largest_jump_points"] == 5


def test_the_caption_of_figure_5b(drawn):
    values = read_values(drawn / "reordering.svg")
    assert (values["most"], values["seeds"]) == (4, [1, 2])
    found = values["networks"]["resnet"]
    assert found["rank_correlation"] == pytest.approx(1)
    assert found["largest_jump_points"] == 1
    assert found["lowest_tau"] == pytest.approx(0.6)
    assert found["median_error_percent_at_most_swaps"] == 4


def test_the_caption_of_figure_6(drawn):
    values = read_values(drawn / "path_gradients.svg")
    assert (values["network"], values["samples_per_length"], values["batches"]) == ("resnet", 3, 1)
    assert values["largest_full_error"] == 2e-7
    weights = [math.comb(60, k) * 10 ** (-k / 2) for k in range(61)]  # the paper's product
    for found in values["modes"].values():
        assert found["decades_per_block"] == pytest.approx(-0.5)
        assert found["r_squared"] == pytest.approx(1)
        assert found["estimated_percent_in_papers_range"] == pytest.approx(100 * sum(weights[5:18]) / sum(weights))
        assert found["exact_first_length"] == 0
        assert found["exact_last_length"] == 2  # norms 1, 0.32, 0.1: 1 - 10^-1.5 of a geometric series, above 0.95
        assert found["explained_at"] == 2


def test_the_caption_of_figure_7(drawn):
    assert read_values(drawn / "paths_left.svg") == {"blocks": 6, "deleted": [1, 3]}


def test_the_caption_of_the_test_errors(drawn):
    values = read_values(drawn / "test_errors.svg")
    assert_interval(values["networks"]["resnet"]["scaled"], [5, 10])
    assert_interval(values["networks"]["effective-paths"]["scaled"], [10, 15])
    assert values["networks"]["effective-paths"]["unscaled"]["mean"] == 100
    (pair,) = values["pairs"]
    assert (pair["first"], pair["second"]) == ("effective-paths", "resnet")
    assert pair["seeds"] == {str(seed): {"only_first_wrong": 1, "only_second_wrong": 0, "p": 1} for seed in (1, 2)}


def test_the_caption_of_the_class_overview(tmp_path):
    classes = [f"class {label}" for label in range(12)]
    paths = prepared_data(tmp_path, classes, shape=(4, 4, 3), labels=[*range(12), 0, 11])
    draw("class_overview", paths, tmp_path / "figure.svg")
    assert read_values(tmp_path / "figure.svg") == {"classes": 12, "shown_classes": 10, "shown_images": 20}
    svg = (tmp_path / "figure.svg").read_text()
    assert ">class 9<" in svg
    assert ">class 10<" not in svg


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
