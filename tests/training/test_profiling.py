"""Profiling a training: what it writes, and that it changes nothing."""

import json

import torch
from torch import nn

from unravel.training.profiling import COSTLIEST, profiled


def run_steps(folder, steps):
    layer = nn.Linear(8, 8)
    with profiled(folder) as next_step:
        for _ in range(steps):
            next_step()
            layer(torch.ones(4, 8)).sum().backward()


def test_a_profile_names_the_costliest_kernels_and_holds_a_trace(tmp_path):
    run_steps(tmp_path, 40)
    first, _, _, _, *rows = (tmp_path / "kernels.txt").read_text().splitlines()
    assert first == "20 training steps"
    assert len(rows) == COSTLIEST + 2  # a rule and the total below them
    assert any("addmm" in row for row in rows)
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert sum(event.get("name") == "aten::addmm" for event in events) == 20
    assert {path.name for path in tmp_path.iterdir()} == {"kernels.txt", "trace.json"}


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_steps(None, 3)
    assert list(tmp_path.iterdir()) == []
