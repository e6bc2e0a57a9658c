"""Several processes that train one network: equal to one process, resumed to the last bit, and ended in one line."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from data_helpers import encoded, write_folder
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from unravel.config import Training
from unravel.data import preparation
from unravel.files import InputError, sha256
from unravel.networks import Network
from unravel.run import parse_config, read_config
from unravel.training import checkpoints, distributed, loop
from unravel.training.distributed import Group
from unravel.training.steps import Step

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
CONFIG = """
run: small
scale: ci
dataset: {{source: imagenet, path: {images}, classes: 3, image_size: 32, resize: 36}}
networks:
  resnet: {{architecture: resnet, block: bottleneck, stem: 7x7, blocks_per_stage: [1, 2, 2], channels: [4, 4, 8]}}
seeds: [1]
deletions: {{figure_3: [resnet], figure_8: [resnet]}}
random_deletions: {{most: 2}}
training: {{epochs: {epochs}, batch_size: 16, parts: 2, warmup_steps: 2, precision: bf16}}
execution: {{processes: {processes}, workers: {workers}, checkpoint_every: 1, device: cpu}}
"""


def tree():
    """Three classes of 36x36 images, each with a pattern of its own; 15 to train and 4 to test."""
    random = np.random.default_rng(0)
    patterns = np.kron(random.integers(0, 256, (3, 6, 6, 3)), np.ones((1, 6, 6, 1)))
    return {
        f"{split}/c{label}/{number:02}.png": encoded(
            np.clip(patterns[label] * 0.6 + random.normal(60, 40, (36, 36, 3)), 0, 255).astype(np.uint8)
        )
        for split, n in (("train", 15), ("val", 4))
        for label in range(3)
        for number in range(n)
    }


def prepare(folder, processes=2, epochs=3, workers=0):
    """Images, their lists and a config in a folder; returns the command that trains there."""
    images = write_folder(folder / "images", tree())
    path = folder / "config.yaml"
    path.write_text(CONFIG.format(images=images, processes=processes, epochs=epochs, workers=workers))
    preparation.prepare(read_config(path).dataset, folder / "data")
    options = {
        "config": path, "data": folder / "data/manifest.json", "network": "resnet", "seed": 1,
        "checkpoint": folder / "seed1.safetensors", "history": folder / "history.csv", "record": folder / "record.json",
    }  # fmt: skip
    return [sys.executable, str(SCRIPTS / "train.py"), *(f"--{key}={value}" for key, value in options.items())]


def run(command):
    return subprocess.run(command, text=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def start(command):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, text=True, stderr=subprocess.PIPE, env=environment, start_new_session=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a training by two processes that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    done = run(prepare(folder))
    assert done.returncode == 0, done.stderr
    assert re.findall(r"epoch (\d) of 3", done.stderr) == ["1", "2", "3"]  # told once, not by each process
    return folder


def test_two_processes_train_as_one_does_that_computes_each_batch_in_two_parts(whole, tmp_path):
    assert run(prepare(tmp_path, processes=1)).returncode == 0
    two, one = (pd.read_csv(folder / "history.csv") for folder in (whole, tmp_path))
    np.testing.assert_allclose(two.train_loss, one.train_loss, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(two.train_error_percent, one.train_error_percent)
    states = [checkpoints.read_tensors(folder / "seed1.safetensors")[0] for folder in (whole, tmp_path)]
    for name, tensor in states[0].items():
        # BN's running statistics are the first process's own; no weight depends on them
        if "running" not in name and "tracked" not in name:
            torch.testing.assert_close(tensor, states[1][name], rtol=0, atol=1e-5, msg=name)


def test_a_training_of_two_processes_told_to_end_goes_on_to_the_same_bytes(whole, tmp_path):
    command = prepare(tmp_path, workers=1)
    with start(command) as process:
        process.stderr.readline()  # the first epoch is done
        os.killpg(process.pid, signal.SIGTERM)  # as a time limit does: all processes at once, those that decode too
        told = process.stderr.read()
    assert process.returncode == 1
    assert re.fullmatch(r"(epoch 2.*\n)?stopped before step \d of 3 in epoch \d of 3; its state is saved.*\n", told)
    assert run(command).returncode == 0
    assert sha256(tmp_path / "seed1.safetensors") == sha256(whole / "seed1.safetensors")
    assert (tmp_path / "history.csv").read_bytes() == (whole / "history.csv").read_bytes()


def test_an_image_that_one_process_cannot_decode_ends_the_training_with_its_name(tmp_path):
    command = prepare(tmp_path, workers=1)
    (damaged,) = (tmp_path / "images/val").glob("c1/01.png")  # a test image of the second process alone
    damaged.write_bytes(damaged.read_bytes()[:-200])
    done = run(command)
    assert done.returncode == 1
    assert re.fullmatch(rf"error: {damaged}: cannot be decoded .*; copy or unpack it again\n", done.stderr), done.stderr


def test_a_process_that_is_killed_ends_the_training_in_one_line(tmp_path):
    with start(prepare(tmp_path, epochs=500)) as process:
        process.stderr.readline()  # the first epoch is done
        members = subprocess.run(["pgrep", "-P", str(process.pid)], text=True, capture_output=True).stdout.split()
        environments = {pid: Path(f"/proc/{pid}/environ").read_bytes() for pid in members}
        (second,) = (int(pid) for pid, environment in environments.items() if b"\0RANK=1\0" in environment)
        os.kill(second, signal.SIGKILL)
        told = [line for line in process.stderr.read().splitlines() if not line.startswith("epoch ")]
    assert process.returncode == 1
    assert told == ["error: process 1 was ended by SIGKILL; call again to go on from the saved state"]


def test_processes_that_do_not_divide_the_parts_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with (
        pytest.raises(
            InputError, match=r"^3 processes do not divide the 8 parts of a batch; make training.parts a mul"
        ),
        distributed.joined(torch.device("cpu"), 8),
    ):
        pass


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ((-9, 75), "process 0 was ended by SIGKILL; call again to go on from the saved state"),
        ((75, 1), "process 1 failed; its trace stands above"),
        ((75, 75), "the processes here lost another one, which says why in the same log"),
    ],
)
def test_the_reason_is_that_of_the_process_that_failed_by_itself(codes, said):
    failures = {rank: ProcessFailure(rank, 1000 + rank, code, "none") for rank, code in enumerate(codes)}
    assert distributed.reason(failures) == said


def test_several_machines_are_those_of_a_slurm_job(tmp_path):
    command = prepare(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(path.read_text().replace("processes: 2", "nodes: 2"))
    done = run(command)
    assert done.returncode == 1
    assert done.stderr == (
        "error: execution.nodes is 2, but this is no SLURM job; call snakemake with --profile workflow/profiles/slurm, "
        "or set execution.nodes to 1\n"
    )


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"execution": {"processes": 3}, "training": {"parts": 8}}, "execution.processes is 3, which does not divide"),
        (
            {"execution": {"processes": 2, "nodes": 2}, "training": {"parts": 2}},
            "2 on each of 2 nodes, .* multiple of 4",
        ),
        ({"training": {"parts": 3}}, "batch_size 128 has no 3 equal parts of at least 2 images"),
        ({"training": {"parts": 128}}, "batch_size 128 has no 128 equal parts of at least 2 images"),
    ],
)
def test_a_config_whose_parts_do_not_fit_is_refused(section, message):
    raw = {
        "run": "r",
        "scale": "ci",
        "dataset": {"source": "digits"},
        "networks": {"resnet": {"architecture": "resnet"}},
    }
    names = {"figure_3": ["resnet"], "figure_8": ["resnet"]}
    with pytest.raises(InputError, match=message):
        parse_config({**raw, "deletions": names, **section})


@pytest.mark.parametrize("n_images", [64, 70, 65])
def test_the_shares_of_all_processes_make_up_the_batch(n_images):
    settings = Training(batch_size=16, parts=4)
    steps = loop.steps_per_epoch(n_images, settings)
    assert steps == {64: 4, 70: 4, 65: 4}[n_images] + (n_images % 16 >= 8)
    for size in (1, 2, 4):
        taken = [
            place
            for step in range(steps)
            for rank in range(size)
            for place in range(n_images)[loop.share(step, n_images, settings, Group(rank, size))]
        ]
        assert taken == list(range(64))


@dataclass(frozen=True)
class SecondOfTwo(Group):
    """The second process, with the first one's network at hand: what a message would bring, it takes from there."""

    first_one: Network | None = None
    wrong_there: int = 0

    def copy_from_first(self, tensors):
        for tensor, firsts in zip(tensors, self.first_one.buffers(), strict=True):
            tensor.copy_(firsts)

    def total(self, tensor):
        return tensor + self.wrong_there


