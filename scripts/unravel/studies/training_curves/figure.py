"""Training loss and test error of every network over the epochs."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.ticker import LogLocator

from unravel import tables
from unravel.statistics import mean_interval
from unravel.studies import style
from unravel.studies.training_curves import TABLE

COLUMNS = TABLE.only("epoch", "train_loss", "test_error_percent")
PANELS = (("A", "train_loss", "training loss, nats per image"), ("B", "test_error_percent", "test error, percent"))


def draw(inputs: Sequence[Path], scale: str) -> style.Drawing:
    """Draw histories checkpoints/<network>/seed<k>.history.csv."""
    table = pd.concat([_history(path) for path in inputs], ignore_index=True)
    marks = style.marks(table.network)
    with style.side_by_side(2, height=3.0) as (figure, panels):
        for panel, (letter, column, label) in zip(panels, PANELS, strict=True):
            for network, rows in table.groupby("network"):
                mark = marks[str(network)]
                values = rows.groupby("epoch")[column].agg(["mean", "min", "max"])
                ends = values["min"], values["max"]
                style.band(panel, values.index, *ends, mark, str(network), "lowest and highest seed")
                line = panel.plot(values.index, values["mean"], color=mark.colour, linestyle=mark.dash)[0]
                line.set_label(str(network) if letter == "A" else f"_{network}")
            panel.set_xlabel("epoch")
            panel.set_yscale("log")
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 6)))
            panel.yaxis.set_major_formatter("{x:g}")
            panel.yaxis.set_minor_formatter("")
            style.panel_title(panel, letter, label)
        style.legend(figure)
        style.note_run(figure, scale)
        epochs = table.groupby("network").epoch.max()
        last = table[table.epoch == table.network.map(epochs)]  # some networks have fewer epochs
        finals = {str(name): mean_interval(rows.test_error_percent) for name, rows in last.groupby("network")}
        return style.Drawing(figure, table, {"final_test_error_percent": finals, "epochs": epochs.to_dict()})


def _history(path: Path) -> pd.DataFrame:
    table = tables.read([path], COLUMNS)
    table.insert(0, "network", path.parent.name)
    table.insert(1, "seed", int(path.name.split(".")[0].removeprefix("seed")))
    return table
