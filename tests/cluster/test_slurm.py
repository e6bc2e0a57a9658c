"""The pipeline on a real SLURM cluster of six nodes on this machine: what it makes, asks for, and survives."""

import contextlib
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import slurm_helpers
import yaml
from slurm_helpers import processes, wait
from workflow_helpers import RUN, begin, copy_code, finish

from unravel.cluster import slurm
from unravel.files import InputError, sha256

PROFILE = Path("workflow/profiles/slurm/config.yaml")
TRAINED = RUN / "checkpoints/resnet/seed1.safetensors"
SAVED = TRAINED.with_suffix(".resume.safetensors")
WITHOUT = slurm_helpers.why_not()
LONG = ("training={epochs: 60}", "execution={checkpoint_every: 1}")  # twelve seconds on an idle core


@pytest.fixture(scope="session")
def cluster():
    assert not (WITHOUT and "CI" in os.environ), f"CI is set, and {WITHOUT}"
    if WITHOUT:
        pytest.skip(WITHOUT)
    with slurm_helpers.cluster():
        yield


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A copy of the checkout with the images prepared, as `snakemake prepare_data` on a login node leaves it."""
    folder = copy_code(tmp_path_factory.mktemp("prepared") / "unravel")
    call(folder, "prepare_data", "--cores", "1")
    return folder


@pytest.fixture
def copy(prepared, tmp_path):
    """Make a copy of that checkout whose profile fits the test cluster: no long waits, and the partitions named."""

    def make(name="unravel", **train):
        folder = tmp_path / name
        shutil.copytree(prepared, folder)
        profile = yaml.safe_load((folder / PROFILE).read_text())
        profile |= {"slurm-init-seconds-before-status-checks": 1, "latency-wait": 5}
        profile["set-resources"]["train"] |= train
        (folder / PROFILE).write_text(yaml.safe_dump(profile))
        return folder

    return make


def call(folder, *arguments):
    return finish(begin(folder, *arguments))


def on_cluster(folder, *arguments, **variables):
    return begin(folder, *arguments, "--profile", PROFILE.parent, **variables)


def submitted(said):
    """The kinds of jobs that were submitted, from the names of their logs."""
    return re.findall(r"has been submitted with SLURM jobid \d+ \(log: .*/slurm_logs/([\w.]+)/", said)


def asked(folder, kind):
    """Machines, CPUs and GPUs that each submission of a kind asked for."""
    jobs = [
        job for job in slurm_helpers.run("scontrol", "show", "jobs", "--oneliner").splitlines() if f"{folder}/" in job
    ]
    said = [dict(pair.partition("=")[::2] for pair in job.split()) for job in jobs if f"/{kind}" in job]
    return {(one["NumNodes"], one["NumCPUs"], one.get("TresPerJob")) for one in said}


def results(folder):
    """Hashes of a run's checkpoints, tables and figures."""
    kinds = ("checkpoints", "measurements", "figures")
    files = [file for kind in kinds for file in (folder / RUN / kind).rglob("*") if file.is_file()]
    return {file.relative_to(folder): sha256(file) for file in files}


def test_the_cluster_makes_the_bytes_that_this_machine_makes_and_submits_nothing_twice(cluster, finished_ci, copy):
    folder = copy()
    figures = ("figure_5a", "figure_8", "figure_classes", "figure_7")
    said = finish(on_cluster(folder, *figures))
    made, here = results(folder), results(finished_ci)
    assert made == {file: here[file] for file in made}
    kinds = [file.suffix for file in made]
    assert (kinds.count(".safetensors"), kinds.count(".svg")) == (2, 8)  # each figure for a page and for a phone

    kinds = submitted(said)
    assert kinds.count("rule_train") == 2
    # 4 measurements together, and in one submission figures and what is counted for them.
    assert len([kind for kind in kinds if kind.startswith("group_measurements")]) == 1
    assert len([kind for kind in kinds if kind.startswith("group_drawings")]) == 1
    assert len(kinds) == 4
    assert asked(folder, "group_measurements") == {("1", "1", "gres:gpu:1")}  # one after the other
    assert asked(folder, "group_drawings") == {("1", "1", None)}
    again = finish(on_cluster(folder, *figures))
    assert "Nothing to be done" in again
    assert submitted(again) == []


