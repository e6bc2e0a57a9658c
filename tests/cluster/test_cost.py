"""Costs: multiply-adds against closed forms, shared work against the engine, and rates from job records."""

import itertools
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

from unravel.cluster import cost
from unravel.cluster.cost import Job
from unravel.config import VGG, Evaluation, ResNet
from unravel.data.batches import random_generator
from unravel.engine.sweeps import Images
from unravel.networks import build, counting, initialise
from unravel.run import parse_config, read_config, to_yaml
from unravel.studies import MEASURED
from unravel.studies.measuring import measured

ROOT = Path(__file__).resolve().parents[2]
CIFAR = (32, 32, 3)
BASIC = [
    (ResNet(architecture="resnet"), CIFAR),
    (ResNet(architecture="resnet", blocks_per_stage=(2, 1), channels=(4, 6)), (9, 7, 1)),
    (ResNet(architecture="resnet", blocks_per_stage=(2, 2), channels=(8, 8)), (8, 8, 3)),
]
PLAIN = [
    (VGG(architecture="vgg"), CIFAR),
    (VGG(architecture="vgg", layers_per_stage=(1, 2, 2), channels=6), (9, 8, 1)),
]
DEEP = ResNet(architecture="resnet", block="bottleneck", stem="7x7", blocks_per_stage=(1, 2), channels=(4, 5))


@pytest.fixture
def demo():
    return read_config(ROOT / "config" / "config.yaml")


def by_hand(convolutions, linear):
    """Multiply-adds and weights of layers: a convolution as (places, channels in, channels out, its side)."""
    weights = [inside * outside * side**2 for _, inside, outside, side in convolutions]
    operations = [places * each for (places, *_), each in zip(convolutions, weights, strict=True)]
    return sum(operations) + math.prod(linear), sum(weights) + math.prod(linear)


def test_resnet_110_takes_a_quarter_of_a_billion_multiply_adds():
    """He et al. (2016b): 0.255 billion for CIFAR's 110 layers, which includes what is not a convolution."""
    forward = counting.layers(*BASIC[0], classes=10).forward
    assert forward == pytest.approx(0.255e9, rel=0.01)


@pytest.mark.parametrize(("network", "shape"), BASIC)
def test_a_residual_network_computes_what_its_convolutions_do_by_hand(network, shape):
    """Two 3x3 convolutions a block; where it halves the sides, which are rounded up, or widens, a 1x1 projection."""
    height, width, inside = shape
    places, first = height * width, network.channels[0]
    convolutions, residual, outputs = [(places, inside, first, 3)], [], 0
    inside = first
    for stage, (n_blocks, channels) in enumerate(zip(network.blocks_per_stage, network.channels, strict=True)):
        for block in range(n_blocks):
            if stage > 0 and block == 0:
                height, width = math.ceil(height / 2), math.ceil(width / 2)
                places = height * width
                convolutions.append((places, inside, channels, 1))
            branch = [(places, inside, channels, 3), (places, channels, channels, 3)]
            convolutions += branch
            residual.append(by_hand(branch, (0,))[0])
            outputs += places * channels
            inside = channels
    count = counting.layers(network, shape, 10)
    assert (count.forward, count.parameters) == by_hand(convolutions, (inside, 10))
    assert (count.residual, count.outputs) == (tuple(residual), outputs)


@pytest.mark.parametrize(("network", "shape"), PLAIN)
def test_a_plain_network_computes_what_its_convolutions_do_by_hand(network, shape):
    """One 3x3 convolution a layer; pooling after each stage but the last halves the sides, rounded down."""
    height, width, inside = shape
    convolutions, outputs = [], []
    for stage, n_layers in enumerate(network.layers_per_stage):
        for layer in range(n_layers):
            convolutions.append((height * width, inside, network.channels, 3))
            inside = network.channels
            if layer == n_layers - 1 and stage < len(network.layers_per_stage) - 1:
                height, width = height // 2, width // 2
            outputs.append(height * width * inside)
    count = counting.layers(network, shape, 10)
    assert (count.forward, count.parameters) == by_hand(convolutions, (inside, 10))
    assert count.residual == tuple(by_hand([layer], (0,))[0] for layer in convolutions[1:])  # the first is the stem
    assert count.outputs == sum(outputs[1:])


