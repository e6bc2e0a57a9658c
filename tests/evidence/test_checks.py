"""Checks of the science: the published run passes; what cannot be true of a run fails the check of its name."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from run_helpers import ROOT

from unravel import tables
from unravel.data.preparation import identical_images
from unravel.evidence.checks import CHECKS, checks, failed, read_card
from unravel.files import InputError

PUBLISHED = ROOT / "results" / "cifar10-short"
TABLES, DISJOINT, IMAGES, ERRORS, FACTS, SUMS, SEEDS = CHECKS


@pytest.fixture
def run(tmp_path):
    """The published run with the tables of one network, of which every file is a link until it is written anew."""
    for part in ("config.yaml", "data", "jobs", "measurements", "checkpoints"):
        if (PUBLISHED / part).is_file():
            (tmp_path / part).symlink_to(PUBLISHED / part)
        else:
            unread = shutil.ignore_patterns("*-seed[23].*csv", "vgg-*.csv", "stochastic-*.csv", "effective-*.csv")
            shutil.copytree(PUBLISHED / part, tmp_path / part, copy_function=os.symlink, ignore=unread)
    return tmp_path


def renew(path, change):
    content = change(path.read_bytes())
    path.unlink()
    path.write_bytes(content)


def renew_json(path, change):
    renew(path, lambda content: json.dumps(change(json.loads(content))).encode())


def renew_table(path, change):
    table = pd.read_csv(path)
    path.unlink()
    tables.write(path, change(table))


def outcomes(run):
    return {check.name: check.passed for check in checks(run)}


def with_identical(in_both):
    return lambda manifest: manifest | {"identical": {"in_both": in_both, "in_train": 2, "in_test": 0}}


def same_weights(run):
    """Seed 2 as a copy of seed 1 that says it is seed 2: the files differ, the networks do not."""
    first, second = (run / f"checkpoints/vgg/seed{seed}.safetensors" for seed in (1, 2))
    renew(second, lambda _: first.read_bytes().replace(rb"\"seed\": 1", rb"\"seed\": 2"))
    assert first.read_bytes() != second.read_bytes()


def another_error_on_the_card(run):
    """Of a number's first digit: as long as before, so that the file stays whole."""
    path = run / "checkpoints/resnet/seed1.safetensors"
    card = read_card(path)
    error = str(card["test_error_percent"])
    renew(path, lambda content: content.replace(error.encode(), f"9{error[1:]}".encode()))
    assert read_card(path) == card | {"test_error_percent": float(f"9{error[1:]}")}


MANIFEST, RESNET = "data/cifar10/manifest.json", "resnet-seed1"
FAULTS = {
    "another error on the card": ([FACTS], another_error_on_the_card),
    "another network's checkpoint": (
        [FACTS, SEEDS],
        lambda run: renew(
            run / "checkpoints/resnet/seed1.safetensors",
            lambda _: (run / "checkpoints/resnet/seed2.safetensors").read_bytes(),
        ),
    ),
    "a test image in the training split": ([DISJOINT], lambda run: renew_json(run / MANIFEST, with_identical(1))),
    "a cell": (
        [TABLES],
        lambda run: renew_table(run / f"measurements/deletions/{RESNET}.csv", lambda t: t.assign(seed=2)),
    ),
    "fewer predictions": (
        [IMAGES],
        lambda run: renew_table(run / f"measurements/predictions/{RESNET}.csv", lambda t: t[t.image < 9999]),
    ),
    "fewer test images": (
        [IMAGES],
        lambda run: renew_table(
            run / f"measurements/reorderings/{RESNET}.csv",
            lambda t: t.assign(test_images=9999, error_percent=100 * t.wrong_images / 9999),
        ),
    ),
    "another error in the record": (
        [ERRORS, FACTS],
        lambda run: renew_json(
            run / "jobs/checkpoints/resnet/seed1.json", lambda record: record | {"facts": {"test_error_percent": 22.1}}
        ),
    ),
    "a sum over paths that lacks one": (
        [SUMS],
        lambda run: renew_table(
            run / f"measurements/gradients/{RESNET}.exact.csv", lambda t: t.assign(full_error=2e-5)
        ),
    ),
    "one network under two seeds": ([FACTS, SEEDS], same_weights),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_fails_the_checks_of_its_names_alone(run, fault):
    names, make = FAULTS[fault]
    make(run)
    lines = failed(checks(run))
    assert [line.partition(": ")[0] for line in lines] == names
    assert not any("\n" in line for line in lines)


def test_the_published_run_passes_what_there_is_to_compare(run):
    assert outcomes(run) == {name: None if name == DISJOINT else True for name in CHECKS}
    renew_json(run / MANIFEST, with_identical(0))
    assert outcomes(run) == dict.fromkeys(CHECKS, True)


def test_a_run_with_nothing_measured_yet_has_nothing_to_compare(run):
    for part in ("measurements", "checkpoints"):
        shutil.rmtree(run / part)
    assert set(outcomes(run).values()) == {None}


def test_a_damaged_file_fails_a_check_and_ends_none_of_the_others(run):
    renew(run / "checkpoints/vgg/seed3.safetensors", lambda content: b"")
    renew(run / MANIFEST, lambda content: b"{")
    assert outcomes(run) == {
        TABLES: True,
        DISJOINT: False,
        IMAGES: False,
        ERRORS: False,
        FACTS: False,
        SUMS: True,
        SEEDS: False,
    }
    with pytest.raises(InputError, match=r"config.yaml: is missing"):
        checks(run / "nowhere")


def test_identical_images_are_counted_as_comparing_each_with_each_does():
    random = np.random.default_rng(0)
    for _ in range(20):
        train, test = (random.integers(0, 2, (n, 2, 2, 1)).astype(np.uint8) for n in random.integers(1, 20, 2))
        pairs = [[bool((one == other).all()) for other in train] for one in test]
        found = identical_images(train, test)
        assert found.in_both == sum(map(any, pairs))
        for images, counted in ((train, found.in_train), (test, found.in_test)):
            repeats = [any((images[i] == images[j]).all() for j in range(i)) for i in range(len(images))]
            assert counted == sum(repeats)


def test_the_command_writes_what_it_found_and_its_exit_code_tells(run, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import check as script

    monkeypatch.setattr("sys.argv", ["check.py", "--run", str(run), "--output", str(run / "checks.txt")])
    script.main()
    renew_json(run / MANIFEST, with_identical(7))
    with pytest.raises(
        SystemExit, match=rf"error: {DISJOINT}: .* 7 test images are training images, too; 2 train"
    ) as e:
        script.main()
    assert "\n" not in str(e.value)
    assert Path(run / "checks.txt").read_text().splitlines()[1].startswith(f"FAILED: {DISJOINT}: ")