def test_a_training_survives_its_time_limit_a_preemption_and_a_dead_node(cluster, copy):
    partitions = {"late": "gpu", "preempted": "low", "orphaned": "frail"}
    folders = {name: copy(name, slurm_partition=partition) for name, partition in partitions.items()}
    alone = begin(copy("alone"), TRAINED, "--cores", "1", "--config", *LONG)
    jobs = {name: on_cluster(folder, TRAINED, "--config", *LONG) for name, folder in folders.items()}

    held = hold_in_training(folders)
    assert held["late"][1]["CUDA_VISIBLE_DEVICES"] in ("0", "1")
    number, _ = queued(folders["late"])
    slurm_helpers.run("scontrol", "update", f"JobId={number}", "TimeLimit=1")  # due now, which sends the signal first
    go_on_when_told(held["late"][0])
    both_nodes = ("-p", "high", "-N", "2", "--exclusive")
    urgent = slurm_helpers.run("sbatch", "--parsable", *both_nodes, "-o/dev/null", "--wrap=:").strip()
    go_on_when_told(held["preempted"][0])
    slurm_helpers.crash(queued(folders["orphaned"])[1])
    at_crash = epochs(folders["orphaned"])[-1]

    said = {name: finish(job) for name, job in jobs.items()}
    finish(alone)
    for name, folder in folders.items():
        assert sha256(folder / TRAINED) == sha256(folder.parent / "alone" / TRAINED), name
        assert epochs(folder)[0] > 1, f"{name}: began again"
        assert not (folder / SAVED).exists()
    assert epochs(folders["orphaned"])[0] >= at_crash  # from its last saved epoch, and no earlier
    # Slurm's signal reaches a training, which then saves in mid-epoch. On a busy machine one of the two may be killed
    # before it has; it then goes on from its last saved epoch.
    assert any("stopped before step" in said[name] for name in ("late", "preempted"))
    # Out of time, this one was submitted again; what is preempted may be started again by Slurm, under its old number.
    assert submitted(said["late"]) == ["rule_train", "rule_train"]
    assert "COMPLETED" in slurm_helpers.run("scontrol", "show", "job", urgent)


def test_a_training_by_two_processes_waits_for_two_gpus_of_one_machine(cluster, copy):
    folder = copy()
    taken = [  # while one GPU of each is taken, there are two, on two machines
        slurm_helpers.run(
            "sbatch", "--parsable", "-p", "gpu", "-w", node, "--gres=gpu:1", "--mem=100", "-o/dev/null",
            "--wrap=sleep 600",
        ).strip()
        for node in ("n1", "n2")
    ]  # fmt: skip
    job = on_cluster(folder, TRAINED, "--config", "training={parts: 2, epochs: 1}", "execution={processes: 2}")
    pending = ("squeue", "-h", "-t", "pending", "-o", "%r", "-p", "gpu")
    try:
        wait(lambda: "Resources" in slurm_helpers.run(*pending), 300, "the submission to wait")
    finally:
        slurm_helpers.run("scancel", *taken)
    wait(lambda: queued(folder), 300, "two GPUs")
    assert asked(folder, "rule_train") == {("1", "2", "gres:gpu:2")}
    job.send_signal(signal.SIGINT)  # which cancels what it has submitted
    job.communicate()


def test_two_machines_train_one_network_to_the_bytes_of_one_machine(cluster, copy):
    together = "training={parts: 2, epochs: 40}"
    alone = begin(
        copy("alone"), TRAINED, "--cores", "2", "--config", together, "execution={processes: 2, checkpoint_every: 1}"
    )
    folder = copy()
    job = on_cluster(folder, TRAINED, "--config", together, "execution={nodes: 2, checkpoint_every: 1}")
    wait((folder / SAVED).exists, 300, "a saved state")
    assert queued(folder)[1] == "n[1-2]"
    members = {one["RANK"]: (pid, one) for pid, one in trainings(folder).items() if "RANK" in one}
    assert [members[rank][1]["SLURMD_NODENAME"] for rank in ("0", "1")] == ["n1", "n2"]
    assert all(one["CUDA_VISIBLE_DEVICES"] in ("0", "1") for _, one in members.values())
    os.kill(members["1"][0], signal.SIGKILL)

    said = finish(job)
    finish(alone)
    assert "error: process 1 was ended by SIGKILL; call again to go on from the saved state" in said
    assert submitted(said) == ["rule_train"] * 2
    assert epochs(folder)[0] > 1
    assert sha256(folder / TRAINED) == sha256(folder.parent / "alone" / TRAINED)


