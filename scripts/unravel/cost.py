"""What a run costs before it has run: multiply-adds counted from the config, times a rate measured in finished jobs.

An estimate, for planning and for the time limits of a cluster's jobs. Elementwise steps and waiting for files are not
counted; they are in the rate. No torch is imported here, since Snakemake reads this module at every start.
"""

import json
import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unravel import config as settings
from unravel.config import VGG, AllBlocks, Config, Digits, Download, Experiment, ImageNet, Pretrained, ResNet
from unravel.files import InputError

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
DEFAULT_GFLOPS = {"train": 35.0, "lesions": 60.0, "gradients": 16.0}
# Assumed until a job has run on a GPU: what launching small kernels leaves of a GPU of 2020 or later. At this rate
# ResNet-110 trains in 8 s an epoch of CIFAR-10; what GPUs reach differs by a factor of ten from it, either way.
GPU_GFLOPS = {"train": 10_000.0, "lesions": 10_000.0, "gradients": 2_000.0}

# The share of blocks that is left to compute when lesions share their prefixes; tests hold it against the engine.
SHARED = {"deletions": 0.52, "random_deletions": 0.49, "reorderings": 0.56}

TIMED_SECONDS = 3  # a shorter job says nothing of the rate
START_SECONDS = 20  # interpreter, libraries and images, on a busy machine
BASE_MB, GPU_MB = 1500, 4000  # of a process with torch; with the driver's share for a GPU
WORKER_MB = 200  # of a process that decodes images: 21 MB of its own and a share of what others hold, measured
BOTTLENECK = 4  # times as wide outside as inside
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
            found = json.loads(manifest.read_text(encoding="utf-8"))
            height, width, channels = found["image_shape"]
            counts = found["train"]["images"], found["test"]["images"]
            return Images((height, width, channels), *counts, len(found["classes"]), streamed)
        except (OSError, ValueError, KeyError) as error:
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


# --- counting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layers:
    """Multiply-adds of one image's forward pass, and values that it leaves behind.

    residual: of each block's residual branch (or plain layer). rest: of stem, projections and head together.
    outputs: values that the blocks put out. parameters: of the whole network, convolutions and linear layer only.
    """

    residual: tuple[int, ...]
    rest: int
    outputs: int
    parameters: int

    @property
    def forward(self) -> int:
        """Multiply-adds of a forward pass with all blocks."""
        return sum(self.residual) + self.rest


def layers(network: ResNet | VGG, shape: Shape, classes: int) -> Layers:
    """Count the layers of a network for images of this shape."""
    height, width, channels = shape
    if isinstance(network, VGG):
        return _plain(network, height, width, channels, classes)
    before = network.channels[0]
    parameters = (49 if network.stem == "7x7" else 9) * channels * before
    rest, outputs, residual = 0, 0, []
    if network.stem == "7x7":
        height, width = halved(height), halved(width)
    rest += parameters * height * width
    if network.stem == "7x7":  # the pooling after it
        height, width = halved(height), halved(width)
    for stage, (blocks, inside) in enumerate(zip(network.blocks_per_stage, network.channels, strict=True)):
        for block in range(blocks):
            entered, halves = height * width, stage > 0 and block == 0
            if halves:
                height, width = halved(height), halved(width)
            convolutions, after = _block(network, before, inside, entered, height * width)
            projection = before * after if before != after or halves else 0
            residual.append(sum(weights * places for weights, places in convolutions))
            rest += projection * height * width
            parameters += sum(weights for weights, _ in convolutions) + projection
            outputs += height * width * after
            before = after
    return Layers(tuple(residual), rest + before * classes, outputs, parameters + before * classes)


def _block(
    network: ResNet, before: int, inside: int, entered: int, left: int
) -> tuple[tuple[tuple[int, int], ...], int]:
    """Weights and output places of each convolution in a residual branch, and the channels of what leaves it."""
    if network.block == "basic":
        return ((9 * before * inside, left), (9 * inside * inside, left)), inside
    after = BOTTLENECK * inside
    return ((before * inside, entered), (9 * inside * inside, left), (inside * after, left)), after


def halved(size: int) -> int:
    """Pixels a side after a convolution or pooling of stride 2 that pads."""
    return math.ceil(size / 2)


def _plain(network: VGG, height: int, width: int, channels: int, classes: int) -> Layers:
    wide = network.channels
    weights = 9 * wide * wide
    residual, outputs = [], 0
    rest = 9 * channels * wide * height * width
    for stage, n_layers in enumerate(network.layers_per_stage):
        if stage > 0:
            height, width = height // 2, width // 2
        blocks = n_layers - (stage == 0)  # the very first layer is the stem
        residual += [weights * height * width] * blocks
        outputs += wide * height * width * blocks
    parameters = 9 * channels * wide + weights * len(residual) + wide * classes
    return Layers(tuple(residual), rest + wide * classes, outputs, parameters)


