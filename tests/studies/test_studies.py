"""Every study that is registered: its parts are what they should be, and what has to be unique is."""

import ast
import importlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from unravel.article import pages
from unravel.evidence import claims
from unravel.studies import FIGURES, MEASURED, STUDIES
from unravel.studies.deciding import Statistic

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = "claims.yaml"
SHARED = ("base", "deciding", "measuring", "paper", "style")  # of unravel.studies: what any study may use


def modules(study):
    """The names of a study's Python parts, without `__init__`."""
    return [path.stem for path in study.folder.glob("*.py") if path.stem != "__init__"]


def imported(file):
    """The full names of all that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def each_study(part=None):
    """A test's argument `study`: all of them, or those that have a part."""
    found = [study for study in STUDIES.values() if part is None or study.has(part)]
    return pytest.mark.parametrize("study", found, ids=lambda study: study.name)


def test_every_folder_is_a_study_and_has_no_other_name():
    folders = {path.parent.name for path in (ROOT / "scripts" / "unravel" / "studies").glob("[a-z]*/*.*")}
    assert set(STUDIES) == folders
    assert all(study.name == name and study.folder.name == name for name, study in STUDIES.items())


def test_extra_figures_are_lettered_in_the_order_of_the_article():
    in_order = sorted(FIGURES.values(), key=lambda found: found[0].order)
    extra = [figure.label for _, figure in in_order if not figure.original]
    assert extra == [f"Extra figure {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(extra)]]
    assert len(extra) >= 4
    assert all(figure.label.startswith("Figure ") for _, figure in FIGURES.values() if figure.original)


def test_only_measuring_a_trained_network_needs_torch():
    parts = [
        study.module(name)
        for study in STUDIES.values()
        for name in modules(study)
        if name != "measure" or not study.measurement.trained
    ]
    assert len(parts) > len(STUDIES)
    program = f"import sys, unravel.run, unravel.article.build, {', '.join(parts)}; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    assert subprocess.run([sys.executable, "-c", program], env=environment, timeout=60).returncode == 0


@each_study()
def test_a_study_imports_no_other(study):
    for file in study.folder.glob("*.py"):
        for name in imported(file):
            if f"{name}.".startswith("unravel.studies."):
                assert name.split(".")[2:3] in [[used] for used in (study.name, *SHARED)], f"{file} imports {name}"


@each_study()
def test_a_study_has_those_parts_that_it_says(study):
    assert (study.measurement is not None) == study.has("measure.py")
    assert (study.settings is not None) == study.has("settings.py")
    if study.figure:
        assert STUDIES[study.figure.drawn_by or study.name].has("figure.py")
    else:
        assert not study.has("figure.py")


@each_study()
def test_a_figure_is_drawn_from_what_is_measured(study):
    inputs = study.figure.inputs if study.figure else ()
    assert set(inputs) <= {*MEASURED, "manifest", "histories"}
    assert len(set(inputs)) == len(inputs)


@each_study("section.html")
def test_a_section_is_a_template_and_has_results_to_wait_for(study):
    pages.template(ROOT / "report", f"{study.name}/section.html")  # which knows its syntax and its filters
    assert study.results
    assert set(study.results) <= set(FIGURES)


@each_study(CLAIMS)
def test_claims_can_be_read_and_name_figures(study):
    stated = claims.read(study.folder / CLAIMS)
    assert stated
    assert {claim.figure for claim in stated} <= {None, *FIGURES}


@each_study("values.py")
def test_statistics_rest_on_what_is_measured(study):
    for statistic in importlib.import_module(study.module("values")).STATISTICS.values():
        assert isinstance(statistic, Statistic)
        assert set(statistic.studies) <= set(MEASURED)


def test_what_has_to_be_unique_is():
    every = list(STUDIES.values())
    figures = [study.figure for study in every if study.figure]
    own = yaml.safe_load((ROOT / "report" / "parts.yaml").read_text(encoding="utf-8"))
    statistics = [
        importlib.import_module(study.module("values")).STATISTICS for study in every if study.has("values.py")
    ]
    unique = {
        "key": [study.key for study in every],
        "order": [*(study.order for study in every), *(part["order"] for part in own)],
        "section": [*(study.section for study in every), *(part["id"] for part in own)],
        "slug": [figure.slug for figure in figures],
        "number": [figure.number for figure in figures],
        "label": [figure.label for figure in figures],
        "claim": [claim.id for study in every if study.has(CLAIMS) for claim in claims.read(study.folder / CLAIMS)],
        "statistic": list(itertools.chain.from_iterable(statistics)),
    }
    for what, values in unique.items():
        assert len(set(values)) == len(values) > 0, what


def test_no_two_studies_draw_the_same_random_numbers():
    """A seed of two numbers, the last of them zero, is that of the weights: no study that draws may have the key 0."""
    trained = [study for study in MEASURED.values() if study.measurement.trained and study.name != "single_deletion"]
    keys = [study.random_key for study in trained]
    assert len({0, *keys}) == 1 + len(keys)
    assert all(0 < key < 2**32 for key in keys)
