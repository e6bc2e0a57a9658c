"""The published runs: whole by their own records, small, free of anyone's paths, and told of truly in the pages."""

import html
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workflow_helpers import copy_code

import describe_results
from unravel.evidence import seal
from unravel.evidence.claims import read
from unravel.evidence.verification import verify
from unravel.place import REPOSITORY
from unravel.studies.base import FOLDER

RUNS = [REPOSITORY / "results" / name for name in describe_results.PUBLISHED]
LARGEST = 85e6  # bytes of all published runs together


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z", "results"], cwd=REPOSITORY, capture_output=True, check=True)
    return [REPOSITORY / name for name in listed.stdout.decode().split("\0") if name]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_published_run_is_whole_and_its_verdicts_follow_from_its_measurements(run, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert {check: problems for check, problems in verify(run.relative_to(REPOSITORY)).items() if problems} == {}


@pytest.mark.parametrize(("name", "parts"), list(describe_results.pages_and_parts().items()))
def test_a_page_says_what_the_published_files_say(name, parts):
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    assert describe_results.rewritten(name, text, parts) == text, "run `python scripts/describe_results.py`"


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


# --- sealed, in a fresh clone ---------------------------------------------------------------------------------------

REDRAW = r"figure_\w+|claims|report|provenance|crate|check|all"  # rules that neither train nor measure


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What a fresh clone holds, with dates by which everything would have to be made again."""
    folder = copy_code(tmp_path_factory.mktemp("clone") / "unravel")
    for path in tracked():
        copy = folder / path.relative_to(REPOSITORY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    for run in RUNS:
        for place, pattern in enumerate(("figures/*", "measurements/*/*", "checkpoints/*/*", "data/*/*")):
            for path in (folder / "results" / run.name).glob(pattern):  # the earlier made, the newer
                os.utime(path, (2e9 + place, 2e9 + place))
    return folder


def called(clone, *command):
    """How a command ended, and what it said."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=clone, env=environment, text=True, capture_output=True)
    return done.returncode, done.stdout + done.stderr


def planned(clone, *command):
    """The rules of which a call of snakemake would run jobs."""
    code, said = called(clone, *command, "--dry-run")
    assert code == 0, said
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", said, re.MULTILINE | re.DOTALL)
    return {line.split()[0] for line in table[1].splitlines()} if table else set()


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_every_command_of_a_published_report_works_in_a_fresh_clone_and_trains_nothing(clone, run):
    page = (run / "report.html").read_text(encoding="utf-8")
    commands = [shlex.split(html.unescape(text)) for text in re.findall(r'class="command">([^<]*)</code>', page)]
    assert commands
    by_tool = {tool: [words for words in commands if words[0] == tool] for tool in ("make", "snakemake")}
    assert sum(map(len, by_tool.values())) == len(commands)
    for words in by_tool["make"]:
        code, told = called(clone, *words, "INSTALLED=", "--dry-run")
        assert code == 0, told
        for call in re.findall(r"snakemake [^;\n]*", told):
            call = call.replace("$CONFIG", f"results/{run.name}/config.yaml")
            call = call.replace("--logger=unravel", "")  # how it tells what it does; make says where that lies
            assert all(re.fullmatch(REDRAW, rule) for rule in planned(clone, *shlex.split(call)))
        scripts = set(re.findall(r"scripts/(\w+)\.py", told))
        assert scripts <= {"check_call", "verify", "write_index"}  # what checks or tells, and runs no job
    (first, *_) = re.findall(r'class="command">([^<]*)</code>', page[page.index('id="reproduce"') :])
    assert first == f"make reference RUN={run.name}"
    targets = {target for _, target, *_ in by_tool["snakemake"]}  # planned by one call, as one after the other
    options = {tuple(options) for _, _, *options in by_tool["snakemake"]}
    assert options == {("--cores", "all", "--configfile", f"results/{run.name}/config.yaml")}
    assert planned(clone, "snakemake", *targets, *options.pop()) == targets


def test_the_first_line_of_a_published_report_says_what_was_made_and_verified():
    for run in RUNS:
        sealed, page = seal.read(run), (run / "report.html").read_text(encoding="utf-8")
        first = re.sub("<[^>]*>", "", page[page.index('class="strip"') : page.index("scale: ")])
        assert f"; all {len(sealed.files)} files and " in first
        assert all(commit[:12] in first for commit in sealed.commits)
        assert "figures fresh" not in page


def test_a_sealed_run_is_measured_beside_and_refuses_what_would_replace_a_part_of_it(clone):
    config = ("--cores", "1", "--configfile", "results/cifar10-short/config.yaml")
    beside = "results/cifar10-short/measurements/reorderings/vgg-seed1.csv"
    more = ("--config", "reorderings={networks: [resnet, vgg], most: 10, draws: 5}")
    assert planned(clone, "snakemake", beside, *config, *more) == {"restore_images", "measure_reordering"}
    code, said = called(clone, "snakemake", "--dry-run", *config, "--config", "training={epochs: 5}")
    refused = "^error: .*seal.json: the run is sealed, and training.epochs was 8, is 5 in this config; .* run=mine$"
    assert (code, len(re.findall(refused, said, re.MULTILINE))) == (1, 1)
    path = clone / "results/cifar10-short/checkpoints/vgg/seed1.history.csv"
    content = path.read_bytes()
    try:
        path.write_bytes(content + b"9")
        code, said = called(clone, "snakemake", "figure_3", *config)
    finally:
        path.write_bytes(content)
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert code == 1
    assert line.startswith(f"error: {path.relative_to(clone)}: is not the file that was sealed")
    assert "Traceback" not in said
    assert "Building DAG" not in said
