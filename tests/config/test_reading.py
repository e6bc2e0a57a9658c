"""A config file is data: what could run, repeat, grow or hang is refused in one line, before anything is made of it."""

import os

import pytest

from unravel.config.reading import DEEPEST, LARGEST, read_yaml
from unravel.files import InputError
from unravel.run import parse_config, read_config


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_yaml(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: 1\na: 2\n", "not valid YAML of a config: the key 'a' a second time is not read here; keep one of the two"),
        ("a: {b: 1, b: 2}\n", "not valid YAML of a config: the key 'b' a second time"),
        ("a: &a [1]\nb: *a\n", "not valid YAML of a config: *a is not read here; write the value out"),
        ("<<: {a: 1}\n", "not valid YAML of a config: << is not read here"),
        (
            "a: !!python/name:os.system x\n",
            "not valid YAML of a config: tag:yaml.org,2002:python/name:os.system is not",
        ),
        ("a: !!binary x\n", "not valid YAML of a config: tag:yaml.org,2002:binary is not read here"),
        ("a: " + "[" * 50_000, f"not valid YAML of a config: more than {DEEPEST} levels"),
        ("a: 2024-13-45\n", "holds a value that is none: month must be in 1..12"),
        ("a: " + "9" * 5000, "holds a value that is none: Exceeds the limit"),
        ('a: "\\e[31m"\n', "not valid YAML of a config: '\\x1b[31m' is not read here"),
        ('a: "\\ud800"\n', "not valid YAML of a config: '\\ud800' is not read here"),
        ('"\\0": 1\n', "not valid YAML of a config: '\\x00' is not read here"),
        ("a: 1\n---\nb: 1\n", "not valid YAML of a config: expected a single document"),
        ("[1]: 1\n", "not valid YAML of a config: while constructing a mapping found unhashable key"),
        ("a" * (LARGEST + 1), f"has {LARGEST + 1:,} bytes, expected a config of at most {LARGEST:,}"),
        ("", "holds NoneType, expected keys and values"),
        (b"a: \xff\n", "is not text in UTF-8 (byte 3)"),
        ("a: 1\n".encode("utf-16"), "is not text in UTF-8 (byte 0)"),
    ],
)
def test_what_is_more_than_plain_values_is_refused(tmp_path, content, message):
    path = tmp_path / "config.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert refusal(path).startswith(message)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    assert refusal(tmp_path / "pipe").startswith("is a pipe, expected a regular file")
    assert refusal(tmp_path / "link").startswith("is a link that leads nowhere")
    assert refusal(tmp_path).startswith("is a folder, expected a regular file")
    assert refusal("/dev/zero").startswith("is a device, expected a regular file")


def test_text_in_any_language_and_over_several_lines_is_read(tmp_path):
    (tmp_path / "config.yaml").write_text("a: |\n  é\n  \tß\nb: [1, 2.5, true, null]\n", encoding="utf-8")
    assert read_yaml(tmp_path / "config.yaml") == {"a": "é\n\tß\n", "b": [1, 2.5, True, None]}


def test_python_for_snakemakes_own_loader_is_an_unknown_key(tmp_path):
    (tmp_path / "config.yaml").write_text("__use_yte__: true\nrun: ?print('evaluated')\n")
    with pytest.raises(InputError, match="unknown key '__use_yte__'"):
        read_config(tmp_path / "config.yaml")


def test_long_values_are_cut_and_many_mistakes_are_counted():
    networks = {"vgg": {"architecture": "vgg"}, "x" * 5000: {"architecture": "y" * 5000}}
    raw = {"run": "x" * 5000, "z" * 5000: 1, "scale": "ci", "dataset": {"source": "digits"}, "networks": networks}
    with pytest.raises(InputError) as caught:
        parse_config(raw)
    assert max(map(len, str(caught.value).splitlines())) < 800
    raw = {"run": "a", "scale": "ci", "dataset": {"source": "digits"}, "networks": {}, "seeds": ["x"] * 1000}
    with pytest.raises(InputError) as caught:
        parse_config(raw)
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1]) == (11, "config: and 991 more mistakes")