def test_bottleneck_blocks_compute_what_their_convolutions_do_by_hand():
    """37x30 pixels are halved by the 7x7 convolution, by the pooling after it, and by the second stage."""
    halved, stages = 19 * 15, (10 * 8, 5 * 4)
    branches = [
        [(stages[0], 4, 4, 1), (stages[0], 4, 4, 3), (stages[0], 4, 16, 1)],
        [(stages[0], 16, 5, 1), (stages[1], 5, 5, 3), (stages[1], 5, 20, 1)],  # the stride is the 3x3 convolution's
        [(stages[1], 20, 5, 1), (stages[1], 5, 5, 3), (stages[1], 5, 20, 1)],
    ]
    rest = [(halved, 3, 4, 7), (stages[0], 4, 16, 1), (stages[1], 16, 20, 1)]
    count = counting.layers(DEEP, (37, 30, 3), 10)
    assert (count.forward, count.parameters) == by_hand([*rest, *itertools.chain(*branches)], (20, 10))
    assert count.residual == tuple(by_hand(branch, (0,))[0] for branch in branches)
    assert count.outputs == 16 * stages[0] + 2 * 20 * stages[1]


def test_a_network_is_counted_without_memory_for_it():
    huge = ResNet(architecture="resnet", blocks_per_stage=(1,), channels=(300_000,))  # 6 TB of weights
    assert counting.layers(huge, (4, 4, 3), 2).parameters == 300_000 * (9 * 3 + 2 * 9 * 300_000 + 2)


@pytest.mark.parametrize(("network", "shape"), [*BASIC[1:], *PLAIN[1:], (DEEP, (37, 30, 3))])
def test_a_training_step_is_three_forward_passes(network, shape):
    """Torch's own count of forward and backward, exact but for the first convolution, whose input needs no gradient."""
    built = build(network, shape, 10)
    with FlopCounterMode(display=False) as counted:
        built(torch.zeros(2, shape[2], *shape[:2])).sum().backward()
    first = next(module for module in built.modules() if isinstance(module, torch.nn.Conv2d))
    stem = 2 * 2 * first.weight.numel() * math.prod(math.ceil(side / first.stride[0]) for side in shape[:2])
    assert counted.get_total_flops() == 2 * 2 * 3 * counting.layers(network, shape, 10).forward - stem


@pytest.mark.parametrize("key", ["deletions", "random_deletions", "reorderings"])
def test_lesions_share_as_much_work_as_the_engine_counts(demo, make_split, key):
    """The demo's studies with fewer draws, on a narrow network of the same depth; within 0.06."""
    network = build(ResNet(architecture="resnet", channels=(1, 1, 1)), (4, 4, 1), 2).eval()
    initialise(network, random_generator(1))
    split, study = make_split(n=2, shape=(4, 4, 1), classes=2), MEASURED[key]
    section = demo.section(key)
    if "draws" in type(section).model_fields:
        section = section.model_copy(update={"draws": 10})
    images = Images(lambda _: split, 2, Evaluation(batch_size=2))
    _, facts = measured(study, section, network, images, "resnet", 1)
    shared = facts["block_evaluations"] / facts["naive_block_evaluations"]
    assert shared == pytest.approx(study.measurement.cost.shared, abs=0.06)


def test_rates_are_medians_of_records_and_constants_elsewhere(demo, tmp_path):
    rates = rates_for(demo, tmp_path)
    assert rates["train", "cpu"].gflops == cost.DEFAULT_GFLOPS["train"]
    assert "assumed" in rates["train", "gpu"].source
    write(tmp_path / "demo/config.yaml", to_yaml(demo))
    operations = 2 * cost.work(demo, cost.images(demo, tmp_path), Job("resnet", 1))
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
    assert costs.seconds(Job("resnet", 1), device="gpu") == pytest.approx(cost.START_SECONDS + 5)
    other = parse_config(demo.model_dump(mode="json") | {"training": {"precision": "bf16"}})
    assert rates_for(other, tmp_path) == rates_for(demo, tmp_path / "empty")
    assert cost.rates(demo, CIFAR, tmp_path) == rates_for(demo, tmp_path / "empty")


