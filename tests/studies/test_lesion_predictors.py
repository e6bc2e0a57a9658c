"""Prices of deletions and what predicts them: finite differences in float64, a linear network in closed form, lesions
made by hand; and what the study says of its tables."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from run_helpers import ROOT
from scipy import integrate, stats
from study_helpers import DEEP
from torch import nn
from torch.nn.functional import cross_entropy

from unravel.config import LinearSurvival
from unravel.data.batches import random_generator
from unravel.engine.wiring import delete
from unravel.files import InputError
from unravel.networks import Block, Network
from unravel.run import parse_config, read_config
from unravel.studies.lesion_predictors import PREDICTORS, TABLE
from unravel.studies.lesion_predictors.measure import measure, of_batch
from unravel.studies.lesion_predictors.settings import LesionPredictors
from unravel.studies.lesion_predictors.values import in_one_seed, over_blocks, priced, summary
from unravel.tables import read_whole, write

SURVIVING = DEEP.model_copy(update={"block_sampling": LinearSurvival(scheme="linear", final_survival=0.5)})
N = 20


@pytest.fixture
def images(make_split):
    split = make_split(n=N)
    return split.normalised(slice(None)).double(), split.labels


@pytest.fixture
def network(make_network):
    """Seven blocks of three shapes, whose branches are scaled at test time."""
    return make_network(SURVIVING).requires_grad_(False)


def mean_loss(network, images, labels, gains):
    return float(cross_entropy(network(images, tuple(enumerate(gains))), labels))


# --- predictors ------------------------------------------------------------------------------------------------------


def test_first_order_is_the_slope_by_a_gain_with_the_sign_of_a_price(network, images):
    """Central differences of the network itself with one gain moved, by way of its wiring."""
    found, step = of_batch(network, *images, nodes=1), 1e-5
    for place in range(7):
        ends = [[1 + sign * step * (place == other) for other in range(7)] for sign in (1, -1)]
        up, down = (mean_loss(network, *images, gains) for gains in ends)
        assert found["first_order"][place] / N == pytest.approx(-(up - down) / (2 * step), rel=1e-6, abs=1e-9)
    assert abs(found["first_order"] / N).min() > 1e-4


def test_shares_are_integrals_of_slopes_and_add_up_to_what_all_branches_do(network, images):
    """A share against the mean of finite differences at 200 gains; their sum needs no slope at all.

    Where a gate opens or closes the slope jumps, so that 64 nodes are exact to 1% only; see the linear network below.
    """
    found, step = of_batch(network, *images, nodes=64), 1e-5
    without, intact = (mean_loss(network, *images, [gain] * 7) for gain in (0, 1))
    assert -found["path_share"].sum() / N == pytest.approx(intact - without, rel=0.01)
    assert found["loss_without"] / N == pytest.approx(without, rel=1e-12)

    def slope(gain, place):
        ends = [[gain + sign * step * (place == other) for other in range(7)] for sign in (1, -1)]
        up, down = (mean_loss(network, *images, gains) for gains in ends)
        return (up - down) / (2 * step)

    integral = np.mean([slope(gain, place=4) for gain in (np.arange(200) + 0.5) / 200])
    assert found["path_share"][4] / N == pytest.approx(-integral, rel=0.02)


def test_size_and_influence_are_means_over_images(network, images):
    found = of_batch(network, *images, nodes=1)
    for image in range(N):
        x = network.stem(images[0][image : image + 1])
        for place, block in enumerate(network.blocks):
            skip, branch = block.projection(x).flatten(), block.survival * block.residual(x).flatten()
            found["branch_ratio"][place] -= float(branch.norm() / skip.norm())
            cosine = float(skip @ (skip + branch) / skip.norm() / (skip + branch).norm())
            found["influence"][place] -= 1 - cosine
            x = block(x)
    np.testing.assert_allclose([found["branch_ratio"], found["influence"]], 0, atol=1e-10)


# --- deletions, and later blocks -------------------------------------------------------------------------------------


def test_deletions_are_those_of_the_wiring_engine(network, images):
    found = of_batch(network, *images, nodes=1)
    wirings = [network.intact, *(delete(network.intact, [place]) for place in range(7))]
    logits = [network(images[0], wiring) for wiring in wirings]
    np.testing.assert_allclose(found["loss"] / N, [float(cross_entropy(one, images[1])) for one in logits], rtol=1e-12)
    assert found["wrong"].tolist() == [int((one.argmax(1) != images[1]).sum()) for one in logits]


def test_later_blocks_change_and_put_back_what_is_missing(network, images):
    """By hand: streams of the intact network, of the lesioned one, and of one that adds what the intact one adds."""
    found = of_batch(network, *images, nodes=1)
    for place in range(7):
        x = lesioned = frozen = network.stem(images[0])
        for index, block in enumerate(network.blocks):
            adds, then = (block.survival * block.residual(one) for one in (x, lesioned))
            there = index != place
            if index > place:
                off, size = (float(one.square().sum()) for one in (then - adds, adds))
                assert found["later_off"][place, index] == pytest.approx(off, rel=1e-9)
                assert found["size"][index] == pytest.approx(size, rel=1e-9)
            x, lesioned, frozen = (
                block.projection(x) + adds,
                block.projection(lesioned) + there * then,
                block.projection(frozen) + there * adds,
            )
        missing = x - frozen
        assert found["missing"][place] == pytest.approx(float(missing.square().sum()), rel=1e-9)
        back = float(((lesioned - frozen) * missing).sum())
        assert found["put_back"][place] == pytest.approx(back, rel=1e-9, abs=1e-9)
        loss = float(cross_entropy(network.head(frozen), images[1], reduction="sum"))
        assert found["frozen_loss"][place] == pytest.approx(loss, rel=1e-12)
    assert (found["later_off"][np.tril_indices(7)] == 0).all()
    assert found["put_back"][6] == 0  # behind the last block nothing changes


class Times(Block):
    """x + factor x."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def residual(self, x):
        return self.factor * x


