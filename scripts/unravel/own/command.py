"""Lesions in a network of your own: every study's tables and figures in one call.

NETWORK is FILE.py:NAME (a module, or a function or class that makes one), torchvision:NAME, timm:NAME, or a checkpoint
of scripts/train.py. Its residual blocks are found by the additions that it makes; --list shows what can be named.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import pandas as pd
import torch
from pydantic import ValidationError
from tqdm import tqdm

from unravel import config, tables
from unravel.data.batches import AnySplit, read_split
from unravel.data.preparation import Manifest, prepare, read_manifest
from unravel.engine import progress
from unravel.engine.sweeps import Images, Tables
from unravel.evidence import records
from unravel.files import InputError, run_command_line
from unravel.networks import Block, Network, named
from unravel.networks.apart import TakenApart, found_names
from unravel.own import drawing, finding, measuring
from unravel.studies import MEASURED, style
from unravel.studies.base import StudySettings
from unravel.studies.measuring import measured
from unravel.studies.path_gradients.settings import Gradients
from unravel.studies.random_deletion.settings import RandomDeletions
from unravel.studies.reordering.measure import swappable
from unravel.studies.reordering.settings import Reorderings
from unravel.studies.single_deletion.settings import Deletions
from unravel.training import devices

Section = TypeVar("Section", bound=config.Settings)
OFFERED = {key: study for key, study in MEASURED.items() if study.measurement and study.measurement.lesions}


def main() -> None:
    """The command `lesion`."""
    run_command_line(run)


def run() -> None:
    """Measure, write and draw all that was asked for."""
    arguments = parse()
    device = devices.set_up(from_options(config.Execution, device=arguments.device, threads=arguments.threads))
    if arguments.list:
        print(listing(arguments))
        return
    fit = finding.find(
        arguments.network, arguments.weights, arguments.blocks, arguments.seed, arguments.mean, arguments.std
    )
    require_used(arguments)
    evaluation = from_options(config.Evaluation, batch_size=arguments.batch_size, precision=arguments.precision)
    data = Data(arguments, device)
    subject = fit(data.shape, data.classes, data.manifest)
    network = subject.network.to(device)
    images = Images(lambda name: data.split(name, subject), data.classes, evaluation)
    print(description(network, subject.name))
    chosen = settings_of(arguments, network, images)
    output: Path = arguments.output
    settings: dict[str, Any] = {"network": arguments.network, "weights": arguments.weights, "blocks": arguments.blocks}
    files = [data.manifest_path, *(path.partition(":")[0] for path in (arguments.network, arguments.weights or ""))]
    outputs = [output / name for key in chosen for name in files_of(key)]
    with records.job(
        output / "lesions.record.json",
        inputs=[path for path in files if path and Path(path).is_file()],
        outputs=outputs,
        settings=settings,
    ) as facts:
        settings |= {
            "data": data.manifest.identity if data.manifest else " ".join(map(str, arguments.data)),
            "mean": subject.mean and list(subject.mean),
            "std": subject.std and list(subject.std),
            "seed": subject.seed,
            "evaluation": evaluation.model_dump(mode="json"),
        }
        for key, asked in chosen.items():
            settings[key] = asked.model_dump(mode="json", include={"most", "draws", "samples_per_length", "batch_size"})
            with progress.watched_by(partial(bar, key)):
                made, facts[key] = measured(MEASURED[key], asked, network, images, subject.name, subject.seed)
            write(output, key, made)
            print(summary(output, key, made))


class Data:
    """The images: prepared data, or what the loader of a Python file gives."""

    def __init__(self, arguments: argparse.Namespace, device: torch.device) -> None:
        self.device = device
        self.manifest: Manifest | None = None
        self.manifest_path: Path | None = None
        file, _, name = str(arguments.data[0]).rpartition(":")
        if file.endswith(".py"):
            loader = finding.from_file(file, name)
            loader = loader() if callable(loader) and not hasattr(loader, "__iter__") else loader
            self.loaded = measuring.load(loader, torch.nn.Linear(1, 1, device=device))
            _, channels, height, width = self.loaded.images.shape
            self.shape, self.classes = (height, width, channels), int(self.loaded.labels.max()) + 1
            return
        dataset = dataset_from(arguments)
        path = arguments.output / "data" / "manifest.json" if dataset else arguments.data[0]
        self.manifest_path = path
        self.manifest = prepare(dataset, path.parent) if dataset else read_manifest(path)
        self.shape, self.classes = self.manifest.image_shape, len(self.manifest.classes)
        self.read = cache(lambda name: read_split(path, name, device))

    def split(self, name: Literal["train", "test"], subject: finding.Subject) -> AnySplit:
        """A split, normalised as the subject needs it; a loader has but one, and has normalised it."""
        return self.loaded if self.manifest is None else finding.normalised_for(subject, self.read(name))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="lesion", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("network", metavar="NETWORK", help="such as my_model.py:resnet20, timm:resnet18 or torchvision:convnext_tiny")
    add("--blocks", help="modules whose residual blocks are meant, such as 'layer*.*' (all that are found)")
    add(
        "--weights",
        help="a file with the state dict: safetensors, or what torch.save wrote (a checkpoint that holds it under "
        "'state_dict' or 'model', too), read by torch.load(weights_only=True); for a library's network also "
        "'pretrained' (the library downloads them) or 'random'",
    )
    add(
        "--data",
        nargs="+",
        metavar="PATH",
        help="manifest.json of prepared data; or a folder, tar or zip of train/<class>/ and test/<class>/; or two npz "
        "files, training and test; or FILE.py:NAME, a loader of batches (images, labels), normalised. The network's "
        "outputs are taken to be the classes sorted by name",
    )
    add("--image-size", type=int, help="resize the images of a folder or archive to this many pixels a side")
    add("--study", nargs="+", choices=OFFERED, help="which lesions (all)")
    add("--most", type=int, help="lesions made at once: from 1 to this many (20, or as many as there are blocks)")
    add("--draws", type=int, help="random choices for each number of lesions (100)")
    add("--samples", type=int, help=f"random paths of each length, for Figure 6 ({measuring.SAMPLES})")
    add("--seed", type=int, help="of random choices and random weights (a checkpoint's own, else 1)")
    add(
        "--mean",
        type=float,
        nargs="+",
        help="subtracted from each channel of images, pixel values in 0..1 (the library's own for one of its networks, "
        "else the data's training images')",
    )
    add("--std", type=float, nargs="+", help="what each channel is then divided by (as for --mean)")
    add("--batch-size", type=int, default=100, help="test images evaluated at once (%(default)s)")
    add("--precision", choices=("fp32", "bf16"), help="arithmetic (fp32)")
    add("--device", choices=("auto", "cpu", "cuda"), help="where to compute (auto: CUDA where there is a GPU)")
    add("--threads", type=int, help="CPU threads (1)")
    add("--output", type=Path, default=Path("lesions"), help="folder to write (%(default)s)")
    add("--list", action="store_true", help="say which blocks the network has, and measure nothing")
    arguments = parser.parse_args()
    if not arguments.list and not arguments.data:
        raise InputError("--data: which images? Give a folder, an archive, two npz files, or FILE.py:NAME of a loader")
    if arguments.data and ".py:" not in arguments.data[0]:
        arguments.data = [Path(path) for path in arguments.data]
    return arguments


def from_options(section: type[Section], **options: Any) -> Section:
    """A section of the config, with the config's default for every option that was not given."""
    try:
        return section(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as invalid:
        first = invalid.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise InputError(f"--{option}: {first['msg']} (given: {first['input']!r})") from invalid


def require_used(arguments: argparse.Namespace) -> None:
    """Raise InputError for an option that none of the studies asked for by name has."""
    from_options(RandomDeletions, most=arguments.most, draws=arguments.draws)  # before the data, which may take minutes
    random = {"random_deletions", "reorderings"}
    users = {"most": random, "draws": random, "samples": {"gradients"}}
    given = [option for option in users if getattr(arguments, option) is not None]
    unknown = [f"--{option}" for option in given if arguments.study and not users[option] & set(arguments.study)]
    if unknown:
        raise InputError(f"{' and '.join(unknown)}: {' and '.join(arguments.study)} has no such setting; drop it")


def listing(arguments: argparse.Namespace) -> str:
    """What can be named as blocks, line by line."""
    file, _, name = arguments.network.rpartition(":")
    if file.endswith(".py"):
        names = found_names(finding.own_model(file, name, arguments.weights))
    elif file:
        shape = (arguments.image_size or 224,) * 2
        model = named.find(arguments.network).model(named.RANDOM, (*shape, 3), 10, 1)
        names = found_names(model, torch.zeros(2, 3, *shape))
    else:
        raise InputError(f"{arguments.network}: a checkpoint's blocks need no name; --list is for other networks")
    lines = [f"  --blocks '{pattern}'  {number} residual blocks" for pattern, number in names.items()]
    return "\n".join([f"{arguments.network} adds a branch to a skip connection in:", *lines])


def description(network: Network, name: str) -> str:
    """One line on the network's parts."""
    if not isinstance(network, TakenApart):
        return f"{name}: {len(network.blocks)} blocks"
    activation = sum(block.place.end != block.place.addition for block in network.blocks)  # type: ignore[union-attr]
    after = f", {activation} of them with something after the addition" if activation else ""
    return f"{name}: {len(network.blocks)} residual blocks, from {network.names[0]} to {network.names[-1]}{after}"


def settings_of(arguments: argparse.Namespace, network: Network, images: Images) -> dict[str, StudySettings]:
    """The settings of each study that is made, by its key; what cannot be and was not named is left out."""
    blocks, train = len(network.blocks), len(images.split("train").labels)
    most = min(measuring.MOST, blocks) if arguments.most is None else arguments.most
    made: dict[str, Callable[[], StudySettings]] = {
        "deletions": Deletions,
        "random_deletions": lambda: from_options(RandomDeletions, most=most, draws=arguments.draws),
        "reorderings": lambda: from_options(Reorderings, most=arguments.most, draws=arguments.draws),
        "gradients": lambda: from_options(
            Gradients,
            samples_per_length=arguments.samples or measuring.SAMPLES,
            batch_size=min(measuring.BATCH, train),
        ),
    }
    left_out = {}
    if not swappable(network):
        left_out["reorderings"] = "no two neighbouring blocks have equal shape"
    if any(isinstance(block, Block) and type(block).residual is Block.residual for block in network.blocks):
        left_out["gradients"] = "a plain network has no paths"
    if arguments.study is None:
        for key, reason in left_out.items():
            print(f"{key}: left out, as {reason}")
    elif wrong := [key for key in arguments.study if key in left_out]:
        raise InputError(f"--study {wrong[0]}: {left_out[wrong[0]]}; take another network, or drop it")
    return {key: made[key]() for key in arguments.study or [key for key in OFFERED if key not in left_out]}


def dataset_from(arguments: argparse.Namespace) -> config.Folder | config.Arrays | None:
    """The dataset to prepare; None for a manifest, whose data is prepared already."""
    paths, size = arguments.data, arguments.image_size
    kinds = [path.suffix if path.suffix in (".json", ".npz") else "folder" for path in paths]
    if kinds == ["folder"]:
        return from_options(config.Folder, source="folder", path=paths[0], image_size=size)
    if size is not None:
        raise InputError("--image-size: only images of a folder or archive are resized; drop it")
    if kinds == [".npz", ".npz"]:
        return config.Arrays(source="arrays", train=paths[0], test=paths[1])
    if kinds == [".json"]:
        return None
    raise InputError(
        f"--data: {' '.join(map(str, paths))}: expected one manifest.json, one folder or archive, or two npz files"
    )


def bar(key: str, items: Iterable[Any], total: int) -> Iterable[Any]:
    """A progress bar with the time left."""
    return tqdm(items, desc=key, total=total, leave=False)


def files_of(key: str) -> list[str]:
    """The files that a study's results are written to."""
    measurement = OFFERED[key].measurement
    assert measurement is not None
    figure = Path(figure_of(key))
    return [
        *(table_of(key, ending) for ending in measurement.tables),
        *(str(figure.with_suffix(suffix)) for suffix in style.SUFFIXES),
    ]


def table_of(key: str, ending: str) -> str:
    """The file of one of a study's tables."""
    return f"{key}.{ending}.csv" if ending else f"{key}.csv"


def figure_of(key: str) -> str:
    """The file of a study's figure."""
    figure = OFFERED[key].figure
    assert figure is not None
    return f"figure-{figure.number}.svg"


def write(output: Path, key: str, made: Tables) -> None:
    """Write a study's tables, and draw its figure."""
    for ending, table in made.items():
        tables.write(output / table_of(key, ending), table)
    files: Mapping[str, pd.DataFrame] = {f"{key}.csv": made[""]} if "" in made else {}
    if key == "gradients":
        files = drawing.gradient_files(measuring.path_gradients(made))
    style.save(lambda: drawing.drawn(OFFERED[key].name, files), output / figure_of(key))


def summary(output: Path, key: str, made: Tables) -> str:
    """One line on a study's results; the first row of a table of errors is the intact network."""
    figure = output / figure_of(key)
    if key == "gradients":
        exact = made["exact"]
        error, lengths = exact.full_error.max(), int(exact.length.max())
        return f"{figure}: paths of 0 to {lengths} blocks; their sum is autograd's gradient to a relative {error:.0e}"
    table = made[""]
    errors = table.error_percent[1:]
    return (
        f"{figure}: {table.test_images[0]} test images, {table.error_percent[0]:.2f}% wrong; after {len(errors)} "
        f"lesions {errors.min():.2f}% to {errors.max():.2f}%, median {errors.median():.2f}%"
    )
