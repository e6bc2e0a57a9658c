"""Train an ensemble of shallow networks, and take members from it and blocks from the residual network."""

from collections.abc import Iterable

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from unravel.engine.sweeps import Facts, Images, Tables, batches_of
from unravel.engine.wiring import delete
from unravel.networks import Network, Wiring, for_inference
from unravel.studies.true_ensemble.settings import TrueEnsemble
from unravel.training import beside


def measure(
    network: Network, images: Images, settings: TrueEnsemble, generator: torch.Generator
) -> tuple[Tables, Facts]:
    """Two tables, of the ensemble and of the residual network (`system`) without `removed` members.

    The ensemble says the mean of its members' class probabilities; the residual network loses as many blocks as so many
    members have. "": a row for each draw of what is taken away: draw (1-based), wrong_images, test_images,
    error_percent; loss (squared distance of the probabilities from the label's, mean over images); distance (the same
    from the mean probabilities of all draws with as many removed). The loss of that mean is the mean loss less the mean
    distance (Krogh & Vedelsby 1995). "images": removed, image (0-based), residual and ensemble (the share of
    draws that are wrong). Raises InputError as a training does, and if there are fewer test images than asked for.
    """
    split = images.split("test")
    n_images = settings.tested("true_ensemble", len(split.labels))

    def said_by(network: Network, wirings: list[Wiring]) -> Tensor:
        fast = for_inference(network, images.evaluation.precision, split.labels.device)
        return probabilities(fast, wirings, batches_of(split, n_images, images.evaluation.batch_size))

    members = torch.cat([said_by(one, [one.intact]) for one in ensemble(network, images, settings, generator)])
    parts = rotated(settings.members, settings, generator)
    averages = [members[order[removed:]].mean(dim=0) for removed in range(settings.members) for order in parts]
    share, blocks = len(network.blocks) // settings.members, rotated(len(network.blocks), settings, generator)
    lesions = [order[: removed * share].tolist() for removed in range(settings.members) for order in blocks]
    lesioned = said_by(network, [delete(network.intact, places) for places in lesions])
    said = {"residual": lesioned, "ensemble": torch.stack(averages)}
    labels = torch.cat([labels for _, labels in batches_of(split, n_images, images.evaluation.batch_size)])
    return tables_of({system: found.cpu() for system, found in said.items()}, settings.members, labels.cpu()), {}


# --- the ensemble ---------------------------------------------------------------------------------------------------


def ensemble(network: Network, images: Images, settings: TrueEnsemble, generator: torch.Generator) -> list[Network]:
    """Shallow networks, each trained by the network's own recipe from weights and an order of images of its own."""
    member = beside.shallow(network, 1, settings.members)
    seeds = torch.randint(2**31, (settings.members,), generator=generator).tolist()
    return [beside.trained(member, images, seed, epochs=settings.epochs) for seed in seeds]


# --- what is taken away, and what is left ---------------------------------------------------------------------------


def rotated(number: int, settings: TrueEnsemble, generator: torch.Generator) -> list[Tensor]:
    """Orders (number,) in which so many things are taken away: in each round a random one, rotated by equal shares.

    A random order stays one when it is rotated. In each round every share is once the first to go, and once what is
    left when all others are gone: the members of an ensemble are then seen one by one.
    """
    orders = []
    for _ in range(settings.rounds):
        order = torch.randperm(number, generator=generator)
        orders += [order.roll(turn * (number // settings.members)) for turn in range(settings.members)]
    return orders


@torch.inference_mode()
def probabilities(network: Network, wirings: list[Wiring], batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Class probabilities (wiring, image, class) in float64."""
    dtype = next(network.parameters()).dtype
    found = [
        torch.stack([network(images.to(dtype), wiring).double().softmax(dim=1) for wiring in wirings])
        for images, _ in batches
    ]
    return torch.cat(found, dim=1)


def tables_of(said: dict[str, Tensor], members: int, labels: Tensor) -> Tables:
    """The two tables, from each system's class probabilities and the labels (image,).

    The probabilities are (removed and draw, image, class): all draws with nothing removed, then those with more.
    """
    rows, wrong_shares = [], {}
    for system, flat in said.items():
        found = flat.reshape(members, -1, *flat.shape[1:])  # (removed, draw, image, class)
        wrong = found.argmax(dim=3) != labels
        loss = squared_distance(found, one_hot(labels, found.shape[3]))
        distance = squared_distance(found, found.mean(dim=1, keepdim=True))
        n_removed, n_draws, n_images = wrong.shape
        rows += [
            {
                "system": system,
                "removed": removed,
                "draw": draw + 1,
                "wrong_images": (count := int(wrong[removed, draw].sum())),
                "test_images": n_images,
                "error_percent": 100 * count / n_images,
                "loss": float(loss[removed, draw]),
                "distance": float(distance[removed, draw]),
            }
            for removed in range(n_removed)
            for draw in range(n_draws)
        ]
        wrong_shares[system] = wrong.double().mean(dim=1).flatten().tolist()
    places = pd.MultiIndex.from_product([range(n_removed), range(n_images)], names=["removed", "image"])
    return {"": pd.DataFrame(rows), "images": pd.DataFrame(wrong_shares, index=places).reset_index()}


def squared_distance(one: Tensor, other: Tensor) -> Tensor:
    """Mean over images of the squared distance of class probabilities (..., image, class): (...)."""
    return (one - other).square().sum(dim=-1).mean(dim=-1)
