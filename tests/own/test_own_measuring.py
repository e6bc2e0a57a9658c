"""The studies in a notebook: the model's own errors, whatever the loader's order; mistakes in one line."""

import own_models
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from own_models import PlainResNet
from torch.utils.data import DataLoader, TensorDataset

import unravel
from unravel import deletions, figure_3, figure_5a, figure_5b, figure_6, gradients, random_deletions, reorderings
from unravel.engine import progress
from unravel.files import InputError
from unravel.networks.apart import take_apart
from unravel.tables import ROUNDING


@pytest.fixture(scope="module")
def model(data):
    return own_models.telling_apart(own_models.awake(PlainResNet(widths=(4, 4, 4, 6))).float(), data[0])


@pytest.fixture(scope="module")
def net(model):
    return take_apart(model, "layers.*", torch.randn(2, 3, 8, 8))


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    size = torch.linspace(0.1, 6, 30)[:, None, None, None]  # so that not all are of one class to the model
    return size * torch.randn(30, 3, 8, 8, generator=generator), torch.randint(5, (30,), generator=generator)


def test_a_loader_that_shuffles_gives_the_model_s_own_errors(model, net, data):
    loader = DataLoader(TensorDataset(*data), batch_size=7, shuffle=True)
    table = deletions(net, loader)
    images, labels = data
    wrong = []
    with torch.no_grad():
        for off in (None, *range(4)):
            for place, layer in enumerate(model.layers):
                layer.switch = 0.0 if place == off else 1.0
            wrong.append(int((model(images).argmax(1) != labels).sum()))
    for layer in model.layers:
        layer.switch = 1.0
    assert table.wrong_images.tolist() == wrong
    assert table.error_percent.tolist() == pytest.approx([100 * count / 30 for count in wrong])
    assert len(set(wrong)) > 1
    assert set(table.network) == {"PlainResNet"}
    assert set(table.chance_error_percent) == {80.0}


def test_a_seed_gives_the_same_tables_and_figures_are_drawn_of_all(net, data):
    several = random_deletions(net, [data], draws=3)
    pd.testing.assert_frame_equal(several, random_deletions(net, [data], draws=3))
    assert several.deleted_blocks.max() == 4  # as many as there are blocks
    swapped = reorderings(net, [data], most=2, draws=3)
    found = gradients(net, [data], samples=2)
    assert found.exact.full_error.max() < 1e-4
    assert found.exact.length.max() == 4
    intact = deletions(net, [data])
    assert abs(several.error_percent[0] - intact.error_percent[0]) <= ROUNDING
    drawn = [figure_3(intact), figure_5a(several), figure_5b(swapped), figure_6(found)]
    assert all(isinstance(figure, Figure) and figure.axes for figure in drawn)


def test_images_of_another_size_are_taken_apart_anew(net, data):
    images, labels = data
    larger = torch.nn.functional.interpolate(images, 16)
    with torch.no_grad():
        wrong = int((net.model(larger).argmax(1) != labels).sum())
    assert deletions(net, [(larger, labels)]).wrong_images[0] == wrong


def test_long_loops_tell_who_watches(net, data):
    seen = []

    def watcher(items, total):
        for item in items:
            seen.append(total)
            yield item

    with progress.watched_by(watcher):
        gradients(net, [data], samples=1)
    assert set(seen) == {4}  # blocks: once for single paths and once for all, with BN in train and in eval mode
    assert len(seen) == 4 * 2 * 2
    gradients(net, [data], samples=1)
    assert len(seen) == 16


@pytest.mark.parametrize(
    ("loader", "said"),
    [
        ([], "loader: gives no batch; give a DataLoader, or a list of batches"),
        ([torch.zeros(2, 3, 8, 8)], "loader: batch 0 is Tensor, expected a pair of tensors: images"),
        ([(torch.zeros(2, 3, 8, 8), torch.zeros(3).long())], "loader: batch 0 is a tuple of 2x3x8x8, 3, expected"),
        ([(torch.zeros(2, 3, 8, 8), torch.zeros(2))], "loader: batch 0 is a tuple of 2x3x8x8, 2, expected"),
        ([(torch.zeros(2, 3, 8, 8), torch.tensor([0, 5]))], "labels: 5 is the highest, expected 0 to 4, since the"),
    ],
)
def test_a_loader_of_anything_else_is_refused(net, loader, said):
    with pytest.raises(InputError, match=f"^{said}") as refused:
        deletions(net, loader)
    assert "\n" not in str(refused.value)


def test_a_model_that_was_not_taken_apart_is_refused(model, data):
    with pytest.raises(InputError, match=r"^PlainResNet: is no network in parts; call "):
        deletions(model, [data])


def test_what_a_notebook_asks_for_is_offered_and_nothing_else():
    assert {name: callable(getattr(unravel, name)) for name in unravel.__all__} == dict.fromkeys(unravel.__all__, True)
    with pytest.raises(AttributeError, match="module 'unravel' has no attribute 'figure_9'; it offers take_apart, del"):
        _ = unravel.figure_9
