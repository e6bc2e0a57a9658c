"""Figure 6 of the paper: how many paths have each length, what gradient one carries, and what they carry together."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from unravel import tables
from unravel.studies import style
from unravel.studies.path_gradients import EXACT, SAMPLED
from unravel.studies.path_gradients.values import DECAY, by_length, decay, mean_norms, summary
from unravel.tables import number, whole

_SAMPLED = SAMPLED.only("network", "seed", "batch_norm", "batch", "length", "log10_norm")


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw measurements of one network: sampled and exact gradients, those of its untrained copies, and path counts."""
    sampled = tables.read([path for path in inputs if path.name.endswith(".sampled.csv")], _SAMPLED)
    exact = tables.read([path for path in inputs if path.name.endswith(".exact.csv")], EXACT.columns)
    counts = tables.read(
        [path for path in inputs if path.parent.name == "paths"],
        {"deleted_blocks": whole(), "length": whole(), "paths": number(1)},
    )
    untrained = tables.read(
        [path for path in inputs if path.parent.name == "untrained_gradients"],
        SAMPLED.only("network", "seed", "length", "log10_norm"),
    )
    paths = counts[counts.deleted_blocks == 0].set_index("length").paths.astype(float)
    table = by_length(sampled, exact, paths)
    shown = table[table.batch_norm == "train"].set_index("length")
    control = pd.DataFrame([decay(rows) for _, rows in untrained.groupby("seed")], columns=DECAY).mean()
    values = summary(table, sampled, exact, paths) | {"untrained": control.to_dict()}
    mark = style.marks(sampled.network)[sampled.network.iloc[0]]
    with style.axes(columns=3, height=2.9) as (figure, panels):
        panels[0].bar(shown.index, shown.share_of_paths, color=style.GREY, width=0.8, label="_all paths")
        panels[1].plot(shown.index, shown.log10_mean_norm, color=mark.colour, marker=mark.marker, markersize=2.5,
                       label="_sampled paths")  # fmt: skip
        panels[1].plot(mean_norms(untrained), color=style.GREY, linestyle="--", label="before training")
        _draw_shares(panels[2], shown, values["papers_range"], mark)
        titles = ("share of paths", "log10 of the norm of one path", "share by length")
        for panel, letter, title in zip(panels, "ABC", titles, strict=True):
            style.panel_title(panel, letter, title)
            panel.set_xlabel("path length")
        figure.legend(loc="outside upper center", ncols=4)
        style.note_run(figure, scale)
        return style.Drawing(figure, table, values)


def _draw_shares(panel: Axes, shown: pd.DataFrame, papers_range: tuple[int, int], mark: style.Mark) -> None:
    panel.axvspan(*papers_range, color=style.GREY, alpha=0.15, linewidth=0, label="paper, as stated")
    panel.plot(shown.index, shown.estimated_share, color=mark.colour, linestyle=":", marker=mark.marker, markersize=2.5,
               label="paths x mean norm of sampled paths")  # fmt: skip
    panel.plot(shown.index, shown.exact_share, color="#000000", label="norm of the exact sum over paths")
    panel.plot(
        shown.index,
        shown.projected_share,
        color="#000000",
        linestyle="--",
        label="share of the gradient, by projection",
    )
