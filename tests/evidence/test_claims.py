"""Verdicts follow the data: the same claim, with other measurements, gets another verdict."""

import json
import math

import pandas as pd
import pytest
import yaml
from scipy.stats import binom

from unravel import tables
from unravel.evidence import claims
from unravel.files import InputError
from unravel.run import parse_config
from unravel.studies import STUDIES
from unravel.studies.path_gradients.values import linear_sum_error


def settings(*networks, **changes):
    """A run of these networks, each of 54 blocks, of which Figure 3 shows the first one."""
    raw = {
        "run": "test",
        "scale": "ci",
        "dataset": {"source": "digits"},
        "networks": {name: {"architecture": "resnet"} for name in networks},
        "deletions": {"figure_3": networks[:1], "figure_8": networks},
    }
    return parse_config(raw | changes)


SETTINGS = settings("resnet", "stochastic-depth")
SHORT = settings("resnet", "effective-paths")
BY_ID = {claim.id: claim for claim in claims.read_all(SETTINGS)}


def write_deletions(run, network, increases, downsampling=(1,)):
    """Single deletions of one network, the same increase (in points) at each position for every seed."""
    for seed in SETTINGS.seeds:
        errors = [5.0, *(5.0 + increase for increase in increases)]
        table = pd.DataFrame({"deleted_position": range(len(errors)), "error_percent": errors})
        table["downsampling"] = table.deleted_position.isin(downsampling)
        table = table.assign(network=network, seed=seed, chance_error_percent=90.0)
        tables.write(run / "measurements" / "deletions" / f"{network}-seed{seed}.csv", table)


def verdict(claim_id, run):
    return claims.judge([BY_ID[claim_id]], claims.evidence_of(run, SETTINGS))[0]["verdict"]


@pytest.mark.parametrize(
    ("increases", "expected"),
    [
        ([9, 0, 0, 0, 1], "supported"),
        ([9, 2, 2, 2, 2], "partly supported"),
        ([9, 0, 0, 0, 60], "partly supported"),  # the median is fine, the 90th percentile is not
        ([9, 4, 4, 4, 4], "not supported"),
    ],
)
def test_delete_resnet_follows_the_increases(tmp_path, increases, expected):
    write_deletions(tmp_path, "resnet", increases)
    assert verdict("delete-resnet", tmp_path) == expected


@pytest.mark.parametrize(("increases", "expected"), [([9, 0, 0, 1], "supported"), ([0, 9, 9, 9], "not supported")])
def test_downsampling_follows_the_increases(tmp_path, increases, expected):
    write_deletions(tmp_path, "resnet", increases)
    assert verdict("downsampling", tmp_path) == expected


def measured(claim_id, run, config=SETTINGS):
    """The values that a claim is judged by, one dictionary for each seed."""
    return claims.judge([BY_ID[claim_id]], claims.evidence_of(run, config))[0]["per_seed"]


def test_the_increases_of_all_but_downsampling_blocks_have_their_median_and_90th_percentile(tmp_path):
    write_deletions(tmp_path, "resnet", [30, 12, *range(11)], downsampling=(1, 2))  # 0 to 10: the tenths are whole
    for values in measured("downsampling", tmp_path):
        assert values["median_increase_points"] == pytest.approx(5)
        assert values["p90_increase_points"] == pytest.approx(9)
        assert values["downsampling_above_p90_points"] == pytest.approx(12 - 9)  # the lower of two


@pytest.mark.parametrize(("error", "at_chance"), [(71.9, 50), (72.1, 100)])
def test_a_layer_is_at_chance_from_four_fifths_of_its_error_on(tmp_path, error, at_chance):
    config = settings("resnet", "vgg")
    write_deletions(tmp_path, "vgg", [85.0, error - 5.0], downsampling=())
    values = measured("delete-vgg", tmp_path, config)
    assert [one["percent_at_chance"] for one in values] == [at_chance] * 3


