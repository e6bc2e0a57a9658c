"""Configs that nobody thought of: whatever they hold, they are read, or refused in lines that a reader can use."""

import tempfile
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unravel.files import InputError
from unravel.run import Config, read_config

CONFIGS = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(Path("config").glob("*.yaml"))]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=6,
)
LONGEST = 2000  # characters of what a refusal says


def places(config, at=()):
    """Every key of a config, as the keys that lead to it."""
    for key, inner in config.items():
        yield (*at, key)
        if isinstance(inner, dict):
            yield from places(inner, (*at, key))


def changed(config, place, value):
    """A config with another value in one place; the config itself stays as it is."""
    key, *rest = place
    return config | {key: changed(config[key], rest, value) if rest else value}


def read(content):
    """What comes of a config file: a config, or what its refusal says."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_bytes(content)
        try:
            return read_config(path)
        except InputError as error:
            return str(error)


def require_one_of_both(found):
    assert isinstance(found, Config) or 0 < len(found) < LONGEST


@given(st.data(), st.sampled_from(CONFIGS), ANYTHING)
def test_any_value_in_any_place_is_taken_or_refused(data, config, value):
    place = data.draw(st.sampled_from(list(places(config))))
    require_one_of_both(read(yaml.safe_dump(changed(config, place, value), allow_unicode=True).encode()))


@given(st.dictionaries(st.text(), ANYTHING))
def test_any_keys_are_taken_or_refused(config):
    require_one_of_both(read(yaml.safe_dump(config).encode()))


@given(st.binary() | st.text().map(str.encode))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_refused(content):
    assert isinstance(read(content), str)
