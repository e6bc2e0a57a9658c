"""What the browser tests share beside their fixtures, which are in conftest.py."""

import os
import shutil

import pytest

CHROMIUM = shutil.which("chromium")
MISSING = [name for name in ("chromium", "pdftotext") if shutil.which(name) is None]
NEEDS_CHROMIUM = pytest.mark.skipif(bool(MISSING) and not os.environ.get("CI"), reason=f"not installed: {MISSING}")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
WIDE, PHONE = 1280, 320
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(22, 24, 26)"


def unfold(page):
    page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")


def violations(page):
    """What axe finds wrong with a page as it is."""
    from axe_playwright_python.sync_playwright import Axe  # here, since it imports playwright

    found = Axe().run(page, options={"runOnly": list(RULES), "resultTypes": ["violations"]}).response["violations"]
    return [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found]
