"""The whole pipeline on the ci run, in a copy of the checkout: what it makes, what it repeats, and how it survives."""

import html
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
import yaml
from workflow_helpers import ROOT, RUN, begin, copy_code

from unravel.files import sha256
from unravel.run import read_config
from unravel.studies import FIGURES

SETTINGS = read_config(ROOT / "config" / "ci.yaml")
DRAWN = {slug: figure for slug, (_, figure) in FIGURES.items() if figure.shows(SETTINGS) is not None}  # by the ci run
WRITTEN = {"report": 1, "provenance": 1, "crate": 1, "check": 1}  # whenever any result changes
OF_TRAINED = (
    "3", "5a", "5b", "6", "8", "cut", "ensemble", "errors", "estimate", "forward", "kinds", "lengthening",
    "predictors", "scaling", "steps", "vit",
)  # fmt: skip
REDRAWN = {f"figure_{number}": 1 for number in OF_TRAINED}
SWEPT = {"measure_single_deletion": 3, "measure_random_deletion": 1, "measure_reordering": 1}
EVALUATED = {
    "measure_short_training": 4,
    "measure_live_network": 2,
    "measure_lesion_kinds": 2,
    "measure_deletion_scaling": 1,
    "measure_true_ensemble": 1,
    "measure_vision_transformer": 1,
    **SWEPT,
}
GRADIENTS = {"measure_path_gradients": 1, "measure_untrained_gradients": 1, "measure_iterative_inference": 1}
MEASURED = {
    **EVALUATED,
    **GRADIENTS,
    "measure_forward_paths": 1,
    "measure_lesion_predictors": 1,
    "measure_paths_in_training": 1,
}
# what no batch size of the evaluation is behind
UNBATCHED = ("figure_6", "figure_estimate", "figure_forward", "figure_lengthening", "figure_predictors", "figure_steps")
OF_FIRST_SEED = ("measure_live_network", "measure_true_ensemble", "measure_vision_transformer")
TRAIN = ("--config", RUN / "config.yaml", "--data", RUN / "data/digits/manifest.json", "--network", "resnet")


def snakemake(checkout, *arguments):
    """How a call of snakemake in the given checkout ended, and what it said."""
    job = begin(checkout, *arguments, "--cores", "2")
    said, _ = job.communicate()
    return subprocess.CompletedProcess(job.args, job.returncode, said)


def planned(checkout, *arguments):
    """Names of the rules that a dry run would run, with how many jobs of each."""
    plan = snakemake(checkout, "--dry-run", *arguments)
    assert plan.returncode == 0, plan.stdout
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", plan.stdout, re.MULTILINE | re.DOTALL)
    jobs = {} if table is None else {name: int(count) for name, count in map(str.split, table[1].splitlines())}
    jobs.pop("all", None)
    return jobs


def script(checkout, name, *arguments):
    command = [sys.executable, f"scripts/{name}.py", *map(str, arguments)]
    return subprocess.run(command, cwd=checkout, text=True, capture_output=True)


@pytest.fixture(scope="module")
def empty_checkout(tmp_path_factory):
    """A copy of the checkout with nothing generated in it."""
    return copy_code(tmp_path_factory.mktemp("checkout") / "unravel")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, finished_ci):
    """A checkout in which the ci run is done."""
    return Path(shutil.copytree(finished_ci, tmp_path_factory.mktemp("done") / "unravel"))


def test_the_run_makes_every_file_the_plan_names(checkout):
    run = checkout / RUN
    for network in ("resnet", "vgg", "stochastic-depth", "effective-paths"):
        for file in ("seed1.safetensors", "seed1.history.csv"):
            assert (run / "checkpoints" / network / file).stat().st_size > 0
        assert not (run / "checkpoints" / network / "seed1.resume.safetensors").exists()
    for figure in DRAWN:
        for suffix in ("svg", "pdf", "png", "csv", "json"):
            assert (run / "figures" / f"{figure}.{suffix}").stat().st_size > 0
    assert yaml.safe_load((run / "config.yaml").read_text())["training"]["momentum"] == 0.9  # a default, filled in
    assert "<h1>" in (run / "report.html").read_text()
    assert not list(run.rglob("*.partial"))


