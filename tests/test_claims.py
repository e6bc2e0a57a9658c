"""Verdicts follow the data: the same claim, with other measurements, gets another verdict."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from unravel import claims, config, tables
from unravel.files import InputError

CLAIMS = Path(__file__).resolve().parents[1] / "report" / "claims.yaml"
BY_ID = {claim.id: claim for claim in claims.read(CLAIMS)}
SETTINGS = config.parse(
    {
        "run": "test",
        "scale": "ci",
        "dataset": {"source": "digits"},
        "networks": {name: {"architecture": "resnet"} for name in ("resnet", "stochastic-depth")},
        "deletions": {"figure_3": ["resnet"]},
    }
)
SHORT = SETTINGS.model_copy(update={"networks": dict.fromkeys(("resnet", "effective-paths"))})


def write_deletions(run, network, increases, downsampling=(1,)):
    """Single deletions of one network, the same increase (in points) at each position for every seed."""
    for seed in SETTINGS.seeds:
        errors = [5.0, *(5.0 + increase for increase in increases)]
        table = pd.DataFrame({"deleted_position": range(len(errors)), "error_percent": errors})
        table["downsampling"] = table.deleted_position.isin(downsampling)
        table = table.assign(network=network, seed=seed, chance_error_percent=90.0)
        tables.write(run / "measurements" / "deletions" / f"{network}-seed{seed}.csv", table)


def verdict(claim_id, run):
    return claims.judge([BY_ID[claim_id]], claims.Evidence(run, SETTINGS))[0]["verdict"]


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
    settings = config.parse(
        {
            "run": "test",
            "scale": "ci",
            "dataset": {"source": "digits"},
            "networks": {"resnet": {"architecture": "resnet", "blocks_per_stage": blocks_per_stage}},
            "deletions": {"figure_3": ["resnet"], "figure_8": ["resnet"]},
            "random_deletions": {"most": min(10, sum(blocks_per_stage))},
            "seeds": [1],
        }
    )
    numbers = range(1, 11)
    table = pd.DataFrame({"deleted_blocks": numbers, "draw": 1, "error_percent": [10.0 + k for k in numbers]})
    path = tmp_path / "measurements" / "random_deletions" / "resnet-seed1.csv"
    tables.write(path, table.assign(network="resnet", seed=1))
    found = claims.judge([BY_ID["smooth-deletion"]], claims.Evidence(tmp_path, settings))[0]
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
    entry = claims.judge([BY_ID["short-training"]], claims.Evidence(tmp_path, SHORT))[0]
    assert entry["verdict"] == expected
    assert entry["values"]["difference_points"]["mean"] == pytest.approx((sum(wrong) - 150) / 30)


@pytest.mark.parametrize(("wrong", "expected"), [(50, "supported"), (60, "partly supported"), (90, "not supported")])
def test_short_training_of_one_seed_is_judged_over_images(tmp_path, wrong, expected):
    write_predictions(tmp_path, "resnet", [50])
    write_predictions(tmp_path, "effective-paths", [wrong])
    one_seed = SHORT.model_copy(update={"seeds": (1,)})
    entry = claims.judge([BY_ID["short-training"]], claims.Evidence(tmp_path, one_seed))[0]
    assert entry["verdict"] == expected
    # 1000 images, of which so many differ by 100 points: the standard error of a proportion, t(0.95, 999) = 1.6464
    share = (wrong - 50) / 1000
    half = 1.6464 * 100 * (share * (1 - share) / 999) ** 0.5
    assert entry["values"]["equivalence_margin_points"]["mean"] == pytest.approx(100 * share + half, rel=1e-4)


IMAGENET = config.parse(
    {
        "run": "test",
        "scale": "ci",
        "dataset": {"source": "imagenet", "path": "imagenet"},
        "networks": {"resnet-200": {"architecture": "resnet"}},
        "deletions": {"figure_3": [], "figure_4": ["resnet-200"], "figure_8": []},
        "random_deletions": {"networks": []},
        "reorderings": {"networks": []},
        "gradients": {"network": None},
    }
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
    (entry,) = claims.judge([BY_ID["imagenet"]], claims.Evidence(tmp_path, IMAGENET))
    assert entry["verdict"] == expected
    assert entry["values"]["blocks"]["mean"] == len(increases)


def test_a_run_of_figure_4_alone_tests_its_claim_and_the_closed_forms_and_no_other(tmp_path):
    write_deletions(tmp_path, "resnet-200", [9] + [0.5] * 65)
    judged = claims.judge(list(BY_ID.values()), claims.Evidence(tmp_path, IMAGENET))
    tested = {entry["id"] for entry in judged if entry["verdict"] != "not tested"}
    assert tested == {"imagenet", "paths-left", "binomial", "long-paths-first"}


def test_figure_4_of_other_images_tests_no_claim_about_imagenet(tmp_path):
    write_deletions(tmp_path, "resnet", [9] + [0.5] * 65)
    settings = SETTINGS.model_copy(update={"deletions": config.Deletions(figure_4=("resnet",))})
    (entry,) = claims.judge([BY_ID["imagenet"]], claims.Evidence(tmp_path, settings))
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


def test_a_value_that_only_another_claim_needs_may_be_missing(tmp_path):
    write_deletions(tmp_path, "resnet", [0, 0, 1], downsampling=())  # a network that never halves the resolution
    assert verdict("delete-resnet", tmp_path) == "supported"
    assert verdict("downsampling", tmp_path) == "not tested"


def test_closed_forms_support_what_the_paper_counts(tmp_path):
    counted = [claim for claim in BY_ID.values() if claim.statistic == "closed_forms"]
    found = {entry["id"]: entry for entry in claims.judge(counted, claims.Evidence(tmp_path, SETTINGS))}
    assert {entry["verdict"] for entry in found.values()} == {"supported"}
    assert found["paths-left"]["values"]["share_left"]["mean"] == 2**-10
    assert found["binomial"]["values"]["percent_19_to_35"]["mean"] == pytest.approx(98.02, abs=0.005)


def test_explicit_paths_sum_to_the_linear_network():
    assert claims.linear_sum_error(blocks=6, seed=3) < 1e-12


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
    entry = next(entry for entry in yaml.safe_load(CLAIMS.read_text()) if entry["id"] == "decay")
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump([{**entry, **change}]))
    with pytest.raises(InputError) as caught:
        claims.read(tmp_path / "claims.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_judged_claims_are_read_as_they_were_written(tmp_path):
    judged = claims.judge([BY_ID["binomial"], BY_ID["imagenet"]], claims.Evidence(tmp_path, SETTINGS))
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
