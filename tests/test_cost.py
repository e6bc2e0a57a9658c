"""Costs: multiply-adds against torch's own counter, shared work against the engine, and rates from job records."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from unravel import config, cost
from unravel.config import VGG, RandomDeletions, Reorderings, ResNet
from unravel.data.batches import random_generator
from unravel.lesions import random_deletions, reorderings, single_deletions
from unravel.networks import build, initialise

ROOT = Path(__file__).resolve().parents[1]
CIFAR = (32, 32, 3)
NETWORKS = [
    (ResNet(architecture="resnet"), CIFAR),
    (ResNet(architecture="resnet", blocks_per_stage=(2, 1), channels=(4, 6)), (9, 7, 1)),
    (ResNet(architecture="resnet", blocks_per_stage=(2, 2), channels=(8, 8)), (8, 8, 3)),
    (
        ResNet(architecture="resnet", block="bottleneck", stem="7x7", blocks_per_stage=(1, 2), channels=(4, 5)),
        (37, 30, 3),
    ),
    (ResNet(architecture="resnet", block="bottleneck", blocks_per_stage=(2, 2), channels=(2, 3)), (9, 7, 1)),
    (VGG(architecture="vgg"), CIFAR),
    (VGG(architecture="vgg", layers_per_stage=(1, 2, 2), channels=6), (9, 8, 1)),
]


@pytest.fixture
def demo():
    return config.read(ROOT / "config" / "config.yaml")


def test_resnet_110_takes_a_quarter_of_a_billion_multiply_adds():
    """He et al. (2016b): 0.255 billion for CIFAR's 110 layers, which includes what is not a convolution."""
    forward = cost.layers(*NETWORKS[0], classes=10).forward
    assert forward == pytest.approx(0.255e9, rel=0.01)


@pytest.mark.parametrize(("network", "shape"), NETWORKS)
def test_forward_multiply_adds_and_parameters_are_those_torch_counts(network, shape):
    built = build(network, shape, 10).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        built(torch.zeros(1, shape[2], *shape[:2]))
    count = cost.layers(network, shape, 10)
    assert 2 * count.forward == counted.get_total_flops()
    weights = [p for p in built.parameters() if p.dim() > 1]  # neither BN nor the linear layer's bias
    assert count.parameters == sum(p.numel() for p in weights)
    assert len(count.residual) == len(built.blocks)


@pytest.mark.parametrize(("network", "shape"), NETWORKS)
def test_a_training_step_is_three_forward_passes(network, shape):
    """Exact but for the first convolution, whose input needs no gradient."""
    built = build(network, shape, 10)
    with FlopCounterMode(display=False) as counted:
        built(torch.zeros(2, shape[2], *shape[:2])).sum().backward()
    first = next(module for module in built.modules() if isinstance(module, torch.nn.Conv2d))
    stem = 2 * 2 * first.weight.numel() * math.prod(math.ceil(side / first.stride[0]) for side in shape[:2])
    assert counted.get_total_flops() == 2 * 2 * 3 * cost.layers(network, shape, 10).forward - stem


def test_lesions_share_as_much_work_as_the_engine_counts(demo, make_split):
    """The demo's studies with fewer draws, on a narrow network of the same depth; within 0.06."""
    network = build(ResNet(architecture="resnet", channels=(1, 1, 1)), (4, 4, 1), 2).eval()
    initialise(network, random_generator(1))
    split = make_split(n=2, shape=(4, 4, 1), classes=2)
    sweeps = {
        "deletions": single_deletions(network, split, 2, 2)[1],
        "random_deletions": random_deletions(network, split, RandomDeletions(draws=10), 2, random_generator(1))[1],
        "reorderings": reorderings(network, split, Reorderings(draws=10, most=12), 2, random_generator(1))[1],
    }
    for study, sweep in sweeps.items():
        assert sweep.block_evaluations / sweep.naive_block_evaluations == pytest.approx(cost.SHARED[study], abs=0.06)


