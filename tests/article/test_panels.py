"""What a figure rests on, from records: the tree of jobs, the keys that decided it, its script; and the panels."""

import json
import sys

import pytest
import yaml
from article_helpers import ROOT, RUN, figures

from unravel.article import panels
from unravel.config import flat
from unravel.files import sha256
from unravel.run import parse_config, read_config
from unravel.training import checkpoints

SETTINGS = parse_config(
    {
        "run": "test",
        "scale": "ci",
        "dataset": {"source": "digits"},
        "networks": {"resnet": {"architecture": "resnet"}, "vgg": {"architecture": "vgg", "channels": 8}},
        "training": {"epochs": 3},
        "deletions": {"figure_8": ["resnet"]},
    }
)


def job(inputs, outputs, seconds=1.0):
    """A record of a job, in what matters here."""
    hashes = {path: {"sha256": path, "bytes": 1} for path in (*inputs, *outputs)}
    return {
        "command": "python scripts/some.py",
        "inputs": {path: hashes[path] for path in inputs},
        "outputs": {path: hashes[path] for path in outputs},
        "seconds": seconds,
    }


SCRIPT = "scripts/unravel/studies/single_deletion/figure.py"
RECORDS = {
    "data/digits": job([], ["images"], 1),
    **{f"checkpoints/{net}/seed{k}": job(["images"], [f"{net}{k}"], 10) for net in ("resnet", "vgg") for k in (1, 2)},
    **{f"measurements/deletions/resnet-seed{k}": job([f"resnet{k}", "images"], [f"table{k}"], 100) for k in (1, 2)},
    "figures/single-deletion": job([SCRIPT, "table1", "table2"], ["svg"], 1000),
}


def test_jobs_that_differ_by_their_seed_stand_together():
    (measured,) = panels.ancestors(["figures/single-deletion"], RECORDS)
    assert measured["name"] == "measurements/deletions/resnet"
    assert measured["jobs"] == ["measurements/deletions/resnet-seed1", "measurements/deletions/resnet-seed2"]
    trained, prepared = measured["ancestors"]
    assert (trained["name"], trained["jobs"]) == (
        "checkpoints/resnet",
        ["checkpoints/resnet/seed1", "checkpoints/resnet/seed2"],
    )
    assert prepared == {"name": "data/digits", "jobs": ["data/digits"], "ancestors": []}
    assert trained["ancestors"] == [prepared]


def test_a_panel_counts_what_the_figure_rests_on_and_nothing_else():
    panel = panels.panel("figures/single-deletion", SETTINGS, RECORDS)
    assert (panel["jobs"], panel["seconds"]) == (6, 1000 + 2 * 100 + 2 * 10 + 1)
    keys = {row["key"] for row in panel["settings"]}
    assert "networks.resnet.channels" in keys
    assert "evaluation.batch_size" in keys
    assert not any(key.startswith(("networks.vgg", "gradients", "execution", "random_deletions")) for key in keys)


def test_keys_that_differ_from_their_default_come_first():
    rows = panels.deciding_settings(SETTINGS, ["checkpoints/vgg/seed1"])
    changed = [row["key"] for row in rows if row["changed"]]
    assert changed == ["scale", "networks.vgg.architecture", "networks.vgg.channels", "training.epochs"]
    assert [row["key"] for row in rows[: len(changed)]] == changed
    assert {row["key"]: row["value"] for row in rows}["training.momentum"] == 0.9


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("data/digits", "dataset"),
        ("measurements/gradients/resnet-seed1", "gradients"),
        ("measurements/random_deletions/resnet-seed1", "random_deletions"),
        ("measurements/predictions/vgg-seed1", "evaluation"),
        ("measurements/paths/resnet", "networks.resnet"),
    ],
)
def test_each_kind_of_job_has_its_keys(name, section):
    keys = [row["key"] for row in panels.deciding_settings(SETTINGS, [name])]
    assert any(key.startswith(section + ".") for key in keys)


@pytest.mark.parametrize(
    ("path", "maker", "source", "words"),
    [
        ("a.safetensors", "checkpoints/resnet/seed1", "digits", "trained here"),
        ("a.safetensors", None, "digits", "downloaded"),
        ("a.csv", "measurements/deletions/x", "digits", "measured here"),
        ("manifest.json", "data/digits", "digits", "prepared here, bundled data"),
        ("manifest.json", "data/cifar10", "cifar10", "prepared here, downloaded"),
        ("train.npz", None, "arrays", "your data"),
        ("code.py", None, "cifar10", "code"),
    ],
)
def test_a_file_says_where_it_comes_from(path, maker, source, words):
    assert panels.origin({"path": path, "maker": maker}, source) == words


