"""The seal: what a run rests on is given, any changed byte of it is named, and no config makes it otherwise."""

import json
import shutil

import pytest
from run_helpers import CONFIG, MADE, ROOT, RUN, changed_record, make_run, take_the_place, write

from unravel.evidence import freshness, lineage, provenance, seal
from unravel.evidence.verification import sealed_files
from unravel.files import InputError, sha256
from unravel.run import parse_config

FIGURE, OVERVIEW, CLAIMS, RESNET, VGG = MADE


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        make_run(folder, patch)
        write(RUN / "provenance.json", provenance.to_json(provenance.build(RUN)))
    return folder


@pytest.fixture(autouse=True)
def run(finished, tmp_path, monkeypatch):
    """A copy of it, as the working directory and in the place of this repository."""
    take_the_place(shutil.copytree(finished, tmp_path / "copy"), monkeypatch)


@pytest.fixture
def call(monkeypatch):
    """`make seal`, as a function."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import seal as script

    def call():
        monkeypatch.setattr("sys.argv", ["seal.py", "--run", str(RUN)])
        script.main()

    return call


@pytest.fixture
def sealed():
    """The run's seal, written as `make seal` does."""
    write(RUN / seal.NAME, seal.make(RUN).model_dump_json())
    return seal.read(RUN)


def assess(sealed, **changes):
    checkout = freshness.Checkout(parse_config({**CONFIG, **changes}), "config/tiny.yaml", sealed.jobs)
    jobs = lineage.read_records(RUN / "jobs")
    return {result.name: result for result in freshness.assess(RUN, jobs, checkout)}, jobs, checkout


def test_it_names_what_the_report_rests_on_and_nothing_that_is_drawn_from_that(sealed):
    made = {
        *(f"checkpoints/{name}/seed1.{end}" for name in ("resnet", "vgg") for end in ("safetensors", "history.csv")),
        *(f"measurements/deletions/{name}-seed1.csv" for name in ("resnet", "vgg")),
        *(f"figures/class-overview.{end}" for end in ("svg", "csv", "json")),  # which shows the images themselves
        "data/digits/manifest.json",
    }
    jobs = {
        RESNET,
        VGG,
        OVERVIEW,
        "data/digits",
        *(f"measurements/deletions/{name}-seed1" for name in ("resnet", "vgg")),
    }
    assert sealed.jobs == jobs
    assert set(sealed.files) == {"config.yaml", *made, *(f"jobs/{job}.json" for job in jobs)}
    assert sealed.files == {path: sha256(RUN / path) for path in sealed.files}
    assert sealed.commits == ("0" * 40,)


@pytest.mark.parametrize(
    "path", ["checkpoints/vgg/seed1.safetensors", "jobs/checkpoints/vgg/seed1.json", "config.yaml"]
)
def test_a_sealed_file_that_is_missing_or_changed_is_named_and_wrong(sealed, path):
    assert sealed_files(RUN) == []
    (RUN / path).write_bytes((RUN / path).read_bytes() + b" ")
    with pytest.raises(InputError, match=f"{RUN / path}: is not the file that was sealed .*; to fix it, restore it"):
        sealed.require_intact(RUN)
    assert len(sealed_files(RUN)) == 1
    (RUN / path).unlink()
    with pytest.raises(InputError, match=f"{RUN / path}: is missing; to fix it, restore it"):
        sealed.require_intact(RUN)


