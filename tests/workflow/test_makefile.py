"""What a call of make is given, or finds in a file, gets to no shell; a config gets to Snakemake once it is checked."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import check_call
from unravel.files import InputError

ROOT = Path(__file__).resolve().parents[2]
GOOD = (ROOT / "config" / "ci.yaml").read_text().replace("run: ci", "run: mine")
GIVEN = {  # the words that a value becomes, by target
    "plan": ["--config={}"],
    "prefetch": ["--config={}", "--configfile={}"],
    "report": ["--config={}", "--configfile={}"],
    "figure": ["--config={}", "--figure={}", "figure_{}", "--configfile={}"],
    "reference": ["--config={}", "--run={}"],
    "status": ["--config={}"],
    "verify": ["--config={}", "--run={}"],
    "diff": ["{}", "{}"],
}
PLANTED = "$(touch planted) `touch planted` ; touch planted ; ' ; touch planted ; ' \" ; touch planted ; \""
WRITE_DOWN = "#!/bin/sh\nprintf '%s\\n' \"$@\" >> called\n"


def write_tool(checkout, name, text):
    path = checkout / ".venv" / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path):
    """The Makefile with a sealed run, and a Snakemake that only writes down how it was called."""
    (tmp_path / "results" / "mine").mkdir(parents=True)
    (tmp_path / "results" / "mine" / "seal.json").touch()
    for name in ("Makefile", "scripts", "report", "requirements.lock"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "installed").touch()
    write_tool(tmp_path, "snakemake", WRITE_DOWN)
    write_tool(tmp_path, "python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "config.yaml").write_text(GOOD)
    return tmp_path


def make(checkout, *arguments):
    command = ["make", "-o", ".venv/installed", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True)


@pytest.mark.parametrize("planted", [PLANTED, "$(shell touch planted)"], ids=["to the shell", "to make"])
def test_every_value_of_a_call_is_one_word_to_what_it_is_given_to(checkout, planted):
    write_tool(checkout, "python", f"{WRITE_DOWN}echo mine\n")
    for target, words in GIVEN.items():
        done = make(checkout, target, *(f"{name}={planted}" for name in ("CONFIG", "RUN", "FIG", "A", "B")))
        assert (done.returncode, done.stderr) == (0, "")
        called = (checkout / "called").read_text().splitlines()
        assert [word for word in called if planted in word] == [word.format(planted) for word in words]
        (checkout / "called").unlink()
    assert not (checkout / "planted").exists()


@pytest.mark.parametrize("target", ["prefetch", "report", "figure", "reference"])
def test_snakemake_gets_no_config_that_was_refused(checkout, target):
    write_tool(checkout, "python", "#!/bin/sh\nexit 1\n")
    assert make(checkout, target).returncode == 2
    assert not (checkout / "called").exists()


def test_a_config_that_was_checked_reaches_snakemake_and_its_run_is_named(checkout):
    done = make(checkout, "report", "CONFIG=config.yaml")
    assert done.stdout == "The report: results/mine/report.html\n"
    assert (checkout / "called").read_text().splitlines() == [
        "--logger=unravel",
        "--cores",
        "all",
        "--configfile=config.yaml",
    ]


def test_a_published_run_is_rebuilt_from_its_own_config_once_that_was_checked(checkout):
    folder = checkout / "results" / "mine"
    (folder / "config.yaml").write_text(GOOD)
    assert make(checkout, "reference", "CONFIG=config.yaml").returncode == 0
    called = (checkout / "called").read_text().splitlines()
    assert called[3:5] == ["--configfile=results/mine/config.yaml", "--forceall"]
    (checkout / "called").unlink()
    (folder / "config.yaml").write_text(f"{GOOD}__use_yte__: true\n")
    done = make(checkout, "reference", "RUN=mine")
    assert done.returncode == 2
    assert done.stderr.startswith("error: config: top level: unknown key '__use_yte__'")
    assert not (checkout / "called").exists()


def check(monkeypatch, *options):
    monkeypatch.setattr("sys.argv", ["check_call.py", "--config=config.yaml", *options])
    check_call.main()


@pytest.mark.parametrize("name", ["../demo", "$(id)", "demo/", "Demo", "x" * 1000])
def test_what_is_no_name_of_a_run_is_refused(monkeypatch, name):
    with pytest.raises(InputError, match="is no name of a run; expected that of a folder in results") as caught:
        check(monkeypatch, f"--run={name}")
    assert len(str(caught.value)) < 200


def test_only_figures_that_there_are_can_be_asked_for(monkeypatch, checkout, capsys):
    monkeypatch.chdir(checkout)
    check(monkeypatch, "--figure=5a")
    assert capsys.readouterr().out == "mine\n"
    for number in ("", "9", "3; touch planted"):
        with pytest.raises(InputError) as caught:
            check(monkeypatch, f"--figure={number}")
        first, *listed = str(caught.value).splitlines()
        assert first == (f"FIG={number!r}: no such figure" if number else "FIG says which figure") + "; expected one of"
        assert "  FIG=5a        Figure 5a. Test error after deleting several random blocks" in listed


@pytest.mark.parametrize("target", ["seal", "reference", "verify"])
def test_a_run_that_there_is_not_is_told_in_a_line_with_those_that_there_are(checkout, target):
    done = make(checkout, target, "RUN=other")
    assert done.returncode == 2
    assert done.stderr.startswith("error: results/other: there is no such run, there is none yet; to make the demo run")
    (checkout / "results" / "mine" / "config.yaml").write_text(GOOD)
    assert "no such run, there is mine; to make" in make(checkout, target, "RUN=other").stderr
    assert not (checkout / "called").exists()


def test_a_comparison_asks_for_two_runs_that_there_are(checkout):
    assert make(checkout, "diff", "A=results/x").stderr.startswith("error: results/x: there is no such run")
    (checkout / "results" / "mine" / "config.yaml").write_text(GOOD)
    assert make(checkout, "diff", "A=results/mine").stderr.startswith("error: B says which run to compare; give two")


def test_cleaning_up_deletes_no_run(checkout):
    kept = checkout / "results" / "mine" / "seal.json"
    assert make(checkout, "clean").returncode == 0
    assert kept.exists()
    assert not (checkout / ".venv").exists()


def test_a_run_does_not_write_into_the_folder_of_another(tmp_path):
    path = tmp_path / "results" / "other" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(GOOD)
    with pytest.raises(InputError, match="is the config of run mine; give the folder that name"):
        check_call.run_of(path)


@pytest.mark.parametrize(
    ("found", "gpu", "lock"),
    [
        (True, False, "requirements-cpu.lock"),
        (False, False, "requirements-run.lock"),
        (True, True, "requirements-run.lock"),
    ],
)
def test_a_run_installs_the_smallest_set_of_packages_that_serves(checkout, found, gpu, lock):
    (checkout / ".venv" / "installed").unlink()
    for name in ("requirements-run.lock", "requirements-cpu.lock"):
        (checkout / name).symlink_to(ROOT / name)
    write_tool(checkout, "uv", WRITE_DOWN)
    asked = f'case "$*" in *torch==*) echo "$@" >> asked; exit {int(not found)};; esac'
    write_tool(checkout, "python", f'#!/bin/sh\n{asked}\nexec {sys.executable} "$@"\n')
    if gpu:
        write_tool(checkout, "nvidia-smi", "#!/bin/sh\n")
    arguments = ["--no-print-directory", "status", "CONFIG=config.yaml", "TORCH_FROM=some where"]
    done = subprocess.run(["make", *arguments], cwd=checkout, capture_output=True, text=True)
    assert [line for line in (checkout / "called").read_text().splitlines() if line.endswith(".lock")] == [lock]
    assert ("installing torch with CUDA" in done.stdout) == (lock == "requirements-run.lock")
    assert (checkout / ".venv" / "ready").exists()
    if not gpu:
        version = re.search(r"^torch==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)[1]
        assert f"--find-links some where torch=={version}+cpu" in (checkout / "asked").read_text()
    again = subprocess.run(["make", *arguments], cwd=checkout, capture_output=True, text=True)
    assert "installing" not in again.stdout


def test_what_is_installed_for_tests_serves_runs(checkout):
    done = subprocess.run(["make", "-n", "report"], cwd=checkout, capture_output=True, text=True)
    assert "requirements-run.lock" not in done.stdout
