"""References: a BibTeX file, cited by key and numbered in the order in which the article first cites them.

Only what references.bib needs is read: entries whose fields stand in braces, one to a line. TeX's accents are not; the
file is UTF-8.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from unravel.files import InputError


@dataclass(frozen=True)
class Reference:
    """One entry: its fields by name, and the text it was read from."""

    key: str
    fields: dict[str, str]
    bibtex: str

    @property
    def authors(self) -> str:
        """Names as a reader says them: first names first, an "and" before the last."""
        names = [" ".join(reversed(name.split(", "))) for name in self.fields["author"].split(" and ")]
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))

    @property
    def place(self) -> str:
        """Where it was published, when, and its arXiv number if it has one."""
        found = self.fields
        venue = found.get("booktitle") or found.get("journal") or found.get("note")
        volume = found.get("volume", "") + (f":{found['pages'].replace('--', '–')}" if "pages" in found else "")
        arxiv = f"arXiv:{found['eprint']}" if "eprint" in found else ""
        return ", ".join(filter(None, [f"{venue} {volume}".strip() if venue else "", found["year"], arxiv]))

    @property
    def address(self) -> str:
        """Where it can be read: by its DOI, on arXiv, or at the address that it gives; nothing if it has none."""
        found = self.fields
        if "doi" in found:
            return f"https://doi.org/{found['doi']}"
        return f"https://arxiv.org/abs/{found['eprint']}" if "eprint" in found else found.get("url", "")


def read(path: Path) -> dict[str, Reference]:
    """The entries of a BibTeX file by key. Raises InputError if one has no title, author or year, or is there twice."""
    found: dict[str, Reference] = {}
    for match in re.finditer(
        r"^@\w+\{([\w-]+),\n(.*?)^\}$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        key, lines = match.groups()
        # an outer pair of braces more keeps a name of several words in one piece
        fields = dict(re.findall(r"^\s*(\w+) = \{\{?(.*?)\}?\},?$", lines, re.MULTILINE))
        missing = [name for name in ("title", "author", "year") if name not in fields]
        if missing or key in found:
            problem = f"has no {missing[0]}" if missing else "is there twice"
            raise InputError(f"{path}: the entry '{key}' {problem}")
        found[key] = Reference(key, fields, match[0])
    return found


@dataclass
class Citations:
    """Numbers references as they are cited; the article's last section lists those that were."""

    known: dict[str, Reference]
    cited: list[Reference] = field(default_factory=list)

    def cite(self, *keys: str) -> Markup:
        """Numbers in brackets, linked to the list, such as [1, 3]. Raises InputError for an unknown key."""
        links = []
        for key in keys:
            if key not in self.known:
                raise InputError(f"report/references.bib: has no entry '{key}', which the article cites")
            if self.known[key] not in self.cited:
                self.cited.append(self.known[key])
            number = self.cited.index(self.known[key]) + 1
            links.append(Markup('<a class="citation" href="#ref-{}">{}</a>').format(key, number))
        return Markup("[{}]").format(Markup(", ").join(links))