def test_everything_is_written_below_the_runs_folder(checkout, empty_checkout):
    def files(folder):
        paths = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
        return {
            path for path in paths if path.parts[0] not in (".snakemake", "results") and "__pycache__" not in path.parts
        }

    assert files(checkout) == files(empty_checkout)
    assert [path.name for path in (checkout / "results").iterdir()] == ["ci"]


def test_a_second_call_does_nothing_and_says_so(checkout):
    again = snakemake(checkout)
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        ("training={learning_rate: 0.2}", {"train": 4, **MEASURED, **REDRAWN, "figure_training": 1}),
        (
            "networks={vgg: {channels: 4}}",
            {
                **{"train": 1, "measure_short_training": 1, "measure_single_deletion": 1, "measure_live_network": 1},
                **{"measure_lesion_kinds": 1, "measure_iterative_inference": 1},
                **{"figure_3": 1, "figure_cut": 1, "figure_errors": 1, "figure_training": 1},
                **{"figure_kinds": 1, "figure_steps": 1},
            },
        ),
        (
            "evaluation={batch_size: 7}",
            {**EVALUATED, **{figure: 1 for figure in REDRAWN if figure not in UNBATCHED}},
        ),
        ("random_deletions={draws: 4}", {"measure_random_deletion": 1, "figure_5a": 1}),
        ("gradients={batches: 1}", {"measure_path_gradients": 1, "figure_6": 1, "figure_estimate": 1}),
        ("deletions={figure_3: [resnet]}", {"figure_3": 1, "figure_cut": 1}),
        (
            "seeds=[1, 2]",
            {
                **{"train": 4, **{rule: jobs for rule, jobs in MEASURED.items() if rule not in OF_FIRST_SEED}},
                **{
                    figure: 1
                    for figure in (*REDRAWN, "figure_training")
                    if figure not in ("figure_cut", "figure_ensemble", "figure_vit")
                },
            },
        ),
        ("bootstrap_samples=30", {"claims": 1}),
        ("execution={checkpoint_every: 1}", {}),
    ],
)
def test_a_changed_key_redoes_what_depends_on_it_and_nothing_else(checkout, change, jobs):
    judged = {"claims": 1} if jobs else {}  # claims rest on every measurement
    assert planned(checkout, "--config", change) == {**jobs, **judged, **WRITTEN}


def test_snakemakes_own_report_is_a_second_view(checkout, tmp_path):
    done = snakemake(checkout, "--report", tmp_path / "view.html")
    assert done.returncode == 0, done.stdout
    view = (tmp_path / "view.html").read_text()
    for slug, figure in DRAWN.items():
        assert f"{figure.label}. {figure.title}. {figure.note}" in html.unescape(view)
        for suffix in ("svg", "csv"):
            assert f"Adding {slug}.{suffix} (" in done.stdout
    assert "Adding claims.json (" in done.stdout


@pytest.mark.parametrize(("name", "source"), [("imagenet", "train"), ("imagenet-pretrained", "fetch_weights")])
def test_a_run_of_figure_4_is_planned_without_the_other_experiments(empty_checkout, name, source):
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", f"config/{name}.yaml"]
    plan = subprocess.run(command, cwd=empty_checkout, text=True, capture_output=True)
    assert plan.returncode == 0, plan.stdout + plan.stderr
    rules = set(re.findall(r"^(?:local)?rule (\w+):", plan.stdout, re.MULTILINE))
    jobs = set(re.findall(r"^(\w+) +1$", plan.stdout, re.MULTILINE))
    assert (jobs or rules) == {
        "prepare_data",
        source,
        "measure_single_deletion",
        "measure_short_training",
        "figure_4",
        "claims",
        "provenance",
        "crate",
        "check",
        "all",
    }


