"""Tables: long CSV files, one row per measurement, units in the column names. Figures and claims read only these."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from unravel.files import InputError, atomic

NUMBER_FORMAT = "%.10g"
# Columns that hold text, also where it looks like a number: a network may be called 110, a path 011.
TEXT = dict.fromkeys(("class", "network", "path", "deleted"), str)


def write(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table whole or not at all; the same table gives the same bytes."""
    with atomic(path) as partial:
        table.to_csv(partial, index=False, float_format=NUMBER_FORMAT, lineterminator="\n")


def read(paths: Iterable[Path | str], columns: Iterable[str]) -> pd.DataFrame:
    """Read tables of one kind below each other. Raises InputError if a file is not such a table or has no rows."""
    needed = list(columns)
    tables = []
    for path in paths:
        try:
            # Only an empty cell is missing: a network may be called null.
            table = pd.read_csv(path, dtype=TEXT, keep_default_na=False, na_values=[""])
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: cannot be read as a table ({reason}); delete it and measure again") from error
        missing = [column for column in needed if column not in table.columns]
        if missing:
            raise InputError(f"{path}: lacks the column '{missing[0]}'; delete it and measure again")
        if table.empty:
            raise InputError(f"{path}: has no rows; delete it and measure again")
        tables.append(table[needed])
    return pd.concat(tables, ignore_index=True)
