"""Verification: a run as it was left is whole; each thing that was changed by hand is named."""

import json
import math
import os
import shutil
from contextlib import suppress

import pytest
from run_helpers import CONFIG, ROOT, RUN, changed_record, make_run, write

from unravel.article import comparison, overview
from unravel.evidence import claims, crate, freshness, provenance, verification
from unravel.evidence.lineage import read_records
from unravel.evidence.verification import absent, verify
from unravel.files import InputError
from unravel.run import parse_config, read_config


@pytest.fixture(autouse=True)
def run(tmp_path, monkeypatch):
    make_run(tmp_path, monkeypatch)
    crate.copy_code(ROOT, RUN / crate.CODE)
    found = provenance.build(RUN)
    write(RUN / "provenance.json", provenance.to_json(found))
    write(RUN / crate.METADATA, crate.describe(RUN, found))


def wrong():
    return {check: problems for check, problems in verify(RUN).items() if problems}


def test_a_run_as_it_was_left_is_whole():
    assert wrong() == {}


def test_a_flipped_byte_of_a_measurement_is_named_and_changes_a_claim():
    path = RUN / "measurements/deletions/vgg-seed1.csv"
    write(path, path.read_text().replace(",90", ",99"))  # chance error: the rest no longer reaches 0.8 of it ...
    write(path, path.read_text().replace("90,", "10,").replace(",360,", ",40,"))  # ... nor does the deletion come near
    found = wrong()
    assert found["recorded files"] == [f"{path}: is not the file that its job made (SHA-256 differs)"]
    assert (
        f'{RUN}/claims.json: delete-vgg: verdict is "supported", the measurements give "not supported"'
        in found["claims follow from measurements"]
    )
    assert found[crate.METADATA] == [f"{path}: is not the file that {crate.METADATA} describes"]


def test_a_damaged_measurement_is_no_crash():
    write(RUN / "measurements/deletions/vgg-seed1.csv", "network,seed\nvgg,1\n")
    assert "lacks the column" in wrong()["claims follow from measurements"][0]
    write(
        RUN / "measurements/deletions/vgg-seed1.csv",
        (RUN / "measurements/deletions/resnet-seed1.csv").read_text() + "x",
    )
    assert wrong()["claims follow from measurements"]


def test_a_missing_figure_is_named_by_records_and_crate():
    path = RUN / "figures/class-overview.csv"
    path.unlink()
    found = wrong()
    assert found == {"recorded files": [f"{path}: is missing"], crate.METADATA: [f"{path}: is missing"]}


def test_a_published_run_may_lack_its_images_and_its_crate():
    for split in ("train", "test"):
        (RUN / f"data/digits/{split}.safetensors").unlink()
    assert wrong() == {}
    assert [line.partition(": ")[0] for line in absent(RUN)] == [
        f"{RUN}/data/digits/train.safetensors",
        f"{RUN}/data/digits/test.safetensors",
    ]
    (RUN / crate.METADATA).unlink()
    assert wrong()[crate.METADATA]  # code without its description is half a crate
    shutil.rmtree(RUN / crate.CODE)
    assert wrong() == {}
    assert absent(RUN)[-1] == f"{RUN / crate.METADATA}: make reference RUN={RUN.name} writes it"
    (RUN / "data/digits/manifest.json").unlink()  # what the images were is then not known
    assert f"{RUN}/data/digits/train.safetensors: is missing" in wrong()["recorded files"]


def with_changed_claim(place, change):
    """What is said of the claims after one of them was changed in claims.json."""
    written = json.loads((RUN / "claims.json").read_text())
    change(written[place])
    write(RUN / "claims.json", json.dumps(written))
    found = wrong()
    assert found["recorded files"] == [f"{RUN}/claims.json: is not the file that its job made (SHA-256 differs)"]
    return found.get("claims follow from measurements", [])


