"""What a run costs before it has run: multiply-adds counted from the config, times a rate measured in finished jobs.

An estimate, for planning and for the time limits of a cluster's jobs. Elementwise steps and waiting for files are not
counted; they are in the rate. torch is imported only where something is estimated.
"""

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unravel.config import AllBlocks, Digits, Download, ImageNet, Pretrained, ResNet
from unravel.files import InputError, read_json
from unravel.run import Config, read_config
from unravel.studies import MEASURED
from unravel.studies.base import Cost, Size, Study

if TYPE_CHECKING:
    from unravel.networks.counting import Layers

Shape = tuple[int, int, int]  # height, width, channels

KNOWN = {
    "digits": ((8, 8, 1), 1198, 599, 10),
    "cifar10": ((32, 32, 3), 50_000, 10_000, 10),
    "cifar100": ((32, 32, 3), 50_000, 10_000, 100),
    "fashion-mnist": ((28, 28, 1), 60_000, 10_000, 10),
}
IMAGENET_CLASSES, IMAGENET_IMAGES = 1000, (1_281_167, 50_000)

# Billions of operations (a multiply-add is two) per second of one core: the demo run's median job, on a machine that
# did other things at the same time. Records of finished runs take their place.
MEASURED_ON = "one core of a busy 2-core Intel Xeon, demo run"
DEFAULT_GFLOPS = {"train": 35.0, "forward": 60.0, "backward": 16.0}
# Assumed until a job has run on a GPU: what launching small kernels leaves of a GPU of 2020 or later. At this rate
# ResNet-110 trains in 8 s an epoch of CIFAR-10; what GPUs reach differs by a factor of ten from it, either way.
GPU_GFLOPS = {"train": 10_000.0, "forward": 10_000.0, "backward": 2_000.0}

TIMED_SECONDS = 3  # a shorter job says nothing of the rate
START_SECONDS = 20  # interpreter, libraries and images, on a busy machine
BASE_MB, GPU_MB = 1500, 4000  # of a process with torch; with the driver's share for a GPU
WORKER_MB = 200  # of a process that decodes images: 21 MB of its own and a share of what others hold, measured
KEPT = 8  # tensors of a block's output size that training keeps for the backward pass


@dataclass(frozen=True)
class Images:
    """The shape of the images, how many there are, and of how many classes."""

    shape: Shape
    train: int
    test: int
    classes: int
    streamed: bool = False  # decoded while they are needed, instead of kept in memory and in the run's folder

    @property
    def bytes(self) -> int:
        """What they and their labels take in memory, and on disk."""
        return 0 if self.streamed else (self.train + self.test) * (math.prod(self.shape) + 8)


def images(config: Config, results: Path = Path("results")) -> Images:
    """The images of a run: as prepared, or as known of its source.

    Raises InputError if they are the user's own and not yet prepared.
    """
    manifest = results / config.run / "data" / config.dataset.name / "manifest.json"
    streamed = isinstance(config.dataset, ImageNet)
    if manifest.is_file():
        try:
            found = read_json(manifest, "prepare the data again")
            height, width, channels = found["image_shape"]
            counts = found["train"]["images"], found["test"]["images"]
            return Images((height, width, channels), *counts, len(found["classes"]), streamed)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{manifest}: no valid manifest ({error}); prepare the data again") from error
    if isinstance(config.dataset, Digits | Download):
        return Images(*KNOWN[config.dataset.source])
    if isinstance(config.dataset, ImageNet) and config.dataset.classes == IMAGENET_CLASSES:
        size = config.dataset.image_size
        return Images((size, size, 3), *IMAGENET_IMAGES, IMAGENET_CLASSES, streamed)
    raise InputError(
        f"{manifest}: is missing, so the images' size is not known; prepare them first, with the run's config: "
        "snakemake prepare_data --cores 1"
    )


