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


def write_deletions(run, network, increases, downsampling=(1,), seeds=(1, 2, 3)):
    """Single deletions of one network, the same increase (in points) at each position for every seed."""
    for seed in seeds:
        errors = [5.0, *(5.0 + increase for increase in increases)]
        table = pd.DataFrame({"deleted_position": range(len(errors)), "error_percent": errors})
        table["downsampling"] = table.deleted_position.isin(downsampling)
        table = table.assign(network=network, seed=seed, chance_error_percent=90.0, test_images=1000)
        table["wrong_images"] = (10 * table.error_percent).round().astype(int)
        tables.write(run / "measurements" / "deletions" / f"{network}-seed{seed}.csv", table)


def judge(claim_id, run, config=SETTINGS):
    return claims.judge([BY_ID[claim_id]], claims.evidence_of(run, config))[0]


def verdict(claim_id, run):
    return judge(claim_id, run)["verdict"]


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
        untrained = table[table.batch_norm == "train"].assign(sample=1)
        untrained["log10_norm"] = -fall / 2 * untrained.length
        tables.write(folder.parent / "untrained_gradients" / f"resnet-seed{seed}.csv", untrained)
        # of the gradient, paths up to length L hold 1 - 2^-(L + 1): length k holds 2^-(k + 1) alone
        exact = table.assign(cosine=0.5, norm_ratio=2 - 2.0**-table.length, full_error=1e-7 * seed)
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
    numbers = range(1, 11)
    table = pd.DataFrame({"deleted_blocks": numbers, "draw": 1, "error_percent": [10.0 + k for k in numbers]})
    path = tmp_path / "measurements" / "random_deletions" / "resnet-seed1.csv"
    tables.write(path, table.assign(network="resnet", seed=1, test_images=100))
    found = judge("smooth-deletion", tmp_path, config)
    assert found["values"]["error_percent_at_10"]["mean"] == 10 + papers_number


def write_random_deletions(run, errors, seeds=(1, 2, 3), draws=1):
    """Errors by number of deleted blocks, the same in every draw, and so many draws for each number but zero."""
    for seed in seeds:
        rows = [(0, 1, errors[0])]
        rows += [(k, draw, error) for k, error in enumerate(errors[1:], 1) for draw in range(1, draws + 1)]
        table = pd.DataFrame(rows, columns=["deleted_blocks", "draw", "error_percent"])
        path = run / "measurements" / "random_deletions" / f"resnet-seed{seed}.csv"
        tables.write(path, table.assign(network="resnet", seed=seed, test_images=100))


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
    (entry,) = claims.judge([BY_ID["imagenet"]], claims.evidence_of(tmp_path, IMAGENET))
    assert entry["verdict"] == expected
    assert entry["values"]["blocks"]["mean"] == len(increases)


def test_a_run_of_figure_4_alone_tests_its_claim_and_the_closed_forms_and_no_other(tmp_path):
    write_deletions(tmp_path, "resnet-200", [9] + [0.5] * 65)
    judged = claims.judge(list(BY_ID.values()), claims.evidence_of(tmp_path, IMAGENET))
    tested = {entry["id"] for entry in judged if entry["verdict"] != "not tested"}
    counting = {claim.id for claim in BY_ID.values() if claim.kind == "counting"}
    assert tested == {"imagenet", "imagenet-downsampling"} | counting - {"unraveled"}


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
        for conditions in claim.supported:
            bounds = {name: condition.split() for name, condition in conditions.items()}
            good = {name: float(bound) + {"<": -1e-3, ">": 1e-3}.get(sign, 0) for name, (sign, bound) in bounds.items()}
            bad = {n: float(b) + (1e6 if s.startswith("<") else -1e6) for n, (s, b) in bounds.items()}
            shown = dict.fromkeys(claim.shown, 0.0)
            assert claims.decide(claim, [{**shown, **good}])["verdict"] == "supported", claim.id
            assert claims.decide(claim, [{**shown, **bad}])["verdict"] == "not supported", claim.id
        assert claims.decide(claim, [])["verdict"] == "not tested"


def delete_resnet(*medians):
    """Values of delete-resnet by seed: these medians, and all else at its best."""
    best = dict.fromkeys(BY_ID["delete-resnet"].shown, 0.0)
    return [best | {"median_increase_points": median} for median in medians]


def test_an_interval_over_a_bound_leaves_a_claim_partly_supported():
    found = claims.decide(BY_ID["delete-resnet"], delete_resnet(0.5, 0.6, 0.7))  # 0.35 to 0.85
    assert (found["verdict"], found["crossed"]) == ("supported", [])
    found = claims.decide(BY_ID["delete-resnet"], delete_resnet(0.3, 0.6, 0.9))  # -0.15 to 1.35
    assert (found["verdict"], found["crossed"]) == ("partly supported", ["median_increase_points"])


