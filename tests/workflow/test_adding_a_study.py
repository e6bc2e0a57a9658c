"""docs/adding-a-study.md: its worked example, written into a checkout and run there."""

import json
import re
import shutil

from workflow_helpers import ROOT, RUN, begin, finish

PAGE = (ROOT / "docs" / "adding-a-study.md").read_text(encoding="utf-8")
FOLDER = "scripts/unravel/studies/branch_norms"


def example():
    """The files of the example, by their paths."""
    return dict(re.findall(r"^`(scripts/\S+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


def test_the_example_is_one_folder_with_every_part():
    parts = {"__init__.py", "settings.py", "measure.py", "figure.py", "values.py", "claims.yaml", "section.html"}
    assert set(example()) == {f"{FOLDER}/{part}" for part in parts}


def test_the_example_measures_draws_and_is_judged_without_a_change_elsewhere(finished_ci, tmp_path):
    checkout = tmp_path / "unravel"
    shutil.copytree(finished_ci, checkout, copy_function=shutil.copyfile)
    (checkout / FOLDER).mkdir()
    for path, text in example().items():
        (checkout / path).write_text(text, encoding="utf-8")
    wanted = ("figure_norms", "claims", "report", "--config", "branch_norms={networks: [resnet]}")
    said = finish(begin(checkout, *wanted, "--cores", "2", "--rerun-triggers", "input"))
    assert not re.search(r"^rule (train|measure_single_deletion):", said, re.MULTILINE)
    values = json.loads((checkout / RUN / "figures" / "branch-norms.json").read_text())
    (judged,) = [
        one for one in json.loads((checkout / RUN / "claims.json").read_text()) if one["figure"] == "branch-norms"
    ]
    assert judged["verdict"] == ("supported" if values["largest_ratio"] < 1 else "not supported")
    page = (checkout / RUN / "report.html").read_text(encoding="utf-8")
    assert 'id="fig-branch-norms"' in page
    assert '<h2 id="branch-norms">How much each block adds</h2>' in page
