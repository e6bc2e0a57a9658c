"""What tests of several studies share: a network with groups of unequal size, and lesions made by hand."""

import torch
from conftest import RESNET

# Stages of blocks 0-1, 2-5 and 6: blocks 2 and 6 halve the resolution, so 0-1 and 3-5 are of equal shape.
DEEP = RESNET.model_copy(update={"blocks_per_stage": (2, 4, 1)})


def wrong_by_hand(network, split, order, deleted=()):
    """How many images are wrong when the blocks are passed in this order, as `mistakes_by_hand` says of each."""
    return int(mistakes_by_hand(network, split, order, deleted).sum())


@torch.inference_mode()
def mistakes_by_hand(network, split, order, deleted=()):
    """Whether each image is wrong with the blocks in this order, those deleted passed by their skip connection only."""
    x = network.stem(split.normalised(slice(None)).double())
    for index in order:
        block = network.blocks[index]
        x = block.projection(x) + (0 if index in deleted else block.residual(x))
    return network.head(x).argmax(1) != split.labels