@pytest.mark.parametrize("key", ["paths_in_training", "true_ensemble"])
def test_a_study_that_trains_is_estimated_at_the_rate_of_training(key, tmp_path):
    """What the published run measured, within a factor of 1.5. No rate comes from it, as it timed other work too."""
    (tmp_path / "cifar10-short").symlink_to(ROOT / "results/cifar10-short")
    config = read_config(tmp_path / "cifar10-short/config.yaml")
    job = Job("resnet", 1, MEASURED[key])
    took = json.loads((tmp_path / "cifar10-short/jobs" / job.record).read_text())["seconds"]
    costs = cost.Costs(config, tmp_path)
    assert took / 1.5 < costs.seconds(job) < 1.5 * took
    trainings = len(config.networks) * len(config.seeds)
    assert costs.rates["train", "cpu"].source.startswith(f"median of {trainings} jobs")


def test_the_hours_of_a_stage_are_those_of_its_jobs_whatever_their_threads(demo, tmp_path):
    threaded = parse_config(demo.model_dump(mode="json") | {"execution": {"threads": 4}})
    one, four = cost.Costs(demo, tmp_path), cost.Costs(threaded, tmp_path)
    jobs, hours = one.stages("cpu")["train"]
    trainings = [one.seconds(Job(network, 1)) for network in demo.networks for _ in demo.seeds]
    assert (jobs, hours) == (12, pytest.approx(sum(trainings) / 3600))
    work = [costs.seconds(Job("vgg", 1)) - cost.START_SECONDS for costs in (one, four)]
    assert work[0] == pytest.approx(4 * work[1])


def test_the_prepared_images_are_believed_before_the_table(demo, tmp_path):
    manifest = {"image_shape": [16, 16, 3], "train": {"images": 7}, "test": {"images": 5}, "classes": ["a", "b"]}
    write(tmp_path / "demo/data/digits/manifest.json", json.dumps(manifest))
    assert cost.images(demo, tmp_path) == cost.Images((16, 16, 3), 7, 5, 2)


def test_images_of_ones_own_have_to_be_prepared_first(demo, tmp_path):
    own = parse_config(demo.model_dump(mode="json") | {"dataset": {"source": "folder", "path": "images"}})
    with pytest.raises(cost.InputError, match=r"data/folder/manifest.json: is missing, .* prepare them first"):
        cost.images(own, tmp_path)


def test_imagenet_is_neither_in_memory_nor_in_the_runs_folder(tmp_path):
    """Pre-activation ResNet-200: 64.7 million parameters, and 15.0 billion multiply-adds at 224 pixels."""
    costs = cost.Costs(read_config(ROOT / "config" / "imagenet.yaml"), tmp_path)
    assert costs.layers["resnet-200"].parameters == pytest.approx(64.7e6, rel=0.01)
    assert costs.layers["resnet-200"].forward == pytest.approx(15.0e9, rel=0.01)
    assert costs.disk_mb() < 300
    studies = (None, MEASURED["deletions"])
    gigabytes = [costs.memory_mb(Job("resnet-200", 1, study), "gpu") / 1000 for study in studies]
    assert gigabytes == [8 * 5.6, 5.6]  # eight processes train, each with eight that decode


