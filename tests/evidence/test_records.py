"""Job records: what they say is true, and they do not say who ran the job or where."""

import importlib
import json
import re
import shutil
import socket
import subprocess
import sys
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from unravel.evidence import lineage, records
from unravel.files import InputError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run's folder as the working directory, so that paths are as short as a user's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "input.csv").write_text("one")
    return tmp_path


def run_job(facts=None, seed=None):
    """Run a job that writes output.csv and return its record."""
    files = {"inputs": ["input.csv"], "outputs": ["output.csv"]}
    with records.job("jobs/output.json", **files, settings={"batch_size": 5}, seed=seed) as found:
        Path("output.csv").write_text("two")
        found |= facts or {}
    return json.loads(Path("jobs/output.json").read_text())


def sha256sum(path):
    return subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]


def test_a_job_on_a_gpu_says_which_and_how_much_of_its_memory_it_took(folder, monkeypatch):
    for name, value in (
        ("is_available", True),
        ("get_device_name", "NVIDIA H200"),
        ("max_memory_reserved", 3 * 2**30),
    ):
        monkeypatch.setattr(f"torch.cuda.{name}", lambda value=value: value)
    entry = run_job()
    assert entry["hardware"]["gpu"] == "NVIDIA H200"
    assert entry["facts"] == {"peak_gpu_memory_mb": 3072}


def test_inputs_and_outputs_have_the_hashes_of_the_command_line(folder):
    entry = run_job()
    assert entry["inputs"] == {"input.csv": {"sha256": sha256sum("input.csv"), "bytes": 3}}
    assert entry["outputs"] == {"output.csv": {"sha256": sha256sum("output.csv"), "bytes": 3}}


def test_the_command_can_be_pasted_into_a_shell(folder, monkeypatch):
    monkeypatch.setattr("sys.argv", ["scripts/train.py", "--network", "resnet", "--output", "with space.csv"])
    assert run_job()["command"] == "python scripts/train.py --network resnet --output 'with space.csv'"


def test_settings_seed_and_facts_are_kept(folder):
    entry = run_job(facts={"images_per_second": 12.5}, seed=3)
    assert (entry["settings"], entry["seed"]) == ({"batch_size": 5}, 3)
    assert entry["facts"]["images_per_second"] == 12.5
    assert entry["environment"]["versions"]["numpy"] == version("numpy")
    assert entry["environment"]["lock_sha256"] == sha256sum(records.REPOSITORY / "requirements.lock")
    assert datetime.fromisoformat(entry["started"]).utcoffset().total_seconds() == 0
    assert 0 <= entry["seconds"] < 10
    assert entry["peak_memory_mb"] > 1


def test_neither_the_host_nor_the_user_is_named(folder, monkeypatch):
    for variable in ("USER", "LOGNAME", "USERNAME", "HOSTNAME"):
        monkeypatch.setenv(variable, "somebody-here")
    monkeypatch.setenv("HOME", "/home/somebody-here")
    monkeypatch.setattr("sys.argv", ["scripts/train.py"])
    run_job()
    text = (folder / "jobs" / "output.json").read_text()
    assert "somebody-here" not in text
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text)


def test_a_job_that_fails_leaves_no_record(folder):
    with (
        pytest.raises(ZeroDivisionError),
        records.job("jobs/output.json", inputs=["input.csv"], outputs=["output.csv"], settings={}),
    ):
        _ = 1 / 0
    assert [path.name for path in folder.rglob("*")] == ["input.csv"]


def test_a_job_without_its_output_leaves_no_record(folder):
    with (
        pytest.raises(InputError, match=r"output\.csv: is missing"),
        records.job("jobs/output.json", inputs=["input.csv"], outputs=["output.csv"], settings={}),
    ):
        pass
    assert [path.name for path in folder.rglob("*")] == ["input.csv"]


def next_job():
    """A job that reads what `run_job` wrote."""
    with records.job("jobs/next.json", inputs=["output.csv"], outputs=["next.csv"], settings={}) as facts:
        facts["read"] = Path("output.csv").read_text()
        Path("next.csv").write_text("three")


@pytest.mark.parametrize("content", ["twp", "tw", ""])
def test_a_job_refuses_an_input_that_is_not_as_its_job_made_it(folder, content):
    run_job()
    made = sha256sum("output.csv")
    Path("output.csv").write_text(content)
    with pytest.raises(InputError) as refused:
        next_job()
    assert str(refused.value) == (
        f"output.csv: has SHA-256 {sha256sum('output.csv')}, expected {made} as jobs/output.json says; to make it "
        'again, run snakemake -s "$UNRAVEL/workflow/Snakefile" output.csv --force --cores all --configfile config.yaml'
    )
    assert not Path("next.csv").exists()
    Path("output.csv").write_text("two")
    next_job()


