"""Unravel: train residual networks, cut blocks out of them, follow the gradient along single paths.

In a notebook, on a network of one's own:

    from unravel import deletions, figure_3, figure_6, gradients, take_apart

    net = take_apart(model, blocks="layer*.*")
    figure_3(deletions(net, loader)).savefig("figure-3.svg")
    figure_6(gradients(net, loader)).savefig("figure-6.svg")
"""

import importlib
from typing import Any

# What a notebook asks for, by the module that has it: read when asked for, since not all of this library needs torch.
_OFFERED = {
    "take_apart": "unravel.networks.apart",
    **dict.fromkeys(("deletions", "random_deletions", "reorderings", "gradients"), "unravel.own.measuring"),
    **dict.fromkeys(("figure_3", "figure_5a", "figure_5b", "figure_6"), "unravel.own.drawing"),
}
__all__ = list(_OFFERED)


def __getattr__(name: str) -> Any:
    if name not in _OFFERED:
        raise AttributeError(f"module 'unravel' has no attribute '{name}'; it offers {', '.join(_OFFERED)}")
    return getattr(importlib.import_module(_OFFERED[name]), name)
