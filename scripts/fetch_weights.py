"""Fetch a network of torchvision or timm with its own weights, check them, and write it as a checkpoint."""

import argparse
import hashlib
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from unravel.config import Pretrained
from unravel.data.batches import read_split
from unravel.data.preparation import Manifest, read_manifest
from unravel.engine.wiring import evaluate
from unravel.evidence import records
from unravel.files import InputError, run_command_line
from unravel.networks import for_inference, named
from unravel.run import read_config
from unravel.training import checkpoints, devices


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="resolved config of the run")
    parser.add_argument("--data", type=Path, required=True, help="manifest.json of the prepared data")
    parser.add_argument("--network", required=True, help="name of the network in the config")
    parser.add_argument("--seed", type=int, required=True, help="of random draws of blocks; the weights have none")
    parser.add_argument("--checkpoint", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--record", type=Path, required=True, help="JSON job record to write")
    arguments = parser.parse_args()

    settings = read_config(arguments.config)
    wanted = settings.network(arguments.network)
    if not isinstance(wanted, Pretrained):
        raise InputError(f"config: networks.{arguments.network} is not pretrained; train it with scripts/train.py")
    device = devices.set_up(settings.execution)
    manifest = read_manifest(arguments.data)
    with records.job(
        arguments.record,
        inputs=[arguments.data],
        outputs=[arguments.checkpoint],
        settings=settings.training_part(arguments.network),
        seed=arguments.seed,
    ) as facts:
        found = named.find(wanted.name)
        require_statistics(found, manifest)
        network = found.load(named.PRETRAINED, manifest.image_shape, len(manifest.classes), arguments.seed)
        facts["weights_sha256"] = require_sha256(network.state_dict(), wanted)
        if len(network.blocks) != wanted.blocks:
            raise InputError(
                f"{wanted.name}: has {len(network.blocks)} blocks, the config says {wanted.blocks}; correct it"
            )
        split = read_split(arguments.data, "test", device, settings.execution.workers)
        fast = for_inference(network, settings.evaluation.precision, device)
        sweep = evaluate(fast, [network.intact], split.batches(settings.evaluation.batch_size))
        card = checkpoints.Card(
            name=arguments.network,
            network=wanted,
            training=None,
            image_shape=manifest.image_shape,
            classes=len(manifest.classes),
            dataset_sha256=manifest.identity,
            seed=arguments.seed,
            epochs=0,
            test_error_percent=sweep.error_percent[0],
            torch=records.environment()["versions"]["torch"],
            commit=records.code_version()["commit"],
        )
        checkpoints.save(arguments.checkpoint, network, card)
        facts |= {
            "images_per_second": None,  # nothing was trained
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "test_error_percent": card.test_error_percent,
        }


def require_statistics(found: named.Named, manifest: Manifest) -> None:
    """Check that images are normalised as in the network's training. Raises InputError if not."""
    if (found.mean, found.std) != (manifest.mean, manifest.std):
        raise InputError(
            f"{found.name}: was trained on images normalised by mean {list(found.mean)} and std {list(found.std)}; set "
            "dataset.mean and dataset.std to these"
        )


def require_sha256(weights: dict[str, Tensor], wanted: Pretrained) -> str:
    """The SHA-256 of weights, as safetensors writes them. Raises InputError if it is not the config's."""
    tensors = {name: tensor.detach().contiguous().clone() for name, tensor in weights.items()}
    sha256 = hashlib.sha256(save(tensors)).hexdigest()
    if wanted.sha256 not in (None, sha256):
        raise InputError(
            f"{wanted.name}: its weights have SHA-256 {sha256}, the config says {wanted.sha256}; correct one"
        )
    return sha256


if __name__ == "__main__":
    run_command_line(main)
