"""The training loop: against a loop written by hand, its random choices, and resuming to the last bit."""

import itertools
import math

import pytest
import torch
from conftest import PLAIN, RESNET
from torch.nn.functional import cross_entropy

from unravel.config import AllBlocks, Augmentation, ExactlyBlocks, LinearSurvival, Training
from unravel.data.batches import draw_epoch, random_generator, training_batch
from unravel.files import InputError
from unravel.networks import build, initialise
from unravel.training import loop, states
from unravel.training.steps import CapturedStep, Step

BOTTLENECK = RESNET.model_copy(update={"block": "bottleneck"})
RECIPE = Training(
    epochs=4, batch_size=16, warmup_steps=3, precision="fp32", augmentation=Augmentation(pad=1, flip=True)
)
ALL = AllBlocks(scheme="all")


def fresh(settings=RESNET, seed=1):
    network = build(settings, (8, 8, 3), 4)
    initialise(network, random_generator(seed, 0))
    return network


def run(network, make_split, saving, recipe=RECIPE, sampling=ALL, seed=1, report=lambda *_: None, stop=lambda: False):
    splits = make_split(n=70), make_split(n=20, seed=9)
    return loop.train(network, *splits, recipe, sampling, seed, saving, report, stop=stop)


@pytest.fixture
def saving(tmp_path):
    return states.Saving(tmp_path / "seed1.resume.safetensors", every=2, fingerprint={"seed": 1})


