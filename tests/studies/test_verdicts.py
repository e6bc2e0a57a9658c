"""Verdicts follow the data: the same claim of a study, with other measurements, gets another verdict."""

import pandas as pd
import pytest
from claims_helpers import (
    BY_ID,
    SETTINGS,
    evidence_of,
    judge,
    settings,
    verdict,
    write_deletions,
    write_gradients,
    write_random_deletions,
)
from scipy.stats import binom

from unravel import tables
from unravel.evidence import claims

SHORT = settings("resnet", "effective-paths")


@pytest.mark.parametrize(
    ("increases", "expected"),
    [
        ([9, 0, 0, 0, 1], "supported"),
        ([9, 2, 2, 2, 2], "partly supported"),  # the median is over 1 point
        ([9, *[0] * 18, 6, 6], "supported"),  # one tenth of the blocks costs more than 5 points
        ([9, *[0] * 17, 6, 6], "partly supported"),
        ([9, *[0] * 18, 6, 20.1], "partly supported"),  # one block costs more than 20
        ([9, 4, 4, 4, 4], "not supported"),
    ],
)
def test_delete_resnet_follows_the_increases(tmp_path, increases, expected):
    write_deletions(tmp_path, "resnet", increases)
    assert verdict("delete-resnet", tmp_path) == expected


def test_the_costliest_block_over_seeds_is_named_with_its_price(tmp_path):
    write_deletions(tmp_path, "resnet", [50, 8, 0, 0], seeds=(1, 2))
    write_deletions(tmp_path, "resnet", [50, 0, 9, 0], seeds=(3,))
    found = judge("delete-resnet", tmp_path)["values"]
    assert found["costliest_position"]["mean"] == 2  # 16 points in three seeds, the third block 9; the first halves
    assert found["costliest_increase_points"]["mean"] == pytest.approx(16 / 3)
    assert found["highest_increase_points"]["mean"] == pytest.approx((8 + 8 + 9) / 3)


@pytest.mark.parametrize(("increases", "expected"), [([9, 0, 0, 1], "supported"), ([0, 9, 9, 9], "not supported")])
def test_downsampling_follows_the_increases(tmp_path, increases, expected):
    write_deletions(tmp_path, "resnet", increases)
    assert verdict("downsampling", tmp_path) == expected


def measured(claim_id, run, config=SETTINGS):
    """The values that a claim is judged by, one dictionary for each seed."""
    return judge(claim_id, run, config)["per_seed"]


def test_the_increases_of_all_but_downsampling_blocks_have_their_median_and_90th_percentile(tmp_path):
    write_deletions(tmp_path, "resnet", [30, 12, *range(11)], downsampling=(1, 2))  # 0 to 10: the tenths are whole
    for values in measured("downsampling", tmp_path):
        assert values["median_increase_points"] == pytest.approx(5)
        assert values["p90_increase_points"] == pytest.approx(9)
        assert values["downsampling_above_p90_points"] == pytest.approx(12 - 9)  # the lower of two


VGG = settings("resnet", "vgg")


@pytest.mark.parametrize(
    ("lowest", "expected"),
    [(85.6, "supported"), (85.4, "partly supported"), (72.1, "partly supported"), (71.9, "not supported")],
)
def test_every_layer_of_vgg_has_to_fall_to_chance_in_the_mean_over_seeds(tmp_path, lowest, expected):
    """Chance is 90%: 0.95 and 0.8 of it are 85.5% and 72%. One seed lies below each, another above."""
    for seed, more in ((1, -0.3), (2, 0.0), (3, 0.3)):
        write_deletions(tmp_path, "vgg", [85.0, lowest + more - 5, 84.0], downsampling=(), seeds=(seed,))
    found = judge("delete-vgg", tmp_path, VGG)
    if lowest == 85.6:  # the mean is above the bound, and its interval, of 0.75 points to either side, is not
        assert (found["verdict"], found["crossed"]) == ("partly supported", ["lowest_share_of_chance"])
    else:
        assert (found["verdict"], found["crossed"]) == (expected, [])
    assert found["values"]["lowest_position"]["mean"] == 2
    assert found["values"]["lowest_share_of_chance"]["mean"] == pytest.approx(lowest / 90)