@pytest.mark.usefixtures("folder")
def test_an_input_that_no_job_made_is_accepted():
    Path("output.csv").write_text("a user's own")
    next_job()


def test_a_job_does_not_make_what_is_sealed(folder):
    Path("seal.json").write_text('{"files": {"output.csv": ""}}')
    with pytest.raises(InputError, match=r"^output\.csv: is sealed by seal\.json, .*; choose another output$"):
        run_job()
    assert not Path("output.csv").exists()
    Path("seal.json").write_text('{"files": {"other.csv": ""}}')
    run_job()


@pytest.mark.parametrize("place", range(0, 100, 9))
def test_a_record_with_a_flipped_bit_is_refused(folder, place):
    """Wherever it is: in what the record says, in its keys, in its digest, or in what makes it JSON."""
    run_job()
    path = Path("jobs/output.json")
    content = bytearray(path.read_bytes())
    content[place * len(content) // 100] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^jobs/output\.json: .* run its job again"):
        next_job()


def test_a_record_in_the_place_of_another_is_refused(folder, monkeypatch):
    monkeypatch.setattr("sys.argv", ["scripts/measure.py", "--record", "jobs/output.json"])
    run_job()
    assert lineage.read_records(Path("jobs")).keys() == {"output"}
    shutil.copy("jobs/output.json", "jobs/other.json")
    with pytest.raises(
        InputError, match=r"jobs/other\.json: is the record that its job wrote as jobs/output\.json; del"
    ):
        lineage.read_records(Path("jobs"))


def test_a_record_from_before_digests_is_read(folder):
    run_job()
    path = Path("jobs/output.json")
    old = {key: value for key, value in json.loads(path.read_text()).items() if key != "digest"} | {"schema": 1}
    path.write_text(json.dumps(old))
    assert lineage.read_records(Path("jobs")) == {"output": old}


def test_code_is_that_which_the_process_had_imported_as_it_was_at_the_start(folder, monkeypatch):
    monkeypatch.setattr(records, "REPOSITORY", folder)
    (folder / "requirements.lock").touch()
    (folder / "scripts").mkdir()
    for name in ("early", "late", "never"):
        (folder / "scripts" / f"{name}.py").write_text(f"name = {name!r}")
    monkeypatch.syspath_prepend(str(folder / "scripts"))
    importlib.import_module("early")
    expected = {f"scripts/{name}.py": sha256sum(folder / "scripts" / f"{name}.py") for name in ("early", "late")}
    with records.job("jobs/output.json", inputs=[], outputs=[], settings={}):
        importlib.import_module("late")
        (folder / "scripts" / "early.py").write_text("edited while the job ran")
    for name in ("early", "late"):
        monkeypatch.delitem(sys.modules, name)
    assert json.loads(Path("jobs/output.json").read_text())["code"]["modules"] == expected


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A small git repository in the place of this one, and a function to call git in it."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.setattr(records, "REPOSITORY", folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false"]

    def git(*words):
        command = ["git", "-C", folder, *identity, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "--quiet")
    (folder / "code.py").write_text("one = 1\n")
    (folder / "results").mkdir()
    (folder / "results/claims.json").write_text("[]")
    git("add", "code.py", "results")
    git("commit", "--quiet", "--message", "Add code")
    return folder, git


def test_the_commit_is_the_checkouts(repository):
    _, git = repository
    assert records.code_version() == {"commit": git("rev-parse", "HEAD"), "dirty": False}


def test_changed_code_is_said_to_be_changed(repository):
    folder, git = repository
    (folder / "results.csv").write_text("a file that git does not track is no code")
    assert not records.code_version()["dirty"]
    (folder / "code.py").write_text("one = 2\n")
    assert records.code_version() == {"commit": git("rev-parse", "HEAD"), "dirty": True}
    git("add", "code.py")  # staged is not yet committed
    assert records.code_version()["dirty"]


def test_results_made_again_are_no_changed_code(repository):
    folder, _ = repository
    (folder / "results/claims.json").write_text("[1]")
    assert not records.code_version()["dirty"]


def test_code_outside_a_checkout_has_no_commit(tmp_path, repository, monkeypatch):
    (tmp_path / "unpacked").mkdir()
    monkeypatch.setattr(records, "REPOSITORY", tmp_path / "unpacked")
    assert records.code_version() == {"commit": None, "dirty": False}
    monkeypatch.setenv("PATH", "")  # nor has it where there is no git
    monkeypatch.setattr(records, "REPOSITORY", repository[0])
    assert records.code_version() == {"commit": None, "dirty": False}
