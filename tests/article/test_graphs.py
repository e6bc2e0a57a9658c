"""Graphs of jobs: every job is in one box, edges say what rests on what and nothing twice, and boxes do not touch."""

import itertools
import json

import pytest
from article_helpers import RUN, figures, sections

from unravel.article import graphs
from unravel.evidence import lineage


def record(script, inputs, outputs):
    return {
        "command": f"python scripts/{script}.py",
        "inputs": dict.fromkeys(inputs),
        "outputs": dict.fromkeys(outputs),
    }


RECORDS = {
    "data/digits": record("prepare_data", [], ["images"]),
    **{
        f"checkpoints/{network}/seed{seed}": record("train", ["images"], [f"{network}{seed}"])
        for network in ("resnet", "vgg")
        for seed in (1, 2)
    },
    "measurements/deletions/resnet-seed1": record("measure", ["resnet1", "images", "code.py"], ["table"]),
    "measurements/paths/resnet": record("measure", [], ["counts"]),
    "figures/one": record("draw_figure", ["table", "counts", "module.py"], ["one.svg"]),
    "figures/two": record("draw_figure", ["table"], ["two.svg"]),
}
FIGURE = ["figures/one", "measurements/deletions/resnet-seed1", "measurements/paths/resnet",
          "checkpoints/resnet/seed1", "checkpoints/resnet/seed2", "data/digits"]  # fmt: skip


def edges(graph):
    return {(source.name, target.name) for source, target in graph.edges}


def test_a_figures_graph_has_its_jobs_by_what_they_are_about():
    graph = graphs.graph(FIGURE, RECORDS, graphs.by_part)
    assert {(node.script, node.words): node.jobs for node in graph.nodes} == {
        ("prepare_data", "digits"): ("data/digits",),
        ("train", "resnet × 2"): ("checkpoints/resnet/seed1", "checkpoints/resnet/seed2"),
        ("measure", "deletions/resnet"): ("measurements/deletions/resnet-seed1",),
        ("measure", "paths/resnet"): ("measurements/paths/resnet",),
        ("draw_figure", "one"): ("figures/one",),
    }
    assert edges(graph) == {  # and not from the data to the lesions: the training says that
        ("prepare_data-digits", "train-resnet"),
        ("train-resnet", "measure-deletions-resnet"),
        ("measure-deletions-resnet", "draw_figure-one"),
        ("measure-paths-resnet", "draw_figure-one"),
    }


def test_the_graph_of_everything_has_a_box_for_each_script():
    graph = graphs.graph(RECORDS, RECORDS, graphs.by_script)
    assert {node.name: node.words for node in graph.nodes} == {
        "prepare_data": "", "train": "× 4", "measure": "× 2", "draw_figure": "× 2"
    }  # fmt: skip
    layers = [
        [node.script for node in layer] for _, layer in itertools.groupby(graph.nodes, key=lambda node: node.left)
    ]
    assert layers == [["prepare_data"], ["train"], ["measure"], ["draw_figure"]]


@pytest.mark.parametrize("kind", [graphs.by_part, graphs.by_script])
def test_boxes_stand_apart_and_edges_lead_to_the_right(kind):
    graph = graphs.graph(RECORDS, RECORDS, kind)
    assert all(source.left + source.width < target.left for source, target in graph.edges)
    for one, other in itertools.combinations(graph.nodes, 2):
        beside = one.left + one.width < other.left or other.left + other.width < one.left
        assert beside or abs(one.top - other.top) > 40
    assert all(node.left >= 0 and node.left + node.width <= graph.width for node in graph.nodes)
    assert all(node.top >= 0 and node.top + 40 <= graph.height for node in graph.nodes)


# --- on the page ----------------------------------------------------------------------------------------------------


def drawn(element):
    """The jobs of each box of the graph in an element, by where the box leads."""
    (graph,) = element.with_class("graph")
    return {link.attributes["href"]: link.attributes["data-jobs"].split() for link in graph.all("a")}


def test_a_figures_graph_shows_its_ancestors_and_no_other_job(page):
    records = lineage.read_records(RUN / "jobs")
    for slug, figure in figures(page).items():
        found = drawn(figure)
        makers = {file["maker"] for file in lineage.trace(records[f"figures/{slug}"], records)} - {None}
        jobs = [job for of_box in found.values() for job in of_box]
        assert len(jobs) == len(set(jobs))
        assert set(jobs) == {*makers, f"figures/{slug}"}
        for target, of_box in found.items():
            assert target == f"#job-{of_box[0].replace('/', '-')}"
            assert page.by_id(target[1:]).tag == "tr"


def test_the_graph_of_the_pipeline_leads_to_all_jobs(page):
    section = sections(page)["provenance"]
    records = {path.relative_to(RUN / "jobs").with_suffix("").as_posix(): json.loads(path.read_text())
               for path in (RUN / "jobs").rglob("*.json")}  # fmt: skip
    found = drawn(section)
    assert sorted(job for of_box in found.values() for job in of_box) == sorted(records)
    for target, of_box in found.items():
        (kind,) = {graphs.by_script(job, records) for job in of_box}
        assert target == "#jobs-" + "-".join(filter(None, kind))
        assert page.by_id(target[1:]).tag == "details"
    ids = [entry.attributes.get("id") or "" for entry in section.all("tr")]
    listed = [one for one in ids if one.startswith("job-")]
    assert listed == [f"job-{job.replace('/', '-')}" for of_box in found.values() for job in of_box]
