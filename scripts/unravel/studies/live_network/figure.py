"""Random test images, each with its class and with what each intact network says of it."""

import base64
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unravel import tables
from unravel.data.preparation import read_manifest
from unravel.studies import style
from unravel.studies.live_network import IMAGES, LOGITS, STEPS

COLUMNS, COLUMNS_ON_A_PHONE = 8, 4
SHORT = 13  # letters of a class name in the figure


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/live_network tables of any networks; of several seeds, the first."""
    images, logits = (_first(inputs, ending, table) for ending, table in (("images", IMAGES), ("logits", LOGITS)))
    (manifest,) = (path for path in inputs if path.name == "manifest.json")
    said = predictions(images, logits, read_manifest(manifest).classes)
    pictures = images.drop_duplicates("picture")
    networks = list(dict.fromkeys(said.network))
    columns = COLUMNS_ON_A_PHONE if style.is_narrow() else COLUMNS
    rows = -(-len(pictures) // columns)
    height = rows * (1.05 + 0.17 * len(networks)) + 0.2
    with style.axes(rows=rows, columns=columns, height=height, squeeze=False) as (figure, panels):
        for panel in panels.flat:
            panel.set_axis_off()
        for panel, (_, picture) in zip(panels.flat, pictures.iterrows(), strict=False):
            panel.imshow(_pixels(picture), interpolation="none")
            here = said[said.picture == picture.picture].set_index("network")
            panel.set_title(_short(here["class"].iloc[0]), fontsize=8, loc="center", parse_math=False)
            for line, name in enumerate(networks):
                look = {"transform": panel.transAxes, "va": "top", "fontsize": 7, "parse_math": False}
                y = -0.08 - 0.17 * line
                panel.text(0.5, y, f"{'✓' if here.right[name] else '✗'} {_short(here.said[name])}", ha="center", **look)
                if panel in panels[:, 0]:
                    panel.text(-0.15, y, f"{_short(name)}:", ha="right", **look)
        style.note_run(figure, scale)
        return style.Drawing(figure, said, summary(said, logits, _first(inputs, "steps", STEPS)))


def _first(inputs: Sequence[Path], ending: str, table: tables.Table) -> pd.DataFrame:
    found = tables.read([path for path in inputs if path.name.endswith(f".{ending}.csv")], table.columns)
    return found.query("seed == @found.seed.iloc[0]")


def predictions(images: pd.DataFrame, logits: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """For each network and image: the likeliest class of the intact network, with its probability, and if it is right.

    The network is that with rounded weights, which is the one in the page.
    """
    intact = logits[logits.wiring == 0]
    rows = []
    for (network, picture), classes in intact.groupby(["network", "picture"], sort=False):
        image = images[(images.network == network) & (images.picture == picture)].iloc[0]
        powers = np.exp(classes.logit_rounded - classes.logit_rounded.max())
        best = powers.argmax()
        rows.append(
            {
                "picture": picture,
                "place_in_test_set": image.place,
                "class": names[image.label],
                "network": network,
                "said": names[classes.label.iloc[best]],
                "probability": powers.iloc[best] / powers.sum(),
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(right=table["class"] == table.said)  # names of classes differ


def summary(said: pd.DataFrame, logits: pd.DataFrame, steps: pd.DataFrame) -> dict[str, Any]:
    """How many images each network has right, and what rounding changes: the largest difference of any logit."""
    off = (logits.logit - logits.logit_rounded).abs()
    intact = logits.wiring == 0
    return {
        "pictures": said.picture.nunique(),
        "wirings": steps.wiring.nunique() - 1,
        "networks": {
            str(name): {
                "right": int(rows.right.sum()),
                "largest_difference_intact": off[intact & (logits.network == name)].max(),
                "largest_difference": off[logits.network == name].max(),
            }
            for name, rows in said.groupby("network", sort=False)
        },
    }


def _pixels(picture: pd.Series) -> np.ndarray:
    """(height, width, 3) uint8: the first three channels in colour, or the first one as grey."""
    shape = picture.height, picture.width, picture.channels
    pixels = np.frombuffer(base64.b64decode(picture.pixels), np.uint8).reshape(shape)
    return np.broadcast_to(pixels[..., : 3 if shape[2] >= 3 else 1], (*shape[:2], 3))


def _short(name: str) -> str:
    return textwrap.shorten(name, SHORT, placeholder="…") if " " in name else name[:SHORT]
