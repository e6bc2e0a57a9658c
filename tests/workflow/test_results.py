"""The published runs: whole by their own records, small, free of anyone's paths, and README says what they say."""

import re
import subprocess

import pytest

import describe_results
from unravel.evidence.claims import read
from unravel.evidence.records import REPOSITORY
from unravel.evidence.verification import verify
from unravel.studies.base import FOLDER

RUNS = [REPOSITORY / "results" / name for name in describe_results.PUBLISHED]
LARGEST = 40e6  # bytes of all published runs together


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z", "results"], cwd=REPOSITORY, capture_output=True, check=True)
    return [REPOSITORY / name for name in listed.stdout.decode().split("\0") if name]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_published_run_is_whole_and_its_verdicts_follow_from_its_measurements(run, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert {check: problems for check, problems in verify(run.relative_to(REPOSITORY)).items() if problems} == {}


def test_readme_says_what_the_published_files_say():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert describe_results.rewritten(readme) == readme, "run `python scripts/describe_results.py`"


def test_imagenet_is_compared_with_the_published_cifar10_run_of_the_most_blocks():
    networks = [describe_results.figure_values(run)["single-deletion"]["networks"]["resnet"] for run in RUNS]
    deepest = max(networks, key=lambda network: network["blocks"])
    (claim,) = [
        claim for claim in read(FOLDER / "imagenet_deletion/claims.yaml") if claim.id == "imagenet-downsampling"
    ]
    bound = f"> {deepest['downsampling_mean_increase_points']:.2f}"
    assert claim.supported == [{"mean_downsampling_increase_points": bound}]


def test_git_tracks_the_published_runs_and_no_other():
    assert {path.relative_to(REPOSITORY / "results").parts[0] for path in tracked()} == set(describe_results.PUBLISHED)


def test_the_published_runs_are_small():
    assert 0 < sum(path.stat().st_size for path in tracked()) < LARGEST


def test_no_published_file_names_a_place_on_a_machine():
    places = re.compile(rb"(?<![\w./-])/(home|root|tmp|work|Users|mnt|scratch|opt|var)/")
    named = [path.name for path in tracked() if path.suffix != ".safetensors" and places.search(path.read_bytes())]
    assert named == []
