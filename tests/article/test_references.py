"""Reading references.bib, and numbering what is cited."""

import pytest

from unravel.article import references
from unravel.files import InputError

ENTRY = """@article{key-1,
  title = {A {Title}: with "marks" & <i>more</i>},
  author = {Last, First M. and van Other, Some and {A Working Group}},
  journal = {Journal},
  volume = {7},
  pages = {1--9},
  year = {1999},
  eprint = {1234.5678}
}
"""
OTHER = "@misc{other,\n  title = {Other},\n  author = {{The Authors}},\n  year = {2001}\n}\n"


def read(tmp_path, text):
    (tmp_path / "references.bib").write_text(text, encoding="utf-8")
    return references.read(tmp_path / "references.bib")


def test_an_entry_is_read_field_by_field(tmp_path):
    entries = read(tmp_path, ENTRY + "\n" + OTHER)
    assert list(entries) == ["key-1", "other"]
    assert entries["key-1"].fields["title"] == 'A {Title}: with "marks" & <i>more</i>'
    assert entries["key-1"].place == "Journal 7:1–9, 1999, arXiv:1234.5678"
    assert entries["key-1"].bibtex == ENTRY.strip()
    assert (entries["other"].authors, entries["other"].place) == ("The Authors", "2001")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("Last, First M.", "First M. Last"),
        ("Last, First and Other, Some", "First Last and Some Other"),
        ("A, B and C, D and {A Working Group}", "B A, D C and {A Working Group}"),
    ],
)
def test_names_are_said_first_names_first(names, said):
    assert references.Reference("key", {"author": names}, "").authors == said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OTHER.replace("  year = {2001}\n", ""), "the entry 'other' has no year"),
        (OTHER + "\n" + OTHER, "the entry 'other' is there twice"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_references_are_numbered_as_they_are_cited(tmp_path):
    citations = references.Citations(read(tmp_path, ENTRY + "\n" + OTHER))
    assert citations.cite("other") == '[<a class="citation" href="#ref-other">1</a>]'
    assert [str(citations.cite("key-1", "other")).count(f">{number}<") for number in (1, 2)] == [1, 1]
    assert [one.key for one in citations.cited] == ["other", "key-1"]
    with pytest.raises(InputError, match=r"references\.bib: has no entry 'nobody'"):
        citations.cite("nobody")
