"""The config: every mistake gets one line that names the key, and a job depends on its own keys only."""

from pathlib import Path

import pytest
import yaml

from unravel import config
from unravel.files import InputError
from unravel.run import parse_config, read_config, to_yaml
from unravel.studies import MEASURED

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = {
    "run": "demo",
    "scale": "demo",
    "dataset": {"source": "digits"},
    "networks": {"resnet": {"architecture": "resnet"}, "vgg": {"architecture": "vgg"}},
    "deletions": {"figure_8": ["resnet"]},
}


def resnet(**changes):
    return {"networks": {**MINIMAL["networks"], "resnet": {"architecture": "resnet", **changes}}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sedes": [1]}, "config: top level: unknown key 'sedes'; did you mean 'seeds'?"),
        (
            {"training": {"lerning_rate": 1}},
            "config: training: unknown key 'lerning_rate'; did you mean 'learning_rate'?",
        ),
        ({"training": {"zzz": 1}}, "config: training: unknown key 'zzz'; known keys are epochs, batch_size"),
        ({"seeds": [1, 2, 1]}, "config: seeds: seed 1 is listed more than once"),
        ({"seeds": []}, "config: seeds: Tuple should have at least 1 item"),
        ({"seeds": [-1]}, "config: seeds.0: Input should be greater than or equal to 0 (given: -1)"),
        (resnet(blocks_per_stage=[]), "config: networks.resnet.blocks_per_stage: Tuple should have at least 1 item"),
        (
            resnet(blocks_per_stage=[2, 0, 2]),
            "config: networks.resnet.blocks_per_stage.1: Input should be greater than",
        ),
        (resnet(blocks_per_stage=[2, 2]), "config: networks.resnet: 2 stages in blocks_per_stage, 3 in channels"),
        (
            resnet(block_sampling={"scheme": "exactly", "blocks": 55}),
            "config: networks.resnet: block_sampling.blocks is 55, but there are only 54 blocks",
        ),
        ({"networks": {}}, "config: networks: Dictionary should have at least 1 item"),
        ({"networks": {"a b": {"architecture": "vgg"}}}, "config: networks.a b: String should match pattern"),
        (
            {"networks": {**MINIMAL["networks"], "vgg": {"architecture": "vgg", "layers_per_stage": [1]}}},
            "config: networks.vgg: one layer in layers_per_stage, expected at least 2",
        ),
        (
            {"deletions": {"figure_3": ["resnet", "alexnet"]}},
            "deletions names network 'alexnet'; networks has resnet, vgg",
        ),
        (
            {"random_deletions": {"most": 55}},
            "random_deletions.most is 55, but resnet has only 54 blocks to delete",
        ),
        (
            {"reorderings": {"test_images": 0}},
            "config: reorderings.test_images: Input should be greater than or equal to 1 (given: 0)",
        ),
        ({"gradients": {"network": "vgg"}}, "gradients.network is 'vgg', which is not of architecture resnet"),
        ({"dataset": {"source": "folder"}}, "config: dataset.path: Field required"),
        (
            {"dataset": {"source": "imagenet", "path": ".", "mean": [0.5, 0.5]}},
            "config: dataset.mean.2: Field required",
        ),
        ({"training": {"learning_rate": "fast"}}, "config: training.learning_rate: Input should be a valid number"),
        (
            {"training": {"learning_rate": float("nan")}},
            "config: training.learning_rate: Input should be a finite number",
        ),
        ({"training": {"milestones": [0.5, 0.5]}}, "config: training.milestones: milestones [0.5, 0.5] must rise"),
        ({"training": {"batch_size": 1}}, "config: training.batch_size: Input should be greater than or equal to 2"),
    ],
)
def test_a_mistake_gets_a_line_that_names_it(changes, message):
    with pytest.raises(InputError) as caught:
        parse_config({**MINIMAL, **changes})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_mistakes_get_two_lines():
    with pytest.raises(InputError) as caught:
        parse_config({**MINIMAL, "seeds": [1, 1], "training": {"epochs": 0}})
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_configs_are_valid_and_survive_a_round_trip(path):
    settings = read_config(path)
    assert parse_config(yaml.safe_load(to_yaml(settings))) == settings


def test_defaults_are_the_papers_recipe():
    settings = parse_config(MINIMAL)
    assert settings.networks["resnet"].n_blocks == 54
    assert settings.training.epochs == 164
    assert settings.training.learning_rate == 0.1
    assert settings.training.weight_decay == 1e-4


