"""Reading a config file: plain values in YAML, and nothing that could run, repeat or grow."""

import unicodedata
from pathlib import Path
from typing import Any

import yaml

from unravel.files import InputError, cut, read_text, regular

LARGEST = 100_000  # bytes; the largest config of ours has some 3,000
DEEPEST = 20  # levels of lists and keys; ours have 5
MEND = "give a config such as config/config.yaml"


def read_yaml(path: Path | str) -> dict[Any, Any]:
    """The keys and values of a config file, which is UTF-8 YAML without tags, aliases, merges and repeated keys.

    Raises InputError, one line, for anything else, and for more than LARGEST bytes or DEEPEST levels.
    """
    n_bytes = regular(path, MEND).stat().st_size
    if n_bytes > LARGEST:
        raise InputError(f"{path}: has {n_bytes:,} bytes, expected a config of at most {LARGEST:,}; {MEND}")
    try:
        raw = yaml.load(read_text(path, MEND), Loader=_Loader)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).replace('in "<unicode string>", ', "in ").split())
        raise InputError(f"{path}: not valid YAML of a config: {cut(reason, 300)}") from error
    except ValueError as error:  # of a date or a number
        raise InputError(f"{path}: holds a value that is none: {cut(str(error), 200)}; quote or correct it") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path}: holds {type(raw).__name__}, expected keys and values; {MEND}")
    return raw


class _Loader(yaml.SafeLoader):
    """Refuses what PyYAML's safe loader takes beyond plain values.

    Snakemake's own loader takes the last of two equal keys and follows aliases: what was checked here would not be
    what it reads.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refusal(event, f"*{event.anchor}", "write the value out instead of an alias")
        if event.tag is not None:
            raise _refusal(event, event.tag, "drop the tag")
        if self.depth > DEEPEST:
            raise _refusal(event, f"more than {DEEPEST} levels", "no key of a config lies so deep")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(node, yaml.ScalarNode) and any(map(_unwritable, node.value)):
            raise _refusal(node, ascii(node.value), "drop what is no character that can be written")
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Called before a mapping is made of its pairs: the place to look at the keys."""
        seen = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise _refusal(key, "<<", "write the keys out instead of a merge")
            if (key.tag, str(key.value)) in seen:
                raise _refusal(key, f"the key '{key.value}' a second time", "keep one of the two")
            seen.add((key.tag, str(key.value)))


def _unwritable(character: str) -> bool:
    """Whether it is a control character, which a terminal would obey, or half a surrogate pair."""
    return character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs")


def _refusal(where: Any, what: str, mend: str) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(None, None, f"{cut(what)} is not read here; {mend}", where.start_mark)