class Logits(nn.Module):
    """The image's one value, against 0."""

    def forward(self, x):
        return torch.cat([x.flatten(1), torch.zeros(len(x), 1, dtype=x.dtype)], dim=1)


def test_two_linear_blocks_are_as_in_closed_form():
    """h = (1 + a)(1 + b) x, and a loss of log(1 + exp(-h)), whose slope is -1 / (1 + exp(h))."""
    a, b, x = 0.5, -0.25, 1.2
    network = Network(nn.Identity(), [Times(a), Times(b)], Logits())
    images, labels = torch.full((1, 1, 1, 1), x, dtype=torch.float64), torch.zeros(1, dtype=torch.long)
    found = of_batch(network, images, labels, nodes=12)
    h = (1 + a) * (1 + b) * x

    def loss(h):
        return math.log1p(math.exp(-h))

    def slope(h):
        return -1 / (1 + math.exp(h))

    np.testing.assert_allclose(found["loss"], [loss(h), loss((1 + b) * x), loss((1 + a) * x)], rtol=1e-12)
    np.testing.assert_allclose(
        found["first_order"], [-slope(h) * a * (1 + b) * x, -slope(h) * (1 + a) * b * x], rtol=1e-12
    )
    np.testing.assert_allclose(found["branch_ratio"], [a, abs(b)], rtol=1e-12)
    np.testing.assert_allclose(found["influence"], 0, atol=1e-12)  # a block that only stretches turns nothing
    of_a = integrate.quad(lambda g: slope((1 + g * a) * (1 + g * b) * x) * a * (1 + g * b) * x, 0, 1)[0]
    of_b = integrate.quad(lambda g: slope((1 + g * a) * (1 + g * b) * x) * b * (1 + g * a) * x, 0, 1)[0]
    np.testing.assert_allclose(found["path_share"], [-of_a, -of_b], rtol=1e-10)
    # Without the first block the second adds b x and not b (1 + a) x: of a x that is missing it puts back -b a x.
    assert found["frozen_loss"][0] == pytest.approx(loss(x + b * (1 + a) * x), rel=1e-12)
    assert found["put_back"][0] / found["missing"][0] == pytest.approx(-b, rel=1e-12)
    assert math.sqrt(found["later_off"][0, 1] / found["size"][1]) == pytest.approx(a / (1 + a), rel=1e-12)


# --- tables ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(make_network, make_split, make_images):
    """The table of a network in fp32, from batches of 8 of 20 images unless told otherwise."""

    def table(**settings):
        settings = LesionPredictors(**{"batch_size": 8, "nodes": 16, **settings})
        network = make_network(SURVIVING, dtype=torch.float32)
        tables, facts = measure(network, make_images(test=make_split(n=N)), settings, random_generator(1))
        assert facts == {"share_error": tables[""].share_error[0]}
        return tables[""]

    return table


def test_the_table_is_what_one_batch_says_divided_by_its_images(table, network, images, tmp_path):
    found, sums = table(), of_batch(network, *images, nodes=16)
    assert found.deleted_position.tolist() == list(range(8))
    assert found.downsampling.tolist() == [False, False, False, True, False, False, False, True]
    for name in ("first_order", "branch_ratio", "influence", "path_share"):
        assert found[name][0] == 0
        np.testing.assert_allclose(found[name][1:], sums[name] / N, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.loss, sums["loss"] / N, rtol=1e-5)
    np.testing.assert_allclose(found.frozen_loss, [sums["loss"][0] / N, *sums["frozen_loss"] / N], rtol=1e-5)
    np.testing.assert_allclose(found.compensated[1:], sums["put_back"] / sums["missing"], rtol=1e-3, atol=1e-5)
    change = np.sqrt(sums["later_off"][2, 3:] / sums["size"][3:]).mean()
    assert found.later_change[3] == pytest.approx(change, rel=1e-4)
    assert (found.later_change[7], found.compensated[7]) == (0, 0)
    write(tmp_path / "table.csv", found.assign(network="resnet", seed=1))
    read_whole(tmp_path / "table.csv", TABLE)