@dataclass(frozen=True)
class Job:
    """A job that computes with a network: a training, or, with `study`, what that study measures."""

    network: str
    seed: int
    study: Study | None = None

    @property
    def rule(self) -> str:
        """The rule that it is a job of."""
        return "train" if self.study is None else f"measure_{self.study.name}"

    @property
    def record(self) -> str:
        """Its record below jobs/."""
        if self.study is None:
            return f"checkpoints/{self.network}/seed{self.seed}.json"
        return f"measurements/{self.study.stem(self.network, self.seed)}.json"

    @property
    def cost(self) -> Cost:
        """What its measurement costs."""
        assert self.study is not None
        assert self.study.measurement is not None
        assert self.study.measurement.cost is not None
        return self.study.measurement.cost

    @property
    def kind(self) -> str:
        """What its rate depends on: train, forward or backward."""
        if self.study is None or self.cost.trains:
            return "train"
        return "forward" if self.cost.backward_images is None else "backward"


def jobs(config: Config) -> Iterator[Job]:
    """Every job of a run that computes with a network."""
    for seed in config.seeds:
        for network in config.networks:
            yield Job(network, seed)
        for study in MEASURED.values():
            assert study.measurement is not None
            if study.measurement.cost is not None and seed in study.measurement.seeds(config):
                for network in study.measurement.networks(config):
                    yield Job(network, seed, study)


# --- counting -------------------------------------------------------------------------------------------------------


def layers(config: Config, data: Images, network: str) -> "Layers":
    """The layers of a network of the config. Raises InputError for a pretrained one, which the config only names."""
    from unravel.networks import counting  # here: only what is estimated needs torch

    made_of = config.networks[network]
    if isinstance(made_of, Pretrained):
        raise InputError(
            f"networks.{network}: the layers of {made_of.name} are not in the config, so nothing is estimated"
        )
    return counting.layers(made_of, data.shape, data.classes)


def work(config: Config, data: Images, job: Job) -> float:
    """Multiply-adds of one job; those of lesions less what is expected to be shared."""
    count, made_of = layers(config, data, job.network), config.networks[job.network]
    sampling = made_of.block_sampling if isinstance(made_of, ResNet) else AllBlocks(scheme="all")
    if job.study is None:
        survival = sampling.survival(len(count.residual))
        trained = sum(share * block for share, block in zip(survival, count.residual, strict=True))
        step = 3 * (trained + count.rest)  # forward, and backward to inputs and to weights
        return config.training_of(job.network).epochs * (data.train * step + data.test * count.forward)
    size = Size(count.forward, len(count.residual), data.train, data.test, sampling.scheme != "all")
    return job.cost.multiply_adds(config, size) * job.cost.shared


# --- rates ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """Billions of operations per second on a kind of device, and where that was measured."""

    gflops: float
    source: str


Kind = tuple[str, str]  # train, forward or backward, and cpu (one core) or gpu


def rates(like: Config, shape: Shape, results: Path) -> dict[Kind, Rate]:
    """The median rate of finished jobs below `results`, by kind and device; constants where there are none.

    Only jobs on images of this shape in the precision of the run `like` count: a CPU may do bf16 four times as fast as
    fp32, and 8x8 images keep no device busy.
    """
    found: dict[Kind, list[tuple[float, str]]] = {}
    for path in sorted(results.glob("*/config.yaml")):
        try:
            config = read_config(path)
            data = images(config, results)
            measured = list(_measured(config, data, path.parent / "jobs")) if data.shape == shape else []
        except InputError:  # a run of another release, or of pretrained networks: nothing else is lost
            continue
        for kind, device, gflops, hardware in measured:
            if _precision(config, kind) == _precision(like, kind):
                found.setdefault((kind, device), []).append((gflops, hardware))
    known = {}
    for timed_kind, timed in found.items():
        hardware = ", ".join(sorted({name for _, name in timed}))
        median = statistics.median(gflops for gflops, _ in timed)
        known[timed_kind] = Rate(median, f"median of {len(timed)} jobs on {hardware}")
    for kind, gflops in DEFAULT_GFLOPS.items():
        known.setdefault((kind, "cpu"), Rate(gflops, f"constant measured on {MEASURED_ON}"))
        known.setdefault((kind, "gpu"), Rate(GPU_GFLOPS[kind], "assumed, not measured"))
    return known


def _precision(config: Config, kind: str) -> str:
    return {"train": config.training.precision, "forward": config.evaluation.precision}.get(kind, "fp32")


