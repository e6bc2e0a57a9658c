"""What the images look like: the first training images of each class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from unravel.data.preparation import load_split, read_manifest
from unravel.studies import style

SHOWN_CLASSES = 10
SHOWN_IMAGES = 5  # more would make the report of a run on CIFAR-10 larger than 5 MB


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw the data that a manifest describes; of more than ten classes the first ten."""
    (manifest_path,) = inputs
    manifest = read_manifest(manifest_path)
    images, labels = load_split(manifest_path, "train")
    shown = images[..., :3] if images.shape[3] >= 3 else images[..., :1]  # in colour, or one channel as grey
    names = manifest.classes[:SHOWN_CLASSES]
    with style.axes(rows=len(names), height=0.5 * len(names) + 0.3, squeeze=False) as (figure, panels):
        for label, (panel, name) in enumerate(zip(panels[:, 0], names, strict=True)):
            chosen = shown[labels == label][:SHOWN_IMAGES]
            if len(chosen):  # a class may have test images only
                strip = np.concatenate(_with_gap(chosen), axis=1)
                panel.imshow(strip, interpolation="none")  # the pixels as they are: enlarged ones would fill megabytes
            panel.set_anchor("W")
            panel.set_axis_off()
            # a name is no formula, whatever dollar signs it has
            panel.text(-0.01, 0.5, name, transform=panel.transAxes, ha="right", va="center", parse_math=False)
        style.note_run(figure, scale)
        counts = {split: getattr(manifest, split).per_class for split in ("train", "test")}
        table = pd.DataFrame(
            {"class": manifest.classes, **{f"{s}_images": list(c.values()) for s, c in counts.items()}}
        )
        values = {"classes": len(manifest.classes), "shown_classes": len(names), "shown_images": SHOWN_IMAGES}
        return style.Drawing(figure, table, values)


def _with_gap(images: np.ndarray) -> list[np.ndarray]:
    """Opaque images with clear space between: (n, height, width, 1 or 3) -> n of (height, width + gap, 4)."""
    gap = max(1, images.shape[2] // 8)
    colours = np.broadcast_to(images, (*images.shape[:3], 3))
    opaque = np.concatenate([colours, np.full_like(images[..., :1], 255)], axis=3)
    return [np.pad(image, ((0, 0), (0, gap), (0, 0))) for image in opaque]
