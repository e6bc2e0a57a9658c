"""The command for a network of one's own: the pipeline's tables, the libraries' errors, one line for each mistake."""

import csv
import json
import shutil
import sys

import numpy as np
import own_models
import pytest
import timm
import torch
import yaml
from checkpoint_helpers import make_card
from conftest import RESNET
from data_helpers import encoded, noise, write_tar
from safetensors.torch import save_file
from torchvision import models

import measure
from unravel.config import Digits
from unravel.data.preparation import load_split, prepare, read_manifest
from unravel.files import run_command_line
from unravel.own import command as lesion
from unravel.training import checkpoints

CLASSES = ("cat", "dog", "owl")
EXPERIMENTS = ("deletions", "random_deletions", "reorderings")


def call(monkeypatch, main, *arguments):
    """Run a command line in this process."""
    monkeypatch.setattr(sys, "argv", [main.__module__, *map(str, arguments)])
    run_command_line(main)


@pytest.fixture
def run(monkeypatch):
    def run(*arguments):
        call(monkeypatch, lesion.main, *arguments)

    return run


@pytest.fixture
def refusal(run, tmp_path):
    """The one line a command line is refused with; it leaves no output behind."""

    def refusal(*arguments, experiment="deletions"):
        with pytest.raises(SystemExit) as refused:
            run(*arguments, "--study", experiment, "--output", tmp_path / "out")
        line = str(refused.value)
        assert line.startswith("error: ")
        assert "\n" not in line
        assert not [*(tmp_path / "out").glob("*.*")]
        return line.removeprefix("error: ")

    return refusal


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    prepare(Digits(source="digits"), folder)
    return folder / "manifest.json"


@pytest.fixture
def own_checkpoint(make_network, tmp_path):
    """Save a network of ours as if it had been trained on the data of a manifest."""

    def save(manifest_path, settings=RESNET, seed=7):
        manifest = read_manifest(manifest_path)
        shape, classes = manifest.image_shape, len(manifest.classes)
        card = make_card(settings, image_shape=shape, classes=classes, dataset_sha256=manifest.identity, seed=seed)
        path = tmp_path / "seed7.safetensors"
        checkpoints.save(path, make_network(settings, shape, classes, dtype=torch.float32), card)
        return path

    return save


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """An archive of colour images of 16x16 pixels in class folders."""
    names = [f"{split}/{name}/{i}.png" for split in ("train", "test") for name in CLASSES for i in range(6)]
    tree = {name: encoded(noise(16, 16, 3, seed=seed)) for seed, name in enumerate(names)}
    return write_tar(tmp_path_factory.mktemp("pictures") / "pictures.tar", tree)


