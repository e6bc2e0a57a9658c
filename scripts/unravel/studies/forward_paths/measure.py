"""Split the logits of test images by path length, and classify by the paths up to each length."""

import copy

import pandas as pd
import torch

from unravel.engine.gates import logits_by_length
from unravel.engine.sweeps import Facts, Images, Tables, batches_of
from unravel.networks import Network
from unravel.studies.forward_paths.settings import ForwardPaths

BATCH = 50  # images whose activations of every length are held at once


@torch.no_grad()
def measure(
    network: Network, images: Images, settings: ForwardPaths, generator: torch.Generator
) -> tuple[Tables, Facts]:
    """A row for each length 0 to n, in fp32 with the gates of each image's intact pass frozen.

    Columns: length, wrong_images, test_images, error_percent (of the paths up to that length); share (of the logits,
    by projection: <F_k, F> / |F|^2, mean over images), norm_ratio (|F_k| / |F|, mean over images), where F are an
    image's logits less their mean over classes, and F_k those of the paths of length k; sum_error (the largest relative
    error, over batches, of the sum over all lengths against the network's own logits; the same in every row).
    Raises InputError as `logits_by_length` does, and if there are fewer test images than asked for.
    """
    split = images.split("test")
    n_images = settings.tested("forward_paths", len(split.labels))
    whole = copy.deepcopy(network).eval().float().requires_grad_(False)
    found = []
    for inputs, labels in batches_of(split, n_images, BATCH):
        parts = logits_by_length(whole, inputs)
        found.append(_of_batch(parts.double(), whole(inputs).double(), labels))
    wrong, share, ratio = (torch.stack([one[column] for one in found]).sum(dim=0).cpu() for column in range(3))
    table = pd.DataFrame(
        {
            "length": range(len(wrong)),
            "wrong_images": wrong.tolist(),
            "test_images": n_images,
            "error_percent": [100 * count / n_images for count in wrong.tolist()],
            "share": (share / n_images).tolist(),
            "norm_ratio": (ratio / n_images).tolist(),
            "sum_error": max(float(one[3]) for one in found),
        }
    )
    return {"": table}, {"largest_sum_error": float(table.sum_error.max())}


def _of_batch(parts: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Wrong images of the paths up to each length, sums over images of share and norm ratio, and the sum's error."""
    up_to = parts.cumsum(dim=0)  # (length, image, class)
    wrong = (up_to.argmax(dim=2) != labels).sum(dim=1)
    centred = parts - parts.mean(dim=2, keepdim=True)  # a number added to all classes says nothing
    full = centred.sum(dim=0)
    share = ((centred * full).sum(dim=2) / full.square().sum(dim=1)).sum(dim=1)
    ratio = (centred.norm(dim=2) / full.norm(dim=1)).sum(dim=1)
    return wrong, share, ratio, (up_to[-1] - logits).norm() / logits.norm()
