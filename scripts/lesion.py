"""Make lesions in a network of your own: a checkpoint of scripts/train.py, or one of torchvision or timm by name.

Writes the same table as the pipeline does for its networks, and a job record beside it.
"""

import argparse
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import ValidationError

from unravel import config, tables
from unravel.data.batches import read_split
from unravel.data.preparation import prepare, read_manifest
from unravel.engine.sweeps import Images
from unravel.evidence import records
from unravel.files import InputError, run_command_line
from unravel.studies import MEASURED
from unravel.studies.base import StudySettings
from unravel.studies.measuring import measured
from unravel.training import devices, subjects

Section = TypeVar("Section", bound=config.Settings)
LESIONS = [study.key for study in MEASURED.values() if study.measurement and study.measurement.lesions]


def main() -> None:
    arguments = parse()
    device = devices.set_up(from_options(config.Execution, device=arguments.device, threads=arguments.threads))
    evaluation = from_options(config.Evaluation, batch_size=arguments.batch_size, precision=arguments.precision)
    study, chosen = MEASURED[arguments.experiment], settings_from(arguments)
    # Before the data is prepared, which may take minutes: a mistyped name is told at once.
    fit_to = subjects.find(arguments.network, arguments.weights, arguments.seed, arguments.mean, arguments.std)
    dataset = dataset_from(arguments)
    manifest_path = arguments.output.with_suffix(".data") / "manifest.json" if dataset else arguments.data[0]
    settings: dict[str, Any] = {"network": arguments.network, "weights": arguments.weights}
    with records.job(
        arguments.output.with_suffix(".record.json"),
        inputs=[manifest_path, *(name for name in settings.values() if name and Path(name).is_file())],
        outputs=[arguments.output],
        settings=settings,
    ) as facts:
        manifest = prepare(dataset, manifest_path.parent) if dataset else read_manifest(manifest_path)
        subject = fit_to(manifest)
        settings |= {
            "data": manifest.identity,
            "mean": subject.mean,
            "std": subject.std,
            "seed": subject.seed,
            "evaluation": evaluation.model_dump(mode="json"),
            arguments.experiment: chosen.model_dump(mode="json", include={"most", "draws"}),
        }
        split = subjects.normalised_for(subject, read_split(manifest_path, "test", device))
        images = Images(lambda _: split, len(manifest.classes), evaluation)
        made, done = measured(study, chosen, subject.network, images, subject.name, subject.seed)
        table = made[""]
        tables.write(arguments.output, table)
        facts |= done
    print(summary(arguments.output, table))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("network", help="a checkpoint's path, or torchvision:<name> or timm:<name>, such as torchvision:resnet50")
    add(
        "--weights",
        help="for a network by name: 'pretrained' (its library downloads them), 'random', or a file with its state "
        "dict: safetensors, or what torch.save wrote (a checkpoint that holds it under 'state_dict' or 'model', too), "
        "read by torch.load(weights_only=True)",
    )
    add(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="manifest.json of prepared data; or a folder, tar or zip of train/<class>/ and test/<class>/; or two npz "
        "files, training and test. The latter are prepared into a folder beside the output. The network's outputs "
        "are taken to be the classes sorted by name",
    )
    add("--image-size", type=int, help="resize the images of a folder or archive to this many pixels a side")
    add("--experiment", choices=LESIONS, required=True, help="which lesions")
    add("--most", type=int, help="lesions made at once: from 1 to this many (20)")
    add("--draws", type=int, help="random choices for each number of lesions (100)")
    add("--seed", type=int, help="of random choices and random weights (a checkpoint's own, else 1)")
    add(
        "--mean",
        type=float,
        nargs="+",
        help="subtracted from each channel of images, pixel values in 0..1 (the data's training images' for a "
        "checkpoint, the library's own for a network by name)",
    )
    add("--std", type=float, nargs="+", help="what each channel is then divided by (as for --mean)")
    add("--batch-size", type=int, default=100, help="test images evaluated at once (%(default)s)")
    add("--precision", choices=("fp32", "bf16"), help="arithmetic (fp32)")
    add("--device", choices=("auto", "cpu", "cuda"), help="where to compute (auto: CUDA where there is a GPU)")
    add("--threads", type=int, help="CPU threads (1)")
    add("--output", type=Path, required=True, help="CSV file to write")
    return parser.parse_args()


def from_options(section: type[Section], **options: Any) -> Section:
    """A section of the config, with the config's default for every option that was not given."""
    try:
        return section(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as invalid:
        first = invalid.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise InputError(f"--{option}: {first['msg']} (given: {first['input']!r})") from invalid


def settings_from(arguments: argparse.Namespace) -> StudySettings:
    """The settings of the experiment: its defaults, but for the options that it has a key of that name for."""
    default = MEASURED[arguments.experiment].settings
    assert default is not None
    options = {name: getattr(arguments, name) for name in ("most", "draws") if getattr(arguments, name) is not None}
    unknown = [f"--{name}" for name in options if name not in type(default).model_fields]
    if unknown:
        raise InputError(f"{' and '.join(unknown)}: {arguments.experiment} has no such setting; drop it")
    return from_options(type(default), **options)


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


def summary(output: Path, table: pd.DataFrame) -> str:
    """One line on a table, whose first row is the intact network."""
    errors = table.error_percent[1:]
    return (
        f"{output}: {table.network[0]}, {table.test_images[0]} test images, {table.error_percent[0]:.2f}% wrong; after "
        f"{len(errors)} lesions {errors.min():.2f}% to {errors.max():.2f}%, median {errors.median():.2f}%"
    )


if __name__ == "__main__":
    run_command_line(main)
