"""Test error after lesions of several kinds, position by position, a panel for each network."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from unravel import tables
from unravel.studies import style
from unravel.studies.lesion_kinds import KINDS, TABLE
from unravel.studies.lesion_kinds.values import increases, summary

# A mark for each kind, that of the paper's own deletions first; networks have a panel each, and need none.
MARKS = dict(zip(KINDS, [*style.KNOWN_MARKS.values(), *style.SPARE_MARKS], strict=False))


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements/lesion_kinds tables of any networks and seeds."""
    table = tables.read(inputs, TABLE.columns)
    values, made = summary(table), increases(table)
    names, labelled = list(values["networks"]), set()
    with style.side_by_side(len(names), height=3.4) as (figure, panels):
        for panel, letter, name in zip(panels, "ABCDEFGH", names, strict=False):
            rows = made[made.network == name]
            for kind in values["networks"][name]["kinds"]:
                by_position = rows[rows.kind == kind].groupby("deleted_position").error_percent
                mark, label = MARKS[kind], f"_{KINDS[kind]}" if kind in labelled else KINDS[kind]
                labelled.add(kind)
                mean, meaning = by_position.mean(), "lowest and highest seed"
                style.band(panel, mean.index, by_position.min(), by_position.max(), mark, label, meaning)
                panel.plot(mean, color=mark.colour, linestyle=mark.dash, marker=mark.marker, markersize=3, linewidth=1,
                           label=label)  # fmt: skip
            panel.axhline(values["chance_error_percent"], color=style.GREY, linewidth=0.8)
            panel.axhline(
                values["networks"][name]["intact_error_percent"].mean, color=style.GREY, linewidth=0.8, linestyle=":"
            )
            style.panel_title(panel, letter, name)
            panel.set_xlabel("position of the block or layer")
            panel.set_ylabel("test error, percent")
            panel.set_ylim(0, 100)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        style.legend(figure)
        style.note_run(figure, scale)
        return style.Drawing(figure, made, values)
