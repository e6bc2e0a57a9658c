"""Small tables whose figures can be worked out by hand, one set for each study that draws."""

import base64
import csv
import importlib
import itertools
import json
import math
from functools import partial

import numpy as np

from unravel.config import Arrays
from unravel.data.preparation import prepare
from unravel.studies import STUDIES, style

DRAWN = [name for name, study in STUDIES.items() if study.has("figure.py")]
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
    header += ["wrong_images", "test_images"]
    return [
        write_csv(folder / f"{network}-seed{seed}.csv", header, [[*row, 90, row[-1] * 4, 400] for row in rows])
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
    header = ["network", "seed", "deleted_blocks", "draw", "test_images", "error_percent"]
    rows = [
        ("resnet", seed, k, draw, 50, 5 * k + draw + seed) for seed in (1, 2) for k in range(4) for draw in (1, 2, 3)
    ]
    return [write_csv(folder / "resnet.csv", header, rows)]


def reordering_tables(folder):
    """Error 10 (1 - tau)."""
    header = ["network", "seed", "swaps", "draw", "kendall_tau", "test_images", "error_percent"]
    rows = [("resnet", seed, k, 1, 1 - 0.1 * k, 50, k) for seed in (1, 2) for k in range(5)]
    return [write_csv(folder / "resnet.csv", header, rows)]


def gradient_tables(folder, blocks=60):
    """A path's norm falls by half a decade per block; the sum over a length is as large as one path."""
    keys = [("resnet", seed, mode, 1) for seed in (1, 2) for mode in ("train", "eval")]
    header = ["network", "seed", "batch_norm", "batch", "length", "log10_norm"]
    lengths = range(blocks + 1)
    sampled = [(*key, length, -length / 2) for key in keys for length in lengths for _ in range(3)]
    exact = [(*key, length, -length / 2, 1 - 0.1**length, 1.0, 2e-7) for key in keys for length in lengths]
    counts = [(0, length, math.comb(blocks, length)) for length in lengths]
    untrained = [("resnet", seed, 1, length, 1, -length / 4) for seed in (1, 2) for length in lengths]
    return [
        write_csv(
            folder / "untrained_gradients" / "resnet.csv",
            ["network", "seed", "batch", "length", "sample", "log10_norm"],
            untrained,
        ),
        write_csv(folder / "gradients" / "resnet.sampled.csv", header, sampled),
        write_csv(folder / "gradients" / "resnet.exact.csv", [*header, "cosine", "norm_ratio", "full_error"], exact),
        write_csv(folder / "paths" / "resnet.csv", ["deleted_blocks", "length", "paths"], counts),
    ]


def forward_path_tables(folder):
    """Of six blocks; seed 1 is within a point of its last error from length 2 on, seed 2 from length 3 on."""
    header = ["network", "seed", "length", "wrong_images", "test_images", "error_percent", "share", "norm_ratio"]
    errors = {1: [80, 40, 10.5, 10, 10, 10, 10], 2: [80, 40, 20, 12, 12, 12, 12]}
    shares = [0.1, 0.5, 0.6, -0.3, 0.1, 0, 0]
    return [
        write_csv(
            folder / f"resnet-seed{seed}.csv",
            [*header, "sum_error"],
            [
                ("resnet", seed, length, error * 2, 200, error, share, 3 * abs(share), 2e-7)
                for length, (error, share) in enumerate(zip(percent, shares, strict=True))
            ],
        )
        for seed, percent in errors.items()
    ]


def paths_in_training_tables(folder):
    """Of four blocks at three moments: the mean length rises from 1 by one or two, the mode from length 1 to 2."""
    of = ["network", "seed", "moment", "step"]
    shares = {0: [0, 1, 0, 0, 0], 1: [0, 0.5, 0.5, 0, 0], 2: [0, 0, 1, 0, 0], 3: [0, 0, 0, 1, 0]}
    lengths, gains = [], []
    for seed in (1, 2):
        for moment, (step, mode) in enumerate([(0, 1), (1, 1), (10, 2)]):
            share = shares[moment if moment < 2 else seed + 1]
            rows = [(length, -abs(length - mode), share[length], 2e-7, 5 * seed) for length in range(5)]
            lengths += [("resnet", seed, moment, step, *row) for row in rows]
            gains += [("resnet", seed, moment, step, block, 0.1 * block * (moment + 1)) for block in range(1, 5)]
    head = [*of, "length", "log10_norm", "share", "full_error", "end_error_percent"]
    return [
        write_csv(folder / "resnet.lengths.csv", head, lengths),
        write_csv(folder / "resnet.gains.csv", [*of, "position", "gain"], gains),
    ]


def scaling_tables(folder):
    """Networks of 16, 4 and 2 blocks, and of 2 with half the channels; norms are 8 over the blocks, or 16 in seed 2.

    Intact they have 10% error; a deletion costs 32 points over the number of blocks, two twice that.
    """
    of = ["network", "seed", "shape", "blocks", "width"]
    shapes, deletions = [], []
    for seed in (1, 2):
        for shape, (blocks, width) in enumerate([(16, 1), (2, 1), (4, 1), (2, 0.5)]):
            here = ("resnet", seed, shape, blocks, width)
            shapes.append((*here, 8 * seed / blocks, 1 / blocks**0.5, 20, 200, 10))
            deletions += [
                (*here, deleted, draw, 20 + (points := 32 * deleted // blocks * 2), 200, 10 + points / 2)
                for deleted in (1, 2)
                for draw in (1, 2)
            ]
    errors = ["wrong_images", "test_images", "error_percent"]
    return [
        write_csv(folder / "resnet.shapes.csv", [*of, "branch_norm", "relative_norm", *errors], shapes),
        write_csv(folder / "resnet.deletions.csv", [*of, "deleted_blocks", "draw", *errors], deletions),
    ]


def step_tables(folder):
    """Two stages of three activations; trained read-outs fall by 10 from 40, those drawn anew stay near 90."""
    columns = {
        "cosines": ["position", "cosine"],
        "estimates": ["place", "stage", "step", "mean_in_deviations", "channel_mean", "deviation"],
        "readouts": ["step", "wrong_images", "test_images", "error_percent"],
    }
    rows = {name: [] for name in columns}
    for weights, better in (("trained", 1), ("untrained", 0)):
        for seed in (1, 2):
            of = ("resnet", seed, weights)
            rows["cosines"] += [(*of, block, (0.1 - 0.05 * block) * better) for block in (1, 2, 3, 5)]
            for place in range(6):
                stage, step = place // 3 + 1, place % 3
                off = (2 - step) * (0.5 + 0.1 * seed)
                rows["estimates"].append((*of, place, stage, step, off / 10, off / 5, off))
            errors = [40 - 10 * step if better else 90 - step % 2 for step in range(3)]
            rows["readouts"] += [(*of, step, error * 2, 200, error) for step, error in enumerate(errors)]
    head = ["network", "seed", "weights"]
    return [write_csv(folder / f"resnet.{name}.csv", [*head, *columns[name]], rows[name]) for name in columns]


def lesion_kind_tables(folder):
    """Intact errors of 10, 11 with statistics anew; each kind of lesion costs its own points, twice that at a halving.

    In vgg it costs 20 points more, but with statistics anew 1 point less.
    """
    header = ["network", "seed", "kind", "place", "deleted_position", "downsampling", "wrong_images", "test_images"]
    points = {"zero": 8, "mean": 6, "resampled": 12, "reinitialised": 30, "reestimated": 4, "skip": 60}
    more = {"resnet": dict.fromkeys(points, 0), "vgg": dict.fromkeys(points, 20) | {"reestimated": -1}}
    tables = []
    for network, added in more.items():
        for seed in (1, 2):
            rows = []
            for kind, cost in points.items():
                if (network, kind) == ("vgg", "skip"):
                    continue
                intact, lesion = 10 + (kind == "reestimated"), cost + added[kind] + seed
                errors = [intact, intact + lesion, intact + lesion / 2, intact + 2 * lesion]
                first = 0 if network == "resnet" else 1
                rows += [
                    (network, seed, kind, place, place + first * (place > 0), place == 3, error * 2, 200, error, 90)
                    for place, error in enumerate(min(one, 90) for one in errors)
                ]
            columns = [*header, "error_percent", "chance_error_percent"]
            tables.append(write_csv(folder / f"{network}-seed{seed}.csv", columns, rows))
    return tables


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
    rows = [("residual", "10", path, "f", 0, path[0] == "0") for path in ("00", "10", "01", "11")]
    return [write_csv(folder / "residual.csv", header, rows)]


def live_tables(folder):
    """Three grey images of two classes; in the intact network the first class leads by 1 in the second image alone."""
    pixels = base64.b64encode(bytes(range(4))).decode()
    images = [("resnet", 1, picture, 7 + picture, picture % 2, 2, 2, 1, pixels) for picture in (1, 2, 3)]
    leads = {(0, 1): -2, (0, 2): 1, (0, 3): -3, (1, 1): 5, (1, 2): 0, (1, 3): 0}
    logits = [
        ("resnet", 1, wiring, picture, label, label * -lead, label * -lead + 0.25 * wiring)
        for (wiring, picture), lead in leads.items()
        for label in (0, 1)
    ]
    columns = {
        "images": ["picture", "place", "label", "height", "width", "channels", "pixels"],
        "steps": ["wiring", "steps"],
        "logits": ["wiring", "picture", "label", "logit", "logit_rounded"],
    }
    rows = {"images": images, "steps": [("resnet", 1, 0, "1 2"), ("resnet", 1, 1, "1 -2")], "logits": logits}
    folder.mkdir()
    written = [
        write_csv(folder / f"resnet-seed1.{ending}.csv", ["network", "seed", *columns[ending]], rows[ending])
        for ending in columns
    ]
    return [*prepared_data(folder), *written]


def prepared_data(folder, classes=("<ant> & bee", "$cat_1$"), shape=(8, 8), labels=(0, 1, 1, 0, 1)):
    random = np.random.default_rng(0)
    labels = np.array(labels)
    for split in ("train", "test"):
        images = random.integers(0, 256, (len(labels), *shape), np.uint8)
        np.savez(folder / f"{split}.npz", images=images, labels=labels, class_names=np.array(classes))
    prepare(Arrays(source="arrays", train=folder / "train.npz", test=folder / "test.npz"), folder)
    return [folder / "manifest.json"]


def input_files(folder):
    """The input files of each study that draws a figure, written into a folder."""
    return {
        "class_overview": prepared_data(folder),
        "single_deletion": deletion_tables(folder / "deletions"),
        "random_deletion": random_deletion_tables(folder / "random_deletions"),
        "forward_paths": forward_path_tables(folder / "forward_paths"),
        "iterative_inference": step_tables(folder / "iterative_inference"),
        "paths_in_training": paths_in_training_tables(folder / "paths_in_training"),
        "deletion_scaling": scaling_tables(folder / "deletion_scaling"),
        "lesion_kinds": lesion_kind_tables(folder / "lesion_kinds"),
        "live_network": live_tables(folder / "live_network"),
        "reordering": reordering_tables(folder / "reorderings"),
        "path_gradients": gradient_tables(folder),
        "paths_left": path_count_tables(folder / "left"),
        "short_training": prediction_tables(folder / "predictions"),
        "training_curves": history_tables(folder / "checkpoints"),
        "unraveled_view": path_tables(folder / "single_paths"),
    }


def drawing_of(study):
    """The module that draws a study's figure."""
    return importlib.import_module(STUDIES[study].module("figure"))


def draw(study, paths, output, scale="demo"):
    style.save(partial(drawing_of(study).draw, paths, scale), output)


def read_values(path):
    """What captions say; where the drawn points are is tested in test_figure_points.py."""
    values = json.loads(path.with_suffix(".json").read_text())
    del values["points"]
    return values
