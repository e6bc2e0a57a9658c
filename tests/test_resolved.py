"""The config of a run: jobs read one that never changes, and two calls that differ do not share a run."""

import pytest
import yaml
from run_helpers import CONFIG

from unravel import resolved
from unravel.files import InputError
from unravel.run import parse_config, read_config

ONE, OTHER = parse_config(CONFIG), parse_config({**CONFIG, "seeds": [1, 2]})


def test_jobs_keep_the_config_that_they_were_planned_with(tmp_path):
    """Also when the call that planned them has ended, as it may while jobs wait in a cluster's queue."""
    for config in (ONE, OTHER):
        resolved.occupy(tmp_path, config, sealed=False).close()
    assert read_config(resolved.path(tmp_path, ONE)) == ONE
    assert read_config(resolved.path(tmp_path, OTHER)) == OTHER
    assert read_config(tmp_path / "config.yaml") == OTHER
    assert resolved.run_of(resolved.path(tmp_path, ONE)) == resolved.run_of(tmp_path / "config.yaml") == tmp_path


def test_a_call_with_another_config_is_refused_while_one_is_at_work(tmp_path):
    with resolved.occupy(tmp_path, ONE, sealed=False), resolved.occupy(tmp_path, ONE, sealed=False):
        before = (tmp_path / "config.yaml").stat()
        with pytest.raises(InputError, match="another call of snakemake works on this run with another config") as told:
            resolved.occupy(tmp_path, OTHER, sealed=False)
        assert "\n" not in str(told.value)
        resolved.occupy(tmp_path, ONE, sealed=False).close()
        assert (tmp_path / "config.yaml").stat() == before
    resolved.occupy(tmp_path, OTHER, sealed=False).close()
    assert read_config(tmp_path / "config.yaml") == OTHER


def test_a_sealed_run_keeps_its_config(tmp_path):
    resolved.occupy(tmp_path, ONE, sealed=False).close()
    resolved.occupy(tmp_path, OTHER, sealed=True).close()
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["seeds"] == [1]
    assert read_config(resolved.path(tmp_path, OTHER)) == OTHER