def test_survival_falls_linearly_to_its_last_value():
    survival = config.LinearSurvival(scheme="linear", final_survival=0.5).survival(54)
    assert survival[0] == pytest.approx(1 - 1 / 54 * 0.5)
    assert survival[-1] == 0.5
    assert survival[26] == 0.75


@pytest.mark.parametrize(
    ("changes", "retrained", "measured_again"),
    [
        ({"training": {"learning_rate": 0.2}}, {"resnet", "vgg"}, set()),
        (resnet(blocks_per_stage=[8, 8, 8]), {"resnet"}, set()),
        ({"evaluation": {"batch_size": 7}}, set(), {"deletions", "random_deletions", "reorderings"}),
        ({"random_deletions": {"draws": 7}}, set(), {"random_deletions"}),
        ({"reorderings": {"most": 7}}, set(), {"reorderings"}),
        ({"random_deletions": {"test_images": 7}}, set(), {"random_deletions"}),
        ({"reorderings": {"test_images": None}}, set(), set()),
        ({"gradients": {"batches": 7}}, set(), {"gradients"}),
        ({"deletions": {"figure_3": ["resnet"], "figure_8": ["resnet"]}}, set(), set()),
        ({"seeds": [1, 2, 3, 4]}, set(), set()),
        ({"execution": {"checkpoint_every": 1}}, set(), set()),
        ({"dataset": {"source": "digits", "note": "Small."}}, set(), set()),
    ],
)
def test_a_key_changes_only_the_parts_that_depend_on_it(changes, retrained, measured_again):
    before, after = parse_config(MINIMAL), parse_config({**MINIMAL, **changes})

    def parts(settings):
        keys = ("deletions", "random_deletions", "reorderings", "gradients")
        return {key: MEASURED[key].measurement.decides(settings, "resnet") for key in keys}

    assert before.dataset_part() == after.dataset_part()
    assert {name for name in before.networks if before.training_part(name) != after.training_part(name)} == retrained
    assert {name for name, part in parts(before).items() if part != parts(after)[name]} == measured_again


OTHER_RECIPE = {
    "epochs": 7,
    "batch_size": 64,
    "parts": 2,
    "learning_rate": 0.2,
    "milestones": [0.4],
    "warmup_steps": 7,
    "warmup_learning_rate": 0.02,
    "momentum": 0.8,
    "weight_decay": 0.001,
    "precision": "fp32",
    "augmentation.pad": 2,
    "augmentation.flip": False,
    "augmentation.crop_area": 0.5,
}


@pytest.mark.parametrize(("key", "value"), OTHER_RECIPE.items())
def test_every_key_of_the_recipe_decides_a_checkpoint(key, value):
    section, _, inner = key.partition(".")
    after = parse_config({**MINIMAL, "training": {section: {inner: value} if inner else value}})
    parts = (settings.training_part("resnet")["training"] for settings in (parse_config(MINIMAL), after))
    was, now = map(config.flat, parts)
    assert {name for name in was | now if was.get(name) != now.get(name)} == {key}
    assert now[key] == value


def test_no_key_of_the_recipe_was_forgotten():
    fields = config.Training.model_fields
    inner = {f"augmentation.{name}" for name in config.Augmentation.model_fields}
    assert set(OTHER_RECIPE) == set(fields) - {"augmentation"} | inner


def test_a_network_with_epochs_of_its_own_is_trained_for_so_many():
    networks = {**MINIMAL["networks"], "vgg": {"architecture": "vgg", "epochs": 10}}
    settings = parse_config({**MINIMAL, "networks": networks, "training": {"epochs": 41}})
    trained = {name: settings.training_part(name) for name in networks}
    assert {name: part["training"]["epochs"] for name, part in trained.items()} == {"resnet": 41, "vgg": 10}
    same = parse_config({**MINIMAL, "training": {"epochs": 10}})  # said in either place, it is the same training
    assert trained["vgg"] == same.training_part("vgg")


def test_files_that_are_no_config(tmp_path):
    (tmp_path / "broken.yaml").write_text("a: [1")
    (tmp_path / "list.yaml").write_text("- 1")
    for name, message in [
        ("broken.yaml", "not valid YAML"),
        ("list.yaml", "holds list"),
        ("none.yaml", "is missing"),
    ]:
        with pytest.raises(InputError, match=message):
            read_config(tmp_path / name)
