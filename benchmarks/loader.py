"""Images per second that ImageNet's loader alone decodes, crops and hands over, by number of worker processes.

The images are random JPEG files of ImageNet's usual 500x375 pixels, about 80 kB each.
plain: Pillow and torchvision's transforms in a loop, one image after the other, neither batched nor normalised.

    python benchmarks/loader.py --images 512 --workers 0 1 2
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from unravel.config import Augmentation, ImageNet
from unravel.data.batches import random_generator, read_split
from unravel.data.preparation import prepare

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512, help="images in an epoch (default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="numbers of workers (0 1 2)")
    parser.add_argument("--repeats", type=int, default=3, help="epochs measured of each (default: %(default)s)")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kilobytes = write_images(folder / "images", arguments.images)
        prepare(ImageNet(source="imagenet", path=folder / "images", classes=2), folder / "data")
        ways: dict[str, Callable[[int], int]] = {"plain": lambda epoch: plain_epoch(folder / "images")}
        for workers in arguments.workers:
            ways[f"{workers} workers"] = lambda epoch, workers=workers: loaded_epoch(folder, workers, epoch)
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for epoch in range(arguments.repeats):
            for way, load in ways.items():  # in turn, so that the machine's noise hits all alike
                clock = time.perf_counter()
                images = load(epoch)
                rates[way].append(images / (time.perf_counter() - clock))

    print(f"{arguments.images} images of {kilobytes:.0f} kB, batches of {BATCH}, start of workers included, ", end="")
    print(f"median of {arguments.repeats} epochs, torch {torch.__version__}")
    print(f"{'way':<12} {'images/s':>9} {'range':>15} {'ratio to plain':>15}")
    plain = statistics.median(rates["plain"])
    for way, values in rates.items():
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"{way:<12} {statistics.median(values):>9.1f} {spread:>15} {statistics.median(values) / plain:>15.2f}")


def write_images(folder: Path, n: int) -> float:
    """Write n images to train and one per class to val; returns their mean size in kB."""
    random = np.random.default_rng(0)
    for split, per_class in (("train", n // 2), ("val", 1)):
        for label in "ab":
            (folder / split / label).mkdir(parents=True)
            for number in range(per_class):
                coarse = Image.fromarray(random.integers(0, 256, (75, 100, 3), np.uint8))  # smoother than noise
                coarse.resize((500, 375), Image.Resampling.BICUBIC).save(
                    folder / split / label / f"{number}.JPEG", quality=90
                )
    files = list((folder / "train").glob("*/*"))
    return sum(file.stat().st_size for file in files) / len(files) / 1000


def plain_epoch(folder: Path) -> int:
    crop = v2.Compose([v2.RandomResizedCrop(224), v2.RandomHorizontalFlip(), v2.PILToTensor()])
    images = [crop(Image.open(path).convert("RGB")) for path in (folder / "train").glob("*/*")]
    return len(images)


def loaded_epoch(folder: Path, workers: int, epoch: int) -> int:
    split = read_split(folder / "data" / "manifest.json", "train", torch.device("cpu"), workers)
    portions = [slice(start, start + BATCH) for start in range(0, len(split.labels), BATCH)]
    batches = split.training_batches(Augmentation(), random_generator(1, epoch), portions)
    return sum(len(labels) for _, labels in batches)


if __name__ == "__main__":
    main()
