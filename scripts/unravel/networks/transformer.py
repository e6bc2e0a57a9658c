"""A small vision transformer (Dosovitskiy et al. 2021): each attention and each MLP is a block with a residual branch.

So a transformer of 12 layers is a residual network of 24 blocks. What passes them is (batch, token, channel).
"""

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import gelu, scaled_dot_product_attention

from unravel.files import InputError
from unravel.networks.base import Block, Network


class AttentionBlock(Block):
    """y = x + project(attention(norm(x))): softmax attention of several heads between all tokens of an image."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def residual(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        found = self.queries_keys_values(self.norm(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        queries, keys, values = found.permute(2, 0, 3, 1, 4)
        with sdpa_kernel(SDPBackend.MATH):  # whose parts torch.vmap knows, by which paths are followed together
            mixed = scaled_dot_product_attention(queries, keys, values)
        branch: Tensor = self.project(mixed.transpose(1, 2).reshape(x.shape))
        return branch


class MLPBlock(Block):
    """y = x + contract(gelu(expand(norm(x)))), token by token, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def residual(self, x: Tensor) -> Tensor:
        branch: Tensor = self.contract(gelu(self.expand(self.norm(x))))
        return branch


class Patches(nn.Module):
    """Images (batch, channel, height, width) as tokens (batch, token, width): each patch projected, plus its place."""

    def __init__(self, channels: int, width: int, patch: int, tokens: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, width, patch, stride=patch)
        self.places = nn.Embedding(tokens, width)

    def forward(self, images: Tensor) -> Tensor:
        projected: Tensor = self.project(images).flatten(2).transpose(1, 2)
        return projected + self.places.weight


class MeanToken(nn.Module):
    """The mean over tokens: (batch, token, channel) -> (batch, channel)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=1)


def build_transformer(
    image_shape: tuple[int, int, int], classes: int, layers: int, width: int, heads: int, patch: int
) -> Network:
    """The network for images of `image_shape` (height, width, channel), its blocks attention and MLP in turn.

    Raises InputError if the images are not made of whole patches.
    """
    height, across, channels = image_shape
    if height % patch or across % patch:
        raise InputError(
            f"images of {height}x{across} pixels are not made of whole patches of {patch}x{patch}; choose a patch that "
            "divides both sides"
        )
    blocks = [block for _ in range(layers) for block in (AttentionBlock(width, heads), MLPBlock(width))]
    head = nn.Sequential(nn.LayerNorm(width), MeanToken(), nn.Linear(width, classes))
    return Network(Patches(channels, width, patch, (height // patch) * (across // patch)), blocks, head)