def test_each_seed_has_the_slope_and_the_shares_of_its_own_gradient_in_train_mode(tmp_path):
    """A norm of r^k on each of C(54, k) paths is a binomial distribution of lengths, with p = r / (1 + r)."""
    falls = (0.7, 0.8, 1.0)
    write_gradients(tmp_path, falls)

    def percent(ratio):
        return 100 * (binom.cdf(17, 54, ratio / (1 + ratio)) - binom.cdf(4, 54, ratio / (1 + ratio)))

    for values, fall in zip(measured("effective-paths", tmp_path), falls, strict=True):
        assert values["decades_per_block"] == pytest.approx(-fall)
        assert values["r_squared"] == pytest.approx(1)
        assert values["untrained_decades_per_block"] == pytest.approx(-fall / 2)
        assert values["estimated_percent_in_range"] == pytest.approx(percent(10**-fall))
        assert values["exact_percent_in_range"] == pytest.approx(percent(10 ** (-fall / 2)))
        assert values["projected_percent_in_range"] == pytest.approx(100 * (2**-5 - 2**-18))
        assert values["absolute_percent_beyond"] == pytest.approx(100 * 2**-21, rel=1e-3)  # from length 21 on
    (values,) = measured("unraveled", tmp_path)
    assert values["gradient_error"] == pytest.approx(3e-7)  # the worst of all seeds


@pytest.mark.parametrize(
    ("dropped", "expected"),
    [
        ([4, 1, 1], "supported"),
        ([9, 0, 0], "partly supported"),  # nothing is saved at the downsampling block
        ([8, 0, 0], "partly supported"),  # something is, and less than elsewhere
        ([9, 9, 9], "not supported"),
    ],
)
def test_stochastic_depth_follows_both_networks(tmp_path, dropped, expected):
    write_deletions(tmp_path, "resnet", [9, 2, 2])
    write_deletions(tmp_path, "stochastic-depth", dropped)
    assert verdict("stochastic-depth", tmp_path) == expected


@pytest.mark.parametrize(("blocks_per_stage", "papers_number"), [([18, 18, 18], 10), ([6, 6, 6], 3), ([1, 1, 1], 1)])
def test_ten_deletions_of_54_are_taken_in_proportion(tmp_path, blocks_per_stage, papers_number):
    networks = {"resnet": {"architecture": "resnet", "blocks_per_stage": blocks_per_stage}}
    most = {"most": min(10, sum(blocks_per_stage))}
    config = settings("resnet", networks=networks, random_deletions=most, seeds=[1])
    write_random_deletions(tmp_path, [10.0 + k for k in range(11)], seeds=(1,))
    found = judge("smooth-deletion", tmp_path, config)
    assert found["values"]["error_percent_at_10"]["mean"] == 10 + papers_number


@pytest.mark.parametrize(
    ("at_10", "at_20", "expected"),
    [
        (10.0, 30.1, "supported"),  # three times as much
        (30.0, 54.1, "supported"),  # 0.6 of chance, which is 90%
        (30.0, 53.9, "not supported"),
        (10.0, 29.9, "not supported"),
    ],
)
def test_a_severe_drop_is_three_times_the_error_or_near_chance(tmp_path, at_10, at_20, expected):
    write_deletions(tmp_path, "resnet", [9, 0, 0])
    write_random_deletions(tmp_path, [5.0] * 10 + [at_10] * 10 + [at_20])
    assert verdict("severe-at-20", tmp_path) == expected


@pytest.mark.parametrize(
    ("step", "expected"), [(19.0, "supported"), (21.0, "partly supported"), (31.0, "not supported")]
)
def test_random_deletions_must_not_jump(tmp_path, step, expected):
    errors = [5.0 + 0.1 * k for k in range(21)]
    errors[15:] = [error + step for error in errors[15:]]
    write_random_deletions(tmp_path, errors)
    assert verdict("smooth-deletion", tmp_path) == expected


