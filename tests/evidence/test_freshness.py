"""Freshness: what changed turns exactly what rests on it stale, with the reason and the command that mends it."""

import json
import re
import shutil
import subprocess
import sys
from functools import cache

import pytest
import yaml
from run_helpers import CONFIG, CRITERIA, LOCK, MADE, ROOT, RUN, changed_record, make_run, write, write_page

from unravel.evidence import freshness
from unravel.evidence.lineage import read_records
from unravel.files import InputError
from unravel.run import parse_config, read_config
from unravel.studies import FIGURES

SINGLE, OVERVIEW, CLAIMS, RESNET, VGG = MADE


@pytest.fixture(autouse=True)
def run(tmp_path, monkeypatch):
    make_run(tmp_path, monkeypatch)


def assess(**changes):
    """The state of each result of the run, against its config with changed keys."""
    settings = parse_config({**CONFIG, **changes})
    checkout = freshness.Checkout(settings, "config/tiny.yaml")
    return {result.name: result for result in freshness.assess(RUN, read_records(RUN / "jobs"), checkout)}


def unfresh(found):
    return {name for name in MADE if found[name].state != "fresh"}


def change_record(name, **changes):
    with changed_record(RUN / f"jobs/{name}.json") as record:
        record |= changes


def test_a_finished_run_is_fresh_and_what_was_never_made_is_missing():
    found = assess()
    assert unfresh(found) == set()
    assert {result.state for name, result in found.items() if name not in MADE} == {"missing"}
    assert found["figures/reordering"].command == (
        "snakemake results/tiny/figures/reordering.svg --cores all --configfile config/tiny.yaml"
    )


def test_a_changed_byte_of_a_measurement_is_named():
    path = RUN / "measurements/deletions/vgg-seed1.csv"
    write(path, path.read_text().replace("90", "91"))
    found = assess()
    assert unfresh(found) == {SINGLE, CLAIMS}
    assert found[SINGLE].reasons == (f"{path}: is not the file that its job made (SHA-256 differs)",)
    assert found[SINGLE].command.endswith(f" --forcerun {path}")


def test_a_changed_byte_of_a_checkpoint_makes_exactly_what_rests_on_it_stale():
    write(RUN / "checkpoints/resnet/seed1.safetensors", "other weights")
    assert unfresh(assess()) == {SINGLE, CLAIMS, RESNET}


def test_a_changed_key_is_named_with_both_values_and_touches_only_what_rests_on_it():
    networks = CONFIG["networks"] | {"vgg": {"architecture": "vgg", "layers_per_stage": [3], "channels": 8}}
    found = assess(networks=networks)
    assert unfresh(found) == {SINGLE, CLAIMS, VGG}
    assert found[VGG].reasons == ("config/tiny.yaml: networks.vgg.channels was 128, is 8",)
    assert found[VGG].command.endswith("--configfile config/tiny.yaml")  # Snakemake sees it by itself


TRAINED = {SINGLE, CLAIMS, RESNET, VGG}
ONE_NETWORK = {"figure_3": ["vgg"], "figure_8": ["resnet"]}


@pytest.mark.parametrize(
    ("changes", "reason", "stale"),
    [
        ({"training": {"learning_rate": 0.05}}, "training.learning_rate was 0.1, is 0.05", TRAINED),
        ({"evaluation": {"batch_size": 7}}, "evaluation.batch_size was 500, is 7", {SINGLE, CLAIMS}),
        ({"dataset": {"source": "digits", "name": "others"}}, 'dataset.name was "digits", is "others"', set(MADE)),
        ({"scale": "demo"}, 'scale was "ci", is "demo"', {SINGLE, OVERVIEW}),
        ({"seeds": [1, 2]}, "seeds was [1], is [1, 2]", {SINGLE, CLAIMS}),
        ({"deletions": ONE_NETWORK}, "networks shown were resnet, vgg, are vgg", {SINGLE}),
        ({"execution": {"threads": 2}}, None, set()),
    ],
)  # fmt: skip
def test_each_key_touches_what_it_decides(changes, reason, stale):
    found = assess(**changes)
    assert unfresh(found) == stale
    assert {found[name].reasons for name in stale} == ({(f"config/tiny.yaml: {reason}",)} if stale else set())