def test_one_figure_is_drawn_again_by_its_own_job_only(checkout):
    figure = checkout / RUN / "figures" / "single-deletion.svg"
    content = figure.read_bytes()
    figure.unlink()
    assert planned(checkout, "figure_3") == {"figure_3": 1}
    assert snakemake(checkout, "figure_3").returncode == 0
    assert figure.read_bytes() == content


def test_a_checkpoint_with_a_new_date_but_the_same_content_redoes_nothing(checkout):
    assert snakemake(checkout).returncode == 0
    (checkout / RUN / "checkpoints/resnet/seed1.safetensors").touch()
    assert planned(checkout) == {}


def test_a_finished_run_is_fresh_and_whole_until_a_byte_changes(checkout):
    def called(name, *arguments):
        done = script(checkout, name, *arguments)
        return done.returncode, done.stdout

    assert snakemake(checkout).returncode == 0
    status, verify = ("status", "--config", "config/ci.yaml"), ("verify", "--run", RUN)
    code, said = called(*status)
    results = len(DRAWN) + 4 + len(("claims", "report"))  # and 4 networks
    assert (code, said.splitlines()[-1]) == (0, f"{results} of {results} fresh")
    assert called(*verify) == (
        0,
        "ok      recorded files\nok      claims follow from measurements\n"
        "ok      provenance.json\nok      science\nok      ro-crate-metadata.json\n",
    )
    assert f"{len(DRAWN)} of {len(DRAWN)} figures fresh" in (checkout / RUN / "report.html").read_text()
    table = checkout / RUN / "measurements/reorderings/resnet-seed1.csv"
    content = table.read_bytes()
    try:
        table.write_bytes(content.replace(b"1", b"2", 1))
        code, said = called(*status)
        stale = {line.split()[1] for line in said.splitlines() if line.startswith("stale")}
        assert (code, stale) == (1, {"figures/reordering", "claims", "report"})
        code, said = called(*verify)
        assert code == 1
        assert f"{RUN}/measurements/reorderings/resnet-seed1.csv: is not the file that its job made" in said
    finally:
        table.write_bytes(content)


def test_changed_shared_code_redraws_figures_and_judges_claims_but_trains_nothing(checkout):
    code = checkout / "scripts/unravel/statistics.py"
    content = code.read_text()
    try:
        code.write_text(content + "# changed\n")
        jobs = planned(checkout)
    finally:
        code.write_text(content)
    others = {f"figure_{name}" for name in ("1", "2", "7", "training", "classes")}
    assert set(jobs) == {*REDRAWN, *others, "claims", *WRITTEN}


@pytest.mark.parametrize(("figure", "tables"), [("figure_1", 1), ("figure_2", 2)])
def test_a_drawing_of_paths_needs_no_network(empty_checkout, figure, tables):
    assert planned(empty_checkout, figure) == {"measure_unraveled_view": tables, figure: 1}


def test_a_sealed_run_is_rebuilt_from_its_measurements_alone_and_measured_beside(checkout, empty_checkout, tmp_path):
    folder = tmp_path / "unravel"
    shutil.copytree(empty_checkout, folder)
    shutil.copytree(checkout / RUN, folder / RUN, copy_function=shutil.copyfile)  # dates as after a clone: any
    for path in (folder / RUN / "data").rglob("*.safetensors"):
        path.unlink()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def make(target):
        command = ["make", target, "RUN=ci", "INSTALLED="]
        return subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)

    unsealed = make("reference")
    assert (unsealed.returncode != 0, unsealed.stderr.splitlines()[0]) == (
        True,
        "error: results/ci: is not sealed; run make seal RUN=ci first",
    )
    assert make("seal").returncode == 0
    kept = [folder / RUN / path for path in json.loads((folder / RUN / "seal.json").read_text())["files"]]
    drawn = [*(folder / RUN / "figures").iterdir(), folder / RUN / "claims.json"]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (*kept, *drawn)}
    again = make("reference")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "The report: results/ci/report.html" in again.stdout.splitlines()
    assert all(path.stat().st_mtime_ns == before[path][1] for path in kept)
    assert all(path.read_bytes() == before[path][0] for path in drawn)
    redrawn = {path.name.partition(".")[0] for path in drawn if path.stat().st_mtime_ns != before[path][1]}
    assert redrawn == {*DRAWN, "claims"} - {"class-overview"}
    assert f"all {len(kept)} files and " in (folder / RUN / "report.html").read_text()
    table = folder / RUN / "measurements/reorderings/vgg-seed1.csv"
    more = snakemake(folder, table.relative_to(folder), "--config", "reorderings={networks: [vgg]}")
    assert more.returncode == 0, more.stdout  # the images were there to be prepared again
    assert table.is_file()
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in kept} == {
        path: before[path] for path in kept
    }


