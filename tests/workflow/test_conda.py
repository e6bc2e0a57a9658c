"""Each file of workflow/envs names all that its rules need: they run in an environment of these packages alone.

conda itself needs channels that tests do not reach; Snakemake is given a stand-in, which makes real environments.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conda_stand_in import ACTIVATE
from workflow_helpers import ROOT, RUN, copy_code

ENVS = sorted(path.stem for path in (ROOT / "workflow/envs").glob("*.yaml"))


@pytest.fixture(scope="module")
def conda(tmp_path_factory):
    """A folder with the stand-in, as conda lies in its own."""
    folder = tmp_path_factory.mktemp("conda") / "bin"
    folder.mkdir()
    (folder / "conda").write_text(
        f'#!{sys.executable}\nimport sys\nsys.path.insert(0, "{ROOT}/tests")\n'
        "import conda_stand_in\nconda_stand_in.main()\n"
    )
    (folder / "conda").chmod(0o755)
    (folder / "activate").write_text(ACTIVATE)
    return folder


def snakemake(checkout, conda, *arguments):
    """What a call with --use-conda said."""
    path = f"{conda}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    options = [*map(str, arguments), "--use-conda", "--cores", "2", "--configfile", "config/ci.yaml"]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *options], cwd=checkout, env={**os.environ, "PATH": path},
        text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def imports(environment, module):
    """Whether a module can be imported in an environment."""
    command = [environment / "bin/python", "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, env={"PATH": os.environ["PATH"]}).returncode == 0


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_code(tmp_path_factory.mktemp("conda") / "unravel")


def test_data_trainings_measurements_and_figures_need_what_their_files_name(checkout, conda):
    said = snakemake(checkout, conda, RUN / "measurements/predictions/vgg-seed1.csv", "figure_7")
    assert said.count("Creating conda environment") == 2
    environments = {
        yaml_file.with_suffix(""): yaml.safe_load(yaml_file.read_text())["dependencies"]
        for yaml_file in (checkout / ".snakemake/conda").glob("*.yaml")
    }
    assert len(environments) == 2
    for folder, named in environments.items():
        with_torch = any(line.startswith("pytorch ") for line in named)
        assert imports(folder, "numpy")
        assert imports(folder, "torch") == with_torch
        assert not imports(folder, "snakemake")
        assert not imports(folder, "torchvision")


def test_the_article_its_crate_and_its_checks_need_what_their_file_names(finished_ci, conda, tmp_path):
    folder = Path(shutil.copytree(finished_ci, tmp_path / "unravel"))
    said = snakemake(folder, conda, "--rerun-triggers", "mtime", "--forcerun", "claims")
    for words in (
        "Decide the paper's claims",
        "Write the report",
        "Describe the run as an RO-Crate",
        "Check the science",
    ):
        assert words in said
    (used,) = set(re.findall(r"Activating conda environment: (\S+)", said))
    assert not imports(folder / used, "torch")


def test_every_file_is_made_an_environment_of(conda, tmp_path):
    for name in ENVS:
        create = [conda / "conda", "env", "create", "--file", ROOT / f"workflow/envs/{name}.yaml"]
        subprocess.run([*create, "--prefix", tmp_path / name], check=True)
    code = f"import sys; sys.path.insert(0, '{ROOT}/scripts'); import unravel.data.streams; import timm"
    for name in ENVS:
        done = subprocess.run([tmp_path / name / "bin/python", "-c", code], text=True, capture_output=True)
        assert (done.returncode == 0) == (name == "named"), done.stderr
        if name == "torch":  # one line says what to install
            assert (
                "images that are decoded while they are used: torchvision is not installed; `make everything`"
                in done.stderr
            )