def test_a_seal_that_was_edited_is_no_seal(sealed):
    document = json.loads((RUN / seal.NAME).read_text())
    del document["files"]["checkpoints/vgg/seed1.safetensors"]
    for text in (json.dumps(document), "{"):
        write(RUN / seal.NAME, text)
        with pytest.raises(InputError, match=f"^{RUN}/seal.json: [^\n]+to fix it, restore it[^\n]+$"):
            seal.read(RUN)
    (RUN / seal.NAME).unlink()
    assert seal.read(RUN) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"training": {"learning_rate": 0.05}},
            "is sealed, and training.learning_rate was 0.1, is 0.05 in this config",
        ),
        ({"evaluation": {"batch_size": 7}}, "is sealed, and evaluation.batch_size was 500, is 7 in this config"),
        ({"dataset": {"source": "digits", "name": "others"}}, 'and dataset.name was "digits", is "others" in this'),
        ({"seeds": [1, 2]}, "is sealed without checkpoints/resnet/seed2, which this config asks for; to fix it, give "),
    ],
)
def test_a_config_that_would_make_sealed_files_otherwise_or_train_is_refused(sealed, changes, said):
    with pytest.raises(InputError, match=rf"^{RUN}/seal.json: the run [^\n]+--config run=mine$") as refused:
        sealed.require_same(RUN, parse_config({**CONFIG, **changes}))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"execution": {"threads": 2}},
        {"deletions": {"figure_3": ["resnet"], "figure_8": ["resnet"]}},  # fewer networks shown
        {"reorderings": {"networks": ["vgg"], "most": 1}},  # measured beside
    ],
)
def test_a_config_that_asks_for_less_or_for_more_measurements_is_not(sealed, changes):
    sealed.require_same(RUN, parse_config({**CONFIG, **changes}))


def test_changed_code_and_lost_raw_data_leave_a_sealed_runs_figures_fresh(sealed):
    found, *_ = assess(sealed)
    assert {name: found[name].state for name in MADE} == {
        FIGURE: "fresh", OVERVIEW: "sealed", CLAIMS: "fresh", RESNET: "sealed", VGG: "sealed",
    }  # fmt: skip
    write("scripts/unravel/training/loop.py", "name = 'another'\n")
    assert {name: found[name].state for name in MADE} == {name: assess(sealed)[0][name].state for name in MADE}
    write("scripts/unravel/studies/single_deletion/figure.py", "name = 'another'\n")  # what draws is no input
    assert {name for name in MADE if not assess(sealed)[0][name].settled} == {FIGURE}


def test_drift_is_told_of_code_that_decides_results(sealed):
    _, jobs, checkout = assess(sealed)
    assert freshness.drift(jobs, checkout) == []
    code = jobs[RESNET]["code"]["modules"]
    for path in ("scripts/unravel/files.py", "scripts/unravel/records.py", "scripts/unravel/evidence/records.py"):
        code[path] = "0" * 64  # none of which decides a result
    code["scripts/unravel/training.py"] = "0" * 64
    write("scripts/unravel/training/loop.py", "name = 'another'\n")
    write(
        "scripts/unravel/studies/single_deletion/figure.py", "name = 'another'\n"
    )  # it made no sealed measurement ...
    jobs[OVERVIEW]["code"]["modules"] = {}  # ... apart from the overview
    checkout._hashes.clear()
    assert freshness.drift(jobs, checkout) == [
        "scripts/unravel/training.py is no longer there",
        "scripts/unravel/training/loop.py changed since",
    ]


def test_a_run_that_is_not_whole_is_not_sealed(call):
    path = RUN / "measurements/deletions/vgg-seed1.csv"
    content = path.read_text()
    write(path, content.replace("90", "91"))
    with pytest.raises(InputError, match=f"{path}: is not the file that its job made .*; not sealed: "):
        call()
    assert not (RUN / seal.NAME).exists()
    write(path, content)
    (RUN / f"jobs/{RESNET}.json").unlink()
    write(RUN / "provenance.json", provenance.to_json(provenance.build(RUN)))
    with pytest.raises(InputError, match="is sealed without checkpoints/resnet/seed1"):
        call()
    assert not (RUN / seal.NAME).exists()


def test_sealing_again_adds_what_was_measured_beside_and_keeps_the_rest(call, sealed):
    assert seal.make(RUN) == sealed
    table, record = RUN / "measurements/deletions/other-seed1.csv", RUN / "jobs/measurements/deletions/other-seed1.json"
    write(table, (RUN / "measurements/deletions/vgg-seed1.csv").read_text())
    shutil.copy(RUN / "jobs/measurements/deletions/vgg-seed1.json", record)
    with changed_record(record) as told:
        told["outputs"] = {str(table): made for made in told["outputs"].values()}
    write(RUN / "provenance.json", provenance.to_json(provenance.build(RUN)))
    call()
    added = {str(path.relative_to(RUN)): sha256(path) for path in (table, record)}
    assert seal.read(RUN).files == {**sealed.files, **added}
