"""Named networks: found or refused by name, and filled with the weights that were asked for and no others."""

from argparse import Namespace

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from unravel.files import InputError
from unravel.networks import named

SHAPE = (32, 32, 3)
NAMES = ("torchvision:resnet18", "timm:resnetv2_18")


def make(name, classes, seed=0):
    library, _, model = name.partition(":")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        create = models.get_model if library == "torchvision" else timm.create_model
        return create(model, num_classes=classes).eval()


def refusal(call, *arguments):
    """The one line that a call is refused with."""
    with pytest.raises(InputError) as refused:
        call(*arguments)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@torch.inference_mode()
def assert_same(network, expected):
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network(images), expected(images), rtol=1e-5, atol=1e-5)


def test_images_are_normalised_as_the_libraries_document():
    found = named.find("torchvision:resnet50")
    assert (found.mean, found.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert found.pretrained_classes == 1000
    found = named.find("timm:resnetv2_50x1_bit.goog_in21k")
    assert (found.mean, found.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert found.pretrained_classes == 21843


def test_every_name_of_the_families_is_found():
    names = [f"torchvision:{name}" for name in models.list_models(models) if name.startswith(("resn", "wide_resn"))]
    names += [f"timm:{name}" for name in timm.list_models("resnetv2_*")]
    assert len(names) >= 10 + 20
    assert {len(named.find(name).mean) for name in names} == {3}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "torchvision:resnet51",
            "torchvision:resnet51: this library has no network of that name; did you mean 'resnet",
        ),
        ("timm:resnetv2_51", "timm:resnetv2_51: this library has no network of that name; did you mean 'resnetv2_"),
        ("torchvision:", "torchvision:: this library has no network of that name"),
        ("timm:hf-hub:timm/resnet50", "timm:hf-hub:timm/resnet50: this library has no network of that name"),
        ("timm:resnetv2_50.none", "timm:resnetv2_50.none: Invalid pretrained tag (none) for resnetv2_50."),
        ("keras:ResNet50", "keras:ResNet50: there is no library 'keras' here, expected torchvision:<name> or timm:<n"),
    ],
)
def test_an_unknown_name_is_refused(name, message):
    assert refusal(named.find, name).startswith(message)


@pytest.mark.parametrize("name", ["torchvision:quantized_resnet50", "torchvision:fcn_resnet50"])
def test_what_is_no_classifier_is_refused_before_it_is_built(name):
    assert refusal(named.find, name).endswith("expected a network that classifies images")


@pytest.mark.parametrize("name", ["torchvision:vgg11", "timm:resnet18"])
def test_a_family_that_the_pipeline_has_no_blocks_of_is_refused(name):
    line = refusal(named.find(name).load, "random", SHAPE, 7, 1)
    assert line.startswith(f"{name}: cannot be taken apart into residual blocks: it is a ")


@pytest.mark.parametrize("name", NAMES)
def test_random_weights_are_those_of_the_seed_and_leave_the_global_generator_alone(name):
    state = torch.random.get_rng_state()
    network = named.find(name).load("random", SHAPE, 7, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert_same(network, make(name, 7, seed=3))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_weights_come_from_the_file(name, suffix, tmp_path):
    trained = make(name, 7, seed=5)
    path = tmp_path / f"mine.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(trained.state_dict(), path)
    assert_same(named.find(name).load(str(path), SHAPE, 7, seed=1), trained)


def parallel(network):
    return nn.DataParallel(network).state_dict()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "packed",
    [
        parallel,
        lambda network: {"epoch": 90, "arch": "resnet18", "state_dict": parallel(network), "best_acc1": torch.ones(1)},
        lambda network: {
            "model": network.state_dict(),
            "optimizer": torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9).state_dict(),
            "epoch": 3,
            "args": Namespace(lr=0.1, data_path="images", milestones=[30, 60], resume=None),
        },
    ],
    ids=["DataParallel", "state_dict", "model"],
)
def test_weights_come_out_of_a_checkpoint_of_a_training_script(name, packed, tmp_path):
    """As PyTorch's ImageNet example saves it, and torchvision's and timm's scripts, their options included."""
    trained = make(name, 7, seed=5)
    path = tmp_path / "checkpoint.pth.tar"
    torch.save(packed(trained), path)
    assert_same(named.find(name).load(str(path), SHAPE, 7, seed=1), trained)


def test_names_of_data_parallel_are_read_from_safetensors_too(tmp_path):
    trained = make("torchvision:resnet18", 7, seed=5)
    path = tmp_path / "mine.safetensors"
    save_file(parallel(trained), path)
    assert_same(named.find("torchvision:resnet18").load(str(path), SHAPE, 7, seed=1), trained)


