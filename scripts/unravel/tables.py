"""Tables: long CSV files, one row per measurement, units in the column names. Figures and claims read only these.

What a table has to look like is data: the kind and range of each column, and which rows there must be.
"""

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from unravel.files import InputError, atomic, regular

NUMBER_FORMAT = "%.10g"
ROUNDING = 1e-9  # relative: what the format above leaves of a number, and more
# Columns that hold text, also where it looks like a number: a network may be called 110, a path 011.
TEXT = dict.fromkeys(("class", "network", "path", "deleted"), str)
ERRORS = ("wrong_images", "test_images", "error_percent")
AGAIN = "delete it and measure again"
_MOST = sys.float_info.max


@dataclass(frozen=True)
class Column:
    """What the cells of a column are: of a kind, numbers between bounds that they may reach, or texts among some.

    Every number is finite, unless a bound is not.
    """

    kind: Literal["text", "flag", "whole", "number"]
    low: float = -_MOST
    high: float = _MOST
    among: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """What is expected of a cell, in words."""
        if self.kind == "text":
            return f"one of {', '.join(self.among)}" if self.among else "a text"
        if self.kind == "flag":
            return "True or False"
        bounds = [f"{word} {bound:g}" for word, bound in (("from", self.low), ("to", self.high)) if abs(bound) < _MOST]
        noun = "a whole number" if self.kind == "whole" else "a number"
        return " ".join([noun, *bounds]) if bounds else f"{noun}, finite"

    def wrong(self, cells: pd.Series) -> pd.Series:
        """Which cells are not what is expected."""
        if self.kind == "text":
            return cells.isna() | (~cells.isin(self.among) if self.among else False)
        if self.kind == "flag":
            return ~cells.astype(str).isin(["True", "False"])
        values = pd.to_numeric(cells, errors="coerce")
        kept = values.between(self.low, self.high) & (cells.dtype != bool)
        return ~kept if self.kind == "number" else ~kept | (values % 1 != 0)


def text(*among: str) -> Column:
    """A column of texts, any or one of some."""
    return Column("text", among=among)


def whole(low: float = 0, high: float = _MOST) -> Column:
    """A column of whole numbers."""
    return Column("whole", low, high)


def number(low: float = -_MOST, high: float = _MOST) -> Column:
    """A column of numbers, finite unless a bound is infinite."""
    return Column("number", low, high)


FLAG = Column("flag")
NETWORK, SEED, PERCENT = text(), whole(), number(0, 100)
MEASURED_ERROR = {"wrong_images": whole(), "test_images": whole(1), "error_percent": PERCENT}
LOG_NORM = number(low=-math.inf)  # of a norm that may be 0


@dataclass(frozen=True)
class Table:
    """What one file must be.

    rows: by column, the numbers that its values may count from, or () for values that are not counted. There is one row
    for each combination of their values, and of what is counted none is left out. intact: the column that is 0 in a
    single row apart, of the intact network. sizes: how many values a column must have, as far as it is known.
    same: what a column must hold in every row.
    """

    columns: Mapping[str, Column]
    rows: Mapping[str, tuple[int, ...]]
    intact: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    same: Mapping[str, str | int] = field(default_factory=dict)

    def only(self, *names: str) -> dict[str, Column]:
        """Some of its columns."""
        return {name: self.columns[name] for name in names}


