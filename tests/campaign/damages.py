"""What is done to a file: each fault takes its path and a source of random numbers."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

Fault = Callable[[Path, random.Random], None]


def flip_a_bit(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def cut_short(path: Path, draw: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content))])


def swap_with_a_sibling(path: Path, draw: random.Random) -> None:
    """Another file of the same kind in its place: another network's table, another seed's checkpoint."""
    kin = [other for other in sorted(path.parent.parent.rglob(f"*{path.suffix}")) if other.is_file() and other != path]
    if kin:
        shutil.copyfile(draw.choice(kin), path)


def change_a_digit(path: Path, draw: random.Random) -> None:
    """Another number where one stands in text; in a file of bytes, one byte."""
    content = bytearray(path.read_bytes())
    digits = [place for place, byte in enumerate(content) if 48 <= byte <= 57] or list(range(len(content)))
    place = draw.choice(digits)
    content[place] = 48 + (content[place] - 48 + draw.randrange(1, 10)) % 10
    path.write_bytes(content)


def repeat_a_line(path: Path, draw: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(draw.randrange(len(lines)), draw.choice(lines))
    path.write_bytes(b"".join(lines))


def drop_a_line(path: Path, draw: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[draw.randrange(len(lines))]
    path.write_bytes(b"".join(lines))


def empty(path: Path, draw: random.Random) -> None:
    path.write_bytes(b"")


def put_a_folder(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.mkdir()


def put_a_dead_link(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def put_a_pipe(path: Path, draw: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def remove(path: Path, draw: random.Random) -> None:
    path.unlink()


FAULTS: dict[str, Fault] = {
    "one bit flipped": flip_a_bit,
    "cut short": cut_short,
    "a sibling in its place": swap_with_a_sibling,
    "one digit changed": change_a_digit,
    "a line twice": repeat_a_line,
    "a line dropped": drop_a_line,
    "empty": empty,
    "a folder in its place": put_a_folder,
    "a dead link in its place": put_a_dead_link,
    "a pipe in its place": put_a_pipe,
    "removed": remove,
}