def test_a_script_that_has_changed_is_not_shown():
    record = job([SCRIPT], [])
    assert panels.script_of(record)["source"] is None
    record["inputs"][SCRIPT]["sha256"] = sha256(ROOT / SCRIPT)
    assert panels.script_of(record)["source"] == (ROOT / SCRIPT).read_text()
    gone = "scripts/unravel/studies/gone/figure.py"
    assert panels.script_of(job([gone], []))["source"] is None


# --- on the page ----------------------------------------------------------------------------------------------------


def entries(figure, slug):
    """A provenance panel's definition list: terms and what they say."""
    children = figure.by_id(f"origin-{slug}").children
    return {term.words: meaning for term, meaning in zip(children[::2], children[1::2], strict=True)}


def test_a_panel_says_all_there_is_to_know(page):
    for slug, figure in figures(page).items():
        record = json.loads((RUN / f"jobs/figures/{slug}.json").read_text())
        said = entries(figure, slug)
        assert list(said) == ["Job", "Code", "Environment", "Time", "Outputs", "Rests on"]
        assert said["Job"].all("code")[0].text == record["command"]
        (source,) = said["Code"].with_class("source")
        path = next(path for path in record["inputs"] if path.endswith(".py"))
        assert source.text == (ROOT / path).read_text()
        assert record["environment"]["lock_sha256"] in said["Environment"].words
        assert f"pandas {record['environment']['versions']['pandas']}" in said["Environment"].words
        assert f"peak memory {record['peak_memory_mb']} MB" in said["Time"].words
        assert {code.text for code in said["Outputs"].with_class("hash")} == {
            described["sha256"] for described in record["outputs"].values()
        }
        assert "snakemake figure_" in figure.with_class("redraw")[0].words


def test_the_graph_of_a_figure_names_its_ancestors_and_links_each(page):
    graph = entries(figures(page)["single-deletion"], "single-deletion")["Rests on"]
    linked = {link.attributes["href"] for link in graph.all("a")}
    assert linked == {
        "#job-data-arrays",
        *(f"#job-checkpoints-{network}-seed1" for network in ("resnet", "vgg")),
        *(f"#job-measurements-deletions-{network}-seed1" for network in ("resnet", "vgg")),
    }
    assert entries(figures(page)["class-overview"], "class-overview")["Rests on"].all("a")[0].attributes["href"] == (
        "#job-data-arrays"
    )


def test_a_panel_shows_changed_keys_of_the_resolved_config_first(page):
    rows = figures(page)["random-deletion"].all("table")[1].all("tbody")[0].all("tr")
    shown = {row.all("td")[0].words: row.all("td")[1].words for row in rows}
    resolved = flat(yaml.safe_load((RUN / "config.yaml").read_text()))
    assert shown["random_deletions.draws"] == str(resolved["random_deletions.draws"])
    assert {key for key in flat(read_config(RUN / "config.yaml").model_dump()) if key.startswith("training.")} <= set(
        shown
    )
    changed = [row.attributes.get("class") == "changed" for row in rows]
    assert changed == sorted(changed, reverse=True)
    assert [row.all("td")[2].words for row in rows] == ["no" if one else "yes" for one in changed]


def test_the_snippet_on_a_card_loads_the_checkpoint(page, monkeypatch):
    monkeypatch.setattr("sys.path", list(sys.path))
    for name in ("resnet", "vgg", "effective-paths", "stochastic-depth"):
        card = page.by_id(f"card-{name}-seed1")
        record = json.loads((RUN / f"jobs/checkpoints/{name}/seed1.json").read_text())
        found = {}
        exec(card.with_class("load")[0].text, found)
        assert found["card"] == checkpoints.load(RUN / f"checkpoints/{name}/seed1.safetensors")[1]
        assert found["card"].test_error_percent == record["facts"]["test_error_percent"]
        terms = [term.words for term in card.all("dt")]
        assert terms == ["Architecture", "Recipe", "Seed", "Data", "File", "Trained by", "Licence", "Load it"]
        assert f"{sum(p.numel() for p in found['network'].parameters()):,} parameters" in card.words
        assert sha256(RUN / f"checkpoints/{name}/seed1.safetensors") in card.words
        assert found["card"].dataset_sha256 in card.words
