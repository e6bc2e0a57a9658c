"""Tables: the same table gives the same bytes, and a file that is no such table is named, with its row and column."""

import random
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from unravel import tables
from unravel.files import InputError
from unravel.run import read_config
from unravel.studies.expected import expected
from unravel.tables import NETWORK, PERCENT, SEED, Column

TABLE = pd.DataFrame({"network": ["resnet", "vgg"], "seed": [1, 2], "error_percent": [100 / 3, 90.0]})
COLUMNS = {"network": NETWORK, "seed": SEED, "error_percent": PERCENT}


def test_a_table_survives_being_written_and_read(tmp_path):
    tables.write(tmp_path / "table.csv", TABLE)
    read = tables.read([tmp_path / "table.csv"], COLUMNS)
    pd.testing.assert_frame_equal(read, TABLE, check_exact=False, rtol=1e-9)


def test_the_same_table_gives_the_same_bytes(tmp_path):
    tables.write(tmp_path / "table.csv", TABLE)
    assert (tmp_path / "table.csv").read_bytes() == b"network,seed,error_percent\nresnet,1,33.33333333\nvgg,2,90\n"
    tables.write(tmp_path / "again.csv", tables.read([tmp_path / "table.csv"], COLUMNS))
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "table.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.csv", "table.csv"]