def test_weights_of_another_network_or_number_of_classes_are_refused(tmp_path):
    path = tmp_path / "mine.safetensors"
    load = named.find("torchvision:resnet18").load
    save_file(make("torchvision:resnet18", 1000).state_dict(), path)
    expected = (
        f"{path}: does not fit torchvision:resnet18 with 10 classes: fc.weight is (1000, 512), expected (10, 512)"
    )
    assert refusal(load, str(path), SHAPE, 10, 1) == expected
    save_file(make("timm:resnetv2_18", 10).state_dict(), path)
    assert "with 10 classes: it lacks conv1.weight" in refusal(load, str(path), SHAPE, 10, 1)
    save_file(make("torchvision:resnet18", 10).state_dict() | {"extra": torch.zeros(1)}, path)
    assert "with 10 classes: it holds extra, which the network has not" in refusal(load, str(path), SHAPE, 10, 1)


class Harmful:
    """What a pickle must not be able to do."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (self.path.touch, ())


def test_a_file_that_is_no_state_dict_is_refused_and_nothing_in_it_runs(tmp_path):
    path, mark = tmp_path / "mine.pth", tmp_path / "ran"
    for content in (
        {"epoch": 3, "weight": torch.zeros(1)},
        {"model": {"epoch": 3}},
        {0: torch.zeros(1)},
        torch.zeros(1),
    ):
        torch.save(content, path)
        assert refusal(named.read_weights, path) == (
            f"{path}: holds no state dict of tensors, nor one under state_dict, model_state_dict, model, net; "
            "save network.state_dict(), best as safetensors"
        )
    unread = f"{path}: cannot be read by torch.load(weights_only=True): "
    for content in ({"weight": Harmful(mark)}, {"state_dict": {}, "args": Namespace(harm=Harmful(mark))}):
        torch.save(content, path)
        assert refusal(named.read_weights, path).startswith(f"{unread}it holds ")
    torch.save(models.resnet18(), path)
    assert refusal(named.read_weights, path) == (
        f"{unread}it holds torchvision.models.resnet.ResNet, which could run code; save network.state_dict(), best as "
        "safetensors"
    )
    whole = path.read_bytes()
    for content in (b"not a checkpoint", b"", whole[: len(whole) // 2]):
        path.write_bytes(content)
        assert refusal(named.read_weights, path).startswith(
            f"{unread}torch.save did not write it, or not all of it is there; save"
        )
    assert not mark.exists()
    cut = tmp_path / "mine.safetensors"
    cut.write_bytes(b"\0" * 5)
    assert refusal(named.read_weights, cut).startswith(f"{cut}: not a whole safetensors file")
    missing = tmp_path / "missing.pth"
    assert refusal(named.read_weights, missing) == f"{missing}: is missing; check the path"


def test_grey_images_are_refused():
    line = refusal(named.find("torchvision:resnet18").load, "random", (32, 32, 1), 10, 1)
    assert line == "torchvision:resnet18: takes images of 3 channels, the data has 1; convert the images"


def test_pretrained_weights_of_torchvision_come_from_its_own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # where torchvision looks before it downloads
    trained = make("torchvision:resnet18", 1000, seed=5)
    store = tmp_path / "hub" / "checkpoints"
    store.mkdir(parents=True)
    torch.save(trained.state_dict(), store / models.ResNet18_Weights.DEFAULT.url.rpartition("/")[2])
    assert_same(named.find("torchvision:resnet18").load("pretrained", SHAPE, 1000, seed=1), trained)


def test_pretrained_weights_of_timm_are_asked_of_timm(monkeypatch):
    trained = make("timm:resnetv2_18", 1000, seed=5)
    asked = []
    found = named.find("timm:resnetv2_18")
    monkeypatch.setattr(timm, "create_model", lambda name, **options: asked.append((name, options)) or trained)
    assert_same(found.load("pretrained", SHAPE, 1000, seed=1), trained)
    assert asked == [("resnetv2_18", {"pretrained": True})]


def test_pretrained_weights_for_other_classes_are_refused_before_any_download():
    line = refusal(named.find("torchvision:resnet18").load, "pretrained", SHAPE, 10, 1)
    assert line.startswith("torchvision:resnet18: its pretrained weights are for 1000 classes, the data has 10; give ")


def test_a_download_that_fails_is_told_in_one_line(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no route to host\nat all")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    line = refusal(named.find("torchvision:resnet18").load, "pretrained", SHAPE, 1000, 1)
    assert "weights cannot be downloaded (no route to host at all); download them where there is a network" in line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda weight: weight.long(), "conv1.weight holds torch.int64, expected torch.float32"),
        (lambda weight: weight * float("nan"), "conv1.weight holds values that are nan or infinite"),
        (lambda weight: weight / 0, "conv1.weight holds values that are nan or infinite"),
    ],
)
def test_weights_that_are_no_finite_floats_are_refused(tmp_path, change, said):
    path = tmp_path / "mine.safetensors"
    tensors = make("torchvision:resnet18", 10).state_dict()
    save_file(tensors | {"conv1.weight": change(tensors["conv1.weight"])}, path)
    assert refusal(named.find("torchvision:resnet18").load, str(path), SHAPE, 10, 1).endswith(f"classes: {said}")


def test_weights_in_half_precision_are_read(tmp_path):
    path = tmp_path / "mine.safetensors"
    network = make("torchvision:resnet18", 10, seed=5)
    save_file(network.half().state_dict(), path)
    assert_same(named.find("torchvision:resnet18").load(str(path), SHAPE, 10, seed=1), network.float())