def test_an_edited_verdict_is_named():
    assert with_changed_claim(1, lambda claim: claim.update(verdict="not supported")) == [
        f'{RUN}/claims.json: delete-resnet: verdict is "not supported", the measurements give "partly supported"'
    ]


@pytest.mark.parametrize(("factor", "is_named"), [(1 + 1e-12, False), (1 + 1e-6, True)])
def test_an_edited_value_is_named_and_a_rounding_difference_is_none(factor, is_named):
    def change(claim):
        claim["values"]["percent_19_to_35"]["mean"] *= factor

    said = with_changed_claim(3, change)
    assert [line.partition(" is ")[0] for line in said] == [f"{RUN}/claims.json: binomial: values"] * is_named


def test_an_edited_value_of_a_seed_is_named_where_another_one_is_not_a_number():
    def change(claim):
        assert math.isnan(claim["per_seed"][0]["downsampling_above_p90_points"])  # which two computations agree on
        claim["per_seed"][0]["blocks"] += 1

    (said,) = with_changed_claim(0, change)
    assert said.startswith(f"{RUN}/claims.json: delete-vgg: per_seed is ")


def test_a_run_is_held_to_the_criteria_that_it_was_judged_by():
    """They stand in its claims.json, whose hash says that they still do. Further claims of a study are no mistake."""
    judged = {claim["id"] for claim in json.loads((RUN / "claims.json").read_text())}
    assert judged < {claim.id for claim in claims.read_all(parse_config(CONFIG))}
    assert wrong() == {}
    assert with_changed_claim(1, lambda claim: claim.update(criterion="in other words")) == []
    # The median is 1 in the mean; its interval crosses this bound as it does the one of 1, so that the verdict stays.
    looser = {"supported": [{"median_increase_points": "<= 1.5", "percent_over_5_points": "<= 10"}]}
    assert with_changed_claim(1, lambda claim: claim.update(looser)) == []
    strict = {"supported": [{"median_increase_points": "< 0"}], "partly": []}
    assert (
        f'{RUN}/claims.json: delete-resnet: verdict is "partly supported", the measurements give "not supported"'
        in with_changed_claim(1, lambda claim: claim.update(strict))
    )


def test_a_claim_that_lacks_a_key_or_has_one_more_is_named():
    assert with_changed_claim(1, lambda claim: claim.pop("paper_values")) == [
        f"{RUN}/claims.json: delete-resnet: paper_values is null, the measurements give {{}}"
    ]
    (said,) = with_changed_claim(1, lambda claim: claim.update(stricter="no"))
    assert "1.stricter: Extra inputs are not permitted" in said
    write(RUN / "claims.json", "[]")
    assert wrong()["claims follow from measurements"] == [f"{RUN}/claims.json: holds no claim; run its job again"]


def test_an_edited_provenance_is_named():
    document = json.loads((RUN / "provenance.json").read_text())
    document["report"]["scale"] = "paper"
    write(RUN / "provenance.json", json.dumps(document))
    assert wrong() == {
        "provenance.json": [f"{RUN}/provenance.json: report is not what the job records say; write it again"]
    }
    write(RUN / "provenance.json", "{")
    assert "is no provenance file of schema 1" in wrong()["provenance.json"][0]


