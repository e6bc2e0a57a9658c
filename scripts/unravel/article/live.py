"""The networks that a reader can cut in the page: their weights, test images, and the errors that this run measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from unravel import tables
from unravel.config import ResNet
from unravel.data.preparation import Manifest
from unravel.evidence.lineage import fact
from unravel.evidence.sources import sourced
from unravel.run import Config
from unravel.studies import STUDIES
from unravel.studies.expected import expected
from unravel.studies.live_network import LETTERS, chosen

STUDY = STUDIES["live_network"]
CELLS = ("block", "part", "inputs", "outputs", "size", "stride", "pooled", "weights", "scale", "bias", "norm_scale",
         "norm_shift")  # fmt: skip


@dataclass(frozen=True)
class Live:
    """data: for the page's script. errors: of each network in percent, as trained and rounded, which know their source.

    left_out: the networks of Figure 3 that are not in the page, with why.
    """

    data: Mapping[str, Any]
    errors: Mapping[str, Mapping[str, float]]
    left_out: Mapping[str, str]


def read(run: Path, config: Config, manifest: Manifest, records: Mapping[str, dict[str, Any]]) -> Live:
    """The networks of a run with its first seed. Raises InputError if a table or a record is missing or damaged."""
    reasons, seed, known = chosen(config), config.seeds[0], expected(run, config)
    names = [name for name, reason in reasons.items() if not reason]

    def table(key: str, network: str, seed: int, ending: str = "") -> pd.DataFrame:
        study = next(study for study in STUDIES.values() if study.key == key)
        path = run / "measurements" / study.table_names(network, seed)[ending]
        return tables.read_whole(path, known[path])

    networks = []
    for name in names:
        single = table("deletions", name, seed).set_index("deleted_position").error_percent
        random = []
        if name in config.section("random_deletions").networks:
            drawn = pd.concat([table("random_deletions", name, one) for one in config.seeds])
            by_number = drawn[drawn.deleted_blocks > 0].groupby("deleted_blocks").error_percent
            random = [[number, *rows.quantile([0.25, 0.5, 0.75]).tolist(), len(rows)] for number, rows in by_number]
        made_of = config.networks[name]
        residual = isinstance(made_of, ResNet)
        networks.append(
            {
                "name": name,
                "residual": residual,
                "blocks": made_of.n_blocks,
                "first": 1 if residual else 2,  # a plain network's first layer is no block
                "layers": table(STUDY.key, name, seed, "weights")[list(CELLS)].to_dict("records"),
                "single": single.to_dict(),
                "random": random,
            }
        )
    images = table(STUDY.key, names[0], seed, "images")
    data = {
        "seed": seed,
        "letters": LETTERS,
        "networks": networks,
        "pictures": images[["label", "pixels"]].to_dict("records"),
        "classes": manifest.classes,
        "shape": manifest.image_shape,
        "mean": manifest.mean,
        "std": manifest.std,
    }
    left_out = {name: reason for name, reason in reasons.items() if reason}
    return Live(data, {name: _errors(name, seed, records) for name in names}, left_out)


def _errors(network: str, seed: int, records: Mapping[str, dict[str, Any]]) -> Mapping[str, float]:
    """Test errors by the job that trained a network, and by the one that rounded its weights."""
    trained, rounded = f"checkpoints/{network}/seed{seed}", f"measurements/{STUDY.stem(network, seed)}"
    return {
        "trained": _known(records, trained, "test_error_percent"),
        "rounded": _known(records, rounded, "rounded_error_percent"),
    }


def _known(records: Mapping[str, dict[str, Any]], job: str, key: str) -> float:
    known: float = sourced(fact(records, job, key), f"jobs/{job}.json", f"job-{job.replace('/', '-')}", f"facts.{key}")
    return known
