"""What a cluster is asked for follows from the estimate, grows with each attempt, and is not estimated for no one."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from unravel.cluster import cost, resources
from unravel.cluster.cost import Job
from unravel.cluster.resources import LONGEST, UNKNOWN_MB, Resources
from unravel.files import InputError
from unravel.run import parse_config, read_config
from unravel.studies import MEASURED

ROOT = Path(__file__).resolve().parents[2]
STUDIES = [None, MEASURED["deletions"], MEASURED["gradients"]]
RESNET = SimpleNamespace(network="resnet", seed="1")  # a job's wildcards


@pytest.fixture(autouse=True)
def no_results(tmp_path, monkeypatch):
    """No finished job says how fast this machine is."""
    monkeypatch.chdir(tmp_path)


def config(**changes):
    return parse_config(read_config(ROOT / "config/config.yaml").model_dump(mode="json") | changes)


def asked(run, device="cpu"):
    """What the jobs of a run are given where someone asks."""
    return Resources(run, device, lambda: True)


@pytest.fixture
def known(monkeypatch):
    """What is asked for where each job takes so many seconds and MB by estimate."""

    def known(seconds, megabytes=700):
        monkeypatch.setattr(cost.Costs, "seconds", lambda self, job, device: seconds)
        monkeypatch.setattr(cost.Costs, "memory_mb", lambda self, job, device: megabytes)
        return asked(config())

    return known


@pytest.mark.parametrize(("seconds", "minutes"), [(0, 5), (20, 6), (21, 7), (3600, 185)])
def test_the_time_limit_is_three_times_the_estimate_and_five_minutes(known, seconds, minutes):
    limit = known(seconds).runtime()
    assert [limit(RESNET, attempt) for attempt in (1, 2, 3)] == [minutes, 2 * minutes, 3 * minutes]


def test_no_attempt_is_given_more_than_a_day(known):
    limit = known(20 * 3600).runtime()
    assert [limit(RESNET, attempt) for attempt in (1, 2)] == [1440, 1440] == [LONGEST] * 2


def test_memory_doubles_with_each_attempt(known):
    memory = known(1).memory()
    assert [memory(RESNET, attempt) for attempt in (1, 2, 3, 4)] == [700, 1400, 2800, 5600]


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.key if study else "training")
def test_each_kind_of_job_is_asked_for_by_its_own_estimate(study, device):
    given, costs = asked(config(), device), cost.Costs(config())
    for name in config().networks:
        wildcards, job = SimpleNamespace(network=name), Job(name, 2, study)
        three_times = 3 * costs.seconds(job, device) / 60
        assert three_times <= given.runtime(study)(wildcards, 1) - 5 < three_times + 1
        assert given.memory(study)(wildcards, 1) == costs.memory_mb(job, device)


def test_where_no_one_asks_nothing_is_estimated(monkeypatch):
    monkeypatch.setattr(resources, "Costs", None)  # which would fail if it were called
    given = Resources(config(), "cpu", lambda: False)
    assert given.runtime()(RESNET, 1) == LONGEST
    assert [given.memory()(RESNET, attempt) for attempt in (1, 2, 3)] == [UNKNOWN_MB, 2 * UNKNOWN_MB, 4 * UNKNOWN_MB]


@pytest.mark.parametrize(
    "unknown",
    [
        config(dataset={"source": "folder", "path": "images"}),  # not prepared yet
        read_config(ROOT / "config/imagenet-pretrained.yaml"),  # of layers that only a library knows
    ],
    ids=["images", "layers"],
)
def test_what_cannot_be_estimated_stops_no_plan(unknown):
    given = asked(unknown, "gpu")
    assert (given.runtime()(RESNET, 1), given.memory()(RESNET, 1)) == (LONGEST, UNKNOWN_MB)


def place(device, **execution):
    return Resources(config(training={"parts": 16}, execution=execution), device, lambda: False).place()


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("gpu", 1)])
def test_a_training_on_one_machine_asks_for_a_gpu_for_each_process_there(device, gpus):
    for processes in (1, 4):
        assert place(device, processes=processes) == {"gpu": gpus * processes, "nodes": 1}


@pytest.mark.parametrize(("processes", "tasks"), [(1, 2), (2, 2), (4, 4)])
@pytest.mark.parametrize(("threads", "workers"), [(1, 0), (2, 3)])
def test_a_training_on_several_machines_asks_for_as_much_on_each(processes, tasks, threads, workers):
    execution = {"processes": processes, "nodes": 2, "threads": threads, "workers": workers}
    on_cpus, on_gpus = place("cpu", **execution), place("gpu", **execution)
    cpus = on_cpus["cpus_per_task"]
    assert on_cpus == {"mpi": "srun", "nodes": 2, "tasks_per_node": tasks, "cpus_per_task": cpus}
    assert on_gpus == {**on_cpus, "gres": f"gpu:{processes}"}
    needed = processes * (threads + workers)  # each process computes and has others that decode
    assert needed <= tasks * cpus < needed + tasks  # enough, and not a whole CPU a task too many


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Commands that answer as those of a cluster with these partitions do."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    answers = {"sbatch": "", "sinfo": "cpu\ngpu\n", "scontrol": "AccountingStorageType = accounting_storage/slurmdbd"}
    for name, answer in answers.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nprintf '{answer}'\n")
        path.chmod(0o755)


def job(partition, is_local=False):
    return SimpleNamespace(is_local=is_local, resources=SimpleNamespace(slurm_partition=partition))


def test_a_partition_that_the_cluster_lacks_is_named_and_one_that_it_has_is_not(cluster):
    resources.check([job("cpu"), job("gpu"), job("none-is-asked", is_local=True)], None)
    with pytest.raises(InputError, match="slurm_partition is 'gpus', this cluster has cpu, gpu; change it there"):
        resources.check([job("cpu"), job("gpus")], None)