def write(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table whole or not at all; the same table gives the same bytes."""
    with atomic(path) as partial:
        table.to_csv(partial, index=False, float_format=NUMBER_FORMAT, lineterminator="\n")


def read(paths: Iterable[Path | str], columns: Mapping[str, Column]) -> pd.DataFrame:
    """Read tables of one kind below each other.

    Raises InputError if a file is not such a table, has no rows, or holds a value that cannot be.
    """
    return pd.concat([_read(path, columns) for path in paths], ignore_index=True)


def read_whole(path: Path | str, table: Table) -> pd.DataFrame:
    """Read one table whose rows are known. Raises InputError as `read` does, and for rows too many, too few or odd."""
    found = _read(path, table.columns)
    for column, value in table.same.items():
        _require(path, found, column, found[column] != value, f"{value}, as its file name says")
    rows = found
    if table.intact:
        intact = found[table.intact] == 0
        if intact.sum() != 1:
            raise InputError(f"{path}: {intact.sum()} rows have {table.intact} 0, expected 1; {AGAIN}")
        rows = found[~intact]
        if rows.empty:
            raise InputError(f"{path}: has no rows but that of the intact network; {AGAIN}")
    repeated = rows[rows.duplicated(list(table.rows))]
    if len(repeated):
        row, named = int(repeated.index[0]) + 1, _named(repeated[list(table.rows)].iloc[0])
        raise InputError(f"{path}: row {row} has {named}, as a row before it has, expected each once; {AGAIN}")
    values: dict[str, list[Any]] = {column: sorted(rows[column].unique()) for column in table.rows}
    for column, firsts in table.rows.items():
        _require_counted(path, column, values[column], firsts, table.sizes.get(column))
    if len(rows) != math.prod(map(len, values.values())):
        _name_missing(path, rows, values)
    return found


def _read(path: Path | str, columns: Mapping[str, Column]) -> pd.DataFrame:
    texts = {name: str for name, column in columns.items() if column.kind == "text"}
    try:
        # Only an empty cell is missing: a network may be called null.
        file = regular(path, AGAIN)
        table = pd.read_csv(file, dtype=TEXT | texts, keep_default_na=False, na_values=[""], low_memory=False)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as a table ({reason}); {AGAIN}") from error
    for name in columns:
        if name not in table.columns:
            raise InputError(f"{path}: lacks the column '{name}'; {AGAIN}")
    if table.empty:
        raise InputError(f"{path}: has no rows; {AGAIN}")
    for name, column in columns.items():
        _require(path, table, name, column.wrong(table[name]), column.expected)
    if set(ERRORS) <= set(columns):
        wrong, images, percent = (table[name] for name in ERRORS)
        _require(path, table, "wrong_images", wrong > images, "at most the test_images beside it")
        off = (percent - 100 * wrong / images).abs() > 100 * ROUNDING
        _require(path, table, "error_percent", off, "100 wrong_images / test_images")
    return table[list(columns)]


def _require(path: Path | str, table: pd.DataFrame, column: str, wrong: pd.Series, expected: str) -> None:
    """Raise InputError for the first row that is wrong."""
    if wrong.any():
        row = int(wrong.index[int(wrong.to_numpy().argmax())])
        value = table[column][row]
        shown = "nothing" if pd.isna(value) else f"{value:.10g}" if isinstance(value, float) else value
        raise InputError(f"{path}: row {row + 1}, {column} is {shown}, expected {expected}; {AGAIN}")


def _require_counted(
    path: Path | str, column: str, values: list[Any], firsts: tuple[int, ...], size: int | None
) -> None:
    """Raise InputError if values leave out a number, or are not as many as they must be."""
    if firsts:
        first = values[0] if values[0] in firsts else firsts[0]
        missing = [number for number, value in enumerate(values, first) if value != number]
        if missing:
            raise InputError(f"{path}: no row has {column} {missing[0]}, expected all from {first} on; {AGAIN}")
    if size is not None and len(values) != size:
        raise InputError(
            f"{path}: {column} has {len(values)} values, the last {values[-1]}, expected {size} by the config; {AGAIN}"
        )


def _name_missing(path: Path | str, rows: pd.DataFrame, values: Mapping[str, list[Any]]) -> None:
    """Raise InputError with a combination of values that has no row."""
    there = pd.MultiIndex.from_frame(rows[list(values)])
    missing = pd.MultiIndex.from_product(list(values.values())).difference(there, sort=False)[0]
    raise InputError(f"{path}: no row has {_named(pd.Series(missing, list(values)))}, expected one; {AGAIN}")


def _named(cells: pd.Series) -> str:
    return " and ".join(f"{column} {value}" for column, value in cells.items())