def test_the_page_on_scaling_says_what_the_published_run_gives_as_an_estimate(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import plan

    (tmp_path / "cifar10-short").symlink_to(ROOT / "results/cifar10-short")
    text = " ".join((ROOT / "docs/scaling.md").read_text(encoding="utf-8").split())
    raw = read_config(ROOT / "config/cifar10.yaml").model_dump(mode="json")
    for n_seeds in (3, 100, 1000):
        costs = cost.Costs(parse_config(raw | {"seeds": list(range(n_seeds))}), tmp_path)
        n_jobs = len(list(cost.jobs(costs.config))) + plan.short_jobs(costs.config)
        hours = [sum(spent for _, spent in costs.stages(device).values()) for device in plan.DEVICES]
        assert f"| {n_seeds:,} | {n_jobs:,} | {hours[0]:,.0f} | {hours[1]:,.0f} |" in text
    train, gradients = (costs.rates[rule, "cpu"].gflops for rule in ("train", "backward"))
    assert f"did {train:.0f} in training in bf16 and {gradients:.0f} in gradients" in text
    assert f"(one VGG training, then its lesions), {costs.longest_chain('gpu'):.1f} h." in text
    costs = cost.Costs(read_config(ROOT / "config/imagenet.yaml"), tmp_path)
    assert f"{costs.stages('gpu')['train'][1]:.0f} GPU hours" in text
    assert f"{costs.longest_chain('gpu'):.0f} h on the eight GPUs of a machine" in text
    assert f"given {costs.memory_mb(Job('resnet-200', 1), 'gpu') / 1000:.0f} GB" in text


def test_processes_share_the_time_of_a_training_and_each_takes_memory(demo, tmp_path):
    raw = demo.model_dump(mode="json")
    together = {"training": raw["training"] | {"parts": 8}, "execution": {"processes": 2, "nodes": 4}}
    one, eight = cost.Costs(demo, tmp_path), cost.Costs(parse_config(raw | together), tmp_path)
    on_a_machine = [costs.memory_mb(Job("resnet", 1), "gpu") for costs in (one, eight)]
    assert on_a_machine[1] == pytest.approx(2 * on_a_machine[0], abs=1)
    for device in ("cpu", "gpu"):
        work = [costs.seconds(Job("resnet", 1), device) - cost.START_SECONDS for costs in (one, eight)]
        assert work[0] == pytest.approx(8 * work[1])
        deleting = Job("resnet", 1, MEASURED["deletions"])
        assert len({costs.seconds(deleting, device) for costs in (one, eight)}) == 1


def test_the_rate_of_a_training_by_several_processes_is_that_of_one_device(demo, tmp_path):
    raw = demo.model_dump(mode="json")
    together = parse_config(raw | {"training": raw["training"] | {"parts": 8}, "execution": {"processes": 4}})
    write(tmp_path / "demo/config.yaml", to_yaml(together))
    record = {"seconds": 10, "hardware": {"cpu": "A", "gpu": "B"}, "facts": {"epochs_here": demo.training.epochs}}
    write(tmp_path / "demo/jobs/checkpoints/resnet/seed1.json", json.dumps(record))
    operations = 2 * cost.work(demo, cost.images(demo, tmp_path), Job("resnet", 1))
    assert rates_for(together, tmp_path)["train", "gpu"].gflops == pytest.approx(operations / 10 / 4 / 1e9)


def test_a_pretrained_network_has_no_estimate(demo, tmp_path):
    with pytest.raises(cost.InputError, match=r"networks.resnet-101: the layers of timm:\S+ are not in the config"):
        cost.Costs(read_config(ROOT / "config" / "imagenet-pretrained.yaml"), tmp_path)
    finished = (ROOT / "config" / "imagenet-pretrained.yaml").read_text(encoding="utf-8")
    write(tmp_path / "imagenet-pretrained/config.yaml", finished)
    record = {"seconds": 9, "hardware": {"cpu": "A"}, "facts": {}}
    write(tmp_path / "imagenet-pretrained/jobs/checkpoints/resnet-101/seed1.json", json.dumps(record))
    assert rates_for(demo, tmp_path) == rates_for(demo, tmp_path / "empty")


def test_a_damaged_manifest_or_record_is_named_or_left_out(demo, tmp_path):
    write(tmp_path / "demo/config.yaml", to_yaml(demo))
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
    stages = dict(re.findall(r"^(\w+) +(\d+) +[\d.]+ +[\d.]+$", said, re.MULTILINE))
    assert stages == {
        "train": "12", "measure_short_training": "12", "measure_path_gradients": "3",
        "measure_untrained_gradients": "3", "measure_single_deletion": "9", "measure_random_deletion": "3",
        "measure_reordering": "3", "measure_live_network": "1",
    }  # fmt: skip
    assert re.search(r"^Disk: about \d+ MB", said, re.MULTILINE)


def test_the_plan_has_as_many_jobs_as_snakemake_plans(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import plan

    ci = read_config(ROOT / "config" / "ci.yaml")
    total = int(re.search(r"^total +(\d+)", dry_run("config/ci.yaml"), re.MULTILINE)[1])
    assert len(list(cost.jobs(ci))) + plan.short_jobs(ci) == total - 1  # `all` is no job


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
