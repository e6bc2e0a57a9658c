"""The same figure of two runs, drawn again from their tables on axes of the same scale, so that the eye can compare."""

import importlib
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unravel.evidence import lineage
from unravel.evidence.lineage import Records
from unravel.files import sha256
from unravel.run import Config
from unravel.studies import FIGURES, style
from unravel.studies.expected import require

AXES = ("x", "y")


def draw(slug: str, folder: Path, config: Config, records: Records) -> Figure:
    """A run's figure, drawn again from the tables that its record names.

    Raises InputError if a table is missing, is not as its job made it, or lacks what the config asks for.
    """
    study, figure = FIGURES[slug]
    record = lineage.find(records, f"figures/{slug}")
    paths = [Path(path) for path in record["inputs"] if Path(path).suffix != ".py"]
    lineage.require_as_made({str(path): sha256(path) for path in paths}, records, folder)
    require(paths, folder, config)
    module = importlib.import_module(f"unravel.studies.{figure.drawn_by or study.name}.figure")
    drawn: Figure = module.draw(paths, config.scale).figure
    return drawn


def share(one: Figure, other: Figure) -> None:
    """Give panels of two drawings of one figure, which stand in the same place and show the same, the same limits."""
    for panels in zip(one.axes, other.axes, strict=False):
        for axis in AXES:
            _share(panels, axis)


def _share(panels: Sequence[Axes], axis: str) -> None:
    meant = {(getattr(panel, f"get_{axis}label")(), getattr(panel, f"get_{axis}scale")()) for panel in panels}
    if len(meant) == 1:
        ends = [getattr(panel, f"get_{axis}bound")() for panel in panels]
        for panel in panels:
            getattr(panel, f"set_{axis}bound")(min(low for low, _ in ends), max(high for _, high in ends))


def picture(figure: Figure) -> bytes:
    """A drawing as svg."""
    written = io.BytesIO()
    with mpl.rc_context(style.SETTINGS):
        figure.savefig(written, format="svg", metadata=style.PICTURES[".svg"])
    return written.getvalue()
