"""The studies: a folder here that says in its `__init__.py` what it is. No other list of them is kept anywhere."""

import importlib
from dataclasses import replace
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING

from unravel.studies.base import FOLDER, Figure, Study

if TYPE_CHECKING:
    from unravel.run import Config


def _found() -> dict[str, Study]:
    studies, letters = [], iter(ascii_uppercase)
    for path in sorted(FOLDER.glob("*/__init__.py")):
        name = path.parent.name
        study: Study = importlib.import_module(f"{__name__}.{name}").STUDY
        studies.append(replace(study, name=name, key=study.key or name))
    studies.sort(key=lambda study: study.order)
    for place, study in enumerate(studies):
        if study.figure and not study.figure.original:
            figure = replace(study.figure, label=f"Extra figure {next(letters)}")
            studies[place] = replace(study, figure=figure)
    return {study.name: study for study in studies}


STUDIES = _found()
"""Every study by its name, in the order of the article."""

MEASURED = {study.key: study for study in STUDIES.values() if study.measurement}
"""Those that measure something, by their key."""

FIGURES: dict[str, tuple[Study, Figure]] = {
    study.figure.slug: (study, study.figure) for study in STUDIES.values() if study.figure
}
"""Those with a figure, by its slug."""


def claims_files(config: "Config") -> list[Path]:
    """The claims files of the studies that a run is about, in the order of the article."""
    return [
        study.folder / "claims.yaml" for study in STUDIES.values() if study.has("claims.yaml") and study.told(config)
    ]