def test_a_network_that_the_config_no_longer_has_is_named():
    found = assess(
        networks={"resnet": CONFIG["networks"]["resnet"]}, deletions={"figure_3": ["resnet"], "figure_8": ["resnet"]}
    )
    assert "config/tiny.yaml: networks.vgg is no longer there" in found[SINGLE].reasons
    assert found[RESNET].state == "fresh"


def test_a_deleted_figure_is_missing():
    (RUN / "figures/single-deletion.svg").unlink()
    found = assess()
    assert {name: found[name].state for name in unfresh(found)} == {SINGLE: "missing"}


def test_a_deleted_checkpoint_leaves_its_figure_stale():
    (RUN / "checkpoints/resnet/seed1.safetensors").unlink()
    found = assess()
    assert {name: found[name].state for name in unfresh(found)} == {RESNET: "missing", SINGLE: "stale", CLAIMS: "stale"}


def test_changed_trainer_code_makes_its_results_stale_and_trains_again():
    write("scripts/unravel/training/loop.py", "name = 'another'\n")
    found = assess()
    assert unfresh(found) == {SINGLE, CLAIMS, RESNET, VGG}
    assert found[RESNET].reasons == ("scripts/unravel/training/loop.py changed since",)
    assert found[SINGLE].command.endswith(
        "results/tiny/figures/single-deletion.svg --cores all --configfile config/tiny.yaml --forcerun train"
    )


def test_a_changed_criterion_judges_the_claims_again_only():
    write(CRITERIA, "[]")
    assert unfresh(assess()) == {CLAIMS}


def test_another_version_of_a_recorded_package_is_named():
    write("requirements.lock", LOCK.replace("3.0.0", "3.1.0"))
    found = assess()
    assert unfresh(found) == set(MADE)
    assert found[OVERVIEW].reasons == ("requirements.lock: pandas was 3.0.0, is 3.1.0",)


def test_another_version_of_a_package_that_no_job_recorded_changes_nothing():
    write("requirements.lock", LOCK.replace("2.4.6", "2.4.7"))
    assert unfresh(assess()) == set()


def test_an_input_that_was_made_again_is_named():
    table = RUN / "measurements/deletions/resnet-seed1.csv"
    change_record("measurements/deletions/resnet-seed1", outputs={str(table): {"sha256": "0" * 64, "bytes": 1}})
    assert f"{table}: was made again since" in assess()[SINGLE].reasons


def test_records_that_do_not_name_their_code_are_an_unknown_source():
    change_record("figures/class-overview", code={"commit": "0" * 40, "dirty": False})
    found = assess()
    assert {name: found[name].state for name in unfresh(found)} == {OVERVIEW: "unknown source"}


def test_a_figure_without_a_record_is_an_unknown_source():
    (RUN / "jobs/figures/class-overview.json").unlink()
    result = assess()[OVERVIEW]
    assert (result.state, result.command.endswith(" --force")) == ("unknown source", True)


def test_a_run_from_another_schema_is_refused_with_one_line():
    change_record("claims", schema=99)
    with pytest.raises(
        InputError, match=r"claims\.json: is a job record of schema 99, this code reads schemas 1 and 2; "
    ) as caught:
        assess()
    assert "\n" not in str(caught.value)


def test_the_report_is_fresh_stale_or_missing():
    def report(results=()):
        checkout = freshness.Checkout(parse_config(CONFIG), "config/tiny.yaml")
        return freshness.report(RUN, read_records(RUN / "jobs"), results, checkout)

    assert report().state == "fresh"
    unfresh = report([freshness.Freshness("claims", "stale", redo=("train",)), freshness.Freshness("other", "fresh")])
    assert unfresh.reasons == ("1 of the results that it shows are not fresh",)
    assert unfresh.command == "snakemake --cores all --configfile config/tiny.yaml --forcerun train"
    change_record("figures/class-overview", outputs={})
    assert "was written from other results" in report().reasons[0]
    write_page()
    assert report().state == "fresh"
    (RUN / "report.html").unlink()
    assert report().state == "missing"


