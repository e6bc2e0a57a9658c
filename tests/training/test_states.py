"""Saved states: a damaged one is told and never used, the one before it is, and the end is the same to the last bit."""

import os
import random

import pytest
import torch
from conftest import RESNET
from test_training import RECIPE, fresh, run

from unravel.config import ExactlyBlocks
from unravel.files import InputError
from unravel.training import checkpoints, loop, states

SAMPLING = ExactlyBlocks(scheme="exactly", blocks=2)


def same(one, other):
    tensors = one.state_dict(), other.state_dict()
    return all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0] | tensors[1])


@pytest.fixture
def train(make_split):
    return lambda saving, **options: run(fresh(), make_split, saving, sampling=SAMPLING, **options)


@pytest.fixture
def whole(make_split, tmp_path):
    """A network trained without a pause."""
    network = fresh()
    saving = states.Saving(tmp_path / "whole" / "seed1.resume.safetensors", 10, {})
    return network, run(network, make_split, saving, sampling=SAMPLING)


@pytest.fixture
def saving(tmp_path, make_split, whole):
    """The states of a training that was stopped in its fourth and last epoch: of 3 epochs and a step, and of 3."""
    saving = states.Saving(tmp_path / "seed1.resume.safetensors", every=1, fingerprint={"seed": 1})
    answers = iter([False] * 16 + [True])
    with pytest.raises(loop.Stopped):
        run(fresh(), make_split, saving, sampling=SAMPLING, stop=lambda: next(answers))
    return saving


@pytest.fixture
def goes_on(make_split, whole, saving, capsys):
    """Train from what is there to the end, that of the whole training: the epochs done, and what is told."""

    def goes_on(seed=99):  # other weights, which the saved state replaces
        epochs, resumed = [], fresh(seed=seed)
        history = run(
            resumed, make_split, saving, sampling=SAMPLING, report=lambda epoch, _: epochs.append(epoch.epoch)
        )
        assert history == whole[1]
        assert same(resumed, whole[0])
        return epochs, capsys.readouterr().err.splitlines()

    return goes_on


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_flip_of_any_bit_of_a_saved_state_changes_no_number(saving, capsys):
    """Header, description, digest, weights, momentum: a state with a flip is refused, or says what it said."""
    content, into = saving.path.read_bytes(), {}
    header = 8 + int.from_bytes(content[:8], "little")
    expected = states._newest(saving, into)
    places = random.Random(0)
    bits = [
        *(places.randrange(8 * header) for _ in range(300)),
        *(places.randrange(8 * header, 8 * len(content)) for _ in range(100)),
    ]
    refused = 0
    for bit in bits:
        saving.path.write_bytes(flipped(content, bit))
        try:
            found = states._read(saving.path, into)
        except checkpoints.DamagedError:
            refused += 1
        else:
            assert bit < 8 * header
            assert vars(found[0]).keys() == vars(expected[0]).keys()
            assert found[0].history == expected[0].history
            assert found[2] == expected[2]
            assert all(torch.equal(found[1][name], value) for name, value in expected[1].items())
    assert refused > 0.9 * len(bits)
    assert capsys.readouterr().err == ""  # none passes for one that was saved before there were digests


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: flipped(content, 8 * len(content) - 9),
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"\0" * len(content),
    ],
    ids=["a bit flipped", "half", "empty", "zeros"],
)
def test_the_state_before_a_damaged_one_is_taken_and_the_end_is_the_same(saving, goes_on, damage):
    saving.path.write_bytes(damage(saving.path.read_bytes()))
    epochs, (told,) = goes_on()
    assert epochs == [4]
    assert told.startswith(f"{saving.path}: this saved state is damaged (")
    assert told.endswith("); the training goes on from the one before it, seed1.resume.previous.safetensors")


def test_if_both_states_are_damaged_the_training_starts_anew(saving, goes_on):
    for path in (saving.path, saving.previous):
        path.write_bytes(path.read_bytes()[:-1])
    epochs, (told,) = goes_on(seed=1)
    assert epochs == [1, 2, 3, 4]
    assert told.count("is damaged") == 2
    assert told.endswith("; the training goes on anew")


def test_a_damaged_state_never_takes_the_place_of_a_good_one(saving, train):
    saving.path.write_bytes(b"")
    answers = iter([False, True])
    with pytest.raises(loop.Stopped):
        train(saving, stop=lambda: next(answers))
    into = {}
    assert [len(states._read(path, into)[0].losses) for path in (saving.path, saving.previous)] == [1, 0]
    saving.forget()
    assert not list(saving.path.parent.glob("*.safetensors"))


def test_a_whole_state_is_there_at_every_moment_of_saving_another(saving, monkeypatch, train):
    """Killed before or after any of the renames, one finds the old state or the new one."""
    steps, replace = [], os.replace

    def spied(source, target):
        steps.append(len(states._newest(saving, {})[0].losses))
        replace(source, target)
        steps.append(len(states._newest(saving, {})[0].losses))

    monkeypatch.setattr(os, "replace", spied)
    answers = iter([False, True])
    with pytest.raises(loop.Stopped):
        train(saving, stop=lambda: next(answers))
    assert steps == [1, 1, 1, 2]  # the last state becomes the one before it, then the new one the last


def test_a_state_from_before_there_were_digests_is_taken_and_told(saving, goes_on):
    tensors, description = checkpoints.read_tensors(saving.path)
    del description[states.DIGEST]
    checkpoints.write_tensors(saving.path, tensors, description)
    epochs, (told,) = goes_on()
    assert epochs == [4]
    assert told == f"{saving.path}: this saved state has no digest, so its values are taken unchecked"


def test_a_history_of_another_form_is_damage(saving, goes_on):
    tensors, description = checkpoints.read_tensors(saving.path)
    del description[states.DIGEST]
    description["history"][0]["loss"] = 1.0
    checkpoints.write_tensors(saving.path, tensors, {**description, states.DIGEST: states.digest(tensors, description)})
    epochs, (told,) = goes_on()
    assert epochs == [4]
    assert "this saved state is damaged (its history cannot be read: " in told


def test_a_state_of_another_network_is_refused_and_kept(saving, make_split):
    """As after a change of the code: its recipe is the same, its tensors are not."""
    kept = saving.path.read_bytes()
    wider = RESNET.model_copy(update={"channels": (5, 6, 8)})
    with pytest.raises(InputError, match=r"seed1.resume.safetensors: its tensors are not those of the network in this"):
        run(fresh(wider), make_split, saving, RECIPE)
    assert saving.path.read_bytes() == kept