def test_one_network_is_judged_over_its_test_images(tmp_path):
    """Increases of 0 and of 9 points on 1,000 images: the interval is that of a difference of two proportions."""
    write_deletions(tmp_path, "resnet", [30, 9], seeds=(1,))
    config = settings("resnet", "stochastic-depth", seeds=[1])
    found = claims.Judged.model_validate(judge("downsampling", tmp_path, config))
    assert (found.verdict, found.speaks_of) == ("supported", "one network")
    value = found.values["downsampling_above_p90_points"]
    # both less the intact error, which cancels: the variance of 35% and of 14%, in points
    deviation = 100 * math.sqrt((0.35 * 0.65 + 0.14 * 0.86) / 1000)
    assert value.mean == pytest.approx(21)
    assert (value.high - value.low) / (2 * 1.96) == pytest.approx(deviation, rel=0.2)  # of 200 samples


def test_the_draws_of_one_network_are_drawn_again(tmp_path):
    config = settings("resnet", "stochastic-depth", seeds=[1])
    write_random_deletions(tmp_path, [5.0 + k for k in range(21)], seeds=(1,), draws=5)
    alike = judge("smooth-deletion", tmp_path, config)
    assert alike["verdict"] == "supported"
    assert alike["values"]["error_percent_at_10"]["low"] == alike["values"]["error_percent_at_10"]["high"] == 15
    path = tmp_path / "measurements/random_deletions/resnet-seed1.csv"
    table = pd.read_csv(path)
    table["error_percent"] += (table.draw - 3) * (table.deleted_blocks > 0)  # errors 13 to 17, their median 15
    tables.write(path, table)
    value = judge("smooth-deletion", tmp_path, config)["values"]["error_percent_at_10"]
    assert (value["mean"], value["low"], value["high"]) == (15, 13, 17)  # 1 in 17 samples of 5 has a median of 13
    assert judge("smooth-deletion", tmp_path, config)["values"]["error_percent_at_10"] == value  # seeded


def test_a_statistic_draws_the_same_batches_from_all_tables_of_a_measurement(tmp_path):
    write_gradients(tmp_path, [0.5])
    evidence = claims.evidence_of(tmp_path, settings("resnet", seeds=[1]))
    for ending in ("sampled", "exact"):
        path = tmp_path / f"measurements/gradients/resnet-seed1.{ending}.csv"
        table = pd.read_csv(path)
        tables.write(path, pd.concat([table.assign(batch=b, log10_norm=-float(b)) for b in range(1, 6)]))
    for draw in (0, 1):
        sampled, exact = (evidence.drawn(draw).table("gradients", ["resnet"], end) for end in ("sampled", "exact"))
        norms = sampled.groupby("batch").log10_norm.first()
        assert list(norms.index) == [1, 2, 3, 4, 5]
        assert norms.equals(exact.groupby("batch").log10_norm.first())
        assert norms.nunique() < 5  # with replacement


def test_a_value_that_could_not_be_computed_is_not_tested():
    values = {"rank_correlation": 1.0, "largest_jump_points": 1.0, "error_percent_at_10": float("nan")}
    assert claims.decide(BY_ID["smooth-deletion"], [values])["verdict"] == "not tested"


def test_the_mean_over_seeds_decides():
    found = claims.decide(BY_ID["delete-resnet"], delete_resnet(0.0, 0.0, 8.7))
    assert found["verdict"] == "partly supported"  # 2.9, and the median is 0


def test_a_value_that_one_seed_lacks_is_not_tested():
    values = [{"rank_correlation": 1.0, "largest_jump_points": 1.0, "error_percent_at_10": x} for x in (9.0, math.nan)]
    assert claims.decide(BY_ID["smooth-deletion"], values)["verdict"] == "not tested"


def test_a_value_that_only_another_claim_needs_may_be_missing(tmp_path):
    write_deletions(tmp_path, "resnet", [0, 0, 1], downsampling=())  # a network that never halves the resolution
    assert verdict("delete-resnet", tmp_path) == "supported"
    assert verdict("downsampling", tmp_path) == "not tested"


