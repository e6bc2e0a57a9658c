"""The numbers that the paper's text states and a figure can show, all of CIFAR-10; claims.yaml files word them."""

BLOCKS = 54
GRADIENT_RANGE = (5, 17)  # section 5: lengths that carry almost all gradient
VGG_ERROR = 90.0  # section 4.1, percent: after deleting any one layer of VGG
DELETIONS = {"deleted_blocks": 10, "blocks": BLOCKS, "error_percent": 20}  # section 4.2
TEST_ERRORS = {"resnet": 6.10, "effective-paths": 5.96}  # section 5, percent


def in_proportion(number: int, blocks: int) -> int:
    """A number of the paper's 54 blocks, in proportion to a network of `blocks`: the nearest whole one, at least 1."""
    return max(1, round(number * blocks / BLOCKS))