def test_status_says_one_line_each_and_its_exit_code_serves_ci(monkeypatch, capsys):
    write("config/tiny.yaml", yaml.safe_dump(CONFIG))
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import status

    def call():
        monkeypatch.setattr("sys.argv", ["status.py", "--config", "config/tiny.yaml"])
        with pytest.raises(SystemExit) as ended:
            status.main()
        return ended.value.code, capsys.readouterr().out.splitlines()

    code, lines = call()
    assert code == 1  # six figures were never made
    assert "fresh           figures/single-deletion" in lines
    assert any(re.match("missing +figures/reordering +.*: is missing  ->  snakemake ", line) for line in lines)
    every = freshness.shown(parse_config(CONFIG))
    shown = {name: every[name] for name in MADE[:3]}
    monkeypatch.setattr(freshness, "shown", lambda _: shown)
    assert call() == (0, [*(f"fresh           {name}" for name in [*MADE, "report"]), "6 of 6 fresh"])
    shutil.rmtree(RUN)
    assert call()[0] == 1


def test_a_key_that_is_new_is_named_even_where_it_is_null():
    found = assess(dataset={"source": "folder", "path": "images"})
    assert found[OVERVIEW].reasons == (
        'config/tiny.yaml: dataset.source was "digits", is "folder"',
        'config/tiny.yaml: dataset.name was "digits", is "folder"',
        'config/tiny.yaml: dataset.path was not set, is "images"',
        "config/tiny.yaml: dataset.image_size was not set, is null",
    )


def test_every_job_of_the_published_run_is_known_with_its_settings_and_its_rule():
    published = ROOT / "results/cifar10-short"
    config, kept = read_config(published / "config.yaml"), read_records(published / "jobs")
    made = {name: freshness.maker(name, config) for name in kept}
    parts = {name: json.loads(json.dumps(maker.part)) for name, maker in made.items()}
    gradients = [name for name in kept if name.startswith("measurements/gradients/")]
    assert gradients
    for name in gradients:  # which a run of commit 5ae15d8 or before keeps without their section
        parts[name] = parts[name]["gradients"]
    assert parts == {name: record["settings"] for name, record in kept.items()}
    rules = set(snakemake_rules())
    assert {maker.rule for maker in made.values()} - {""} < rules
    wanted = {slug for slug, (_, figure) in FIGURES.items() if figure.shows(config) is not None}
    assert {f"figures/{slug}" for slug in wanted} <= set(kept)
    assert {f"figure_{figure.number}" for _, figure in FIGURES.values()} < rules


def test_weights_that_are_fetched_have_a_rule_of_their_own():
    config = read_config(ROOT / "config/imagenet-pretrained.yaml")
    made = freshness.maker("checkpoints/resnet-101/seed1", config)
    assert (made.rule, set(made.part)) == ("fetch_weights", {"network"})
    assert made.rule in snakemake_rules()


@cache
def snakemake_rules():
    """The names of the workflow's rules, as Snakemake says them."""
    command = [sys.executable, "-m", "snakemake", "--list-rules", "--configfile", "config/config.yaml"]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout.split()


def verdict_states():
    checkout = freshness.Checkout(parse_config(CONFIG), "config/tiny.yaml")
    rests_on = {"delete-vgg": ("deletions",), "binomial": ()}
    return freshness.verdicts(RUN, read_records(RUN / "jobs"), checkout, rests_on)


def test_a_verdict_has_the_state_of_the_tables_that_it_rests_on():
    assert verdict_states() == {"delete-vgg": "fresh", "binomial": "fresh"}
    path = RUN / "measurements/deletions/vgg-seed1.csv"
    write(path, path.read_text().replace("90", "91"))
    assert verdict_states() == {"delete-vgg": "stale", "binomial": "fresh"}


def test_a_table_that_somebody_put_there_is_of_unknown_source_and_so_is_what_rests_on_it():
    (RUN / "jobs/measurements/deletions/vgg-seed1.json").unlink()
    assert verdict_states()["delete-vgg"] == "unknown source"
    found = assess()
    assert found[CLAIMS].reasons == (f"{RUN}/measurements/deletions/vgg-seed1.csv: has no job record",)
    assert {found[CLAIMS].state, found[SINGLE].state} == {"unknown source"}


def test_verdicts_that_no_record_tells_of_are_of_unknown_source():
    (RUN / "jobs/claims.json").unlink()
    assert verdict_states() == {"delete-vgg": "unknown source", "binomial": "unknown source"}
