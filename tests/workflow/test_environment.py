"""One set of versions for pip and conda, hashes for all, addresses nowhere; and a config reference that is true."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
LOCK = (ROOT / "requirements.lock").read_text()
PARTS = {name: (ROOT / f"requirements-{name}.lock").read_text() for name in ("run", "cpu")}


def pins(lock):
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\\n]+)", lock, re.MULTILINE))


LOCKED = pins(LOCK)


def conda_pins(path):
    listed = yaml.safe_load(path.read_text())["dependencies"]
    pins = dict(line.split(" =") for line in listed if isinstance(line, str) and line != "pip")
    pins |= dict(line.split("==") for part in listed if isinstance(part, dict) for line in part["pip"])
    pins.pop("python")
    return {CONDA_NAMES.get(name, name): version for name, version in pins.items()}


@pytest.mark.parametrize(
    "path", [ROOT / "environment.yml", *sorted((ROOT / "workflow" / "envs").glob("*.yaml"))], ids=lambda path: path.name
)
def test_conda_environments_pin_what_the_lock_pins(path):
    pins = conda_pins(path)
    assert pins == {name: LOCKED[name] for name in pins}


def test_the_conda_environment_holds_every_declared_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    declared = [*project["dependencies"], *(name for extra in extras for name in extra)]
    names = {re.split(r"[=<>]", requirement)[0].lower() for requirement in declared}
    assert set(conda_pins(ROOT / "environment.yml")) == names


def test_rule_environments_are_parts_of_the_whole_one():
    whole = conda_pins(ROOT / "environment.yml")
    for path in (ROOT / "workflow" / "envs").glob("*.yaml"):
        assert conda_pins(path).items() <= whole.items()


def test_every_locked_package_has_hashes_and_no_address():
    for lock in (LOCK, *PARTS.values()):
        entries = re.split(r"\n(?=[a-z])", lock.partition("\n")[2])
        packages = [entry for entry in entries if re.match(r"[a-z0-9-]+==", entry)]
        assert len(packages) >= len(pins(lock)) > 60
        assert all("--hash=sha256:" in entry for entry in packages)
        assert "://" not in lock


def test_the_smaller_locks_are_parts_of_the_whole_one():
    run, cpu = pins(PARTS["run"]), pins(PARTS["cpu"])
    assert run.items() <= LOCKED.items()
    without = {name for name in run if re.match(r"(torch|triton|nvidia-.*|cuda-.*)$", name)}
    assert cpu == {name: version for name, version in run.items() if name not in without}
    assert "torch" in without
    assert not {"torchvision", "timm", "pytest"} & run.keys()


def test_the_config_reference_is_what_the_code_says(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import describe_config

    assert (ROOT / "config" / "README.md").read_text() == describe_config.page()
