"""The wheel: built from a checkout, it works from any folder, with all that the library reads inside."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "scripts")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which `pip install` has put the library and nothing else."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in PARTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", target, source]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, cwd=source)
    return target


@pytest.fixture
def call(installed, tmp_path):
    """Run Python or a command with the installed library, in an empty folder."""

    def call(*words):
        environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment)
        return done.returncode, done.stdout, done.stderr

    return call


def test_every_module_can_be_imported_and_every_file_that_is_read_is_there(call, installed):
    modules = [path for path in (ROOT / "scripts" / "unravel").rglob("*") if path.suffix in (".py", ".yaml", ".html")]
    names = [path.relative_to(ROOT / "scripts") for path in modules]
    assert [str(name) for name in names if not (installed / name).is_file()] == []
    ours = [".".join(name.with_suffix("").parts) for name in names if name.suffix == ".py"]
    ours = [name.removesuffix(".__init__") for name in ours]
    code, _, wrong = call(
        sys.executable, "-c", f"import importlib; [importlib.import_module(name) for name in {ours!r}]"
    )
    assert code == 0, wrong


MODEL = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
    def forward(self, x):
        return x + self.conv(x).relu()

def small():
    torch.manual_seed(0)
    blocks = Block(), Block(), Block()
    return nn.Sequential(nn.Conv2d(3, 4, 3), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

def loader():
    torch.manual_seed(0)
    return [(torch.randn(6, 3, 8, 8), torch.randint(3, (6,))) for _ in range(2)]
"""


def test_the_command_works_from_an_empty_folder(call, installed, tmp_path):
    (tmp_path / "mine.py").write_text(MODEL)
    lesion = str(installed / "bin" / "lesion")
    words = ("mine.py:small", "--data", "mine.py:loader", "--draws", "2", "--samples", "2")
    code, said, wrong = call(sys.executable, lesion, *words)
    assert code == 0, wrong
    assert "small: 3 residual blocks, from 1 to 3\n" in said
    assert "lesions/figure-6.svg: paths of 0 to 3 blocks; their sum is autograd's gradient to a relative" in said
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["lesions", "mine.py"]
    assert {path.name for path in (tmp_path / "lesions").glob("*.svg") if "narrow" not in path.name} == {
        f"figure-{number}.svg" for number in ("3", "5a", "5b", "6")
    }
    code, said, _ = call(sys.executable, lesion, "mine.py:small", "--list")
    assert (code, said) == (
        0,
        "mine.py:small adds a branch to a skip connection in:\n  --blocks '*'  3 residual blocks\n",
    )