def write_gradients(run, decades):
    """Norms that fall by so many decades a block, by seed, on paths of the 54 blocks; their sums twice as slowly.

    BN in eval mode does otherwise, and must not be looked at.
    """
    for seed, fall in enumerate(decades, 1):
        modes = [pd.DataFrame({"length": range(55), "batch_norm": mode}) for mode in ("train", "eval")]
        table = pd.concat(modes, ignore_index=True).assign(network="resnet", seed=seed, batch=1)
        table["log10_norm"] = -fall * table.length.where(table.batch_norm == "train", table.length % 7)
        folder = run / "measurements" / "gradients"
        tables.write(folder / f"resnet-seed{seed}.sampled.csv", table)
        choices = table.length.map(lambda length: math.log10(math.comb(54, length)))
        exact = table.assign(cosine=1.0, norm_ratio=1.0, full_error=1e-7 * seed)
        exact["log10_norm"] = table.log10_norm / 2 + choices
        tables.write(folder / f"resnet-seed{seed}.exact.csv", exact)


def test_each_seed_has_the_slope_and_the_shares_of_its_own_gradient_in_train_mode(tmp_path):
    """A norm of r^k on each of C(54, k) paths is a binomial distribution of lengths, with p = r / (1 + r)."""
    falls = (0.7, 0.8, 1.0)
    write_gradients(tmp_path, falls)

    def percent(ratio):
        return 100 * (binom.cdf(17, 54, ratio / (1 + ratio)) - binom.cdf(4, 54, ratio / (1 + ratio)))

    for values, fall in zip(measured("effective-paths", tmp_path), falls, strict=True):
        assert values["decades_per_block"] == pytest.approx(-fall)
        assert values["r_squared"] == pytest.approx(1)
        assert values["percent_5_to_17"] == pytest.approx(percent(10**-fall))
        assert values["exact_percent_5_to_17"] == pytest.approx(percent(10 ** (-fall / 2)))
    (values,) = measured("unraveled", tmp_path)
    assert values["gradient_error"] == pytest.approx(3e-7)  # the worst of all seeds


@pytest.mark.parametrize(
    ("dropped", "expected"),
    [([4, 1, 1], "supported"), ([9, 0, 0], "partly supported"), ([9, 9, 9], "not supported")],
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
    numbers = range(1, 11)
    table = pd.DataFrame({"deleted_blocks": numbers, "draw": 1, "error_percent": [10.0 + k for k in numbers]})
    path = tmp_path / "measurements" / "random_deletions" / "resnet-seed1.csv"
    tables.write(path, table.assign(network="resnet", seed=1))
    found = claims.judge([BY_ID["smooth-deletion"]], claims.evidence_of(tmp_path, config))[0]
    assert found["values"]["error_percent_at_10"]["mean"] == 10 + papers_number


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
    entry = claims.judge([BY_ID["short-training"]], claims.evidence_of(tmp_path, SHORT))[0]
    assert entry["verdict"] == expected
    assert entry["values"]["difference_points"]["mean"] == pytest.approx((sum(wrong) - 150) / 30)


@pytest.mark.parametrize(("wrong", "expected"), [(50, "supported"), (60, "partly supported"), (90, "not supported")])
def test_short_training_of_one_seed_is_judged_over_images(tmp_path, wrong, expected):
    write_predictions(tmp_path, "resnet", [50])
    write_predictions(tmp_path, "effective-paths", [wrong])
    one_seed = SHORT.model_copy(update={"seeds": (1,)})
    entry = claims.judge([BY_ID["short-training"]], claims.evidence_of(tmp_path, one_seed))[0]
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
        ([9] + [0.5] * 40 + [6] * 25, "partly supported"),  # the median is small, the 90th percentile is not
        ([9] + [3.5] * 65, "not supported"),
    ],
)
def test_the_claim_about_imagenet_follows_the_measurements(tmp_path, increases, expected):
    write_deletions(tmp_path, "resnet-200", increases)
    (entry,) = claims.judge([BY_ID["imagenet"]], claims.evidence_of(tmp_path, IMAGENET))
    assert entry["verdict"] == expected
    assert entry["values"]["blocks"]["mean"] == len(increases)


def test_a_run_of_figure_4_alone_tests_its_claim_and_the_closed_forms_and_no_other(tmp_path):
    write_deletions(tmp_path, "resnet-200", [9] + [0.5] * 65)
    judged = claims.judge(list(BY_ID.values()), claims.evidence_of(tmp_path, IMAGENET))
    tested = {entry["id"] for entry in judged if entry["verdict"] != "not tested"}
    assert tested == {"imagenet", "paths-left", "binomial", "long-paths-first"}


