"""provenance.json: valid by its published schema, true to the records, the same each time, silent on the machine."""

import base64
import getpass
import gzip
import json
import re
import socket
from pathlib import Path

import jsonschema
import pytest
from run_helpers import CRITERIA, ROOT, RUN, changed_record, make_run, write

from unravel.article.build import for_machines
from unravel.evidence import provenance
from unravel.files import InputError, sha256

SCHEMA = json.loads((ROOT / "report" / "provenance.schema.json").read_text())


@pytest.fixture(autouse=True)
def run(tmp_path, monkeypatch):
    make_run(tmp_path, monkeypatch)


def build():
    return json.loads(provenance.to_json(provenance.build(RUN)))


def change_record(name, change):
    with changed_record(RUN / f"jobs/{name}.json") as record:
        change(record)


def test_the_published_schema_is_that_of_the_code():
    assert (ROOT / "report" / "provenance.schema.json").read_text() == provenance.schema()


def test_the_file_is_valid_and_a_changed_one_is_not():
    document = build()
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(document, SCHEMA)
    for key in document:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({name: part for name, part in document.items() if name != key}, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "user": "somebody"}, SCHEMA)


def test_a_report_holds_the_same_but_for_its_own_hash():
    page = "<title id='x'>1 < 2</title>"
    document = build()
    inside = for_machines(provenance.build(RUN, page))
    packed = re.fullmatch('<p.*<a href="data:application/gzip;base64,(.*?)" .*</a></p>', inside)
    held = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    jsonschema.validate(held, SCHEMA)
    del document["files"][f"{RUN}/report.html"]
    for key in ("jobs", "files", "claims", "report"):
        assert held[key] == document[key]


def test_every_job_file_and_claim_of_the_run_is_there():
    document = build()
    jobs = {path.relative_to(RUN / "jobs").with_suffix("").as_posix() for path in (RUN / "jobs").rglob("*.json")}
    assert {job["id"] for job in document["jobs"]} == jobs
    named = {path for job in document["jobs"] for path in [*job["inputs"], *job["outputs"]]}
    present = {str(path) for path in RUN.rglob("*") if path.is_file() and path.parts[2] != "jobs"}
    assert named | present == set(document["files"])
    assert all(file["sha256"] == sha256(path) for path, file in document["files"].items())
    assert all(file["bytes"] == Path(path).stat().st_size for path, file in document["files"].items())
    assert [claim["id"] for claim in document["claims"]] == ["delete-vgg", "delete-resnet", "imagenet", "binomial"]
    median = document["claims"][1]["values"]["median_increase_points"]
    assert (median["mean"], median["n"]) == (1.0, 1)
    # The mean of errors of 5% and 7% less one of 5%, each of 400 images: a standard deviation of 1.375 points. The ends
    # of 60 bootstrap samples are uncertain by 0.5.
    assert (median["low"], median["high"]) == pytest.approx((1 - 1.96 * 1.375, 1 + 1.96 * 1.375), abs=1.2)


def test_origin_and_kind_tell_what_a_file_is():
    files = build()["files"]
    told = {path: (files[path]["kind"], files[path]["origin"]) for path in files}
    assert told[CRITERIA] == ("code", "repository")
    assert told[str(RUN / "checkpoints/vgg/seed1.safetensors")] == ("checkpoint", "made here")
    assert told[str(RUN / "config.yaml")] == ("config", "made here")


def test_a_figure_has_its_words_from_the_report_and_the_claims_that_name_it():
    overview, single = build()["figures"]
    assert (single["number"], single["title"], single["alt"]) == ("3", "Figure 3. Error & more", "Falls.")
    assert single["claims"] == ["delete-vgg", "delete-resnet"]
    assert single["data"] == str(RUN / "figures/single-deletion.csv")
    assert (overview["number"], overview["title"], overview["claims"]) == (None, None, [])


def test_the_same_records_give_the_same_bytes():
    assert provenance.to_json(provenance.build(RUN)) == provenance.to_json(provenance.build(RUN))


def test_the_report_spans_all_jobs_and_is_dirty_if_one_of_them_is():
    assert build()["report"]["dirty"] is False
    begins = {"data/digits": (10, 3600.0), "claims": (12, 5.25)}
    for path in (RUN / "jobs").rglob("*.json"):
        hour, seconds = begins.get(path.relative_to(RUN / "jobs").with_suffix("").as_posix(), (11, 2.0))
        with changed_record(path) as record:
            record |= {"started": f"2026-03-01T{hour}:00:00+00:00", "seconds": seconds}
            record["code"]["dirty"] = hour == 12
    report = build()["report"]
    assert (report["started"], report["ended"]) == ("2026-03-01T10:00:00Z", "2026-03-01T12:00:05Z")
    assert report["dirty"] is True


def test_neither_user_nor_host_nor_folder_is_named(tmp_path):
    outside = "/home/somebody-here/images/train.npz"

    def change(record):
        record["command"] += f" --images {outside} --cache={outside} --other {tmp_path}/inside.npz"
        record["inputs"][outside] = {"sha256": "0" * 64, "bytes": 1}
        record["settings"] |= {"train": outside, "both": [outside, "~somebody-here/x"]}
        record["facts"]["from"] = outside

    change_record("data/digits", change)
    text = provenance.to_json(provenance.build(RUN))
    for word in ("somebody-here", str(tmp_path), str(ROOT), str(Path.home()), f'"{socket.gethostname()}"'):
        assert word not in text
    assert f'"{getpass.getuser()}"' not in text
    document = json.loads(text)
    (given,) = [path for path, file in document["files"].items() if file["origin"] == "given"]
    assert given.startswith("outside/")
    assert given.endswith("/train.npz")
    (job,) = [job for job in document["jobs"] if job["id"] == "data/digits"]
    assert job["command"].endswith(f"--images {given} --cache={given} --other inside.npz")
    assert job["settings"]["train"] == given


def test_two_files_of_one_name_stay_two():
    assert provenance.public("/a/train.npz") != provenance.public("/b/train.npz")


def test_a_value_that_could_not_be_computed_is_null():
    claims = json.loads((RUN / "claims.json").read_text())
    claims[0]["values"]["lowest_share_of_chance"]["high"] = float("nan")
    write(RUN / "claims.json", json.dumps(claims))
    document = build()
    jsonschema.validate(document, SCHEMA)
    assert document["claims"][0]["values"]["lowest_share_of_chance"]["high"] is None


def test_a_run_without_records_and_a_damaged_file_are_named(tmp_path):
    with pytest.raises(InputError, match="holds no job record; run the pipeline first"):
        provenance.build(tmp_path / "empty")
    write("provenance.json", '{"schema_version": 7}')
    with pytest.raises(
        InputError, match=r"provenance\.json: is no provenance file of schema 1 \(.*\); write it again"
    ) as caught:
        provenance.read(Path("provenance.json"))
    assert "\n" not in str(caught.value)