def test_counting_finds_what_the_paper_counts_and_its_two_slips(tmp_path):
    counted = [claim for claim in BY_ID.values() if claim.kind == "counting" and claim.id != "unraveled"]
    found = {entry["id"]: entry for entry in claims.judge(counted, claims.evidence_of(tmp_path, SETTINGS))}
    slips = {id for id, entry in found.items() if entry["verdict"] == "partly supported"}
    assert slips == {"paths-left", "half-gates"}
    assert {id for id, entry in found.items() if entry["verdict"] == "supported"} == found.keys() - slips
    assert {claim.id for claim in BY_ID.values() if claim.finding} == slips
    assert found["paths-left"]["values"]["share_left"]["mean"] == 2**-10
    assert found["binomial"]["values"]["percent_19_to_35"]["mean"] == pytest.approx(98.02, abs=0.005)
    assert found["short-share"]["values"]["percent_5_to_17"]["mean"] == pytest.approx(0.4537, abs=5e-5)
    assert found["half-gates"]["values"]["normalised_difference"]["mean"] > 0.1


def test_explicit_paths_sum_to_the_linear_network():
    assert linear_sum_error(blocks=6, seed=3) < 1e-12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"statistic": "median_of_means"}, "claim 'decay': statistic: unknown statistic 'median_of_means'; known are"),
        ({"supported": {"r_squared": "about 1"}}, "claim 'decay': supported: condition 'about 1' must be one of"),
        ({"supported": [{"slope": "< 0"}]}, "claim 'decay': supported: 'slope' is not among the values shown"),
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
        ('[{"id": "decay"}]', "0.kind: Field required"),
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
    found = claims.sensitivity(judged("delete-resnet", *delete_resnet(value)))
    assert (found["tighter"], found["looser"]) == (tighter, looser)


@pytest.mark.parametrize(
    ("claim_id", "values", "tighter", "looser"),
    [
        # R squared of at least 0.95: 0.96 and 0.94
        ("decay", {"decades_per_block": -1.0, "r_squared": 0.955}, "not supported", "supported"),
        ("decay", {"decades_per_block": -1.0, "r_squared": 0.945}, "not supported", "supported"),
        ("decay", {"decades_per_block": -1.0, "r_squared": 0.935}, "not supported", "not supported"),
        # at least 90 percent: 92 and 88
        ("effective-paths", {"estimated_percent_in_range": 91.0}, "not supported", "supported"),
        ("effective-paths", {"estimated_percent_in_range": 87.0}, "not supported", "not supported"),
        # a share of chance of at least 0.95, partly 0.8: 0.96 and 0.84, 0.94 and 0.76
        ("delete-vgg", {"lowest_share_of_chance": 0.955}, "partly supported", "supported"),
        ("delete-vgg", {"lowest_share_of_chance": 0.77}, "not supported", "partly supported"),
        # at least 3 times: 3.75 and 2.5
        ("severe-at-20", {"error_ratio_20_to_10": 3.7}, "not supported", "supported"),
        ("severe-at-20", {"error_ratio_20_to_10": 3.8}, "supported", "supported"),
        ("severe-at-20", {"error_ratio_20_to_10": 2.4}, "not supported", "not supported"),
        # neither a sign nor an equality can be moved
        ("downsampling", {"downsampling_above_p90_points": 0.01}, None, None),
    ],
)
def test_other_bounds_move_by_a_fifth_of_their_distance_to_the_best_value(claim_id, values, tighter, looser):
    values = dict.fromkeys(BY_ID[claim_id].shown, 0.0) | values
    found = claims.sensitivity(judged(claim_id, values))
    assert (found["tighter"], found["looser"]) == (tighter, looser)


def test_sensitivity_judges_each_seed_alone():
    found = claims.sensitivity(judged("delete-resnet", *delete_resnet(0.0, 9.0, 0.0)))
    assert found["seeds"] == ["supported", "not supported", "supported"]
    assert claims.sensitivity(judged("imagenet")) == {"tighter": "not tested", "looser": "not tested", "seeds": []}


@pytest.mark.parametrize(("seeds", "words"), [(1, "one network"), (2, "two networks"), (3, ""), (0, "")])
def test_a_verdict_on_few_networks_speaks_of_these(seeds, words):
    assert judged("delete-resnet", *delete_resnet(*[0.5] * seeds)).speaks_of == words
    assert judged("paths-left", dict.fromkeys(BY_ID["paths-left"].shown, 1.0)).speaks_of == ""


def test_no_claim_of_the_paper_is_left_out():
    assert list(BY_ID) == [
        "unraveled", "delete-vgg", "delete-resnet", "downsampling", "imagenet", "imagenet-downsampling",
        "smooth-deletion", "severe-at-20", "paths-left", "smooth-reordering", "binomial", "short-share", "decay",
        "effective-paths", "short-paths-only", "short-training", "long-paths-first", "stochastic-depth", "half-gates",
        "highway-gates",
    ]  # fmt: skip