def test_the_plan_reads_as_sentences(empty_checkout):
    plan = snakemake(empty_checkout, "--dry-run")
    for line in ("Train resnet, seed 1, for 2 epochs", "Measure single deletions of vgg, seed 1", "Draw Figure 3"):
        assert line in plan.stdout
    assert not (empty_checkout / "results").exists()


def test_an_empty_checkout_plans_every_job_once(empty_checkout):
    once = ("prepare_data", "measure_paths_left", "claims", *(f"figure_{figure.number}" for figure in DRAWN.values()))
    jobs = {**dict.fromkeys(once, 1), "measure_unraveled_view": 3, "train": 4, **MEASURED, **WRITTEN}
    assert planned(empty_checkout) == jobs


def test_each_figure_is_drawn_by_the_rule_of_its_number(empty_checkout):
    listed = snakemake(empty_checkout, "--summary")
    assert listed.returncode == 0, listed.stdout
    rows = [line.split("\t") for line in listed.stdout.splitlines() if line.startswith(f"{RUN}/figures/")]
    drawn = {(Path(row[0]).name.partition(".")[0], row[2]) for row in rows}
    assert drawn == {(slug, f"figure_{figure.number}") for slug, figure in DRAWN.items()}


def test_a_misspelt_key_ends_the_call_with_one_line_before_any_job(empty_checkout):
    wrong = snakemake(empty_checkout, "--config", "training={lerning_rate: 1}")
    assert wrong.returncode != 0
    assert "error: config: training: unknown key 'lerning_rate'; did you mean 'learning_rate'?" in wrong.stdout
    assert "Traceback" not in wrong.stdout
    assert not (empty_checkout / "results").exists()


def test_a_results_folder_that_cannot_be_written_ends_the_call_with_one_line(empty_checkout):
    blocker = empty_checkout / "results"
    blocker.write_text("a file")
    try:
        wrong = snakemake(empty_checkout)
    finally:
        blocker.unlink()
    assert wrong.returncode != 0
    assert "error: results/ci: cannot be written" in wrong.stdout
    assert "Traceback" not in wrong.stdout


def test_a_checkpoint_of_another_network_ends_the_job_with_one_line_and_no_output(checkout, tmp_path):
    table, record = tmp_path / "table.csv", tmp_path / "record.json"
    wrong = script(
        checkout, "measure", "--study", "deletions", *TRAIN,
        "--checkpoint", RUN / "checkpoints/vgg/seed1.safetensors", "--outputs", table, "--record", record,
    )  # fmt: skip
    assert wrong.returncode == 1
    assert wrong.stderr.startswith(
        "error: results/ci/checkpoints/vgg/seed1.safetensors: architecture is vgg, the config"
    )
    assert len(wrong.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


# --- interruption ---------------------------------------------------------------------------------------------------


@pytest.fixture
def longer(checkout, tmp_path):
    """Arguments of a training long enough to be killed in its middle, and the folder it writes to."""
    settings = yaml.safe_load((checkout / RUN / "config.yaml").read_text())
    settings["training"]["epochs"] = 40
    settings["execution"]["checkpoint_every"] = 3
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))

    def arguments(name):
        out = tmp_path / name
        outputs = ("--checkpoint", out / "seed1.safetensors", "--history", out / "h.csv", "--record", out / "r.json")
        return ("--config", tmp_path / "config.yaml", *TRAIN[2:], "--seed", 1, *outputs)

    return arguments, tmp_path


