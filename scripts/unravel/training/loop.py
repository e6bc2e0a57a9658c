"""Training: one straight loop for all four schemes (plain, VGG, stochastic depth, effective paths), on CPU or GPU.

Every random choice comes from a generator keyed by (seed, epoch), so a run resumed after any step goes on exactly as
the uninterrupted one would. On one machine type with one thread count the CPU result is the same to the last bit;
a GPU adds up the gradients of its convolutions in no fixed order, so there two runs differ as two roundings do.
"""

import math
import time
from collections.abc import Callable

import torch

from unravel.config import AllBlocks, BlockSampling, ExactlyBlocks, Training
from unravel.data.batches import AnySplit, random_generator
from unravel.engine.wiring import evaluate
from unravel.files import InputError
from unravel.networks import Network, Wiring, for_inference
from unravel.training import states
from unravel.training.distributed import ALONE, Group
from unravel.training.states import Epoch, Progress, Saving, at_epoch_start
from unravel.training.steps import CapturedStep, Step

EVALUATION_BATCH = 500
CHANCE_SHARE = 0.98  # of ln(classes): a loss above it has learned nothing


class Stopped(Exception):  # noqa: N818 (no error: the training goes on when called again)
    """A training that was asked to stop has saved its state and ended before its last epoch."""


def train(
    network: Network,
    train_split: AnySplit,
    test_split: AnySplit,
    settings: Training,
    sampling: BlockSampling,
    seed: int,
    saving: Saving,
    report: Callable[[Epoch, float], None],
    before_step: Callable[[], None] = lambda: None,
    stop: Callable[[], bool] = lambda: False,
    group: Group = ALONE,
) -> list[Epoch]:
    """Train `network` in place and return its history; call `report` with each epoch and its images per second.

    `before_step` is called and `stop` is asked before every step; once `stop` says yes, the state is saved and Stopped
    raised. All processes of `group` call this alike; the first one saves, and its BN statistics are kept.
    Raises InputError if the loss stops being finite or stays at chance.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    same_blocks = isinstance(sampling, AllBlocks)
    if same_blocks and train_split.labels.is_cuda and group.size == 1:
        step: Step = CapturedStep(network, settings)
    else:
        step = Step(network, settings, group, same_blocks)
    progress = states.resume(network, step.momentum, saving, group)
    history = progress.history
    steps = steps_per_epoch(len(train_split.labels), settings)
    for epoch in range(len(history) + 1, settings.epochs + 1):
        clock, steps_before = time.perf_counter(), len(progress.losses)
        progress = train_epoch(step, train_split, settings, sampling, seed, progress, before_step, stop, group)
        losses = progress.losses.tolist()  # waits for the device, so the clock tells the truth
        seconds = time.perf_counter() - clock
        if len(losses) < steps:
            states.save(network, step.momentum, saving, progress, group)
            raise Stopped(f"stopped before step {len(losses) + 1} of {steps} in epoch {epoch} of {settings.epochs}")
        check_losses(losses, epoch, settings)
        history.append(
            Epoch(
                epoch=epoch,
                step=epoch * steps,
                learning_rate=learning_rate(epoch * steps - 1, settings.epochs * steps, settings),
                train_loss=float(progress.losses.mean()),
                train_error_percent=100 * int(progress.wrong) / len(train_split.labels),
                test_error_percent=test_error(network, test_split, group),
            )
        )
        check_progress(history, train_split, settings)
        report(history[-1], len(train_split.labels) * (1 - steps_before / steps) / seconds)
        progress = at_epoch_start(history)
        if epoch % saving.every == 0 and epoch < settings.epochs:
            states.save(network, step.momentum, saving, progress, group)
    return history


def train_epoch(
    take_step: Step,
    split: AnySplit,
    settings: Training,
    sampling: BlockSampling,
    seed: int,
    progress: Progress,
    before_step: Callable[[], None],
    stop: Callable[[], bool],
    group: Group = ALONE,
) -> Progress:
    """The rest of one pass over the training images; not all of it if `stop` says so."""
    network = take_step.network.train()
    device, n_images = split.labels.device, len(split.labels)
    epoch, done = len(progress.history) + 1, len(progress.losses)
    steps = steps_per_epoch(n_images, settings)
    generator = random_generator(seed, epoch)
    shares = (share(step, n_images, settings, group) for step in range(done, steps))
    batches = split.training_batches(settings.augmentation, generator, shares)
    wirings = draw_wirings(network, sampling, steps, generator)
    losses = torch.zeros(steps, device=device)
    wrong = torch.zeros((), dtype=torch.long, device=device)
    step = done
    for step in range(done, steps):
        before_step()
        if group.any(stop()):
            break
        images, labels = next(batches)
        rate = learning_rate((epoch - 1) * steps + step, settings.epochs * steps, settings)
        losses[step], step_wrong = take_step(images, labels, wirings[step], rate)
        wrong = wrong + step_wrong  # stays on the device: no step waits for it
    else:
        step = steps
    losses = group.total(losses) / group.size
    losses[:done] = progress.losses.to(device)
    return Progress(progress.history, losses[:step], group.total(wrong) + progress.wrong.to(device))


def steps_per_epoch(n_images: int, settings: Training) -> int:
    """Steps in an epoch; a last batch with one image a part is left out, since BN has no variance there."""
    return n_images // settings.batch_size + (n_images % settings.batch_size // settings.parts > 1)


def share(step: int, n_images: int, settings: Training, group: Group) -> slice:
    """Which images, in the epoch's order, a process takes at a step. What does not fill equal parts is left out."""
    start = step * settings.batch_size
    n_parts = settings.parts
    each = min(settings.batch_size, n_images - start) // n_parts * (n_parts // group.size)
    return slice(start + group.rank * each, start + (group.rank + 1) * each)


