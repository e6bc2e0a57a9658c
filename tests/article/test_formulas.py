"""Formulas as outlines: their places against what TeX says of them, and what a screen reader is told."""

import re

import numpy as np
import pytest

from unravel.article.formulas import EM, formula


def shapes(svg):
    """Each closed outline of a formula as its corners and control points, (n, 2), and the view box."""
    (commands,) = re.findall(r' d="([^"]*)"', svg)
    found, at = [], np.zeros(2)
    for letter, numbers in re.findall(r"([mlqcz])([^mlqcz]*)", commands):
        if letter == "m":
            found.append([])
        if letter == "z":
            at = found[-1][0]
            continue
        places = at + np.array(re.findall(r"-?\d+", numbers), float).reshape(-1, 2)
        found[-1].extend(places)
        at = places[-1]
    (box,) = re.findall(r'viewBox="([^"]*)"', svg)
    return [np.array(shape) for shape in found], np.array(box.split(), float)


@pytest.mark.parametrize("tex", ["y_3", "S_i^T G_{i+1}[k]", r"\langle G_k, G\rangle / |G|^2"])
def test_everything_drawn_is_in_the_view_box(tex):
    found, (left, top, width, height) = shapes(formula(tex))
    every = np.concatenate(found)
    assert every[:, 0].min() >= left
    assert every[:, 0].max() <= left + width
    assert every[:, 1].min() > top
    assert every[:, 1].max() < top + height


def test_the_brackets_of_a_binomial_are_as_tall_as_it_is():
    found, (*_, height) = shapes(formula(r"\genfrac{(}{)}{0}{0}{n-d}{x}"))
    tall = sorted(np.ptp(shape[:, 1]) for shape in found)[::-1]
    assert height > 2 * EM
    assert min(tall[:2]) > 0.9 * height  # two brackets
    assert max(tall[2:]) < EM  # letters
    lefts, rights = zip(*[(shape[:, 0].min(), shape[:, 0].max()) for shape in found], strict=True)
    around = [i for i, shape in enumerate(found) if np.ptp(shape[:, 1]) > 0.9 * height]
    assert {int(np.argmin(lefts)), int(np.argmax(rights))} == set(around)


def test_a_subscript_is_lower_and_a_superscript_higher_than_its_letter():
    def middles(tex):
        return [(shape[:, 1].min() + shape[:, 1].max()) / 2 for shape in shapes(formula(tex))[0]]

    (letter, below), (_, above) = middles("x_n"), middles("x^n")
    assert above < letter < below  # an svg counts downwards


def test_the_line_of_text_goes_through_the_formula():
    """What is below the baseline of `y` is what the whole formula is lowered by."""
    found, (_, top, _, height) = shapes(formula("y"))
    (lowered,) = re.findall(r"vertical-align:-([\d.]+)em", formula("y"))
    assert float(lowered) * EM == pytest.approx(top + height, abs=1)
    assert found[0][:, 1].max() < top + height  # its tail


def test_a_screen_reader_reads_words_or_the_tex():
    assert 'role="img" aria-label="n choose x"' in formula(r"\binom{n}{x}", "n choose x")
    assert 'aria-label="a &lt; b"' in formula("a < b")


def test_what_is_no_formula_is_refused():
    with pytest.raises(ValueError, match="brac"):
        formula(r"\brac{n}")
