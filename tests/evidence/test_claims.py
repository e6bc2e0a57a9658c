"""How claims are decided: bounds, intervals, few seeds, and what moves a verdict."""

import json
import math

import pandas as pd
import pytest
import yaml
from claims_helpers import (
    BY_ID,
    SETTINGS,
    evidence_of,
    judge,
    judged,
    settings,
    verdict,
    write_deletions,
    write_gradients,
    write_random_deletions,
)

from unravel import tables
from unravel.evidence import claims
from unravel.files import InputError
from unravel.studies import STUDIES
from unravel.studies.path_gradients.values import linear_sum_error


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
    tables.write(path, table.assign(wrong_images=10 * table.error_percent))
    value = judge("smooth-deletion", tmp_path, config)["values"]["error_percent_at_10"]
    assert (value["mean"], value["low"], value["high"]) == (15, 13, 17)  # 1 in 17 samples of 5 has a median of 13
    assert judge("smooth-deletion", tmp_path, config)["values"]["error_percent_at_10"] == value  # seeded


def test_a_statistic_draws_the_same_batches_from_all_tables_of_a_measurement(tmp_path):
    write_gradients(tmp_path, [0.5])
    evidence = evidence_of(tmp_path, settings("resnet", seeds=[1]))
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
        (None, "is missing"),
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
