"""Single deletions made in several ways, which the paper makes in one: is it the loss that hurts, or how it is made?"""

from typing import TYPE_CHECKING

from unravel.config import VGG, NetworkSettings
from unravel.studies.base import Cost, Figure, Measurement, Size, Study
from unravel.studies.lesion_kinds.settings import LesionKinds
from unravel.tables import FLAG, MEASURED_ERROR, NETWORK, PERCENT, SEED, Table, text, whole

if TYPE_CHECKING:
    from unravel.run import Config

KINDS = {
    "zero": "branch off",
    "mean": "mean over images",
    "resampled": "of another image",
    "reinitialised": "new weights",
    "reestimated": "branch off, statistics anew",
    "skip": "skip connection off",
}
"""What stands in for what a block contributes, by its name in the table, as a figure words it."""

CUTS_THE_ONLY_PATH = ("mean", "resampled")  # in a plain network, where nothing of the image is left then

TABLE = Table(
    {
        "network": NETWORK,
        "seed": SEED,
        "kind": text(*KINDS),
        "place": whole(),
        "deleted_position": whole(),
        "downsampling": FLAG,
        **MEASURED_ERROR,
        "chance_error_percent": PERCENT,
    },
    rows={"kind": (), "place": (0,)},
)


def kinds_of(network: NetworkSettings) -> list[str]:
    """The kinds that can be made in a network: a plain one has no skip connection to be switched off."""
    return [kind for kind in KINDS if kind != "skip" or not isinstance(network, VGG)]


def _multiply_adds(config: "Config", size: Size) -> float:
    settings: LesionKinds = config.section("lesion_kinds")
    places, tested = min(settings.positions, size.blocks), settings.tested("lesion_kinds", size.test)
    trained = 3 * settings.batches * settings.batch_size  # with batch normalisation in train mode
    return size.forward * (places * (len(KINDS) * tested + trained) + tested + trained)


def _sizes(config: "Config", network: str) -> dict[str, int]:
    settings, made_of = config.section("lesion_kinds"), config.networks[network]
    return {"kind": len(kinds_of(made_of)), "place": min(settings.positions, made_of.n_blocks) + 1}


STUDY = Study(
    order=330,
    title="What a deletion takes out",
    settings=LesionKinds(),
    settings_title="Single deletions made in several ways.",
    measurement=Measurement(
        tables={"": TABLE},
        networks=lambda config: config.section("lesion_kinds").networks,
        decides=lambda config, _: {
            "evaluation": config.evaluation.model_dump(mode="json"),
            "lesion_kinds": config.section("lesion_kinds").model_dump(
                mode="json", exclude={"networks"}, exclude_none=True
            ),
        },
        sizes=_sizes,
        message="Make lesions of several kinds in {network}, seed {seed}",
        cost=Cost(_multiply_adds, shared=0.5),
    ),
    figure=Figure(
        number="kinds",
        title="Single deletions made in several ways",
        slug="lesion-kinds",
        note="Not in the paper, whose deletions are those with the branch off.",
        shows=lambda config: config.section("lesion_kinds").networks or None,
        inputs=("lesion_kinds",),
        original=False,
    ),
)