def work(config: Config, data: Images, rule: str, network: str, experiment: Experiment | None = None) -> float:
    """Multiply-adds of one job of a rule: train, predictions, lesions or gradients."""
    made_of = described(config, network)
    count = layers(made_of, data.shape, data.classes)
    match rule:
        case "train":
            sampling = made_of.block_sampling if isinstance(made_of, ResNet) else AllBlocks(scheme="all")
            survival = sampling.survival(len(count.residual))
            trained = sum(share * block for share, block in zip(survival, count.residual, strict=True))
            step = 3 * (trained + count.rest)  # forward, and backward to inputs and to weights
            return config.training_of(network).epochs * (data.train * step + data.test * count.forward)
        case "predictions":
            sampled = isinstance(made_of, ResNet) and made_of.block_sampling.scheme != "all"
            return count.forward * (3 * data.test + data.train if sampled else data.test)
        case "lesions":
            assert experiment is not None
            return data.test * count.forward * _wirings(config, network, experiment) * SHARED[experiment]
        case "gradients":
            asked = config.gradients
            products = (asked.samples_per_length + 1) * (len(count.residual) + 1) / 2  # times the network's depth
            return 2 * asked.batches * asked.batch_size * count.forward * products  # BN in train and in eval mode
    raise ValueError(f"rule {rule} has no cost of its own")


def described(config: Config, network: str) -> ResNet | VGG:
    """A network whose layers the config tells. Raises InputError for a pretrained one, which it only names."""
    made_of = config.networks[network]
    if isinstance(made_of, Pretrained):
        raise InputError(
            f"networks.{network}: the layers of {made_of.name} are not in the config, so nothing is estimated"
        )
    return made_of


def _wirings(config: Config, network: str, experiment: Experiment) -> int:
    if experiment == "deletions":
        return config.networks[network].n_blocks + 1
    study = getattr(config, experiment)
    return int(study.most * study.draws + 1)


# --- rates ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """Billions of operations per second on a kind of device, and where that was measured."""

    gflops: float
    source: str


Kind = tuple[str, str]  # rule, and cpu (one core) or gpu


def rates(like: Config, shape: Shape, results: Path) -> dict[Kind, Rate]:
    """The median rate of finished jobs below `results`, by rule and device; constants where there are none.

    Only jobs on images of this shape in the precision of the run `like` count: a CPU may do bf16 four times as fast as
    fp32, and 8x8 images keep no device busy.
    """
    found: dict[Kind, list[tuple[float, str]]] = {}
    for path in sorted(results.glob("*/config.yaml")):
        try:
            config = settings.read(path)
            data = images(config, results)
            measured = list(_measured(config, data, path.parent / "jobs")) if data.shape == shape else []
        except InputError:  # a run of another release, or of pretrained networks: nothing else is lost
            continue
        for rule, device, gflops, hardware in measured:
            if _precision(config, rule) == _precision(like, rule):
                found.setdefault((rule, device), []).append((gflops, hardware))
    known = {}
    for kind, timed in found.items():
        hardware = ", ".join(sorted({name for _, name in timed}))
        median = statistics.median(gflops for gflops, _ in timed)
        known[kind] = Rate(median, f"median of {len(timed)} jobs on {hardware}")
    for rule, gflops in DEFAULT_GFLOPS.items():
        known.setdefault((rule, "cpu"), Rate(gflops, f"constant measured on {MEASURED_ON}"))
        known.setdefault((rule, "gpu"), Rate(GPU_GFLOPS[rule], "assumed, not measured"))
    return known


def _precision(config: Config, rule: str) -> str:
    return {"train": config.training.precision, "lesions": config.evaluation.precision}.get(rule, "fp32")


def _measured(config: Config, data: Images, folder: Path) -> Iterator[tuple[str, str, float, str]]:
    """Rule, device, GFLOP/s and hardware of each finished job that did work worth timing."""
    for rule, network, seed, experiment in jobs(config):
        if rule not in DEFAULT_GFLOPS:
            continue
        try:
            record = json.loads((folder / _record(rule, network, seed, experiment)).read_text(encoding="utf-8"))
            seconds, hardware, facts = record["seconds"], record["hardware"], record["facts"]
            shared = facts["block_evaluations"] / facts["naive_block_evaluations"] if experiment else None
        except (OSError, ValueError, KeyError):
            continue
        epochs = config.training_of(network).epochs
        resumed = rule == "train" and facts.get("epochs_here") != epochs  # only a part was timed
        if resumed or seconds < TIMED_SECONDS:
            continue
        device = "gpu" if "gpu" in hardware else "cpu"
        operations = 2e-9 * work(config, data, rule, network, experiment)
        if shared and experiment:  # the job knows what it did share
            operations *= shared / SHARED[experiment]
        rate = operations / seconds / _devices(config, rule, device)
        yield rule, device, rate, str(hardware.get("gpu", hardware["cpu"]))


