"""The numbers that papers state in their text and the report shows; claims.yaml files word those of the claims."""

import math

BLOCKS = 54
TYPICAL_LENGTH = 11  # the middle of 5 to 17, the lengths that carry almost all gradient by section 5
VGG_LAYERS, VGG_CHANNELS = 15, 128  # section 4.1
VGG_ERROR = 90.0  # section 4.1, percent: after deleting any one layer of VGG
DELETIONS = {"deleted_blocks": 10, "blocks": BLOCKS, "error_percent": 20}  # section 4.2
BLOCKS_PER_BATCH = 23  # section 5: of 54, twice the mean effective length
IMAGES_PER_GPU = 64  # He et al. 2016b, whose batch normalisation saw each GPU's half of a batch
TEST_ERRORS = {"resnet": 6.10, "effective-paths": 5.96}  # section 5, percent


def gradient_range(blocks: int) -> tuple[int, int]:
    """The lengths that carry almost all gradient, 5 to 17 of the paper's 54 (section 5), for a network of `blocks`.

    A branch's chance to be on a path that matters is taken to be the paper's, 11 in 54, so that the lengths are spread
    as a binomial distribution's: its width grows with the square root of the number of blocks.
    """
    return max(0, _typical(blocks, -2.03)), _typical(blocks, 2.03)


def longest_noticeable(blocks: int) -> int:
    """The length beyond which there is no noticeable gradient, about 20 of 54 (caption of Figure 6c)."""
    return _typical(blocks, 3.04)


def _typical(blocks: int, deviations: float) -> int:
    share = TYPICAL_LENGTH / BLOCKS
    return round(blocks * share + deviations * math.sqrt(blocks * share * (1 - share)))


def in_proportion(number: int, blocks: int) -> int:
    """A number of the paper's 54 blocks, in proportion to a network of `blocks`: the nearest whole one, at least 1."""
    return max(1, round(number * blocks / BLOCKS))