def write_predictions(run, network, wrong_by_seed, images=1000):
    """Predictions of which the first so many images are wrong."""
    for seed, wrong in enumerate(wrong_by_seed, 1):
        table = pd.DataFrame({"image": range(images), "label": 0}).assign(
            convention="scaled", network=network, seed=seed
        )
        table["predicted"] = (table.image < wrong).astype(int)
        tables.write(run / "measurements" / "predictions" / f"{network}-seed{seed}.csv", table)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ([51, 50, 52], "supported"),  # 0.1, 0.0 and 0.2 points above
        ([60, 57, 63], "partly supported"),  # 1.0 points above, within 1.51
        ([50, 80, 20], "not supported"),  # no difference on average, but anything from seed to seed
    ],
)
def test_short_training_follows_the_predictions_over_seeds(tmp_path, wrong, expected):
    write_predictions(tmp_path, "resnet", [50, 50, 50])
    write_predictions(tmp_path, "effective-paths", wrong)
    entry = judge("short-training", tmp_path, SHORT)
    assert entry["verdict"] == expected
    assert entry["values"]["difference_points"]["mean"] == pytest.approx((sum(wrong) - 150) / 30)


@pytest.mark.parametrize(("wrong", "expected"), [(50, "supported"), (60, "partly supported"), (90, "not supported")])
def test_short_training_of_one_seed_is_judged_over_images(tmp_path, wrong, expected):
    write_predictions(tmp_path, "resnet", [50])
    write_predictions(tmp_path, "effective-paths", [wrong])
    one_seed = SHORT.model_copy(update={"seeds": (1,)})
    entry = judge("short-training", tmp_path, one_seed)
    assert entry["verdict"] == expected
    # 1000 images, of which so many differ by 100 points: the standard error of a proportion, t(0.95, 999) = 1.6464
    share = (wrong - 50) / 1000
    half = 1.6464 * 100 * (share * (1 - share) / 999) ** 0.5
    assert entry["values"]["equivalence_margin_points"]["mean"] == pytest.approx(100 * share + half, rel=1e-4)


IMAGENET = settings(
    "resnet-200",
    dataset={"source": "imagenet", "path": "imagenet"},
    deletions={"figure_3": [], "figure_4": ["resnet-200"], "figure_8": []},
    random_deletions={"networks": []},
    reorderings={"networks": []},
    gradients={"network": None},
)


@pytest.mark.parametrize(
    ("increases", "expected"),
    [
        ([9] + [0.5] * 65, "supported"),
        ([9] + [0.5] * 60, "partly supported"),  # not the paper's 66 blocks
        ([9] + [2.5] * 65, "partly supported"),
        ([0.1] + [0.5] * 65, "partly supported"),  # the downsampling block is the least important
        ([9] + [0.5] * 40 + [6] * 25, "partly supported"),  # the median is small, and more than a tenth cost 6 points
        ([9] + [3.5] * 65, "not supported"),
    ],
)
def test_the_claim_about_imagenet_follows_the_measurements(tmp_path, increases, expected):
    write_deletions(tmp_path, "resnet-200", increases)
    (entry,) = claims.judge([BY_ID["imagenet"]], evidence_of(tmp_path, IMAGENET))
    assert entry["verdict"] == expected
    assert entry["values"]["blocks"]["mean"] == len(increases)


def test_a_run_of_figure_4_alone_tests_its_claim_and_the_closed_forms_and_no_other(tmp_path):
    write_deletions(tmp_path, "resnet-200", [9] + [0.5] * 65)
    judged = claims.judge(list(BY_ID.values()), evidence_of(tmp_path, IMAGENET))
    tested = {entry["id"] for entry in judged if entry["verdict"] != "not tested"}
    counting = {claim.id for claim in BY_ID.values() if claim.kind == "counting"}
    assert tested == {"imagenet", "imagenet-downsampling"} | counting - {"unraveled"}


def test_figure_4_of_other_images_tests_no_claim_about_imagenet(tmp_path):
    write_deletions(tmp_path, "resnet", [9] + [0.5] * 65)
    digits = settings("resnet", deletions={"figure_3": [], "figure_4": ["resnet"], "figure_8": []})
    (entry,) = claims.judge([BY_ID["imagenet"]], evidence_of(tmp_path, digits))
    assert entry["verdict"] == "not tested"


def test_a_claim_about_a_network_that_the_run_lacks_is_not_tested(tmp_path):
    assert verdict("delete-vgg", tmp_path) == "not tested"
    assert verdict("short-training", tmp_path) == "not tested"
    assert verdict("imagenet", tmp_path) == "not tested"