def learning_rate(step: int, total_steps: int, settings: Training) -> float:
    """Learning rate of a step counted from 0: a constant warm-up, then a tenth after each milestone."""
    if step < settings.warmup_steps:
        return settings.warmup_learning_rate
    passed = sum(step >= milestone * total_steps for milestone in settings.milestones)
    return settings.learning_rate / 10.0**passed


def draw_wirings(network: Network, sampling: BlockSampling, steps: int, generator: torch.Generator) -> list[Wiring]:
    """Which residual branches are on at each step of an epoch; one that is off costs no compute in either pass."""
    n_blocks = len(network.blocks)
    if isinstance(sampling, AllBlocks):
        return [network.intact] * steps
    draws = torch.rand(steps, n_blocks, generator=generator)
    if isinstance(sampling, ExactlyBlocks):
        on = draws.argsort(dim=1).argsort(dim=1) < sampling.blocks  # ranks of random numbers: distinct blocks
    else:
        on = draws < torch.tensor(sampling.survival(n_blocks))
    return [tuple(enumerate(row)) for row in on.tolist()]


def test_error(network: Network, split: AnySplit, group: Group) -> float:
    """Percent of test images wrong, in fp32 with nothing deleted; each process counts its share of them."""
    group.copy_from_first(network.buffers())
    fast = for_inference(network, "fp32", split.labels.device)
    images = split.portion(slice(group.rank, None, group.size), EVALUATION_BATCH)
    (wrong,) = evaluate(fast, [network.intact], images).wrong
    return 100 * int(group.total(torch.tensor(wrong))) / len(split.labels)


def check_losses(losses: list[float], epoch: int, settings: Training) -> None:
    """Raise InputError at the first step whose loss is not finite."""
    for step, loss in enumerate(losses):
        if not math.isfinite(loss):
            raise InputError(
                f"the loss is {loss} at step {(epoch - 1) * len(losses) + step + 1} (epoch {epoch}); try a smaller "
                f"training.learning_rate (now {settings.learning_rate}), more training.warmup_steps (now "
                f"{settings.warmup_steps}) or training.precision fp32 (now {settings.precision})"
            )


def check_progress(history: list[Epoch], split: AnySplit, settings: Training) -> None:
    """Raise InputError if after a quarter of the epochs, and at least 5, no epoch's loss was clearly under chance."""
    if len(history) != max(5, math.ceil(settings.epochs / 4)):
        return
    chance = math.log(int(split.labels.max()) + 1)
    best = min(row.train_loss for row in history)
    if best > CHANCE_SHARE * chance:
        raise InputError(
            f"the loss is still at chance ({best:.3f}; guessing gives {chance:.3f}) at step {history[-1].step} (epoch "
            f"{history[-1].epoch}); try another training.learning_rate (now {settings.learning_rate}), more "
            f"training.warmup_steps (now {settings.warmup_steps}), or look at the labels"
        )