def _devices(config: Config, rule: str, device: str) -> int:
    """Cores, or GPUs, that one job of a rule keeps busy."""
    members = config.execution.members if rule == "train" else 1
    return members * (config.execution.threads if device == "cpu" else 1)


Job = tuple[str, str, int, Experiment | None]  # rule, network, seed, experiment


def jobs(config: Config) -> Iterator[Job]:
    """Every job of a run that computes with a network."""
    for seed in config.seeds:
        for network in config.networks:
            yield "train", network, seed, None
            yield "predictions", network, seed, None
        for experiment, networks in _studies(config).items():
            for network in networks:
                yield "lesions", network, seed, experiment
        if config.gradients.network is not None:
            yield "gradients", config.gradients.network, seed, None


def _studies(config: Config) -> dict[Experiment, tuple[str, ...]]:
    return {
        "deletions": config.deletions.networks,
        "random_deletions": config.random_deletions.networks,
        "reorderings": config.reorderings.networks,
    }


def _record(rule: str, network: str, seed: int, experiment: Experiment | None) -> str:
    if rule == "train":
        return f"checkpoints/{network}/seed{seed}.json"
    return f"measurements/{experiment or rule}/{network}-seed{seed}.json"


# --- jobs -----------------------------------------------------------------------------------------------------------


class Costs:
    """The costs of one run's jobs, by the rates of like runs below `results`."""

    def __init__(self, config: Config, results: Path = Path("results")) -> None:
        self.config, self.images = config, images(config, results)
        self.rates = rates(config, self.images.shape, results)
        self.layers = {
            name: layers(described(config, name), self.images.shape, self.images.classes) for name in config.networks
        }

    def seconds(self, rule: str, network: str, experiment: Experiment | None = None, device: str = "cpu") -> float:
        """Seconds that one job takes on all its cores, or GPUs."""
        rate = self.rates["lesions" if rule == "predictions" else rule, device]
        operations = 2e-9 * work(self.config, self.images, rule, network, experiment)
        return START_SECONDS + operations / rate.gflops / _devices(self.config, rule, device)

    def memory_mb(self, rule: str, network: str, device: str = "cpu") -> int:
        """Memory of one job on the CPU's side, or of its share on each machine, generously."""
        execution = self.config.execution
        processes = execution.processes if rule == "train" else 1
        followed = {"train": self.config.training.batch_size, "gradients": self.config.gradients.batch_size}
        held = KEPT * followed[rule] if rule in followed else self.config.evaluation.batch_size
        outputs = 4 * held * self.layers[network].outputs if device == "cpu" else 0  # else they lie on the GPU
        each = (BASE_MB if device == "cpu" else GPU_MB) + execution.workers * WORKER_MB
        return processes * each + round((processes * 2 * self.images.bytes + outputs) / 1e6)

    def disk_mb(self) -> float:
        """What the run's folder will hold: images, checkpoints, and 5 MB of tables, figures and records per seed."""
        weights = sum(count.parameters for count in self.layers.values())
        return (self.images.bytes + len(self.config.seeds) * (4 * weights + 5e6)) / 1e6

    def stages(self, device: str) -> dict[str, tuple[int, float]]:
        """Jobs and hours by stage; a lesion study is one. Hours of one core each, or of a GPU."""
        found: dict[str, tuple[int, float]] = {}
        for rule, network, _, experiment in jobs(self.config):
            name = f"{rule}: {experiment}" if experiment else rule
            n_jobs, hours = found.get(name, (0, 0.0))
            busy = _devices(self.config, rule, device) * self.seconds(rule, network, experiment, device)
            found[name] = n_jobs + 1, hours + busy / 3600
        return found

    def longest_chain(self, device: str) -> float:
        """Hours that no number of machines can shorten: the longest training and what follows from it."""

        def hours(job: Job) -> float:
            rule, network, _, experiment = job
            return self.seconds(rule, network, experiment, device) / 3600

        chains: dict[str, float] = {}
        for job in jobs(self.config):
            if job[0] != "train":
                chains[job[1]] = max(chains.get(job[1], 0), hours(job))
        return max(hours(("train", network, 0, None)) + after for network, after in chains.items())
