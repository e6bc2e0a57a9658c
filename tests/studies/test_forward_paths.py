"""The logits by path length against every path of a small network, and what the study says of them by hand."""

import itertools

import pandas as pd
import pytest
import torch
from run_helpers import ROOT

from unravel.data.batches import random_generator
from unravel.engine.gates import freeze
from unravel.engine.wiring import delete
from unravel.files import InputError
from unravel.run import parse_config, read_config
from unravel.studies.forward_paths import TABLE
from unravel.studies.forward_paths import measure as measuring
from unravel.studies.forward_paths.measure import measure
from unravel.studies.forward_paths.settings import ForwardPaths
from unravel.studies.forward_paths.values import in_one_seed, summary
from unravel.tables import read_whole, write

BLOCKS = range(5)


def logits_of_paths(network, inputs):
    """The logits that each path alone carries, from all subsets of branches in float64, by the path."""
    frozen, found = freeze(network, inputs), {}
    for length in range(6):
        for path in itertools.combinations(BLOCKS, length):
            all_within = frozen(inputs, delete(frozen.intact, set(BLOCKS) - set(path)))
            shorter = (part for part in found if set(part) < set(path))
            found[path] = all_within - sum(found[part] for part in shorter)
    return found


@pytest.fixture
def network(make_network):
    network = make_network()
    for block in network.blocks:
        block.conv2.weight.data *= 2  # so that long paths weigh enough to change what the short ones say
    return network


@torch.no_grad()
def test_errors_and_shares_are_those_of_all_paths_enumerated(network, make_split, make_images, monkeypatch):
    split = make_split(n=40)
    images, labels = next(split.batches(40))
    alone = logits_of_paths(network, images.double())
    parts = torch.stack([sum(part for path, part in alone.items() if len(path) == length) for length in range(6)])
    expected = [int((parts[: length + 1].sum(0).argmax(1) != labels).sum()) for length in range(6)]
    centred = parts - parts.mean(2, keepdim=True)
    whole = centred.sum(0)
    shares = ((centred * whole).sum(2) / (whole * whole).sum(1)).mean(1)
    ratios = (centred.norm(dim=2) / whole.norm(dim=1)).mean(1)

    monkeypatch.setattr(measuring, "BATCH", 17)
    tables, facts = measure(network.float(), make_images(test=split), ForwardPaths(), random_generator(1))
    table = tables[""]
    assert table.length.tolist() == list(range(6))
    assert table.wrong_images.tolist() == expected
    assert len(set(expected)) > 3
    assert table.share.tolist() == pytest.approx(shares.tolist(), abs=1e-4)
    assert table.norm_ratio.tolist() == pytest.approx(ratios.tolist(), rel=1e-3)
    assert table.share.sum() == pytest.approx(1, abs=1e-5)
    assert 0 < facts["largest_sum_error"] == table.sum_error[0] < 1e-5


def test_all_paths_classify_as_the_network_does(network, make_split, make_images, tmp_path):
    split = make_split(n=40)
    tables, _ = measure(network.float(), make_images(test=split), ForwardPaths(test_images=20), random_generator(1))
    every = torch.arange(20) * 2  # of four classes of ten that take turns: see test_random_lesions.py
    by_class = torch.argsort(split.labels, stable=True)[every]
    with torch.inference_mode():
        wrong = int((network(split.normalised(by_class)).argmax(1) != split.labels[by_class]).sum())
    assert tables[""].wrong_images.iloc[-1] == wrong
    assert set(tables[""].test_images) == {20}
    write(tmp_path / "table.csv", tables[""].assign(network="resnet", seed=1))
    read_whole(tmp_path / "table.csv", TABLE)


def test_what_a_seed_says_is_read_off_its_lengths():
    errors = [90.0, 50.0, 10.5, 30.0, 11.0, 10.6, 10.0]
    rows = pd.DataFrame(
        {
            "network": "resnet",
            "seed": 1,
            "length": range(7),
            "error_percent": errors,
            "test_images": 200,
            "share": [0.0, 0.1, 0.2, 0.9, -0.3, 0.1, 0.0],
            "norm_ratio": [0.0, 1.0, 2.0, 3.5, 1.0, 0.5, 0.1],
            "sum_error": 1e-7,
        }
    )
    found = in_one_seed(rows.sample(frac=1, random_state=1))
    # 10.5 is the first within a point of 10; after it 30 is not, and 11 and all after it are
    assert (found["reached_at"], found["reached_share"], found["stays_at"]) == (2, pytest.approx(1 / 3), 4)
    assert (found["half_depth_error_percent"], found["most_at"]) == (30, 3)
    assert found["percent_in_papers_range"] == pytest.approx(100 * (0.1 + 0.2 + 0.9))  # lengths 0 to 3 of 6 blocks
    both = pd.concat([rows, rows.assign(seed=2, error_percent=[90, 90, 90, 90, 90, 10.9, 10.0])])
    network = summary(both)["networks"]["resnet"]
    assert (network["earliest"], network["latest"], network["reached_at"]) == (2, 5, 3.5)
    assert network["full_error_percent"].mean == 10


def config(**change):
    return read_config(ROOT / "config" / "ci.yaml").model_dump(mode="json") | change


def test_networks_whose_gates_cannot_be_frozen_are_refused_with_the_config():
    pretrained = {"architecture": "pretrained", "name": "timm:resnetv2_50", "blocks": 16}
    networks = config()["networks"] | {"library": pretrained}
    for name in ("vgg", "library"):
        with pytest.raises(
            InputError, match=rf"forward_paths names network '{name}', whose gates .*; name networks of"
        ):
            parse_config(config(networks=networks, forward_paths={"networks": ["resnet", name]}))
    networks["library"]["name"] = "torchvision:resnet18"
    parse_config(config(networks=networks, forward_paths={"networks": ["resnet", "library"]}))


def test_more_test_images_than_there_are_are_refused(network, make_split, make_images):
    with pytest.raises(InputError, match=r"forward_paths\.test_images is 41, expected at most the 40"):
        measure(network, make_images(test=make_split(n=40)), ForwardPaths(test_images=41), random_generator(1))
