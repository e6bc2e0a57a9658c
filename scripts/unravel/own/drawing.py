"""The paper's figures, drawn from the tables of a network of one's own by the code that draws them in the report."""

import importlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from unravel import tables
from unravel.own.measuring import PathGradients
from unravel.studies import STUDIES, style
from unravel.studies.paths_left.measure import measure as path_counts


def figure_3(table: pd.DataFrame) -> Figure:
    """Test error after deleting each block in turn, from `deletions`."""
    return drawn("single_deletion", {"deletions.csv": table}).figure


def figure_5a(table: pd.DataFrame) -> Figure:
    """Test error after deleting several random blocks, from `random_deletions`."""
    return drawn("random_deletion", {"random_deletions.csv": table}).figure


def figure_5b(table: pd.DataFrame) -> Figure:
    """Test error after swapping blocks, from `reorderings`."""
    return drawn("reordering", {"reorderings.csv": table}).figure


def figure_6(found: PathGradients) -> Figure:
    """The gradient by path length, from `gradients`."""
    return drawn("path_gradients", gradient_files(found)).figure


def gradient_files(found: PathGradients) -> dict[str, pd.DataFrame]:
    """The tables that Figure 6 is drawn from, by their files: those measured, and the count of paths."""
    blocks = int(found.exact.length.max())
    return {
        "gradients.sampled.csv": found.sampled,
        "gradients.exact.csv": found.exact,
        "paths/paths.csv": path_counts(blocks)[""],
    }


def drawn(study: str, files: Mapping[str, pd.DataFrame]) -> style.Drawing:
    """A study's figure, from tables by the names of their files."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in files]
        for path, table in zip(paths, files.values(), strict=True):
            tables.write(path, table)
        drawing: style.Drawing = importlib.import_module(STUDIES[study].module("figure")).draw(paths, "own")
    return drawing
