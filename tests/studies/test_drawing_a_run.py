"""A figure drawn as the pipeline draws it: from the tables of a run, and the config that its jobs read."""

import shlex
import shutil

import pytest
from article_helpers import RUN, run_script

from unravel.evidence.lineage import read_records


def test_a_table_that_lacks_a_row_is_refused_by_the_config_that_jobs_read(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "copy", symlinks=True))
    command = shlex.split(read_records(RUN / "jobs")["figures/single-deletion"]["command"])[1:]
    config = command[command.index("--config") + 1]
    assert config.startswith(f"{RUN}/configs/")
    run_script(command)
    table = RUN / "measurements/deletions/resnet-seed1.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    (RUN / "jobs/measurements/deletions/resnet-seed1.json").unlink()  # of unknown source, so that only rows tell
    with pytest.raises(SystemExit, match=rf"{table}: .*deleted_position"):
        run_script(command)