def test_the_command_prints_a_line_for_each_check_and_its_exit_code_tells(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import verify as script

    def call():
        monkeypatch.setattr("sys.argv", ["verify.py", "--run", str(RUN)])
        with pytest.raises(SystemExit) as ended:
            script.main()
        return ended.value.code, capsys.readouterr().out.splitlines()

    code, lines = call()
    assert code == 0
    assert [line.split()[0] for line in lines] == ["ok"] * 5
    (RUN / "claims.json").unlink()
    code, lines = call()
    assert code == 1
    assert lines[0] == "wrong   recorded files"


FILES = (
    "config.yaml", "claims.json", "provenance.json", "report.html", crate.METADATA, "jobs/claims.json",
    "jobs/checkpoints/vgg/seed1.json", "figures/single-deletion.svg", "figures/single-deletion.json",
    "checkpoints/vgg/seed1.safetensors", "measurements/deletions/vgg-seed1.csv", "data/digits/manifest.json",
)  # fmt: skip


def put_in_place(kind, path):
    path.unlink()
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "dead link":
            path.symlink_to("nowhere")
        case "device":
            path.symlink_to("/dev/zero")
        case "no UTF-8":
            path.write_bytes(b"\xff\xfe{")
        case "deep":
            path.write_text("[" * 100_000)
        case "other JSON":
            path.write_text("[null]")


KINDS = ("folder", "pipe", "dead link", "device", "no UTF-8", "deep", "other JSON")


@pytest.fixture
def unjudged(monkeypatch):
    """Verification that judges no claim again, which takes seconds each time."""

    def judge(*_):
        raise InputError("not judged in this test")

    monkeypatch.setattr(claims, "judge", judge)


def test_whatever_stands_in_place_of_a_file_gets_a_line_and_no_crash(tmp_path, unjudged):
    """In verify, status, index and comparison. Each file meets two kinds of mistakes, each mistake several files."""
    whole = shutil.copytree(RUN, tmp_path / "whole")
    for place, name in enumerate(FILES):
        for kind in (KINDS[place % len(KINDS)], KINDS[(place + 3) % len(KINDS)]):
            put_in_place(kind, RUN / name)
            assert wrong().keys() - {"claims follow from measurements"}, (kind, name)
            for use in (read_all, lambda: comparison.read_run(RUN)):
                with suppress(InputError):
                    use()
            shutil.rmtree(RUN)
            shutil.copytree(whole, RUN)


def read_all():
    """What `make status` and `make index` read of a run."""
    records = read_records(RUN / "jobs")
    settings = read_config(RUN / "config.yaml")
    checkout = freshness.Checkout(settings, str(RUN / "config.yaml"))
    freshness.report(RUN, records, freshness.assess(RUN, records, checkout), checkout)
    overview.read_run(RUN, RUN.parent)


def renamed(value, key):
    """The value with one key called otherwise, wherever it stands."""
    if isinstance(value, dict):
        return {f"{name}?" if name == key else name: renamed(inner, key) for name, inner in value.items()}
    return [renamed(inner, key) for inner in value] if isinstance(value, list) else value


def keys_of(value):
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


def test_a_key_of_another_name_gets_a_line_and_no_crash(unjudged):
    checks = {
        "claims.json": verification.recomputed_claims,
        "provenance.json": verification.written_provenance,
        crate.METADATA: crate.problems,
        "jobs/checkpoints/vgg/seed1.json": verification.recorded_files,
    }
    for name, check in checks.items():
        text = (RUN / name).read_text()
        for key in sorted(keys_of(json.loads(text))):
            write(RUN / name, json.dumps(renamed(json.loads(text), key)))
            for use in (lambda check=check: check(RUN), read_all):
                with suppress(InputError):
                    use()
        write(RUN / name, text)


def test_a_crate_describes_no_file_outside_of_its_folder():
    document = json.loads((RUN / crate.METADATA).read_text())
    for name in ("../../requirements.lock", "/etc/hostname"):
        entity = {"@id": name, "@type": "File", "sha256": "0" * 64, "contentSize": "1"}
        write(RUN / crate.METADATA, json.dumps(document | {"@graph": [*document["@graph"], entity]}))
        assert wrong()[crate.METADATA] == [f"{crate.METADATA}: {name} leads out of the run's folder"]


def test_jobs_that_rest_on_each_other_are_no_run():
    path = RUN / "jobs/checkpoints/vgg/seed1.json"
    with changed_record(path) as record:
        record["inputs"] |= record["outputs"]
    assert "these jobs rest on each other: checkpoints/vgg/seed1" in wrong()["recorded files"][0]