def test_rates_are_medians_of_records_and_constants_elsewhere(demo, tmp_path):
    rates = rates_for(demo, tmp_path)
    assert rates["train", "cpu"].gflops == cost.DEFAULT_GFLOPS["train"]
    assert "assumed" in rates["train", "gpu"].source
    write(tmp_path / "demo/config.yaml", config.to_yaml(demo))
    operations = 2 * cost.work(demo, cost.images(demo, tmp_path), "train", "resnet")
    for seed, seconds, hardware in ((1, 10, {"cpu": "A"}), (2, 20, {"cpu": "A"}), (3, 5, {"cpu": "A", "gpu": "B"})):
        record = {"seconds": seconds, "hardware": hardware, "facts": {"epochs_here": 20}}
        write(tmp_path / f"demo/jobs/checkpoints/resnet/seed{seed}.json", json.dumps(record))
    resumed = {"seconds": 4, "hardware": {"cpu": "A"}, "facts": {"epochs_here": 3}}
    write(tmp_path / "demo/jobs/checkpoints/vgg/seed1.json", json.dumps(resumed))
    rates = rates_for(demo, tmp_path)
    assert rates["train", "cpu"].gflops == pytest.approx(operations * (1 / 10 + 1 / 20) / 2 / 1e9)
    assert rates["train", "cpu"].source == "median of 2 jobs on A"
    assert rates["train", "gpu"].gflops == pytest.approx(operations / 5 / 1e9)
    assert rates["train", "gpu"].source == "median of 1 jobs on B"
    costs = cost.Costs(demo, tmp_path)
    assert costs.seconds("train", "resnet", device="gpu") == pytest.approx(cost.START_SECONDS + 5)
    other = config.parse(demo.model_dump(mode="json") | {"training": {"precision": "bf16"}})
    assert rates_for(other, tmp_path) == rates_for(demo, tmp_path / "empty")
    assert cost.rates(demo, CIFAR, tmp_path) == rates_for(demo, tmp_path / "empty")


def test_the_hours_of_a_stage_are_those_of_its_jobs_whatever_their_threads(demo, tmp_path):
    threaded = config.parse(demo.model_dump(mode="json") | {"execution": {"threads": 4}})
    one, four = cost.Costs(demo, tmp_path), cost.Costs(threaded, tmp_path)
    jobs, hours = one.stages("cpu")["train"]
    trainings = [one.seconds("train", network) for network in demo.networks for _ in demo.seeds]
    assert (jobs, hours) == (12, pytest.approx(sum(trainings) / 3600))
    work = [costs.seconds("train", "vgg") - cost.START_SECONDS for costs in (one, four)]
    assert work[0] == pytest.approx(4 * work[1])


def test_the_prepared_images_are_believed_before_the_table(demo, tmp_path):
    manifest = {"image_shape": [16, 16, 3], "train": {"images": 7}, "test": {"images": 5}, "classes": ["a", "b"]}
    write(tmp_path / "demo/data/digits/manifest.json", json.dumps(manifest))
    assert cost.images(demo, tmp_path) == cost.Images((16, 16, 3), 7, 5, 2)


def test_images_of_ones_own_have_to_be_prepared_first(demo, tmp_path):
    own = config.parse(demo.model_dump(mode="json") | {"dataset": {"source": "folder", "path": "images"}})
    with pytest.raises(cost.InputError, match=r"data/folder/manifest.json: is missing, .* prepare them first"):
        cost.images(own, tmp_path)


def test_imagenet_is_neither_in_memory_nor_in_the_runs_folder(tmp_path):
    """Pre-activation ResNet-200: 64.7 million parameters, and 15.0 billion multiply-adds at 224 pixels."""
    costs = cost.Costs(config.read(ROOT / "config" / "imagenet.yaml"), tmp_path)
    assert costs.layers["resnet-200"].parameters == pytest.approx(64.7e6, rel=0.01)
    assert costs.layers["resnet-200"].forward == pytest.approx(15.0e9, rel=0.01)
    assert costs.disk_mb() < 300
    gigabytes = {rule: costs.memory_mb(rule, "resnet-200", "gpu") / 1000 for rule in ("train", "lesions")}
    assert gigabytes == {"train": 8 * 5.6, "lesions": 5.6}  # eight processes, each with eight that decode


