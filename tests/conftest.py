"""Small real networks and images, and a small run, that many tests share."""

import json
import os
import shutil

import article_helpers
import figure_helpers
import numpy as np
import pytest
import torch
import workflow_helpers
from browser_helpers import CHROMIUM, FLAGS, MISSING, WIDE
from filelock import FileLock
from hypothesis import settings

from unravel.config import VGG, Evaluation, ResNet
from unravel.data.batches import Split, random_generator
from unravel.engine.sweeps import Images
from unravel.networks import Network, build, initialise

RESNET = ResNet(architecture="resnet", blocks_per_stage=(2, 2, 1), channels=(4, 6, 8))
PLAIN = VGG(architecture="vgg", layers_per_stage=(2, 2, 1), channels=6)

# Hypothesis: the same examples in each call of the tests, more and other ones in the campaign.
settings.register_profile("tests", derandomize=True, deadline=None, database=None)
settings.register_profile("campaign", max_examples=5000, deadline=None, database=None, print_blob=True)
settings.load_profile("tests")


@pytest.hookimpl(optionalhook=True)  # pytest runs without xdist, too
def pytest_xdist_auto_num_workers(config):
    """One more process than cores: for minutes, one of them waits for the cluster, or for a run that another makes."""
    return os.cpu_count() + 1


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_network():
    """A network with random weights and BN statistics, so that no layer is the identity by accident."""

    def make(settings=RESNET, shape=(8, 8, 3), classes=4, seed=0, dtype=torch.float64) -> Network:
        network = build(settings, shape, classes)
        generator = random_generator(seed)
        initialise(network, generator)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for tensor in (module.weight.data, module.running_var):
                    tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
                for tensor in (module.bias.data, module.running_mean):
                    tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
        return network.to(dtype).eval()

    return make


@pytest.fixture
def make_split():
    """Images whose class can be learned: each class has its own pattern, plus noise."""

    def make(n=64, shape=(8, 8, 3), classes=4, seed=0) -> Split:
        random = np.random.default_rng(7)  # the patterns are the same in every split
        patterns = random.integers(0, 256, (classes, *shape))
        random = np.random.default_rng(seed)
        labels = np.arange(n) % classes
        images = np.clip(patterns[labels] * 0.6 + random.normal(60, 40, (n, *shape)), 0, 255).astype(np.uint8)
        scaled = torch.from_numpy(images).float() / 255
        return Split(torch.from_numpy(images), torch.from_numpy(labels), scaled.mean((0, 1, 2)), scaled.std((0, 1, 2)))

    return make


@pytest.fixture
def make_images():
    """What a study measures on, from splits by their names; a split that is not given cannot be asked for."""

    def make(batch_size=16, classes=4, precision="fp32", **splits) -> Images:
        return Images(splits.__getitem__, classes, Evaluation(batch_size=batch_size, precision=precision))

    return make


@pytest.fixture(scope="session")
def made_once(tmp_path_factory, worker_id):
    """Make a folder that all test processes share: by the first that needs it, while the others wait."""
    here = tmp_path_factory.getbasetemp()
    shared = here if worker_id == "master" else here.parent

    def made_once(name, make):
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                done.touch()
        return folder

    return made_once


@pytest.fixture(scope="session")
def finished_run(made_once):
    """A folder with a finished small run, results/tiny. Tests that change it work on a copy."""

    def make(folder):
        folder.mkdir()
        article_helpers.make_run(folder)

    return made_once("checkout", make)


@pytest.fixture(scope="session")
def finished_ci(made_once):
    """A checkout in which the ci run is made, as far as Snakemake can tell by its jobs. Tests work on a copy."""

    def make(folder):
        workflow_helpers.copy_code(folder)
        workflow_helpers.make_ci(folder)

    return made_once("ci", make)


@pytest.fixture(scope="module")
def folder(finished_run):
    """That folder as the working directory: records name files relative to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(finished_run)
        yield finished_run


@pytest.fixture(scope="module")
def page(folder):
    """The run's article as a tree of elements."""
    return article_helpers.parse((article_helpers.RUN / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def browser():
    assert not MISSING, f"CI is set, and {' and '.join(MISSING)} not installed"
    from playwright.sync_api import sync_playwright  # here, so that other tests run without it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, finished_run):
    """Open a page, the article unless told, in a fresh window with no network.

    At the end, nothing may have been asked for or gone wrong.
    """
    contexts, asked, wrong = [], [], []

    def visit(width=WIDE, script=None, file=finished_run / article_helpers.RUN / "report.html", **options):
        options = {"viewport": {"width": width, "height": 800}, "reduced_motion": "reduce", **options}
        contexts.append(browser.new_context(offline=True, **options))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        if script:
            page.add_init_script(script)
        page.goto(file.as_uri())
        return page

    yield visit
    for context in contexts:
        context.close()
    assert [url[:80] for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert wrong == []


@pytest.fixture
def figure_values(finished_run):
    """Read the values file of a figure of the small run."""
    return lambda slug: json.loads((finished_run / article_helpers.RUN / "figures" / f"{slug}.json").read_text())


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """The input files of each study that draws a figure."""
    return figure_helpers.input_files(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="session")
def drawn(made_once, tmp_path_factory):
    """A folder with the files of every figure. Tests that change one work on a copy."""

    def make(folder):
        for study, paths in figure_helpers.input_files(tmp_path_factory.mktemp("inputs")).items():
            figure_helpers.draw(study, paths, folder / f"{study}.svg")

    return made_once("figures", make)