def test_training_equals_a_loop_written_by_hand(make_split, saving):
    network, reference, split = fresh(), fresh(), make_split(n=70)
    run(network, make_split, saving)
    velocity = {name: torch.zeros_like(value) for name, value in reference.named_parameters()}
    step = 0
    for epoch in range(1, 5):
        draws = draw_epoch(70, RECIPE.augmentation, random_generator(1, epoch), torch.device("cpu"))
        reference.train()
        for start in range(0, 70, 16):
            images, labels = training_batch(split, draws, 1, start, start + 16)
            loss = cross_entropy(reference(images), labels)
            parameters = dict(reference.named_parameters())
            gradients = torch.autograd.grad(loss, list(parameters.values()))
            # 20 steps in all, 3 of warm-up, milestones after 10 and 15
            rate = 0.01 if step < 3 else 0.1 if step < 10 else 0.01 if step < 15 else 0.001
            with torch.no_grad():
                for (name, value), gradient in zip(parameters.items(), gradients, strict=True):
                    velocity[name] = 0.9 * velocity[name] + gradient + 1e-4 * value
                    value -= rate * velocity[name]
            step += 1
    assert step == 20
    for (name, value), expected in zip(network.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-7, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize(
    ("settings", "sampling"),
    [
        (RESNET, ALL),
        (PLAIN, ALL),
        (RESNET, LinearSurvival(scheme="linear")),
        (RESNET, ExactlyBlocks(scheme="exactly", blocks=2)),
    ],
)
def test_every_scheme_learns(make_split, saving, settings, sampling):
    recipe = RECIPE.model_copy(update={"epochs": 12, "augmentation": Augmentation(pad=0, flip=False)})
    history = run(fresh(settings), make_split, saving, recipe, sampling)
    assert [row.epoch for row in history] == list(range(1, 13))
    assert history[-1].train_loss < 0.7 * history[0].train_loss


def test_bf16_autocast_trains_as_fp32_does_up_to_its_rounding(make_split, saving):
    losses = [
        run(fresh(), make_split, saving, RECIPE.model_copy(update={"precision": precision, "epochs": 1}))[0].train_loss
        for precision in ("fp32", "bf16")
    ]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_learning_rate_follows_the_schedule():
    recipe = Training(epochs=164, warmup_steps=400)
    steps = 164 * 391
    rates = [loop.learning_rate(step, steps, recipe) for step in range(steps)]
    changes = [(step, rate) for step, (rate, before) in enumerate(zip(rates, [0.0, *rates])) if rate != before]  # noqa: B905
    assert changes == [(0, 0.01), (400, 0.1), (82 * 391, 0.01), (123 * 391, 0.001)]


def test_exactly_m_distinct_blocks_are_drawn_each_equally_often():
    network = fresh()
    wirings = loop.draw_wirings(network, ExactlyBlocks(scheme="exactly", blocks=2), 5000, random_generator(3))
    sets = [frozenset(block for block, on in wiring if on) for wiring in wirings]
    assert {len(chosen) for chosen in sets} == {2}
    for pair in itertools.combinations(range(5), 2):  # 10 pairs: 500 draws each, standard deviation 21
        assert abs(sets.count(frozenset(pair)) - 500) < 5 * 21


def test_linear_survival_draws_each_block_with_its_probability():
    sampling = LinearSurvival(scheme="linear", final_survival=0.5)
    wirings = loop.draw_wirings(fresh(), sampling, 5000, random_generator(3))
    for block, survival in enumerate([0.9, 0.8, 0.7, 0.6, 0.5]):
        drawn = sum(wiring[block][1] for wiring in wirings)
        assert abs(drawn - 5000 * survival) < 5 * math.sqrt(5000 * survival * (1 - survival))


def test_skipped_blocks_cost_nothing_and_stay_as_they_are(make_split, saving):
    network = fresh()
    before = {name: value.clone() for name, value in network.named_parameters()}
    calls = []
    for index, block in enumerate(network.blocks):
        block.conv1.register_forward_hook(lambda *_, index=index: calls.append(index))
    recipe = RECIPE.model_copy(update={"epochs": 1, "batch_size": 70})  # a single step
    run(network, make_split, saving, recipe, ExactlyBlocks(scheme="exactly", blocks=2))
    trained, evaluated = set(calls[:2]), calls[2:]
    assert len(trained) == 2
    assert sorted(evaluated) == [0, 1, 2, 3, 4]  # one test batch, all blocks on
    for name, value in network.named_parameters():
        if name.startswith("blocks.") and "projection" not in name:
            assert torch.equal(value, before[name]) == (int(name.split(".")[1]) not in trained), name


class InterruptionError(Exception):
    """Stands for the end of a job between two epochs."""


@pytest.mark.parametrize("sampling", [ALL, ExactlyBlocks(scheme="exactly", blocks=2)])
def test_a_resumed_training_ends_bit_for_bit_where_the_uninterrupted_one_does(make_split, saving, tmp_path, sampling):
    whole = fresh()
    history = run(whole, make_split, saving, sampling=sampling)
    saving.forget()

    def stop_after_three(epoch, _):
        if epoch.epoch == 3:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        run(fresh(), make_split, saving, sampling=sampling, report=stop_after_three)
    resumed, epochs = fresh(seed=99), []  # other weights, which the saved state replaces
    again = run(resumed, make_split, saving, sampling=sampling, report=lambda epoch, _: epochs.append(epoch.epoch))
    assert epochs == [3, 4]  # saved after epoch 2
    assert again == history
    for (name, value), expected in zip(resumed.state_dict().items(), whole.state_dict().values(), strict=True):
        assert torch.equal(value, expected), name


@pytest.mark.parametrize("steps_done", [0, 1, 7, 10])  # 5 steps an epoch: between epochs and in the middle of one
def test_a_training_asked_to_stop_saves_and_ends_as_the_uninterrupted_one(make_split, saving, steps_done):
    sampling = ExactlyBlocks(scheme="exactly", blocks=2)
    whole = fresh()
    history = run(whole, make_split, saving, sampling=sampling)
    saving.forget()
    answers = iter([False] * steps_done + [True])
    expected = f"stopped before step {steps_done % 5 + 1} of 5 in epoch {steps_done // 5 + 1} of 4"
    with pytest.raises(loop.Stopped, match=expected):
        run(fresh(), make_split, saving, sampling=sampling, stop=lambda: next(answers))
    resumed = fresh(seed=99)
    assert run(resumed, make_split, saving, sampling=sampling) == history
    for (name, value), expected in zip(resumed.state_dict().items(), whole.state_dict().values(), strict=True):
        assert torch.equal(value, expected), name


@pytest.mark.parametrize("key", ["seed", "data", "torch", "training.learning_rate"])
def test_a_state_saved_under_other_settings_is_refused(make_split, saving, key):
    run(fresh(), make_split, saving, RECIPE.model_copy(update={"epochs": 3}))
    other = states.Saving(saving.path, 2, {**saving.fingerprint, key: 0.5})
    had = saving.fingerprint.get(key)
    with pytest.raises(
        InputError, match=rf"another {key} \({had}, now 0.5\); delete .*seed1.resume\*.safetensors to start over"
    ):
        run(fresh(), make_split, other)


def test_a_loss_that_is_not_finite_names_its_step_and_what_to_try(make_split, saving):
    recipe = RECIPE.model_copy(update={"learning_rate": 1e30, "epochs": 8})
    with pytest.raises(
        InputError, match=r"the loss is (nan|inf) at step \d+ \(epoch \d\); try a smaller training.learn"
    ):
        run(fresh(PLAIN), make_split, saving, recipe)


def test_a_loss_that_stays_at_chance_ends_the_training(make_split, saving):
    recipe = RECIPE.model_copy(update={"learning_rate": 1e-12, "warmup_learning_rate": 1e-12, "epochs": 20})
    network = fresh()
    torch.nn.init.zeros_(network.head[-1].weight)  # logits of zero: a loss of exactly ln 4
    with pytest.raises(InputError, match=r"at chance \(1.386; guessing gives 1.386\) at step 25 \(epoch 5\)"):
        run(network, make_split, saving, recipe)


def test_a_last_batch_of_one_image_is_left_out():
    assert [loop.steps_per_epoch(n, RECIPE) for n in (32, 33, 34)] == [2, 2, 3]


def test_a_training_that_was_once_under_chance_goes_on(make_split):
    """A high rate may throw a loss back, but what learned once can learn again: the best epoch counts."""

    def look(second):
        losses = [1.39, second, 1.39, 1.39, 1.39]
        history = [states.Epoch(number, number, 0.1, loss, 75.0, 75.0) for number, loss in enumerate(losses, 1)]
        loop.check_progress(history, make_split(), RECIPE)

    look(0.97 * math.log(4))
    with pytest.raises(InputError, match="the loss is still at chance"):
        look(0.99 * math.log(4))


@pytest.mark.parametrize("settings", [RESNET, PLAIN, BOTTLENECK], ids=["basic", "plain", "bottleneck"])
def test_a_network_begins_as_its_seed_says_whatever_torch_draws_elsewhere(settings):
    begun = []
    for elsewhere in (1, 2):
        torch.manual_seed(elsewhere)
        begun.append(fresh(settings).state_dict())
    for name, value in begun[0].items():
        assert torch.equal(value, begun[1][name]), name
    assert any(not torch.equal(value, fresh(settings, seed=2).state_dict()[name]) for name, value in begun[0].items())


def test_a_training_neither_reads_nor_moves_torchs_own_generator(make_split, saving):
    trained = []
    for elsewhere in (1, 2):
        torch.manual_seed(elsewhere)
        before = torch.get_rng_state()
        network = fresh()
        torch.set_rng_state(before)  # building draws weights, which are then drawn anew
        run(network, make_split, saving, sampling=ExactlyBlocks(scheme="exactly", blocks=2))
        assert torch.equal(torch.get_rng_state(), before)
        trained.append(network.state_dict())
        saving.forget()
    for name, value in trained[0].items():
        assert torch.equal(value, trained[1][name]), name


def test_a_layer_that_no_rule_begins_is_refused():
    network = fresh()
    network.blocks[1].norm1 = torch.nn.GroupNorm(2, 4)
    with pytest.raises(TypeError, match="initialise does not know GroupNorm: say there how its parameters begin"):
        initialise(network, random_generator(1))
    network.blocks[1].norm1 = torch.nn.GroupNorm(2, 4, affine=False)  # without parameters there is nothing to draw
    initialise(network, random_generator(1))


def recorded(computation):
    """A CUDA graph's stand-in on the CPU: nothing is computed while recording, each replay overwrites one outcome."""
    outcome = torch.zeros(()), torch.zeros((), dtype=torch.long)

    def replay():
        for place, value in zip(outcome, computation(), strict=True):
            place.copy_(value)

    return outcome, replay


def train_by(step, split):
    """Two epochs of five batches, the last one smaller, at rates that change from step to step."""
    step.network.to(memory_format=torch.channels_last).train()
    order = torch.randperm(70, generator=random_generator(5))  # else all batches have the same labels
    losses = []
    for number in range(10):
        batch = order[number % 5 * 16 : (number % 5 + 1) * 16]
        loss, wrong = step(split.normalised(batch), split.labels[batch], step.network.intact, 0.1 / (1 + number))
        losses.append((float(loss), int(wrong)))
    return losses


def test_a_captured_step_trains_as_the_eager_one_does_to_the_last_bit(make_split):
    eager, captured = fresh(), fresh()
    split, replays = make_split(n=70), []

    def counted(computation):
        outcome, replay = recorded(computation)
        return outcome, lambda: (replays.append(1), replay())

    expected = train_by(Step(eager, RECIPE), split)
    assert train_by(CapturedStep(captured, RECIPE, counted), split) == expected
    assert len(replays) == 5  # of 10 steps: the first three and the two smaller batches run eagerly
    for value, wanted in zip(captured.state_dict().values(), eager.state_dict().values(), strict=True):
        assert torch.equal(value, wanted)


def test_a_failed_capture_is_told_once_and_the_training_goes_on_eagerly(make_split, capsys):
    eager, captured = fresh(), fresh()

    def refuse(computation):
        raise RuntimeError("operation not permitted when stream is capturing\nwith more on further lines")

    expected = train_by(Step(eager, RECIPE), make_split(n=70))
    assert train_by(CapturedStep(captured, RECIPE, refuse), make_split(n=70)) == expected
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "training goes on without a CUDA graph, more slowly: operation not permitted when stream is capturing"
    ]