def test_figure_4_of_other_images_tests_no_claim_about_imagenet(tmp_path):
    write_deletions(tmp_path, "resnet", [9] + [0.5] * 65)
    digits = settings("resnet", deletions={"figure_3": [], "figure_4": ["resnet"], "figure_8": []})
    (entry,) = claims.judge([BY_ID["imagenet"]], claims.evidence_of(tmp_path, digits))
    assert entry["verdict"] == "not tested"


def test_a_claim_about_a_network_that_the_run_lacks_is_not_tested(tmp_path):
    assert verdict("delete-vgg", tmp_path) == "not tested"
    assert verdict("short-training", tmp_path) == "not tested"
    assert verdict("imagenet", tmp_path) == "not tested"


def test_every_claim_flips_when_its_values_do():
    """Each tested claim is supported by values on its bounds' good side and is not by values far on the other side."""
    for claim in BY_ID.values():
        if claim.statistic is None:
            continue
        bounds = {name: condition.split() for name, condition in claim.supported.items()}
        good = {name: float(bound) + {"<": -1e-3, ">": 1e-3}.get(sign, 0) for name, (sign, bound) in bounds.items()}
        bad = {n: float(b) + (1e6 if s.startswith("<") else -1e6) for n, (s, b) in bounds.items()}
        shown = dict.fromkeys(claim.shown, 0.0)
        assert claims.decide(claim, [{**shown, **good}])["verdict"] == "supported", claim.id
        assert claims.decide(claim, [{**shown, **bad}])["verdict"] == "not supported", claim.id
        assert claims.decide(claim, [])["verdict"] == "not tested"


def test_a_value_that_could_not_be_computed_is_not_tested():
    values = {"rank_correlation": 1.0, "largest_jump_points": 1.0, "error_percent_at_10": float("nan")}
    assert claims.decide(BY_ID["smooth-deletion"], [values])["verdict"] == "not tested"


def test_the_mean_over_seeds_decides():
    values = [{"median_increase_points": x, "p90_increase_points": 0.0} for x in (0.0, 0.0, 8.7)]
    assert claims.decide(BY_ID["delete-resnet"], values)["verdict"] == "partly supported"  # 2.9, and the median is 0


def test_a_value_that_one_seed_lacks_is_not_tested():
    values = [{"rank_correlation": 1.0, "largest_jump_points": 1.0, "error_percent_at_10": x} for x in (9.0, math.nan)]
    assert claims.decide(BY_ID["smooth-deletion"], values)["verdict"] == "not tested"


def test_a_value_that_only_another_claim_needs_may_be_missing(tmp_path):
    write_deletions(tmp_path, "resnet", [0, 0, 1], downsampling=())  # a network that never halves the resolution
    assert verdict("delete-resnet", tmp_path) == "supported"
    assert verdict("downsampling", tmp_path) == "not tested"


def test_closed_forms_support_what_the_paper_counts(tmp_path):
    counted = [claim for claim in BY_ID.values() if claim.statistic == "closed_forms"]
    found = {entry["id"]: entry for entry in claims.judge(counted, claims.evidence_of(tmp_path, SETTINGS))}
    assert {entry["verdict"] for entry in found.values()} == {"supported"}
    assert found["paths-left"]["values"]["share_left"]["mean"] == 2**-10
    assert found["binomial"]["values"]["percent_19_to_35"]["mean"] == pytest.approx(98.02, abs=0.005)


