"""A transformer's single deletions and its gradient by path length, beside a residual network with as many branches."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from unravel import tables
from unravel.studies import style
from unravel.studies.vision_transformer import BY_KIND, DELETIONS, KINDS, LENGTHS, SWAPS
from unravel.studies.vision_transformer.values import summary

_SERIES = {"attention": "attention", "mlp": "MLP", "block": "residual block"}
_MARKS = dict(zip(_SERIES, (style.SPARE_MARKS[0], style.SPARE_MARKS[1], style.KNOWN_MARKS["resnet"]), strict=True))
_TRANSFORMER = style.SPARE_MARKS[2]


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/vision_transformer tables beside one network or several, one seed each."""
    found = {
        name: tables.read([path for path in inputs if path.name.endswith(f".{name}.csv")], table.columns)
        for name, table in (("deletions", DELETIONS), ("swaps", SWAPS), ("lengths", LENGTHS), ("by_kind", BY_KIND))
    }
    with style.side_by_side(3, height=3.2) as (figure, (deletions, lengths, kinds)):
        _draw_deletions(deletions, found["deletions"])
        for system, mark in (("transformer", _TRANSFORMER), ("residual", _MARKS["block"])):
            rows = found["lengths"][found["lengths"].system == system]
            _draw_shares(lengths, 10.0**rows.log10_norm, rows.length, mark, f"{system}, paths")
        norms = 10.0 ** found["by_kind"].log10_norm
        for kind in KINDS:
            _draw_shares(kinds, norms, found["by_kind"][kind], _MARKS[kind], f"_{_SERIES[kind]}")
        style.panel_title(deletions, "A", "error without a branch, percent")
        style.panel_title(lengths, "B", "gradient by length, percent")
        style.panel_title(kinds, "C", "by kind of branch, percent")
        for panel, across in ((deletions, "position"), (lengths, "path length"), (kinds, "branches of that kind")):
            panel.set_ylim(bottom=0)
            panel.set_xlabel(across)
        style.legend(figure)
        style.note_run(figure, scale)
        table = pd.concat([one.assign(table=name) for name, one in found.items()], ignore_index=True)
        return style.Drawing(figure, table, summary(found))


def _draw_deletions(panel: Axes, table: pd.DataFrame) -> None:
    for kind, label in _SERIES.items():
        mark, errors = _MARKS[kind], table[table.kind == kind].groupby("position").error_percent.mean()
        panel.plot(errors, color=mark.colour, linestyle=mark.dash, marker=mark.marker, markersize=3.5, label=label)
    intact = table[(table.kind == "intact") & (table.system == "transformer")].error_percent.mean()
    panel.axhline(intact, color=_TRANSFORMER.colour, linewidth=0.8, linestyle=":", label="intact transformer")


def _draw_shares(panel: Axes, norms: pd.Series, numbers: pd.Series, mark: style.Mark, label: str) -> None:
    """Draw how the summed norms are spread over a number of branches, in percent."""
    by_number = norms.groupby(numbers).sum()
    panel.plot(100 * by_number / by_number.sum(), color=mark.colour, linestyle=mark.dash, marker=mark.marker,
               markersize=3.5, label=label)  # fmt: skip