def queued(folder):
    """Number and nodes of the one job that runs in a checkout, None without; other tests share the cluster."""
    jobs = slurm_helpers.run("squeue", "-h", "-t", "running", "-o", "%i %N %Z").splitlines()
    found = [job.split()[:2] for job in jobs if job.endswith(f" {folder}")]
    return found[0] if found else None


def hold_in_training(folders):
    """Stop each training once it has saved its state, so that it is still at it when Slurm, which looks at time limits
    every 30 s, gets to it; by names, its process and environment."""
    held = {}

    def hold():
        for name, folder in folders.items():
            if name not in held and (folder / SAVED).exists():
                (held[name],) = trainings(folder).items()
                os.kill(held[name][0], signal.SIGSTOP)
        return len(held) == len(folders)

    wait(hold, 300, "a saved state of each training")
    return held


def go_on_when_told(pid):
    """Let a training that was stopped go on once a signal to end waits for it, or Slurm has woken it or killed it."""

    def told():
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return True
        waiting = int(re.search(r"ShdPnd:\s*(\w+)", status)[1], 16) & 1 << signal.SIGTERM - 1
        return waiting or not re.search(r"State:\s*T", status)

    wait(told, 300, "the signal to end")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def trainings(folder):
    """The environments of all training processes that run in a checkout, by their numbers."""
    found = {}
    for pid in processes():
        process = Path(f"/proc/{pid}")
        with contextlib.suppress(OSError):  # it has just ended
            if "scripts/train.py" in (process / "cmdline").read_text() and (process / "cwd").readlink() == folder:
                pairs = (process / "environ").read_text().split("\0")
                found[pid] = dict(pair.partition("=")[::2] for pair in pairs)
    return found


def epochs(folder):
    """The epochs that the last attempt at a training has told of."""
    log = folder / RUN / "logs/train/resnet-seed1.log"
    return [int(epoch) for epoch in re.findall(r"^epoch (\d+) of", log.read_text(), re.MULTILINE)]


def test_a_failing_job_says_why_and_where_its_log_is(cluster, copy):
    job = on_cluster(copy(), TRAINED, "--config", "training={learning_rate: 1e30}", "--retries", "0")
    said, _ = job.communicate(timeout=300)
    assert job.returncode == 1
    assert "Error in rule train" in said
    assert f"log: {RUN}/logs/train/resnet-seed1.log" in said
    assert re.search(
        r"error: the loss is (nan|inf) at step \d+ \(epoch 1\); try a smaller training.learning_rate", said
    )
    assert "Traceback" not in said


# --- bad input --------------------------------------------------------------------------------------------------------


def test_a_partition_that_is_not_there_ends_the_call_with_one_line_before_anything_is_submitted(cluster, copy):
    folder = copy(slurm_partition="gpus")
    job = on_cluster(folder, TRAINED)
    said, _ = job.communicate(timeout=300)
    assert job.returncode == 1
    assert (
        f"error: {PROFILE}: slurm_partition is 'gpus', this cluster has cpu, frail, gpu, high, low; change it" in said
    )
    assert "Traceback" not in said
    assert submitted(said) == []


def test_sacct_without_accounting_ends_the_call_with_one_line_instead_of_waiting_for_ever(cluster, copy):
    job = on_cluster(copy(), TRAINED, "--slurm-status-command", "sacct")
    said, _ = job.communicate(timeout=300)
    assert job.returncode == 1
    assert "slurm-status-command is sacct, but this cluster keeps no accounting" in said
    assert submitted(said) == []


def test_a_machine_without_sbatch_is_told_what_to_do(prepared, tmp_path):
    for file in Path("/usr/bin").iterdir():
        if file.name not in ("sbatch", "squeue", "sinfo", "scontrol", "sacct"):
            (tmp_path / file.name).symlink_to(file)
    job = on_cluster(prepared, TRAINED, PATH=str(tmp_path))
    said, _ = job.communicate(timeout=300)
    assert job.returncode == 1
    assert "error: executor slurm: there is no sbatch on PATH; call this on the cluster's login node" in said
    assert "Traceback" not in said


def test_a_cluster_that_gives_no_answer_is_named(monkeypatch, tmp_path):
    for name in ("sbatch", "sinfo"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'Unable to contact slurm controller' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(InputError, match="sinfo gets no answer from the cluster: Unable to contact slurm controller"):
        slurm.check(["cpu"], "squeue")
