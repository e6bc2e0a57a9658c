"""A trained network to cut by hand: its rounded weights, random test images, and what torch says of them."""

from typing import TYPE_CHECKING

from unravel.config import VGG, NetworkSettings, Pretrained, ResNet
from unravel.studies.base import Cost, Figure, Measurement, Study
from unravel.studies.live_network.settings import LiveNetwork
from unravel.tables import FLAG, NETWORK, SEED, Table, number, text, whole

if TYPE_CHECKING:
    from unravel.run import Config

PICTURES = 16  # test images
WIRINGS = 8  # random ones that torch is asked about, beside the intact network
STEM, HEAD = "stem", "head"
PARTS = (STEM, "branch1", "branch2", "skip", "layer", HEAD)
NONE = "none"  # in a cell of numbers that has none
# A weight is one letter: as a byte in base64, which takes 4/3 letters, 54 blocks would not fit in a page of 5 MB.
# These are all printable ones that CSV, JSON and HTML leave as they are; the middle one stands for 0.
LETTERS = "".join(letter for letter in map(chr, range(33, 127)) if letter not in "\"'&<>,\\")
MOST = len(LETTERS) // 2

_OF = {"network": NETWORK, "seed": SEED}
WEIGHTS = Table(
    {
        **_OF,
        "layer": whole(1),
        "block": whole(),
        "part": text(*PARTS),
        "inputs": whole(1),
        "outputs": whole(1),
        "size": whole(1),
        "stride": whole(1),
        "pooled": FLAG,
        "weights": text(),
        "scale": text(),
        "bias": text(),
        "norm_scale": text(),
        "norm_shift": text(),
    },
    rows={"layer": (1,)},
)
IMAGES = Table(
    {
        **_OF,
        "picture": whole(1),
        "place": whole(),
        "label": whole(),
        "height": whole(1),
        "width": whole(1),
        "channels": whole(1),
        "pixels": text(),
    },
    rows={"picture": (1,)},
)
STEPS = Table({**_OF, "wiring": whole(), "steps": text()}, rows={"wiring": (0,)})
LOGITS = Table(
    {**_OF, "wiring": whole(), "picture": whole(1), "label": whole(), "logit": number(), "logit_rounded": number()},
    rows={"wiring": (0,), "picture": (1,), "label": (0,)},
)


def block_weights(network: ResNet | VGG) -> int:
    """Weights of the blocks' 3x3 convolutions, which are nearly all that a network has."""
    if isinstance(network, VGG):
        return 9 * network.channels**2 * network.n_blocks
    before = (network.channels[0], *network.channels)
    stages = zip(before, network.channels, network.blocks_per_stage, strict=False)
    return sum(9 * width * (outside + (2 * blocks - 1) * width) for outside, width, blocks in stages)


def left_out(network: NetworkSettings, most: int) -> str:
    """Why a network is not in the page, in words; "" for one that is."""
    if isinstance(network, Pretrained):
        return "its weights are those that its library publishes"
    if isinstance(network, ResNet) and (network.block, network.stem) != ("basic", "3x3"):
        return f"it has {network.block} blocks after a {network.stem} stem, and the page computes basic ones after 3x3"
    if (weights := block_weights(network)) > most:
        return f"its blocks have {weights:,} weights, and live_network.most_weights is {most:,}"
    return ""


def chosen(config: "Config") -> dict[str, str]:
    """The networks of Figure 3, each with why it is left out, or ""."""
    most = config.section("live_network").most_weights
    return {name: left_out(config.networks[name], most) for name in config.section("deletions").figure_3}


def _shown(config: "Config") -> list[str]:
    return [name for name, reason in chosen(config).items() if not reason]


def _layers(network: NetworkSettings) -> int:
    """Stem and head, two layers in a residual block, a projection at the start of each stage but the first."""
    if isinstance(network, ResNet):
        return 2 + 2 * network.n_blocks + len(network.channels) - 1
    return 2 + network.n_blocks


STUDY = Study(
    order=95,
    title="Cut the trained network",
    settings=LiveNetwork(),
    settings_title="A trained network in the page, for a reader to cut.",
    measurement=Measurement(
        tables={"weights": WEIGHTS, "images": IMAGES, "steps": STEPS, "logits": LOGITS},
        networks=_shown,
        decides=lambda config, _: {"evaluation": config.evaluation.model_dump(mode="json")},
        sizes=lambda config, network: {"layer": _layers(config.networks[network]), "wiring": WIRINGS + 1},
        first_seed=True,
        message="Write down the weights of {network}, seed {seed}, as letters",
        cost=Cost(lambda config, size: size.forward * (size.test + 2 * PICTURES * (WIRINGS + 1))),
    ),
    figure=Figure(
        number="cut",
        title="Test images, and what the intact networks say",
        slug="live-network",
        note="Not in the paper: the networks to cut by hand.",
        shows=lambda config: (_shown(config) or None) if config.whole else None,
        inputs=("live_network", "manifest"),
        original=False,
    ),
)