def test_explicit_paths_sum_to_the_linear_network():
    assert linear_sum_error(blocks=6, seed=3) < 1e-12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"statistic": "median_of_means"}, "claim 'decay': statistic: unknown statistic 'median_of_means'; known are"),
        ({"supported": {"r_squared": "about 1"}}, "claim 'decay': supported: condition 'about 1' must be one of"),
        ({"paper_values": {"slope": 1}}, "claim 'decay': paper_values: 'slope' is not among the values shown"),
        ({"critrion": "x"}, "claim 'decay': critrion: Extra inputs are not permitted"),
    ],
)
def test_a_broken_claims_file_is_refused_with_one_line(tmp_path, change, message):
    stated = yaml.safe_load((STUDIES["path_gradients"].folder / "claims.yaml").read_text())
    entry = next(entry for entry in stated if entry["id"] == "decay")
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump([{**entry, **change}]))
    with pytest.raises(InputError) as caught:
        claims.read(tmp_path / "claims.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_judged_claims_are_read_as_they_were_written(tmp_path):
    judged = claims.judge([BY_ID["binomial"], BY_ID["imagenet"]], claims.evidence_of(tmp_path, SETTINGS))
    (tmp_path / "claims.json").write_text(json.dumps(judged))
    read = claims.read_judged(tmp_path / "claims.json")
    assert [claim.model_dump(mode="json") for claim in read] == judged


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("{", "the file: Invalid JSON"),
        ('[{"id": "decay"}]', "0.where: Field required"),
    ],
)
def test_judged_claims_of_another_kind_are_refused_with_one_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / "claims.json").write_text(content)
    with pytest.raises(InputError) as caught:
        claims.read_judged(tmp_path / "claims.json")
    assert message in str(caught.value)
    assert str(caught.value).endswith("judge again with `snakemake claims`")
    assert "\n" not in str(caught.value)


def judged(claim_id, *per_seed):
    return claims.Judged.model_validate(claims.decide(BY_ID[claim_id], list(per_seed)))


@pytest.mark.parametrize(
    ("value", "tighter", "looser"),
    [
        (
            0.7,
            "supported",
            "supported",
        ),  # bounds of 1, 0.8 and 1.2 points; those of the partial verdict are 3, 2.4 and 3.6
        (0.9, "partly supported", "supported"),
        (1.1, "partly supported", "supported"),
        (1.3, "partly supported", "partly supported"),
        (3.5, "not supported", "partly supported"),
    ],
)
def test_a_bound_on_what_should_be_small_moves_by_a_fifth(value, tighter, looser):
    found = claims.sensitivity(judged("delete-resnet", {"median_increase_points": value, "p90_increase_points": 0.0}))
    assert (found["tighter"], found["looser"]) == (tighter, looser)


@pytest.mark.parametrize(
    ("claim_id", "values", "tighter", "looser"),
    [
        # R squared of at least 0.95: 0.96 and 0.94
        ("decay", {"decades_per_block": -1.0, "r_squared": 0.955}, "not supported", "supported"),
        ("decay", {"decades_per_block": -1.0, "r_squared": 0.945}, "not supported", "supported"),
        ("decay", {"decades_per_block": -1.0, "r_squared": 0.935}, "not supported", "not supported"),
        # at least 90 percent: 92 and 88
        ("effective-paths", {"percent_5_to_17": 91.0, "exact_percent_5_to_17": 0.0}, "not supported", "supported"),
        ("effective-paths", {"percent_5_to_17": 87.0, "exact_percent_5_to_17": 0.0}, "not supported", "not supported"),
        # a sign has no distance to move by
        ("downsampling", {"downsampling_above_p90_points": 0.01}, "supported", "supported"),
    ],
)
def test_other_bounds_move_by_a_fifth_of_their_distance_to_the_best_value(claim_id, values, tighter, looser):
    found = claims.sensitivity(judged(claim_id, values))
    assert (found["tighter"], found["looser"]) == (tighter, looser)


def test_sensitivity_judges_each_seed_alone():
    low, high = ({"median_increase_points": x, "p90_increase_points": 0.0} for x in (0.0, 9.0))
    found = claims.sensitivity(judged("delete-resnet", low, high, low))
    assert found["seeds"] == ["supported", "not supported", "supported"]
    assert claims.sensitivity(judged("imagenet")) == {"tighter": "not tested", "looser": "not tested", "seeds": []}


def test_no_claim_of_the_paper_is_left_out():
    assert list(BY_ID) == [
        "unraveled", "delete-vgg", "delete-resnet", "downsampling", "imagenet", "smooth-deletion", "paths-left",
        "smooth-reordering", "binomial", "decay", "effective-paths", "short-training", "long-paths-first",
        "stochastic-depth", "highway-gates",
    ]  # fmt: skip