def test_a_training_killed_twice_ends_in_the_same_bytes_as_one_left_alone(checkout, longer):
    arguments, folder = longer
    assert script(checkout, "train", *arguments("alone")).returncode == 0
    resume = folder / "killed" / "seed1.resume.safetensors"
    seen = 0.0
    for _ in range(2):
        job = subprocess.Popen([sys.executable, "scripts/train.py", *map(str, arguments("killed"))], cwd=checkout)
        while not (resume.exists() and resume.stat().st_mtime > seen):
            assert job.poll() is None, "the training ended before it could be killed"
            time.sleep(0.005)
        seen = resume.stat().st_mtime
        job.send_signal(signal.SIGKILL)
        job.wait()
        assert not (folder / "killed" / "seed1.safetensors").exists()
    last = script(checkout, "train", *arguments("killed"))
    assert last.returncode == 0
    assert "epoch 1 of 40" not in last.stderr  # it did go on
    for name in ("seed1.safetensors", "h.csv"):
        assert sha256(folder / "killed" / name) == sha256(folder / "alone" / name)
    assert not resume.exists()


def test_a_training_told_to_end_saves_says_so_and_goes_on_where_it_was(checkout, longer):
    arguments, folder = longer
    assert script(checkout, "train", *arguments("alone")).returncode == 0
    command = [sys.executable, "scripts/train.py", *map(str, arguments("stopped"))]
    with subprocess.Popen(command, cwd=checkout, stderr=subprocess.PIPE, text=True) as job:
        for line in job.stderr:
            if line.startswith("epoch 4 of 40"):
                job.send_signal(signal.SIGTERM)
                break
        *_, said = job.stderr.read().splitlines()
    assert job.returncode == 1
    found = re.match(r"stopped before step \d+ of \d+ in epoch (\d+) of 40; its state is saved, and the same", said)
    assert found, said
    assert not (folder / "stopped" / "seed1.safetensors").exists()
    again = script(checkout, "train", *arguments("stopped"))
    assert again.stderr.startswith(f"epoch {found[1]} of 40")
    for name in ("seed1.safetensors", "h.csv"):
        assert sha256(folder / "stopped" / name) == sha256(folder / "alone" / name)


def test_a_killed_pipeline_goes_on_and_ends_in_the_same_checkpoints(checkout, empty_checkout, tmp_path):
    folder = tmp_path / "unravel"
    shutil.copytree(empty_checkout, folder)
    target = RUN / "checkpoints/resnet/seed1.safetensors"
    command = [sys.executable, "-m", "snakemake", str(target), "--cores", "2", "--configfile", "config/ci.yaml"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with (tmp_path / "log").open("w") as log:
        job = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        while not (folder / RUN / "logs/train/resnet-seed1.log").exists():
            assert job.poll() is None
            time.sleep(0.02)
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
    assert not (folder / target).exists()
    assert snakemake(folder, "--unlock").returncode == 0
    assert snakemake(folder, str(target)).returncode == 0
    assert sha256(folder / target) == sha256(checkout / target)
    log = (folder / RUN / "logs/train/resnet-seed1.log").read_bytes()
    assert b"\r" not in log
    assert b"\x1b" not in log
    assert log.splitlines()[-1].startswith(b"epoch 2 of 2: ")


def test_a_terminal_gets_a_bar_with_the_time_left(checkout, longer):
    arguments, _ = longer
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 100))
    job = subprocess.Popen(
        [sys.executable, "scripts/train.py", *map(str, arguments("tty"))], cwd=checkout, stderr=writer
    )
    os.close(writer)
    shown = b""
    while True:
        try:
            shown += os.read(reader, 65536)
        except OSError:  # the other end is closed
            break
    assert job.wait() == 0
    assert re.search(rb"\d+/40 \[\d\d:\d\d<\d\d:\d\d.*test error", shown)