def test_every_process_counts_the_errors_of_the_first_ones_network(make_network, make_split):
    """BN statistics are each process's own, and those of the first are saved."""
    first, second = (make_network(seed=seed, dtype=torch.float32) for seed in (1, 2))
    first.load_state_dict(dict(second.named_parameters()), strict=False)
    split = make_split(n=64)

    def wrong(network):
        with torch.inference_mode():
            return (network(split.normalised(slice(None))).argmax(dim=1) != split.labels).int()

    expected, own = wrong(first), wrong(second)
    assert expected[1::2].sum() != own[1::2].sum()  # else its own statistics would do as well
    group = SecondOfTwo(1, 2, first, int(expected[::2].sum()))
    assert loop.test_error(second, split, group) == 100 * int(expected.sum()) / 64


def test_a_batch_in_parts_is_trained_as_their_mean_gradient(make_network, make_split):
    settings = Training(batch_size=16, parts=4, precision="fp32", weight_decay=0, momentum=0)
    split, network, reference = make_split(n=16), make_network(dtype=torch.float32), make_network(dtype=torch.float32)
    images, labels = split.normalised(slice(None)), split.labels
    loss, wrong = Step(network.train(), settings)(images, labels, network.intact, 0.1)
    reference.train()
    parts = [
        torch.nn.functional.cross_entropy(reference(images[at : at + 4]), labels[at : at + 4]) for at in (0, 4, 8, 12)
    ]
    mean = torch.stack(parts).mean()
    torch.testing.assert_close(loss, mean.detach())
    assert 0 <= int(wrong) <= 16
    gradients = torch.autograd.grad(mean, list(reference.parameters()))
    for value, before, gradient in zip(network.parameters(), reference.parameters(), gradients, strict=True):
        torch.testing.assert_close(value, before - 0.1 * gradient, rtol=1e-5, atol=1e-7)
