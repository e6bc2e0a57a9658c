"""The pipeline called from another folder than its own: the code is found, what is made lies where it was called.

The code's folder has a space in its name, since a user's may.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from workflow_helpers import RUN, copy_code

from unravel import place
from unravel.files import sha256

CONFIG = "config/ci.yaml"
FIGURE = RUN / "figures/class-overview.svg"  # drawn from images alone
AS_MODULE = """
configfile: "mine.yaml"
module unravel:
    snakefile: "{snakefile}"
    config: config["unravel"]
use rule * from unravel as unravel_*
rule all:
    default_target: True
    input: rules.unravel_figure_classes.output.svg
    output: "all.txt"
    shell: "cd . && echo done > {{output}}"  # which only a shell can do, and no `exec`
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    """A copy of the checkout."""
    return copy_code(tmp_path_factory.mktemp("the code") / "unravel")


def snakemake(folder, *arguments, **variables):
    """What a call of snakemake in a folder said."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *map(str, arguments)]
    environment = {**os.environ, **variables, "PATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def records(folder):
    """The text of all job records of the run in a folder."""
    return "".join(path.read_text() for path in sorted((folder / RUN / "jobs").rglob("*.json")))


@pytest.fixture(scope="module")
def called(code, tmp_path_factory):
    """An empty folder in which the Snakefile was named by its path."""
    folder = tmp_path_factory.mktemp("called")
    snakemake(folder, "figure_classes", "-s", code / "workflow/Snakefile", "--configfile", code / CONFIG)
    return folder


def test_a_snakefile_named_by_its_path_writes_into_the_working_directory(called, code):
    assert {path.name for path in called.iterdir()} == {".snakemake", "results"}
    assert not (code / "results").exists()
    assert (called / FIGURE).is_file()


def test_records_name_the_code_by_its_path_in_the_repository_and_no_folder_of_the_machine(called, code):
    told = records(called)
    assert str(code) not in told
    assert str(called) not in told
    drawn = json.loads((called / RUN / "jobs/figures/class-overview.json").read_text())
    module = "scripts/unravel/studies/class_overview/figure.py"
    assert drawn["command"].startswith(f"python scripts/draw_figure.py --module {module} ")
    assert drawn["inputs"][module]["sha256"] == sha256(code / module)
    assert "scripts/draw_figure.py" in drawn["code"]["modules"]


def test_what_was_made_elsewhere_is_fresh_and_the_command_that_mends_it_works_there(called, code):
    command = [sys.executable, code / "scripts/status.py", "--config", RUN / "config.yaml"]
    told = subprocess.run(command, cwd=called, text=True, capture_output=True).stdout
    assert "fresh           figures/class-overview" in told
    (line,) = [line for line in told.splitlines() if line.startswith("missing         figures/paths-left")]
    again = line.partition("->")[2].strip()
    assert again.startswith('snakemake -s "$UNRAVEL/workflow/Snakefile" results/ci/figures/paths-left.svg ')
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    planned = subprocess.run(
        ["bash", "-c", f"{again} --dry-run"], cwd=called, text=True, capture_output=True,
        env={**os.environ, "PATH": path, "UNRAVEL": str(code)},
    )  # fmt: skip
    assert "Draw Figure 7" in planned.stdout + planned.stderr


def test_a_directory_told_to_snakemake_holds_the_results(code, tmp_path):
    snakemake(code, "prepare_data", "--directory", tmp_path, "--configfile", CONFIG)
    assert (tmp_path / RUN / "data/digits/manifest.json").is_file()
    assert str(code) not in records(tmp_path)
    assert not (code / "results").exists()


def test_a_module_of_another_workflow_makes_the_same_bytes_and_leaves_its_rules_alone(called, code, tmp_path):
    (tmp_path / "Snakefile").write_text(AS_MODULE.format(snakefile=code / "workflow/Snakefile"))
    config = (code / CONFIG).read_text().replace("\n", "\n  ")
    (tmp_path / "mine.yaml").write_text(f"unravel:\n  {config}")
    snakemake(tmp_path, "--dry-run")
    assert not (tmp_path / "results").exists()
    snakemake(tmp_path)
    assert (tmp_path / "all.txt").read_text() == "done\n"
    assert sha256(tmp_path / FIGURE) == sha256(called / FIGURE)
    assert str(code) not in records(tmp_path)


def test_a_module_without_a_config_is_the_demo_run(code, tmp_path):
    text = AS_MODULE.format(snakefile=code / "workflow/Snakefile").replace('    config: config["unravel"]\n', "")
    (tmp_path / "Snakefile").write_text(text)
    (tmp_path / "mine.yaml").write_text("other: 1\n")
    assert "results/demo/figures/class-overview.svg" in snakemake(tmp_path, "--dry-run")


def test_a_snakefile_without_its_scripts_says_what_to_do(code, tmp_path):
    (tmp_path / "unravel").mkdir()
    (tmp_path / "unravel/workflow").mkdir()
    for path in (code / "workflow").rglob("*.smk"):
        target = tmp_path / "unravel" / path.relative_to(code)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    (tmp_path / "unravel/workflow/Snakefile").write_bytes((code / "workflow/Snakefile").read_bytes())
    command = [sys.executable, "-m", "snakemake", "-n", "-s", tmp_path / "unravel/workflow/Snakefile"]
    told = subprocess.run([*command, "--configfile", code / CONFIG], cwd=tmp_path, text=True, capture_output=True)
    assert "lies without the scripts that it calls; clone the repository" in told.stdout + told.stderr
    assert "Traceback" not in told.stdout + told.stderr


def test_only_files_of_the_code_are_recorded_by_another_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("scripts", "results"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.py").touch()
    assert place.recorded(place.REPOSITORY / "scripts/train.py") == "scripts/train.py"
    given = (str(place.REPOSITORY / "README.md"), str(tmp_path / "results/train.py"), "--data", "seed/1", "train.py")
    assert tuple(map(place.recorded, given)) == given