def test_tables_are_read_below_each_other_with_the_columns_asked_for(tmp_path):
    tables.write(tmp_path / "one.csv", TABLE)
    tables.write(tmp_path / "two.csv", TABLE.assign(seed=[3, 4], wrong_images=[5, 6]))
    read = tables.read([tmp_path / "two.csv", tmp_path / "one.csv"], {"seed": SEED, "network": NETWORK})
    assert read.to_dict("list") == {"seed": [3, 4, 1, 2], "network": ["resnet", "vgg"] * 2}
    assert read.index.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "bad.csv: is missing; delete it and measure again"),
        (b"", r"bad.csv: cannot be read as a table \(No columns.*\)"),
        (b"\xff\xfe\x00", "bad.csv: cannot be read as a table"),
        (b"network,error_percent\nresnet,1\n", "bad.csv: lacks the column 'seed'; delete it and measure again"),
        (b"network,seed,error_percent\n", "bad.csv: has no rows; delete it and measure again"),
    ],
    ids=["missing", "empty", "not text", "a column short", "no rows"],
)
def test_a_file_that_is_no_such_table_is_named(tmp_path, content, message):
    tables.write(tmp_path / "good.csv", TABLE)
    if content is not None:
        (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        tables.read([tmp_path / "good.csv", tmp_path / "bad.csv"], COLUMNS)
    assert "\n" not in str(caught.value)


def test_network_names_are_text_whatever_they_look_like(tmp_path):
    for number, name in enumerate(("110", "null", "007")):
        tables.write(tmp_path / f"{number}.csv", pd.DataFrame({"network": [name], "error_percent": [1.5]}))
    read = tables.read(sorted(tmp_path.iterdir()), {"network": NETWORK, "error_percent": PERCENT})
    assert read.network.tolist() == ["110", "null", "007"]


def test_a_ragged_file_gets_one_line(tmp_path):
    (tmp_path / "ragged.csv").write_bytes(b"network,seed\nresnet,1,2,3\nresnet,1\nvgg,2,3,4,5\n")
    with pytest.raises(InputError) as caught:
        tables.read([tmp_path / "ragged.csv"], {"network": NETWORK})
    assert "\n" not in str(caught.value)


PUBLISHED = Path(__file__).resolve().parents[1] / "results" / "cifar10-short"


def published():
    """The tables of the published run, with what each must be; of each kind one."""
    run = PUBLISHED.relative_to(Path.cwd()) if PUBLISHED.is_relative_to(Path.cwd()) else PUBLISHED
    known = {path: table for path, table in expected(run, read_config(run / "config.yaml")).items() if path.exists()}
    return {path.relative_to(run): (path, table) for path, table in known.items()}


KINDS = [name for name in published() if name.name.startswith(("resnet-seed1.", "resnet.", "residual-intact."))]
KINDS.append(Path("checkpoints/vgg/seed1.history.csv"))


def test_every_table_of_the_published_run_is_what_it_must_be():
    found = published()
    for path, table in found.values():
        tables.read_whole(path, table)
    written = {path.relative_to(PUBLISHED) for path in PUBLISHED.glob("*/**/*.csv") if "figures" not in path.parts}
    assert set(found) == written != set()


def cells_that_cannot_be(column: Column, places: random.Random):
    """Cells that a column must not hold."""
    if column.kind == "text":
        return ["", *(["other"] if column.among else [])]
    wrong = ["", "x", "inf", "nan", "1e400"]
    if column.kind == "flag":
        return [*wrong, "2"]
    below = [str(column.low - places.choice([0.001, 1, 50]))] if column.low > -1e9 else []
    above = [str(column.high + places.choice([0.001, 1, 150]))] if column.high < 1e9 else []
    return [*wrong, *below, *above, *(["1.5"] if column.kind == "whole" else [])]


@pytest.mark.parametrize("name", KINDS, ids=str)
def test_no_cell_row_or_column_of_a_real_table_can_be_spoilt_unseen(tmp_path, name):
    """A cell out of its range or kind, a row twice, a row dropped, a column dropped: each is named in one line."""
    path, table = published()[name]
    lines, places = path.read_text().splitlines(), random.Random(str(name))
    header = lines[0].split(",")
    spoilt = tmp_path / path.name

    def refused(changed, *words):
        spoilt.write_text("\n".join(changed) + "\n")
        with pytest.raises(InputError) as caught:
            tables.read_whole(spoilt, table)
        message = str(caught.value)
        assert message.startswith(f"{spoilt}: ")
        assert message.endswith("; delete it and measure again")
        assert "\n" not in message
        assert not [word for word in words if word not in message], message

    for column in table.columns:
        row, place = places.randrange(1, len(lines)), header.index(column)
        for cell in cells_that_cannot_be(table.columns[column], places):
            cells = lines[row].split(",")
            cells[place] = cell
            refused([*lines[:row], ",".join(cells), *lines[row + 1 :]], f"row {row}, {column} is ", "expected ")
        refused([",".join(cell for i, cell in enumerate(line.split(",")) if i != place) for line in lines], column)
    for row in {1, len(lines) - 1, *(places.randrange(1, len(lines)) for _ in range(5))}:
        refused([*lines, lines[row]])
        if row == len(lines) - 1 and {"image", "pixels"} & table.columns.keys() and len(lines) in (10_001, 17):
            continue  # how many images there are, no config says: the science checks do
        refused([*lines[:row], *lines[row + 1 :]])
    for column, value in table.same.items():
        refused(
            [lines[0], *(line.replace(str(value), "9", 1) for line in lines[1:])], f"{column} is 9, expected {value}"
        )


def test_an_error_is_the_share_of_wrong_images(tmp_path):
    path, table = published()[Path("measurements/deletions/resnet-seed1.csv")]
    text = path.read_text()
    spoilt = tmp_path / path.name
    spoilt.write_text(text.replace("2150,10000,21.5", "2150,10000,21.6"))
    with pytest.raises(InputError, match=r"row 1, error_percent is 21.6, expected 100 wrong_images / test_images"):
        tables.read_whole(spoilt, table)
    spoilt.write_text(text.replace("2150,10000,21.5", "20000,10000,21.5"))
    with pytest.raises(InputError, match=r"row 1, wrong_images is 20000, expected at most the test_images beside it"):
        tables.read_whole(spoilt, table)


def test_what_the_config_asks_for_is_all_there(tmp_path):
    """A table whole in itself is not what a config with one more block, draw or epoch asks for."""
    for path, table in published().values():
        for column, size in table.sizes.items():
            with pytest.raises(InputError, match=rf"{column} has {size} values, .*, expected {size + 1} by the config"):
                tables.read_whole(path, replace(table, sizes={column: size + 1}))