def test_the_error_of_the_shares_falls_with_the_nodes(table):
    """Between gates that open and close the loss is smooth, and the rule converges fast; across them, slowly."""
    errors = [table(nodes=nodes).share_error[0] for nodes in (1, 4, 32)]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert errors[2] < 5e-3


def test_as_many_images_are_used_as_asked_for(table):
    assert set(table(test_images=12).test_images) == {12}
    with pytest.raises(InputError, match=r"lesion_predictors\.test_images is 21, expected at most the 20"):
        table(test_images=21)


# --- what is said of them --------------------------------------------------------------------------------------------


def rows(prices, seed=1, errors=(), **columns):
    """A table of deletions with these prices; the intact loss is 1, its error 10%, or the first of `errors`."""
    places, zeros = range(len(prices) + 1), [0.0] * (len(prices) + 1)
    made = pd.DataFrame({"deleted_position": places, "loss": [1.0, *(1 + price for price in prices)]})
    made = made.assign(network="resnet", seed=seed, error_percent=errors or 10 + 20 * (made.loss - 1), test_images=200)
    for name in (*PREDICTORS, "later_change", "compensated", "share_error"):
        made[name] = [0.0, *columns[name]] if name in columns else zeros
    return made.assign(frozen_loss=[1.0, *(1 + price for price in columns.get("frozen", prices))])


def test_a_seed_says_how_well_each_predictor_orders_the_prices():
    table = rows(
        [0.1, 0.2, 0.3, 0.4],
        errors=[10, 12, 11, 14, 13],
        first_order=[1, 2, 3, 4],
        influence=[4, 3, 2, 1],
        path_share=[2, 1, 4, 3],
        later_change=[0.5, 0.1, 0.2, 0],
        compensated=[0.3, -0.2, 0.1, 0],
        frozen=[0.3, 0.1, 0.4, 0.4],
        share_error=[0.01] * 4,
    )
    found = in_one_seed(priced(table))
    assert found["first_order_correlation"] == 1
    assert found["influence_correlation"] == -1
    assert found["path_share_correlation"] == pytest.approx(1 - 6 * 4 / (4 * 15))  # by Spearman's own formula
    assert found["branch_ratio_correlation"] == 0  # it does not vary
    assert found["first_order_error_correlation"] == pytest.approx(1 - 6 * 4 / (4 * 15))
    assert found["path_share_error_correlation"] == pytest.approx(1)
    assert (found["median_compensated"], found["median_later_change"]) == (0.1, 0.2)  # without the last block
    assert found["percent_compensated"] == pytest.approx(200 / 3)
    assert found["percent_dearer_frozen"] == pytest.approx(200 / 3)
    assert found["median_price"] == pytest.approx(0.25)


def test_the_interval_over_blocks_is_a_percentile_bootstrap_of_the_mean_over_seeds():
    random = np.random.default_rng(3)
    parts = []
    for seed in (1, 2):
        prices = random.normal(size=30)
        parts.append(rows(prices, seed=seed, first_order=prices + random.normal(size=30)))
    table = priced(pd.concat(parts))
    means = []
    for _ in range(300):
        drawn = [one.iloc[random.integers(30, size=30)] for _, one in table.groupby("seed")]
        means.append(np.mean([stats.spearmanr(one.first_order, one.price).statistic for one in drawn]))
    np.testing.assert_allclose(over_blocks(table, "first_order"), np.quantile(means, (0.025, 0.975)), atol=0.05)
    assert over_blocks(table, "influence") == (0, 0)


def test_a_summary_names_the_predictor_that_orders_best():
    prices = [0.1, 0.2, 0.3]
    same = {"influence": [1, 2, 3], "later_change": [1, 1, 0]}
    one = rows(prices, seed=1, first_order=[1, 2, 3], compensated=[0.2, 0.4, 0], **same)
    two = rows(prices, seed=2, first_order=[1, 3, 2], compensated=[0.4, 0.8, 0], **same)
    table = pd.concat([one, two])
    said = summary(table)
    found = said["networks"]["resnet"]
    assert (found["best"], found["best_correlation"]) == ("influence", 1)
    assert found["first_order_correlation"] == pytest.approx(0.75)
    assert found["intervals"]["influence"]["high"] == pytest.approx(1)
    assert (found["least_compensated"], found["most_compensated"]) == (pytest.approx(0.3), pytest.approx(0.6))
    assert (found["blocks"], said["seeds"], said["test_images"]) == (3, [1, 2], 200)


def test_networks_without_branches_or_with_two_blocks_are_refused_with_the_config():
    raw = read_config(ROOT / "config" / "ci.yaml").model_dump(mode="json")
    with pytest.raises(InputError, match="lesion_predictors names network 'vgg', which is not of architecture resnet"):
        parse_config(raw | {"lesion_predictors": {"networks": ["vgg"]}})
    small = raw["networks"]["resnet"] | {"blocks_per_stage": [1, 1], "channels": [4, 8]}
    networks = raw["networks"] | {"small": small}
    with pytest.raises(InputError, match="lesion_predictors names network 'small' of 2 blocks, which have no order"):
        parse_config(raw | {"networks": networks, "lesion_predictors": {"networks": ["small"]}})