def read_table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_checkpoint_gives_the_bytes_of_the_pipeline_s_table(
    own_checkpoint, digits, run, monkeypatch, tmp_path, experiment
):
    checkpoint = own_checkpoint(digits)
    settings = {
        "run": "ci",
        "scale": "ci",
        "dataset": {"source": "digits"},
        "networks": {"resnet": RESNET.model_dump(mode="json")},
        "deletions": {"figure_3": ["resnet"], "figure_8": ["resnet"]},
        "random_deletions": {"most": 3, "draws": 4},
        "reorderings": {"most": 3, "draws": 4},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    call(
        monkeypatch, measure.main, "--study", experiment, "--config", tmp_path / "config.yaml",
        "--data", digits, "--network", "resnet", "--checkpoint", checkpoint,
        "--outputs", tmp_path / "pipeline.csv", "--record", tmp_path / "pipeline.json",
    )  # fmt: skip
    most = () if experiment == "deletions" else ("--most", 3, "--draws", 4)
    run(checkpoint, "--data", digits, "--study", experiment, *most, "--output", tmp_path / "own")
    table = tmp_path / "own" / f"{experiment}.csv"
    assert table.read_bytes() == (tmp_path / "pipeline.csv").read_bytes()
    assert len(read_table(table)) == (6 if experiment == "deletions" else 13)


@torch.inference_mode()
def wrong_by_library(network, manifest, mean, std):
    """Wrong test images by the library's own forward pass."""
    images, labels = load_split(manifest, "test")
    pixels = ((images / 255 - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2)
    return int((network.eval()(torch.from_numpy(pixels).float()).argmax(1).numpy() != labels).sum())


def make(create, model, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return create(model, num_classes=len(CLASSES))


@pytest.mark.parametrize(
    ("name", "create", "mean", "std"),
    [
        ("torchvision:resnet18", models.get_model, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("timm:resnetv2_18", timm.create_model, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_a_network_by_name_errs_where_the_library_says_it_does(
    name, create, mean, std, run, pictures, tmp_path, capsys
):
    output, counts = tmp_path / "out", set()
    for seed in (1, 2, 3):
        run(
            name,
            "--weights",
            "random",
            "--seed",
            seed,
            "--data",
            pictures,
            "--study",
            "deletions",
            "--output",
            output,
        )
        rows = read_table(output / "deletions.csv")
        manifest = output / "data" / "manifest.json"
        network = make(create, name.partition(":")[2], seed)
        assert int(rows[0]["wrong_images"]) == wrong_by_library(network, manifest, mean, std)
        counts.add(rows[0]["wrong_images"])
    assert {(row["network"], row["seed"], row["test_images"]) for row in rows} == {(name, "3", "18")}
    assert [row["deleted_position"] for row in rows] == [str(position) for position in range(9)]
    assert [row["deleted_position"] for row in rows if row["downsampling"] == "True"] == ["3", "5"]  # then 1x1 is left
    assert len(counts) > 1  # the seeds differ, so that a mix-up would show
    said = capsys.readouterr().out
    assert f"{name}: 8 residual blocks, from " in said
    assert f"{output}/figure-3.svg: 18 test images, " in said


def test_mean_and_std_can_be_given(run, pictures, tmp_path):
    output, weights = tmp_path / "out", tmp_path / "mine.safetensors"
    network = make(models.get_model, "resnet18", 1)
    save_file(network.state_dict(), weights)
    found = []
    for shift in (0.0, 0.7):
        mean, std = (shift, 0.2, 0.3), (0.1, 0.2, 0.05)
        run(
            "torchvision:resnet18", "--weights", weights, "--data", pictures, "--study", "random_deletions",
            "--most", 2, "--draws", 2, "--mean", *mean, "--std", *std, "--output", output,
        )  # fmt: skip
        rows = read_table(output / "random_deletions.csv")
        assert int(rows[0]["wrong_images"]) == wrong_by_library(network, output / "data/manifest.json", mean, std)
        found.append([row["wrong_images"] for row in rows])
    assert found[0] != found[1]


def test_a_checkpoint_of_a_training_script_gives_the_table_of_its_weights(run, pictures, tmp_path):
    network = make(models.get_model, "resnet18", 2)
    parallel = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"epoch": 90, "state_dict": parallel}, tmp_path / "checkpoint.pth.tar")
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    tables = []
    for weights in ("checkpoint.pth.tar", "mine.safetensors"):
        output = tmp_path / f"{weights}.out"
        run(
            "torchvision:resnet18", "--weights", tmp_path / weights, "--data", pictures, "--study", "deletions",
            "--output", output,
        )  # fmt: skip
        tables.append((output / "deletions.csv").read_bytes())
    assert tables[0] == tables[1]
    manifest = output / "data" / "manifest.json"
    wrong = wrong_by_library(network, manifest, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert int(read_table(output / "deletions.csv")[0]["wrong_images"]) == wrong


def test_the_record_names_all_that_decided_the_table(run, pictures, tmp_path):
    output = tmp_path / "out"
    run(
        "torchvision:resnet18", "--weights", "random", "--data", pictures, "--image-size", 8, "--study",
        "reorderings", "--most", 1, "--draws", 2, "--batch-size", 5, "--precision", "bf16", "--output", output,
    )  # fmt: skip
    record = json.loads((output / "lesions.record.json").read_text())
    manifest = read_manifest(output / "data" / "manifest.json")
    assert manifest.image_shape == (8, 8, 3)
    assert record["settings"] == {
        "network": "torchvision:resnet18",
        "weights": "random",
        "blocks": None,
        "data": manifest.identity,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "seed": 1,
        "evaluation": {"batch_size": 5, "precision": "bf16"},
        "reorderings": {"most": 1, "draws": 2},
    }
    assert list(record["inputs"]) == [str(output / "data" / "manifest.json")]
    assert list(record["outputs"])[:2] == [str(output / "reorderings.csv"), str(output / "figure-5b.svg")]
    assert record["environment"]["versions"]["timm"] == timm.__version__


def test_two_npz_files_are_data_too(run, tmp_path):
    for name in ("train", "test"):
        np.savez(tmp_path / f"{name}.npz", images=noise(6, 8, 8, 3), labels=np.arange(6) % 3)
    data = ("--data", tmp_path / "train.npz", tmp_path / "test.npz")
    run("timm:resnetv2_18", "--weights", "random", *data, "--study", "deletions", "--output", tmp_path / "out")
    assert {row["test_images"] for row in read_table(tmp_path / "out" / "deletions.csv")} == {"6"}


RANDOM = ("torchvision:resnet18", "--weights", "random")


def test_what_is_asked_wrongly_is_told_before_data_is_read(refusal, tmp_path):
    data = ("--data", tmp_path / "nowhere")
    assert refusal("torchvision:resnet51", *data).startswith("torchvision:resnet51: this library has no network of ")
    assert refusal("timm:resnet51", *data).startswith("timm:resnet51: this library has no network of that name")
    assert refusal("torchvision:resnet18", *data) == (
        "torchvision:resnet18: which weights? Add --weights pretrained, --weights random or --weights FILE"
    )
    assert refusal("torchvision:resnet18", *data, "--weights", "no.pth") == "no.pth: is missing; check the path"
    assert refusal("resnet50", *data).startswith(
        "resnet50: no such file; expected FILE.py:NAME, torchvision:NAME, timm:NAME"
    )
    assert refusal(*RANDOM, *data, "--most", 3) == "--most: deletions has no such setting; drop it"
    line = refusal(*RANDOM, *data, "--most", 3, "--draws", 2)
    assert line == "--most and --draws: deletions has no such setting; drop it"
    line = refusal(*RANDOM, *data, "--most", 0, experiment="reorderings")
    assert line == "--most: Input should be greater than or equal to 1 (given: 0)"
    line = refusal(*RANDOM, *data, "--batch-size", 0)
    assert line == "--batch-size: Input should be greater than or equal to 1 (given: 0)"
    assert refusal(*RANDOM, *data, "--image-size", 2).startswith(
        "--image-size: Input should be greater than or equal to 4"
    )
    assert refusal(*RANDOM, "--data", "a.json", "--image-size", 8).startswith(
        "--image-size: only images of a folder or"
    )
    assert refusal(*RANDOM, "--data", "a.npz").startswith("--data: a.npz: expected one manifest.json, one folder or ")


def test_missing_data_is_told(refusal, tmp_path):
    assert refusal(*RANDOM, "--data", tmp_path / "nowhere").startswith(
        f"{tmp_path / 'nowhere'}: does not exist; expected"
    )
    missing = tmp_path / "manifest.json"
    assert refusal(*RANDOM, "--data", missing).startswith(f"{missing}: is missing")


def test_data_that_does_not_fit_the_network_is_refused(refusal, own_checkpoint, digits, pictures):
    assert refusal(*RANDOM, "--data", digits) == (
        "torchvision:resnet18: takes images of 3 channels, the data has 1; convert the images"
    )
    assert refusal("torchvision:resnet18", "--weights", "pretrained", "--data", pictures).startswith(
        "torchvision:resnet18: its pretrained weights are for 1000 classes, the data has 3;"
    )
    checkpoint = own_checkpoint(digits)
    assert refusal(checkpoint, "--data", pictures) == (
        f"{checkpoint}: was trained on 8x8 pixels, 1 channels and 10 classes, the data has 16x16 pixels, 3 channels "
        "and 3 classes; choose data of that kind"
    )
    assert refusal(checkpoint, "--data", digits, "--weights", "random") == (
        f"{checkpoint}: a checkpoint has its own weights and blocks; drop --weights and --blocks"
    )


def test_other_data_than_the_checkpoint_s_needs_the_statistics_of_its_training(
    refusal, own_checkpoint, digits, run, tmp_path
):
    checkpoint = own_checkpoint(digits)
    images, labels = load_split(digits, "test")
    for name in ("train", "test"):
        np.savez(tmp_path / f"{name}.npz", images=255 - images, labels=labels)
    data = ("--data", tmp_path / "train.npz", tmp_path / "test.npz")
    assert refusal(checkpoint, *data).startswith(
        f"{checkpoint}: was trained on other data; to have images normalised as"
    )
    statistics = ("--mean", *read_manifest(digits).mean, "--std", *read_manifest(digits).std)
    run(checkpoint, *data, *statistics, "--study", "deletions", "--output", tmp_path / "out")
    assert len(read_table(tmp_path / "out" / "deletions.csv")) == 6


def test_statistics_of_the_wrong_size_are_refused(refusal, pictures):
    line = refusal(*RANDOM, "--data", pictures, "--mean", 0.5)
    assert line == "--mean: 1 given, expected one for each of the images' 3 channels"
    line = refusal(*RANDOM, "--data", pictures, "--std", 1, 0, 1)
    assert line == "--std: 0.0 is not above 0, but images are divided by it"


def test_lesions_that_the_network_is_too_small_for_are_refused(refusal, own_checkpoint, pictures, digits):
    line = refusal(*RANDOM, "--data", pictures, "--most", 9, experiment="random_deletions")
    assert line == "random_deletions.most is 9, but the network has only 8 blocks; lower it"
    short = RESNET.model_copy(update={"blocks_per_stage": (1, 1, 1)})
    line = refusal(own_checkpoint(digits, short), "--data", digits, "--most", 1, experiment="reorderings")
    assert line == (
        "--study reorderings: no two neighbouring blocks have equal shape; take another network, or drop it"
    )


def test_a_file_of_the_user_s_is_never_called_damaged(refusal, digits, tmp_path):
    """Weights without their network, a text, an empty file: each gets told what to give, none is to be deleted."""
    torch.save({"weight": torch.zeros(1)}, tmp_path / "mine.pth")
    save_file({"weight": torch.zeros(1)}, tmp_path / "mine.safetensors")
    (tmp_path / "notes.safetensors").write_text("no weights")
    (tmp_path / "empty.pt").touch()
    for name in ("mine.pth", "mine.safetensors", "notes.safetensors", "empty.pt"):
        path = tmp_path / name
        line = refusal(path, "--data", digits)
        assert line == (
            f"{path}: is no checkpoint of scripts/train.py; if these are weights, name their network too: lesion "
            f"my_model.py:NAME --weights {path}, or torchvision:NAME or timm:NAME"
        )
        if name != "mine.safetensors":
            line = refusal("torchvision:resnet18", "--weights", path, "--data", digits)
        assert not any(word in line for word in ("damaged", "delete", "train again"))


@pytest.fixture
def own_file(tmp_path):
    """A Python file with a model of a user's own and a loader."""
    shutil.copy(own_models.__file__, tmp_path / "own_models.py")
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "from own_models import Highway, PlainResNet\n\n"
        "def net():\n    torch.manual_seed(3)\n    return PlainResNet()\n\n"
        "def loader():\n"
        "    torch.manual_seed(4)\n"
        "    size = torch.linspace(0.1, 6, 20)[:, None, None, None]\n"
        "    return [(size * torch.randn(20, 3, 8, 8), torch.randint(5, (20,))) for _ in range(2)]\n\n"
        "def needs(width):\n    return PlainResNet()\n\n"
        "number = 3\n"
    )
    return tmp_path / "mine.py"


def test_a_file_s_own_model_gives_all_tables_and_figures_of_its_weights(run, own_file, tmp_path):
    torch.manual_seed(8)
    model = own_models.telling_apart(own_models.awake(own_models.PlainResNet()).float(), torch.randn(20, 3, 8, 8))
    parallel = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"epoch": 1, "model": parallel}, tmp_path / "mine.pt")
    run(
        f"{own_file}:net", "--blocks", "layers.*", "--weights", tmp_path / "mine.pt", "--data", f"{own_file}:loader",
        "--draws", 2, "--samples", 2, "--output", tmp_path / "out",
    )  # fmt: skip
    torch.manual_seed(4)
    size = torch.linspace(0.1, 6, 20)[:, None, None, None]
    batches = [(size * torch.randn(20, 3, 8, 8), torch.randint(5, (20,))) for _ in range(2)]
    expected = []
    with torch.no_grad():
        for off in (None, 0, 1, 2):
            for place, layer in enumerate(model.layers):
                layer.switch = 0.0 if place == off else 1.0
            expected.append(sum(int((model(x).argmax(1) != y).sum()) for x, y in batches))
    rows = read_table(tmp_path / "out" / "deletions.csv")
    assert [int(row["wrong_images"]) for row in rows] == expected
    assert len(set(expected)) > 1
    exact = read_table(tmp_path / "out" / "gradients.exact.csv")
    assert [row["length"] for row in exact if row["batch_norm"] == "train"] == ["0", "1", "2", "3"]
    assert max(float(row["full_error"]) for row in exact) < 1e-4
    for figure in ("3", "5a", "5b", "6"):
        assert "</svg>" in (tmp_path / "out" / f"figure-{figure}.svg").read_text()


def test_the_list_says_what_can_be_named(run, own_file, capsys):
    run(f"{own_file}:net", "--list")
    said = f"{own_file}:net adds a branch to a skip connection in:\n  --blocks 'layers.*'  3 residual blocks\n"
    assert capsys.readouterr().out == said
    run("timm:resnet18", "--list", "--image-size", 32)
    assert "--blocks 'layer*.*'  8 residual blocks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "has no 'nothing'; it has net, loader, needs"),
        ("number", "number: is int, expected a torch.nn.Module, or what makes one"),
        (
            "needs",
            "needs: cannot be called without arguments (needs() missing 1 required positional argument: 'width')",
        ),
        ("Highway", "Highway: its forward fails on images of 3x8x8 (RuntimeError: mat1 and mat2 shapes cannot"),
    ],
)
def test_a_file_s_model_that_cannot_be_is_refused(refusal, own_file, name, said):
    line = refusal(f"{own_file}:{name}", "--data", f"{own_file}:loader")
    assert said in line
