"""Tables: the same table gives the same bytes, and a file that is no such table is named."""

import pandas as pd
import pytest

from unravel import tables
from unravel.files import InputError

TABLE = pd.DataFrame({"network": ["resnet", "vgg"], "seed": [1, 2], "error_percent": [100 / 3, 90.0]})


def test_a_table_survives_being_written_and_read(tmp_path):
    tables.write(tmp_path / "table.csv", TABLE)
    read = tables.read([tmp_path / "table.csv"], TABLE.columns)
    pd.testing.assert_frame_equal(read, TABLE, check_exact=False, rtol=1e-9)


def test_the_same_table_gives_the_same_bytes(tmp_path):
    tables.write(tmp_path / "table.csv", TABLE)
    assert (tmp_path / "table.csv").read_bytes() == b"network,seed,error_percent\nresnet,1,33.33333333\nvgg,2,90\n"
    tables.write(tmp_path / "again.csv", tables.read([tmp_path / "table.csv"], TABLE.columns))
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "table.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.csv", "table.csv"]


def test_tables_are_read_below_each_other_with_the_columns_asked_for(tmp_path):
    tables.write(tmp_path / "one.csv", TABLE)
    tables.write(tmp_path / "two.csv", TABLE.assign(seed=[3, 4], wrong_images=[5, 6]))
    read = tables.read([tmp_path / "two.csv", tmp_path / "one.csv"], ["seed", "network"])
    assert read.to_dict("list") == {"seed": [3, 4, 1, 2], "network": ["resnet", "vgg"] * 2}
    assert read.index.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"bad.csv: cannot be read as a table \(.*No such file.*\); delete it and measure again"),
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
        tables.read([tmp_path / "good.csv", tmp_path / "bad.csv"], TABLE.columns)
    assert "\n" not in str(caught.value)


def test_network_names_are_text_whatever_they_look_like(tmp_path):
    for number, name in enumerate(("110", "null", "007")):
        tables.write(tmp_path / f"{number}.csv", pd.DataFrame({"network": [name], "error_percent": [1.5]}))
    read = tables.read(sorted(tmp_path.iterdir()), ["network", "error_percent"])
    assert read.network.tolist() == ["110", "null", "007"]


def test_a_ragged_file_gets_one_line(tmp_path):
    (tmp_path / "ragged.csv").write_bytes(b"network,seed\nresnet,1,2,3\nresnet,1\nvgg,2,3,4,5\n")
    with pytest.raises(InputError) as caught:
        tables.read([tmp_path / "ragged.csv"], ["network"])
    assert "\n" not in str(caught.value)
