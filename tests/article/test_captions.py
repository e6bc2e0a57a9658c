"""Captions of figures name the numbers that plain Python finds in the tables behind them."""

import json
import math
import statistics

import pytest
from figure_helpers import DELETIONS, HISTORIES, T_975, draw, drawing_of, prepared_data, read_values, write_csv
from run_helpers import CONFIG

from unravel.evidence.claims import read_all
from unravel.run import parse_config
from unravel.studies import paper


def assert_interval(found, values):
    half = T_975[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    mean = statistics.mean(values)
    assert found == pytest.approx({"mean": mean, "low": mean - half, "high": mean + half, "n": len(values)})


def test_the_caption_of_figure_3(drawn):
    values = read_values(drawn / "single_deletion.svg")
    assert values["seeds"] == [1, 2]
    assert values["chance_error_percent"] == 90
    resnet, vgg = values["networks"]["resnet"], values["networks"]["vgg"]
    assert (resnet["blocks"], vgg["blocks"]) == (4, 3)
    assert (resnet["last_position"], vgg["last_position"]) == (4, 4)  # the first layer of vgg cannot be deleted
    assert (resnet["worst_increase_points"], vgg["worst_increase_points"]) == (24, 78.75)  # 34 and 14; 77 and 80.5
    assert (resnet["worst_position"], vgg["worst_position"]) == (3, 2)  # vgg: 85 and 90 against 89.5 and 70
    assert (resnet["downsampling_positions"], vgg["downsampling_positions"]) == ([3], [4])


@pytest.mark.parametrize("network", ["resnet", "vgg"])
def test_the_numbers_in_the_caption_of_figure_3(drawn, network):
    found = read_values(drawn / "single_deletion.svg")["networks"][network]
    intact = {seed: error for name, seed, position, _, error in DELETIONS if name == network and position == 0}
    deleted = [row[1:] for row in DELETIONS if row[0] == network and row[2] > 0]
    rises = [(seed, downsampling, error - intact[seed]) for seed, _, downsampling, error in deleted]
    ordinary = [[rise for of, downsampling, rise in rises if of == seed and not downsampling] for seed in intact]
    both = [[rise for of, _, rise in rises if of == seed] for seed in intact]
    halving = [rise for _, downsampling, rise in rises if downsampling]
    tenths = [statistics.quantiles(one, n=10, method="inclusive")[8] for one in ordinary]
    expected = {  # medians and percentiles of a seed, then means over seeds
        "lowest_error_percent": min(error for *_, error in deleted),
        "highest_error_percent": max(error for *_, error in deleted),
        "mean_error_percent": statistics.mean(error for *_, error in deleted),
        "median_increase_points": statistics.mean(map(statistics.median, both)),
        "highest_increase_points": max(map(max, both)),
        "ordinary_median_increase_points": statistics.mean(map(statistics.median, ordinary)),
        "ordinary_p90_increase_points": statistics.mean(tenths),
        "downsampling_mean_increase_points": statistics.mean(halving),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert_interval(found["intact_error_percent"], list(intact.values()))


def test_figure_3_of_a_network_that_never_halves_the_resolution(tmp_path):
    header = ["network", "seed", "deleted_position", "downsampling", "error_percent", "chance_error_percent"]
    header += ["wrong_images", "test_images"]
    rows = [("flat", 1, 0, False, 5.0, 90, 5, 100), ("flat", 1, 1, False, 6.0, 90, 6, 100)]
    draw("single_deletion", [write_csv(tmp_path / "flat.csv", header, rows)], tmp_path / "figure.svg")
    values = read_values(tmp_path / "figure.svg")["networks"]["flat"]
    assert values["downsampling_positions"] == []
    assert values["downsampling_mean_increase_points"] is None
    assert values["intact_error_percent"]["n"] == 1


def test_the_caption_of_the_training_curves(drawn):
    values = read_values(drawn / "training_curves.svg")
    assert values["epochs"] == dict.fromkeys(HISTORIES, 3)
    assert set(values["final_test_error_percent"]) == set(HISTORIES)
    for network, seeds in HISTORIES.items():
        assert_interval(values["final_test_error_percent"][network], [rows[-1][1] for rows in seeds])


def test_the_training_curves_end_where_each_network_was_trained_to(tmp_path):
    header = ["epoch", "train_loss", "test_error_percent"]
    long = write_csv(tmp_path / "resnet/seed1.history.csv", header, [(1, 2.0, 50.0), (2, 1.0, 20.0), (3, 0.5, 6.0)])
    short = write_csv(tmp_path / "vgg/seed1.history.csv", header, [(1, 2.0, 60.0), (2, 1.5, 40.0)])
    draw("training_curves", [long, short], tmp_path / "figure.svg")
    values = read_values(tmp_path / "figure.svg")
    assert values["epochs"] == {"resnet": 3, "vgg": 2}
    assert {name: found["mean"] for name, found in values["final_test_error_percent"].items()} == {
        "resnet": 6.0,
        "vgg": 40.0,
    }


def test_the_caption_of_figure_5a(drawn):
    values = read_values(drawn / "random_deletion.svg")
    assert (values["draws"], values["most"], values["seeds"], values["test_images"]) == (3, 3, [1, 2], 50)
    # of errors 5 k + 1 to 3 plus 1 to 2, the median is 5 k + 3.5
    expected = {"0": 3.5, "1": 8.5, "2": 13.5, "3": 18.5}
    assert values["networks"]["resnet"]["median_error_percent"] == expected
    assert values["networks"]["resnet"]["largest_jump_points"] == 5


def test_the_papers_numbers_are_those_of_the_claims():
    claims = {claim.id: claim for claim in read_all(parse_config(CONFIG))}
    assert f"about {paper.VGG_ERROR:.0f}% error" in claims["delete-vgg"].paper
    deleted = paper.DELETIONS
    assert claims["smooth-deletion"].paper_values == {"error_percent_at_10": deleted["error_percent"]}
    assert f"{deleted['deleted_blocks']} of {deleted['blocks']} deleted" in claims["smooth-deletion"].paper
    short, full = (paper.TEST_ERRORS[name] for name in ("effective-paths", "resnet"))
    assert f"{short:.2f}% against {full:.2f}%" in claims["short-training"].paper
    assert "lengths {} to {}".format(*paper.gradient_range(54)) in claims["effective-paths"].paper


def stated_points(path):
    """Where the paper's values stand in a figure."""
    every = json.loads(path.with_suffix(".json").read_text())["points"]
    found = [points for points in every if points["series"].startswith("paper, ")]
    return [place for points in found for place in zip(points["x"], points["y"], strict=True)]


def test_the_papers_numbers_stand_where_it_states_them(drawn, tmp_path):
    assert stated_points(drawn / "single_deletion.svg") == [(2, 90), (4, 90)]  # a line over the layers of vgg
    assert read_values(drawn / "single_deletion.svg")["stated_vgg_error_percent"] == 90
    assert stated_points(drawn / "short_training.svg") == [(5.96, 0), (6.1, 2)]
    assert stated_points(drawn / "random_deletion.svg") == []  # of how many blocks is not known
    assert read_values(drawn / "random_deletion.svg")["stated"] is None
    rows = [("resnet", 1, deleted, 1, 20, 5.0) for deleted in range(12)]
    header = ["network", "seed", "deleted_blocks", "draw", "test_images", "error_percent"]
    table = write_csv(tmp_path / "more.csv", header, rows)
    for blocks, place in ((54, 10), (18, 3)):
        counts = write_csv(tmp_path / "paths" / "resnet.csv", ["length", "paths"], [(blocks, 1)])
        draw("random_deletion", [table, counts], tmp_path / "figure.svg")
        assert stated_points(tmp_path / "figure.svg") == [(place, 20)]
    assert ">paper, as stated<" in (tmp_path / "figure.svg").read_text()


def test_the_caption_of_figure_5b(drawn):
    values = read_values(drawn / "reordering.svg")
    assert (values["most"], values["seeds"], values["test_images"]) == (4, [1, 2], 50)
    found = values["networks"]["resnet"]
    assert found["rank_correlation"] == pytest.approx(1)
    assert found["largest_jump_points"] == 1
    assert found["lowest_tau"] == pytest.approx(0.6)
    assert found["median_error_percent_at_most_swaps"] == 4


def test_the_caption_of_figure_6(drawn):
    values = read_values(drawn / "path_gradients.svg")
    assert (values["network"], values["samples_per_length"], values["batches"]) == ("resnet", 3, 1)
    assert values["largest_full_error"] == 2e-7
    weights = [math.comb(60, k) * 10 ** (-k / 2) for k in range(61)]  # the paper's product
    for found in values["modes"].values():
        assert found["decades_per_block"] == pytest.approx(-0.5)
        assert found["r_squared"] == pytest.approx(1)
        assert found["estimated_percent_in_papers_range"] == pytest.approx(
            100 * sum(weights[6:20]) / sum(weights)
        )  # 5 to 17 of 54
        assert found["exact_first_length"] == 0
        assert found["exact_last_length"] == 2  # norms 1, 0.32, 0.1: 1 - 10^-1.5 of a geometric series, above 0.95
        assert found["explained_at"] == 2


def test_the_caption_of_the_estimate_against_the_exact_sum(drawn):
    values = read_values(drawn / "exact_estimate.svg")
    assert (values["network"], values["samples_per_length"], values["papers_range"]) == ("resnet", 3, [0, 3])
    exact = [10 ** (-k / 2) for k in range(7)]
    estimate = [math.comb(6, k) * norm for k, norm in enumerate(exact)]
    assert values["limit_percent"] == pytest.approx(100 * sum(estimate[:4]) / sum(estimate))
    assert values["exact_percent"] == pytest.approx(100 * sum(exact[:4]) / sum(exact))
    assert values["bias_points"] == pytest.approx(values["limit_percent"] - values["exact_percent"])
    assert values["largest_log10_factor"] == pytest.approx(math.log10(20))
    assert values["largest_log10_factor_at"] == 3
    # all samples of a length are alike, so that both are above 90% in each draw, or neither
    assert (values["settled_percent"], values["enough_to_settle"]) == (100, 10)
    assert values["deviation_points"] == pytest.approx(0, abs=1e-9)


def test_the_caption_of_short_paths_alone(drawn):
    values = read_values(drawn / "forward_paths.svg")
    found = values["networks"]["resnet"]
    assert (values["seeds"], values["test_images"], found["blocks"]) == ([1, 2], 200, 6)
    assert (found["reached_at"], found["earliest"], found["latest"], found["stays_at"]) == (2.5, 2, 3, 2.5)
    assert_interval(found["full_error_percent"], [10, 12])
    assert found["half_depth_error_percent"] == 11
    assert found["largest_norm_ratio"] == pytest.approx(1.8)
    assert found["percent_in_papers_range"] == pytest.approx(100 * (0.1 + 0.5 + 0.6 - 0.3))  # lengths 0 to 3 of 6


def test_the_caption_of_paths_during_a_training(drawn):
    values = read_values(drawn / "paths_in_training.svg")
    found = values["networks"]["resnet"]
    assert (values["seeds"], values["moments"], values["steps"], found["blocks"]) == ([1, 2], 3, 10, 4)
    assert (found["start_mean_length"], found["end_mean_length"]) == (1, 2.5)
    assert (found["start_mode"], found["end_mode"], found["mode_rise"]) == (1, 2, 1)
    assert (found["start_mode_share"], found["mean_length_rise"]) == (0.25, 1.5)
    assert (found["start_gain"], found["end_gain"]) == pytest.approx(
        (0.25, 0.75)
    )  # medians of 0.1 to 0.4, and of thrice that
    assert found["end_error_percent"] == 7.5


def test_the_caption_of_depth_and_width(drawn):
    values = read_values(drawn / "deletion_scaling.svg")
    found = values["networks"]["resnet"]
    assert (values["seeds"], values["draws"], values["deleted"], values["test_images"]) == ([1, 2], 2, [1, 2], 200)
    assert [(shape["blocks"], shape["width"]) for shape in found["shapes"]] == [(2, 0.5), (2, 1), (4, 1), (16, 1)]
    assert (found["norm_slope"], found["relative_slope"]) == pytest.approx((-1, -0.5))
    assert_interval(found["slope_interval"], [-1, -1])
    assert (found["shallow_price_points"], found["deep_price_points"], found["price_fall_points"]) == (16, 2, 14)
    assert found["shapes"][2]["price_points"] == {"1": 8, "2": 16}
    assert found["shapes"][2]["branch_norm"] == 3  # of 2 and 4


def test_the_caption_of_steps_of_an_estimate(drawn):
    values = read_values(drawn / "iterative_inference.svg")
    assert (values["seeds"], values["test_images"]) == ([1, 2], 200)
    trained, drawn_anew = (values["networks"]["resnet"][weights] for weights in ("trained", "untrained"))
    assert trained["percent_descending"] == 50  # 0.05, 0, -0.05, -0.15: of four steps two
    assert trained["readout_correlation"] == -1
    assert drawn_anew["readout_correlation"] == 0  # 90, 89, 90
    assert (trained["first_readout_error_percent"], trained["last_readout_error_percent"]) == (40, 20)
    assert trained["largest_mean"] == pytest.approx(0.065)  # after the first step, off by 0.6 and by 0.7
    assert trained["deviation_correlation"] == 0  # two estimates a stage have no order


def test_the_caption_of_lesions_of_several_kinds(drawn):
    values = read_values(drawn / "lesion_kinds.svg")
    resnet, vgg = values["networks"]["resnet"], values["networks"]["vgg"]
    # of lesions of c and c / 2 points at blocks that keep the resolution, c that of the kind plus 1 or 2
    cost = {"zero": 8, "mean": 6, "resampled": 12, "reinitialised": 30, "reestimated": 4, "skip": 60}
    for kind, points in cost.items():
        expected = 0.75 * (points + 1.5)
        assert resnet["kinds"][kind]["median_increase_points"] == pytest.approx(expected), kind
    assert vgg["kinds"]["zero"]["median_increase_points"] == pytest.approx(0.75 * 29.5)
    assert vgg["kinds"]["reestimated"]["median_increase_points"] == pytest.approx(0.75 * 4.5)
    assert "skip" not in vgg["kinds"]
    assert (vgg["kinds"]["zero"]["least_position"], resnet["kinds"]["zero"]["least_position"]) == (3, 2)
    assert vgg["kinds"]["zero"]["least_error_percent"] == pytest.approx(10 + 29.5 / 2)
    assert resnet["intact_error_percent"]["mean"] == 10
    assert resnet["reestimated_error_percent"]["mean"] == 11


def test_the_caption_of_what_foretells_a_deletion(drawn):
    values = read_values(drawn / "lesion_predictors.svg")
    found = values["networks"]["resnet"]
    assert (values["seeds"], values["test_images"], found["blocks"]) == ([1, 2], 200, 5)
    assert found["first_order_correlation"] == pytest.approx((1 + 0.9) / 2)  # one pair of neighbours: 1 - 6 * 2 / 120
    assert (found["influence_correlation"], found["path_share_correlation"]) == (pytest.approx(-1), pytest.approx(-1))
    assert found["branch_ratio_correlation"] == 0  # all branches are alike
    assert (found["best"], found["best_correlation"]) == ("first_order", pytest.approx(0.95))
    assert found["intervals"]["influence"] == {"low": pytest.approx(-1), "high": pytest.approx(-1)}
    assert 0 < found["intervals"]["first_order"]["low"] < 0.95 < found["intervals"]["first_order"]["high"] <= 1
    assert found["median_price"] == pytest.approx(0.3)
    assert found["median_compensated"] == pytest.approx(-0.15)
    assert found["percent_dearer_frozen"] == pytest.approx(25)  # one of the four that others follow
    assert (found["later_change_percent"], found["share_error_percent"]) == (pytest.approx(10), pytest.approx(1))


def test_the_caption_of_the_true_ensemble(drawn):
    values = read_values(drawn / "true_ensemble.svg")
    found = values["networks"]["resnet"]
    assert (values["seeds"], values["draws"], values["test_images"]) == ([1], 3, 20)
    assert (found["members"], found["third"]) == (3, 1)
    assert (found["intact_residual_error_percent"], found["intact_ensemble_error_percent"]) == (10, 10)
    assert (found["residual_error_percent"], found["ensemble_error_percent"]) == (40, 10)
    assert found["member_error_percent"] == 10
    # 6 of 20 differ: 30 points, and Student's t for 19 degrees of freedom, 1.729, times the standard error
    assert found["equivalence_margin_points"] == pytest.approx(30 + 1.729133 * 100 * (0.3 * 0.7 / 19) ** 0.5)
    assert found["percent_ambiguity"] == pytest.approx({"residual": 20, "ensemble": 50})
    assert found["percent_ambiguity_of_members"] == pytest.approx(100)


def test_the_caption_of_a_vision_transformer(drawn):
    values = read_values(drawn / "vision_transformer.svg")
    assert (values["seeds"], values["swaps"], values["test_images"]) == ([1], 2, 200)
    both = values["networks"]["resnet"]
    assert both["transformer"]["kinds"] == {"attention_points": 2, "mlp_points": 6}
    assert (both["transformer"]["median_increase_points"], both["residual"]["median_increase_points"]) == (4, 1)
    assert both["transformer"]["percent_within_half"] == pytest.approx(200 / 3)
    assert both["mean_branches"] == {"attention": 0.5, "mlp": 0.5}


def test_the_caption_of_figure_7(drawn):
    assert read_values(drawn / "paths_left.svg") == {
        "blocks": 6,
        "deleted": [1, 3],
        "short": {"length": 1, "percent_left": pytest.approx(100 * 3 / 6)},  # 11 of 54 are 1.2 of 6
        "middle": {"length": 3, "percent_left": pytest.approx(100 * 1 / 20)},
    }


def points_of(path):
    return {one["series"]: one for one in json.loads(path.with_suffix(".json").read_text())["points"]}


def test_figure_6_names_every_curve_and_bands_those_of_single_batches(drawn):
    curves = ["one path, trained", "one path, untrained", "paths x mean norm of one", "norm of the exact sum"]
    curves += ["projection on the gradient"]
    found = points_of(drawn / "path_gradients.svg")
    assert list(found) == ["all paths, counted", *curves]
    assert {found[curve]["band_name"] for curve in curves} == {"lowest and highest batch"}
    assert found["one path, trained"]["y_name"] == "log10 of the norm of one path"
    for ending in (".svg", ".narrow.svg"):
        text = (drawn / "path_gradients").with_suffix(ending).read_text()
        for name in (*found, "the paper's range"):
            assert f">{name}<" in text, (name, ending)


def test_figure_7_shows_the_papers_network_beside_another_and_alone_if_it_is_the_same(drawn, tmp_path):
    every = json.loads((drawn / "paths_left.json").read_text())["points"]
    assert [(one["series"], one["x"][-1]) for one in every] == [
        *[(f"{deleted} deleted", 54) for deleted in (1, 10, 20)],
        *[(f"{deleted} deleted", 6) for deleted in (1, 3)],
    ]
    for deleted, one in zip((1, 10, 20), every, strict=False):
        expected = [math.comb(54 - deleted, x) / math.comb(54, x) for x in range(55)]
        assert one["y"] == pytest.approx(expected, rel=1e-9)
    rows = [(deleted, x, 0.5) for deleted in (0, 1, 10, 20) for x in range(55)]
    table = write_csv(tmp_path / "resnet.csv", ["deleted_blocks", "length", "fraction_left"], rows)
    draw("paths_left", [table], tmp_path / "figure.svg")
    every = json.loads((tmp_path / "figure.json").read_text())["points"]
    assert [(one["series"], set(one["y"])) for one in every] == [(f"{n} deleted", {0.5}) for n in (1, 10, 20)]


def test_figure_5b_says_of_how_many_draws_each_point_is(tmp_path):
    header = ["network", "seed", "swaps", "draw", "kendall_tau", "test_images", "error_percent"]
    taus = {0: [1.0], 1: [0.9, 0.9, 0.8], 2: [0.9, 0.9], 3: [0.7, 0.6, 0.5, 0.5]}  # medians 1, 0.9, 0.9, 0.55
    rows = [("resnet", 1, k, draw, tau, 50, 10 * k) for k, found in taus.items() for draw, tau in enumerate(found, 1)]
    draw("reordering", [write_csv(tmp_path / "resnet.csv", header, rows)], tmp_path / "figure.svg")
    found = points_of(tmp_path / "figure.svg")
    assert found["resnet, median and quartiles"]["x"] == [0.55, 0.9, 1]
    assert len(found["resnet, one draw"]["x"]) == len(rows)
    for ending in (".svg", ".narrow.svg"):
        text = (tmp_path / "figure").with_suffix(ending).read_text()
        assert [text.count(f">{n}<") for n in ("n = 1", "5", "4")] == [1, 1, 1], ending


@pytest.mark.parametrize(("wrong", "first", "last"), [((1, 4), 4, 25), ((4, 10), 4.88, 62.5), ((0, 0), 0, 7.625)])
def test_the_axis_of_the_test_errors_ends_where_they_do(tmp_path, wrong, first, last):
    """Of 20 images, so many wrong, which is 5 percent each; the paper's 6.1 percent is in the figure as well."""
    header = ["network", "seed", "convention", "image", "label", "predicted"]
    rows = [
        ("resnet", seed, "scaled", image, 0, int(image < n)) for seed, n in enumerate(wrong, 1) for image in range(20)
    ]
    (panel,) = drawing_of("short_training").draw([write_csv(tmp_path / "all.csv", header, rows)], "demo").figure.axes
    assert panel.get_xlim() == pytest.approx((first, last))
    marks = [line for line in panel.lines if line.get_label() == "resnet, scaled"]
    assert [mark.get_alpha() for mark in marks] == [None]  # opaque
    assert len(set(marks[0].get_ydata())) == len(wrong)  # none hides another


def test_the_caption_of_the_test_errors(drawn):
    values = read_values(drawn / "short_training.svg")
    assert_interval(values["networks"]["resnet"]["scaled"], [5, 10])
    assert_interval(values["networks"]["effective-paths"]["scaled"], [10, 15])
    assert values["networks"]["effective-paths"]["unscaled"]["mean"] == 100
    (pair,) = values["pairs"]
    assert (pair["first"], pair["second"]) == ("effective-paths", "resnet")
    assert pair["seeds"] == {
        str(seed): {"only_first_wrong": 1, "only_second_wrong": 0, "log10_p": 0} for seed in (1, 2)
    }


def test_the_caption_of_the_class_overview(tmp_path):
    classes = [f"class {label}" for label in range(12)]
    paths = prepared_data(tmp_path, classes, shape=(4, 4, 3), labels=[*range(12), 0, 11])
    draw("class_overview", paths, tmp_path / "figure.svg")
    assert read_values(tmp_path / "figure.svg") == {"classes": 12, "shown_classes": 10, "shown_images": 5}
    svg = (tmp_path / "figure.svg").read_text()
    assert ">class 9<" in svg
    assert ">class 10<" not in svg
