"""Progress: time left against sums by hand, and what a call with the plugin shows in a log and on a terminal."""

import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from workflow_helpers import ROOT, copy_code

from unravel.cluster import cost
from unravel.cluster.progress import Estimate, Progress, estimates, line
from unravel.run import read_config

LESION = Estimate("forward", 30.0)
TRAINING = Estimate("train", 100.0)


def names(rule, n):
    return [(rule, "resnet", seed) for seed in range(1, n + 1)]


@pytest.fixture
def three():
    """Three trainings of 100 s, their lesions of 30 s each, and one figure."""
    known = dict.fromkeys(names("train", 3), TRAINING) | dict.fromkeys(names("measure", 3), LESION)
    return Progress({"train": 3, "measure": 3, "figure": 1}, known)


def test_before_the_first_job_nothing_is_said_of_time(three):
    assert three.left(0) is None
    assert line(three, 0) == "0 of 7 jobs done"


def test_one_job_at_a_time_takes_the_sum_of_all_estimates(three):
    three.start(1, "train", "Train", names("train", 1)[0], at=0)
    # 100 of the running one, 2 * 100, 3 * 30, and 10 for the figure; a quarter of the first is done.
    assert three.left(0) == pytest.approx(400)
    assert three.left(25) == pytest.approx(375)


def test_what_a_kind_of_job_took_corrects_its_estimate_and_that_of_kinds_that_none_is_done_of(three):
    three.start(1, "train", "Train", names("train", 1)[0], at=0)
    three.finish(1, at=50)  # twice as fast as estimated
    assert three.left(50) == pytest.approx(2 * 50 + 3 * 15 + 10)
    three.start(2, "measure", "Measure", names("measure", 1)[0], at=50)
    three.finish(2, at=110)  # half as fast as estimated
    assert three.left(110) == pytest.approx(2 * 50 + 2 * 60 + 10)
    three.start(3, "figure", "Draw", None, at=110)
    assert three.left(112) == pytest.approx(2 * 50 + 2 * 60 + 8)


def test_jobs_side_by_side_share_what_is_left_but_none_ends_before_its_own_time(three):
    three.start(1, "train", "Train", names("train", 2)[0], at=0)
    three.start(2, "train", "Train", names("train", 2)[1], at=0)
    assert three.left(0) == pytest.approx(400 / 2)
    assert three.left(100) == pytest.approx((100 + 90 + 10) / 2)
    for number, rule in ((3, "measure"), (4, "measure"), (5, "measure"), (6, "figure")):
        three.start(number, rule, "", (rule, "resnet", number - 2) if rule == "measure" else None, at=100)
    # Six at a time from now on; of the trainings, the third is to come, and takes 100 s however many run beside it.
    assert three.left(100) == pytest.approx(100)


def test_a_job_that_failed_is_still_to_be_done(three):
    three.start(1, "train", "Train", names("train", 1)[0], at=0)
    three.fail(1)
    assert three.left(10) == pytest.approx(3 * 100 + 3 * 30 + 10, rel=1e-9)
    assert not three.running


def test_a_line_says_what_is_done_what_runs_and_what_is_left(three):
    three.start(1, "train", "Train resnet, seed 1", names("train", 2)[0], at=0)
    three.start(2, "train", "Train resnet, seed 2", names("train", 2)[1], at=0)
    assert line(three, 0) == "0 of 7 jobs done, about 3 min left, running: Train resnet, seed 1 and 1 more"
    three.estimates = {}
    assert line(three, 0) == "0 of 7 jobs done, running: Train resnet, seed 1 and 1 more"


def test_every_job_that_is_estimated_has_the_name_that_snakemake_gives_it():
    """As many as the plan counts, and each at what the plan gives it."""
    config = read_config(ROOT / "config" / "ci.yaml")
    known = estimates(config)
    costs = cost.Costs(config)
    hours = {rule: hours for rule, (_, hours) in costs.stages("cpu").items()}
    for rule in hours:
        assert sum(it.seconds for name, it in known.items() if name[0] == rule) / 3600 == pytest.approx(hours[rule])
    assert {name[1] for name in known} == set(config.networks)
    assert {name[2] for name in known} == set(config.seeds)


# --- with Snakemake -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_code(tmp_path_factory.mktemp("progress") / "unravel")


def called(checkout, *arguments):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(checkout / "scripts")}
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "1", "--configfile", "config/ci.yaml"]
    return {"args": [*command, "--logger=unravel"], "cwd": checkout, "env": environment}


def test_a_log_has_a_line_for_each_job_that_is_done(checkout):
    done = subprocess.run(**called(checkout, "figure_1"), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    profile, first, *lines, log, last = [line for line in done.stderr.splitlines() if line.strip()]
    assert profile.startswith("Using workflow specific profile")  # Snakemake's own, before it has a logger
    assert first == "2 jobs to do"
    assert [re.sub(r"in \d+ s", "in _ s", line) for line in lines] == [
        "1 of 2 jobs done, less than a minute left | done in _ s: List the paths of a small network, residual-intact",
        "2 of 2 jobs done | done in _ s: Draw Figure 1: a residual network, unraveled",
    ]
    assert log.startswith("Complete log(s): ")
    assert last == "2 of 2 jobs done in less than a minute"
    assert "\x1b" not in done.stderr


def test_a_terminal_has_one_line_that_is_written_anew(checkout):
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 100))
    with subprocess.Popen(**called(checkout, "figure_1", "--forceall"), stderr=writer) as job:
        os.close(writer)
        shown = b""
        while True:
            try:
                shown += os.read(reader, 65536)
            except OSError:  # the other end is closed
                break
    assert job.returncode == 0
    assert b"\r\x1b[K0 of 2 jobs done" in shown
    kept = [line.rpartition("\x1b[K")[2] for line in shown.decode().split("\r\n")]
    assert [line for line in kept if "jobs" in line] == ["2 jobs to do", "2 of 2 jobs done in less than a minute"]


def test_an_error_is_shown_whole_with_the_log_and_its_text(checkout):
    arguments = ("prepare_data", "--config", "dataset={source: arrays, train: gone.npz, test: gone.npz}")
    done = subprocess.run(**called(checkout, *arguments), text=True, capture_output=True)
    assert done.returncode == 1
    assert "Error in rule prepare_data:" in done.stderr
    assert "log: results/ci/logs/data.log (check log file(s) for error details)" in done.stderr
    assert "error: gone.npz: is missing" in done.stderr
    assert done.stderr.splitlines()[-1] == "0 of 1 jobs done in less than a minute"


def test_a_plan_and_a_call_with_nothing_to_do_read_as_without_the_plugin(checkout):
    plan = subprocess.run(**called(checkout, "figure_2", "--dry-run"), text=True, capture_output=True)
    assert "Draw Figure 2: the paths that deleting one block leaves" in plan.stdout
    assert "jobs done" not in plan.stdout + plan.stderr
