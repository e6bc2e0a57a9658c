"""Checkpoints say what they are; one of another network, other data or no network at all is named."""

import json
import os

import pytest
import torch
from checkpoint_helpers import make_card
from conftest import PLAIN, RESNET
from safetensors import safe_open
from safetensors.torch import save_file

from unravel.config import Digits
from unravel.data.preparation import prepare
from unravel.files import InputError, sha256
from unravel.training import checkpoints


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    prepare(Digits(source="digits"), folder)
    return folder / "manifest.json"


def test_a_saved_network_computes_the_same_when_loaded(make_network, tmp_path):
    for settings in (RESNET, PLAIN):
        network = make_network(settings, dtype=torch.float32)
        checkpoints.save(tmp_path / "seed1.safetensors", network, make_card(settings))
        loaded, card = checkpoints.load(tmp_path / "seed1.safetensors")
        images = torch.randn(2, 3, 8, 8)
        assert torch.equal(loaded(images), network(images))
        assert card == make_card(settings)


def test_the_same_network_gives_the_same_bytes(make_network, tmp_path):
    hashes = set()
    for attempt in range(5):
        path = tmp_path / f"{attempt}.safetensors"
        checkpoints.save(path, make_network(dtype=torch.float32), make_card())
        hashes.add(sha256(path))
    assert len(hashes) == 1
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["unravel"])["seed"] == 1


def test_a_checkpoint_of_another_architecture_is_named(make_network, tmp_path, manifest):
    path = tmp_path / "seed1.safetensors"
    checkpoints.save(path, make_network(dtype=torch.float32), make_card())
    with pytest.raises(
        InputError, match=r"seed1.safetensors: architecture is resnet, the config says vgg, .* to train"
    ):
        checkpoints.load_for_run(path, PLAIN, manifest)
    other = RESNET.model_copy(update={"blocks_per_stage": (2, 2, 2)})
    with pytest.raises(InputError, match=r"blocks_per_stage is \[2, 2, 1\], the config says \[2, 2, 2\]"):
        checkpoints.load_for_run(path, other, manifest)


def test_a_checkpoint_trained_on_other_data_is_named(make_network, tmp_path, manifest):
    path = tmp_path / "seed1.safetensors"
    checkpoints.save(path, make_network(dtype=torch.float32), make_card())
    with pytest.raises(InputError, match=r"seed1.safetensors: was trained on other data than .*manifest.json"):
        checkpoints.load_for_run(path, RESNET, manifest)


def test_tensors_that_do_not_fit_the_description_are_refused(make_network, tmp_path):
    path = tmp_path / "seed1.safetensors"
    checkpoints.save(path, make_network(PLAIN, dtype=torch.float32), make_card(RESNET))
    with pytest.raises(InputError, match="the tensors are not those of the network it describes"):
        checkpoints.load(path)


def test_files_that_are_no_checkpoint_are_refused(make_network, tmp_path):
    path = tmp_path / "seed1.safetensors"
    with pytest.raises(InputError, match="is missing; train it first"):
        checkpoints.load(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="not a checkpoint of this project"):
        checkpoints.load(path)
    checkpoints.save(path, make_network(dtype=torch.float32), make_card())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        checkpoints.load(path)


def test_a_checkpoint_whose_weights_are_no_numbers_is_refused(make_network, tmp_path):
    path = tmp_path / "seed1.safetensors"
    network = make_network(dtype=torch.float32)
    name, weight = next(iter(network.state_dict().items()))
    weight.view(-1)[0] = float("nan")
    checkpoints.save(path, network, make_card())
    with pytest.raises(InputError, match=f"describes: {name} holds values that are nan or infinite; train it again"):
        checkpoints.load(path)


@pytest.mark.parametrize(("card", "said"), [("{", "not a whole safetensors file"), ("[]", "it lacks the description")])
def test_a_description_that_is_none_is_refused(tmp_path, card, said):
    path = tmp_path / "seed1.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata={"unravel": card})
    with pytest.raises(InputError, match=f"seed1.safetensors: .*{said}"):
        checkpoints.load(path)


def test_what_is_no_file_is_no_checkpoint(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InputError, match="expected a regular file; train it first"):
            checkpoints.load(path)