def test_the_page_on_scaling_says_what_the_published_run_gives_as_an_estimate(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import plan

    (tmp_path / "cifar10-short").symlink_to(ROOT / "results/cifar10-short")
    text = " ".join((ROOT / "docs/scaling.md").read_text(encoding="utf-8").split())
    raw = config.read(ROOT / "config/cifar10.yaml").model_dump(mode="json")
    for n_seeds in (3, 100, 1000):
        costs = cost.Costs(config.parse(raw | {"seeds": list(range(n_seeds))}), tmp_path)
        n_jobs = len(list(cost.jobs(costs.config))) + plan.SHORT_JOBS
        hours = [sum(spent for _, spent in costs.stages(device).values()) for device in plan.DEVICES]
        assert f"| {n_seeds:,} | {n_jobs:,} | {hours[0]:,.0f} | {hours[1]:,.0f} |" in text
    train, gradients = (costs.rates[rule, "cpu"].gflops for rule in ("train", "gradients"))
    assert f"did {train:.0f} in training in bf16 and {gradients:.0f} in gradients" in text
    assert f"(one VGG training, then its lesions), {costs.longest_chain('gpu'):.1f} h." in text
    costs = cost.Costs(config.read(ROOT / "config/imagenet.yaml"), tmp_path)
    assert f"{costs.stages('gpu')['train'][1]:.0f} GPU hours" in text
    assert f"{costs.longest_chain('gpu'):.0f} h on the eight GPUs of a machine" in text
    assert f"given {costs.memory_mb('train', 'resnet-200', 'gpu') / 1000:.0f} GB" in text


def test_processes_share_the_time_of_a_training_and_each_takes_memory(demo, tmp_path):
    raw = demo.model_dump(mode="json")
    together = {"training": raw["training"] | {"parts": 8}, "execution": {"processes": 2, "nodes": 4}}
    one, eight = cost.Costs(demo, tmp_path), cost.Costs(config.parse(raw | together), tmp_path)
    on_a_machine = [costs.memory_mb("train", "resnet", "gpu") for costs in (one, eight)]
    assert on_a_machine[1] == pytest.approx(2 * on_a_machine[0], abs=1)
    for device in ("cpu", "gpu"):
        work = [costs.seconds("train", "resnet", device=device) - cost.START_SECONDS for costs in (one, eight)]
        assert work[0] == pytest.approx(8 * work[1])
        assert len({costs.seconds("lesions", "resnet", "deletions", device) for costs in (one, eight)}) == 1


def test_the_rate_of_a_training_by_several_processes_is_that_of_one_device(demo, tmp_path):
    raw = demo.model_dump(mode="json")
    together = config.parse(raw | {"training": raw["training"] | {"parts": 8}, "execution": {"processes": 4}})
    write(tmp_path / "demo/config.yaml", config.to_yaml(together))
    record = {"seconds": 10, "hardware": {"cpu": "A", "gpu": "B"}, "facts": {"epochs_here": demo.training.epochs}}
    write(tmp_path / "demo/jobs/checkpoints/resnet/seed1.json", json.dumps(record))
    operations = 2 * cost.work(demo, cost.images(demo, tmp_path), "train", "resnet")
    assert rates_for(together, tmp_path)["train", "gpu"].gflops == pytest.approx(operations / 10 / 4 / 1e9)


def test_a_pretrained_network_has_no_estimate(demo, tmp_path):
    with pytest.raises(cost.InputError, match=r"networks.resnet-101: the layers of timm:\S+ are not in the config"):
        cost.Costs(config.read(ROOT / "config" / "imagenet-pretrained.yaml"), tmp_path)
    finished = (ROOT / "config" / "imagenet-pretrained.yaml").read_text(encoding="utf-8")
    write(tmp_path / "imagenet-pretrained/config.yaml", finished)
    record = {"seconds": 9, "hardware": {"cpu": "A"}, "facts": {}}
    write(tmp_path / "imagenet-pretrained/jobs/checkpoints/resnet-101/seed1.json", json.dumps(record))
    assert rates_for(demo, tmp_path) == rates_for(demo, tmp_path / "empty")


def test_a_damaged_manifest_or_record_is_named_or_left_out(demo, tmp_path):
    write(tmp_path / "demo/config.yaml", config.to_yaml(demo))
    write(tmp_path / "demo/jobs/checkpoints/resnet/seed1.json", "{")
    assert rates_for(demo, tmp_path) == rates_for(demo, tmp_path / "empty")
    write(tmp_path / "demo/data/digits/manifest.json", "{}")
    with pytest.raises(cost.InputError, match=r"manifest.json: no valid manifest .* prepare the data again"):
        cost.images(demo, tmp_path)


def test_a_local_run_needs_no_estimate(tmp_path):
    """Images of one's own that are not prepared yet: nothing is known of them, and Snakemake plans all the same."""
    own = yaml.safe_load((ROOT / "config" / "ci.yaml").read_text())
    own |= {"run": "not-prepared", "dataset": {"source": "folder", "path": "no-such-folder"}}
    write(tmp_path / "own.yaml", yaml.safe_dump(own))
    assert "Train resnet, seed 1" in dry_run(tmp_path / "own.yaml")


def test_the_plan_is_a_table_marked_as_an_estimate():
    command = [sys.executable, "scripts/plan.py", "--config", "config/cifar10.yaml"]
    said = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout
    assert said.startswith("An estimate for results/cifar10; nothing was run.")
    stages = dict(re.findall(r"^(\w+(?:: \w+)?) +(\d+) +[\d.]+ +[\d.]+$", said, re.MULTILINE))
    assert stages == {
        "train": "12", "predictions": "12", "gradients": "3",
        "lesions: deletions": "9", "lesions: random_deletions": "3", "lesions: reorderings": "3",
    }  # fmt: skip
    assert re.search(r"^Disk: about \d+ MB", said, re.MULTILINE)


def test_the_plan_has_as_many_jobs_as_snakemake_plans(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import plan

    ci = config.read(ROOT / "config" / "ci.yaml")
    total = int(re.search(r"^total +(\d+)", dry_run("config/ci.yaml"), re.MULTILINE)[1])
    assert len(list(cost.jobs(ci))) + plan.SHORT_JOBS == total - 1  # `all` is no job


def dry_run(config_file):
    """What Snakemake says of all jobs of a run, in this checkout."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--configfile", str(config_file)]
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def rates_for(run, results):
    return cost.rates(run, cost.images(run, results).shape, results)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
