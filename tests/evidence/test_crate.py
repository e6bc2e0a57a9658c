"""The RO-Crate: accepted by the public validator with no network, read by a second library, true to its files."""

import io
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests_cache import CachedSession
from run_helpers import ROOT, RUN, make_run, write
from urllib3 import HTTPResponse

from unravel.evidence import crate, provenance
from unravel.files import sha256

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


@pytest.fixture(autouse=True)
def run(tmp_path, monkeypatch):
    make_run(tmp_path, monkeypatch)
    crate.copy_code(ROOT, RUN / crate.CODE)
    write_crate()


def write_crate():
    write(RUN / crate.METADATA, crate.describe(RUN, provenance.build(RUN)))


def entities():
    return {entity["@id"]: entity for entity in json.loads((RUN / crate.METADATA).read_text())["@graph"]}


class FromPackage(BaseAdapter):
    """Answers the one request that the validator makes with the copy of that file in the `rocrate` package."""

    def send(self, request, **options):
        assert request.url == CONTEXT
        body = io.BytesIO((files("rocrate") / "data" / "ro-crate.jsonld").read_bytes())
        answer = HTTPResponse(body, {"Content-Type": "application/ld+json"}, status=200, preload_content=False)
        return HTTPAdapter().build_response(request, answer)

    def close(self):
        pass


@pytest.fixture
def validate(tmp_path):
    """Calls the validator offline, with the specification's JSON-LD context in its cache."""
    with CachedSession(str(tmp_path / "cache"), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", FromPackage())
        assert session.get(CONTEXT).status_code == requests.codes.ok

    def call():
        command = [Path(sys.executable).parent / "rocrate-validator", "-y", "validate", "--no-paging", "--verbose"]
        options = ["--profile-identifier", "provenance-run-crate-0.5", "--offline", "--cache-path", tmp_path / "cache"]
        return subprocess.run([*command, *options, RUN], capture_output=True, text=True)

    return call


def test_the_public_validator_accepts_it_as_a_provenance_run_crate(validate):
    done = validate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "RO-Crate is a valid provenance-run-crate-0.5" in done.stdout


def test_the_public_validator_refuses_it_without_its_workflow(validate):
    document = json.loads((RUN / crate.METADATA).read_text())
    for entity in document["@graph"]:
        entity.pop("mainEntity", None)
    write(RUN / crate.METADATA, json.dumps(document))
    assert validate().returncode == 1


def test_a_second_library_reads_the_same(monkeypatch):
    from rocrate.rocrate import ROCrate

    read = ROCrate(RUN)
    assert read.mainEntity.id == crate.WORKFLOW
    assert read.root_dataset["license"].id == "https://spdx.org/licenses/MIT"
    actions = [action for action in read.root_dataset["mentions"] if action.type == "CreateAction"]
    jobs = [action for action in actions if action.id.startswith("#job/")]
    assert {job["name"] for job in jobs} == {job.id for job in provenance.build(RUN).jobs}
    (trained,) = [job for job in jobs if job["name"] == "checkpoints/vgg/seed1"]
    assert trained["instrument"].id == "code/scripts/train.py"
    assert [made.id for made in trained["result"]] == [
        "checkpoints/vgg/seed1.safetensors",
        "checkpoints/vgg/seed1.history.csv",
    ]


def test_sizes_and_hashes_are_those_of_the_files():
    described = {name: entity for name, entity in entities().items() if "File" in entity["@type"]}
    assert {"report.html", "claims.json", "code/requirements.lock", "config.yaml", crate.WORKFLOW} <= set(described)
    for name, entity in described.items():
        assert (entity["sha256"], entity["contentSize"]) == (sha256(RUN / name), str((RUN / name).stat().st_size))


def test_code_that_has_changed_since_is_not_passed_off_as_that_of_the_job():
    module = "scripts/unravel/studies/single_deletion/figure.py"
    figure = entities()["#job/figures/single-deletion"]
    assert any(used["@id"].startswith(f"#{module}@") for used in figure["object"])
    (RUN / crate.CODE / module).write_bytes(Path(module).read_bytes())
    write_crate()
    figure = entities()["#job/figures/single-deletion"]
    assert {"@id": f"code/{module}"} in figure["object"]


def test_a_run_that_is_whole_has_no_problems_and_a_broken_crate_is_named():
    assert crate.problems(RUN) == []
    document = json.loads((RUN / crate.METADATA).read_text())
    document["@graph"] = [entity for entity in document["@graph"] if entity["@id"] != "claims.json"]
    write(RUN / crate.METADATA, json.dumps(document))
    assert f"{crate.METADATA}: #job/claims names claims.json, which is not described" in crate.problems(RUN)


def test_the_same_run_gives_the_same_bytes():
    written = (RUN / crate.METADATA).read_text()
    write_crate()
    assert (RUN / crate.METADATA).read_text() == written


def test_a_script_that_the_code_no_longer_has_is_described_all_the_same():
    """As in a run that was published before its scripts were renamed, and whose crate is written again."""
    built = provenance.build(RUN)
    gone = built.model_copy(
        update={"jobs": [job.model_copy(update={"script": "scripts/gone.py"}) for job in built.jobs]}
    )
    graph = json.loads(crate.describe(RUN, gone))["@graph"]
    named = {entity["instrument"]["@id"] for entity in graph if entity["@id"].startswith("#job/")}
    assert named == {"#scripts/gone.py"}
    assert named < {entity["@id"] for entity in graph}