def _measured(config: Config, data: Images, folder: Path) -> Iterator[tuple[str, str, float, str]]:
    """Kind, device, GFLOP/s and hardware of each finished job that did work worth timing."""
    for job in jobs(config):
        try:
            record = read_json(folder / job.record)
            seconds, hardware, facts = float(record["seconds"]), dict(record["hardware"]), dict(record["facts"])
            # How much of a lesion study's work was shared, the job knows; a study without lesions is no measure.
            shared = facts["block_evaluations"] / facts["naive_block_evaluations"] if job.kind == "forward" else None
        except (InputError, ValueError, KeyError, TypeError, ZeroDivisionError):  # no job that could be timed
            continue
        epochs = config.training_of(job.network).epochs
        # A training that was resumed timed only a part, and a study that trains timed other work too.
        partly = job.kind == "train" and facts.get("epochs_here") != epochs
        if partly or seconds < TIMED_SECONDS:
            continue
        device = "gpu" if "gpu" in hardware else "cpu"
        operations = 2e-9 * work(config, data, job)
        if shared is not None:
            operations *= shared / job.cost.shared
        rate = operations / seconds / _devices(config, job, device)
        yield job.kind, device, rate, str(hardware.get("gpu", hardware["cpu"]))


def _devices(config: Config, job: Job, device: str) -> int:
    """Cores, or GPUs, that one job keeps busy."""
    members = config.execution.members if job.study is None else 1
    return members * (config.execution.threads if device == "cpu" else 1)


# --- costs ----------------------------------------------------------------------------------------------------------


class Costs:
    """The costs of one run's jobs, by the rates of like runs below `results`."""

    def __init__(self, config: Config, results: Path = Path("results")) -> None:
        self.config, self.images = config, images(config, results)
        self.rates = rates(config, self.images.shape, results)
        self.layers = {name: layers(config, self.images, name) for name in config.networks}

    def seconds(self, job: Job, device: str = "cpu") -> float:
        """Seconds that one job takes on all its cores, or GPUs."""
        operations = 2e-9 * work(self.config, self.images, job)
        return START_SECONDS + operations / self.rates[job.kind, device].gflops / _devices(self.config, job, device)

    def memory_mb(self, job: Job, device: str = "cpu") -> int:
        """Memory of one job on the CPU's side, or of its share on each machine, generously."""
        execution = self.config.execution
        processes = execution.processes if job.study is None else 1
        with_graph = self.config.training.batch_size if job.kind == "train" else 0
        if job.study is not None and job.cost.backward_images is not None:
            with_graph = max(with_graph, job.cost.backward_images(self.config))
        held = KEPT * with_graph or self.config.evaluation.batch_size
        outputs = 4 * held * self.layers[job.network].outputs if device == "cpu" else 0  # else they lie on the GPU
        each = (BASE_MB if device == "cpu" else GPU_MB) + execution.workers * WORKER_MB
        return processes * each + round((processes * 2 * self.images.bytes + outputs) / 1e6)

    def disk_mb(self) -> float:
        """What the run's folder will hold: images, checkpoints, and 5 MB of tables, figures and records per seed."""
        weights = sum(count.parameters for count in self.layers.values())
        return (self.images.bytes + len(self.config.seeds) * (4 * weights + 5e6)) / 1e6

    def stages(self, device: str) -> dict[str, tuple[int, float]]:
        """Jobs and hours by rule. Hours of one core each, or of a GPU."""
        found: dict[str, tuple[int, float]] = {}
        for job in jobs(self.config):
            n_jobs, hours = found.get(job.rule, (0, 0.0))
            busy = _devices(self.config, job, device) * self.seconds(job, device)
            found[job.rule] = n_jobs + 1, hours + busy / 3600
        return found

    def longest_chain(self, device: str) -> float:
        """Hours that no number of machines can shorten: the longest training and what follows from it."""
        chains: dict[str, float] = {}
        for job in jobs(self.config):
            if job.study is not None:
                chains[job.network] = max(chains.get(job.network, 0), self.seconds(job, device) / 3600)
        return max(self.seconds(Job(network, 0), device) / 3600 + after for network, after in chains.items())
