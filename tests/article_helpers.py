"""A small run that the real scripts make, and its article as a browser reads it."""

import re
import runpy
import shlex
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml

from unravel import resolved
from unravel.run import read_config
from unravel.studies import MEASURED

ROOT = Path(__file__).resolve().parents[1]
RUN = Path("results/tiny")
NOTE = "<script>alert(1)</script> & more."
CLASSES = ('<b>bold</b> & "quoted"', "null", "007")


def write_images(path, n, seed):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % len(CLASSES)
    images = (80 * labels[:, None, None] + random.integers(0, 80, (n, 8, 8))).astype(np.uint8)
    np.savez(path, images=images, labels=labels, class_names=np.array(CLASSES))


def write_config():
    """The ci run's config for the images above, cut down to one seed and one epoch."""
    config = yaml.safe_load((ROOT / "config" / "ci.yaml").read_text())
    config |= {
        "run": "tiny",
        "seeds": [1],
        "bootstrap_samples": 10,
        "training": config["training"] | {"epochs": 1, "batch_size": 8},
    }
    config["reorderings"] |= {"test_images": 12}  # of 30
    config["dataset"] = {"source": "arrays", "train": "train.npz", "test": "test.npz", "note": NOTE}
    (RUN / "config.yaml").parent.mkdir(parents=True)
    (RUN / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def planned_commands(config):
    """The commands that snakemake would run, in its order."""
    options = ["--configfile", config, "--cores", "1"]
    # A plan lists the jobs of a group by name: measurements that share a group with drawings would come too late.
    untrained = [f"measure_{study.name}=first" for study in MEASURED.values() if not study.measurement.trained]
    command = [sys.executable, "-m", "snakemake", *options, "--dry-run", "--printshellcmds", "--groups", *untrained]
    plan = subprocess.run(command, capture_output=True, text=True, check=True)
    return [shlex.split(line) for line in re.findall(r"python (scripts/\S+\.py .*) 2> ", plan.stdout + plan.stderr)]


def run_script(command):
    """Run a script in this process: importing torch anew for each takes longer than the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", command)
        runpy.run_path(command[0], run_name="__main__")


def make_run(folder):
    """Do the run in a folder: records name files relative to it, so it has to be the working directory."""
    for name in ("scripts", "report", "workflow"):
        (folder / name).symlink_to(ROOT / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_images("train.npz", 48, seed=1)
        write_images("test.npz", 30, seed=2)
        write_config()
        run_planned(RUN / "config.yaml")


def run_planned(config):
    """All jobs of a run in this process, in the working directory."""
    settings = read_config(config)
    resolved.occupy(Path("results", settings.run), settings, sealed=False).close()  # as Snakemake does first
    for command in planned_commands(config):
        run_script(command)


VOID = {"meta", "link", "br", "hr", "img", "input"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    inside: list["Element | str"] = field(default_factory=list)

    @property
    def text(self):
        return "".join(part if isinstance(part, str) else part.text for part in self.inside)

    @property
    def children(self):
        return [part for part in self.inside if isinstance(part, Element)]

    @property
    def words(self):
        """The text with every run of white space as one space."""
        return " ".join(self.text.split())

    def all(self, *tags):
        """The elements below this one, in the order of the page; those with one of the tags, if any is given."""
        found, waiting = [], self.children[::-1]
        while waiting:
            element = waiting.pop()
            waiting += element.children[::-1]
            if not tags or element.tag in tags:
                found.append(element)
        return found

    def with_class(self, name):
        """The elements below this one that have a class."""
        return [element for element in self.all() if name in (element.attributes.get("class") or "").split()]

    def by_id(self, name):
        """The one element below this one with an id."""
        (found,) = self.named[name]
        return found

    @cached_property
    def named(self):
        """The elements below this one by their ids, of which each should have one."""
        found = defaultdict(list)
        for element in self.all():
            found[element.attributes.get("id")].append(element)
        return found


class Parser(HTMLParser):
    """Builds the tree of elements, and insists that each is closed where it was opened."""

    def __init__(self, text):
        super().__init__()
        self.open = [Element("page", {})]
        self.feed(text)
        self.close()
        assert len(self.open) == 1, f"<{self.open[-1].tag}> is never closed"

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), f"<{tag}> has an attribute twice"
        element = Element(tag, dict(attributes))
        self.open[-1].inside.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop().tag == tag

    def handle_data(self, data):
        self.open[-1].inside.append(data)


def parse(html):
    return Parser(html).open[0]


def figures(page):
    """The page's figures by slug, placeholders too."""
    named = [element for element in page.all("figure") if "id" in element.attributes]
    return {element.attributes["id"].removeprefix("fig-"): element for element in named}


def sections(page):
    """The article's sections by the id of their heading, in their order."""
    return {element.attributes["aria-labelledby"]: element for element in page.all("section")}


def ids(page):
    return [element.attributes["id"] for element in page.all() if "id" in element.attributes]


def dangling(page):
    """Links within the page that lead nowhere."""
    known = set(ids(page))
    links = {value for element in page.all() for name, value in element.attributes.items() if name.endswith("href")}
    return {link for link in links if link.startswith("#") and link[1:] not in known}
