"""The example notebook: a valid one, of 15 cells, all of which run, on a published checkpoint."""

from pathlib import Path

import nbformat
from matplotlib.figure import Figure

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_cell_of_the_notebook_runs(monkeypatch):
    monkeypatch.chdir(DOCS)  # where a notebook runs
    notebook = nbformat.read("own-network.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert len(notebook.cells) == 15
    known, shown = {}, []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            *lines, last = cell.source.split("\n")
            is_expression = _is_expression(last)
            exec(compile("\n".join(lines if is_expression else [*lines, last]), "cell", "exec"), known)
            shown += [eval(last, known)] if is_expression else []
    names, table, figure_3, figure_5a, error, figure_6 = shown
    assert names == [f"blocks.{place}" for place in range(18)]
    assert list(table.deleted_position) == list(range(19))
    assert table.wrong_images[0] <= 6  # of 16 images; the checkpoint errs on a fifth of all
    assert table.wrong_images.max() > table.wrong_images[0]
    assert all(isinstance(figure, Figure) for figure in (figure_3, figure_5a, figure_6))
    assert 0 < error < 1e-4


def _is_expression(line):
    try:
        compile(line, "cell", "eval")
    except SyntaxError:
        return False
    return True
