"""Damage files of a finished run, kill trainings, fill the disk, spoil configs: nothing wrong may come of it unsaid.

    PYTHONPATH=scripts:tests python tests/campaign/faults.py --damages 1000 --kills 100 --full 100 --configs 500

Each try is a process of its own on a copy of a small run. What rests on a damaged file is made again: figures,
verdicts, measurements, the report, and the check of the whole run. A try is
  told      if a line names the damaged file, or verify ends with an error, and nothing was made of it,
  unharmed  if everything comes out byte for byte as without the damage,
  wrong     if something else comes out and nobody says so,
  trace     if Python's trace is shown instead of a line, and hang if it takes longer than a minute.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import random
import re
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import article_helpers
import torch
from article_helpers import RUN, run_script
from damages import FAULTS, Fault, flip_a_bit

from unravel.evidence.lineage import Record, read_records
from unravel.files import InputError, sha256
from unravel.run import read_config

PATIENCE = 60  # seconds
Try = tuple[str, str, str, str]
"""Fault, file, outcome, message."""


# --- what is made of a damaged file -----------------------------------------------------------------------------------


def victims() -> list[Path]:
    """The files of the run that a job made, and their records. Logs and the lock decide nothing."""
    made = {path for record in read_records(RUN / "jobs").values() for path in record["outputs"]}
    records = (path.as_posix() for path in (RUN / "jobs").rglob("*.json"))
    return [Path(path) for path in sorted({*made, *records})]


def consumers(victim: Path) -> tuple[set[str], list[list[str]]]:
    """A file with what its record made, if it is one, and the commands of all that reads these."""
    records = read_records(RUN / "jobs")
    about = {str(victim)}
    name = victim.relative_to(RUN / "jobs").with_suffix("").as_posix() if victim.is_relative_to(RUN / "jobs") else ""
    about |= set(records.get(name, {}).get("outputs", ()))
    if victim.parent.parent == RUN / "data":
        about.add(str(victim.with_name("manifest.json")))  # images are read by their manifest
    jobs = [record["command"] for record in records.values() if about & record["inputs"].keys()]
    commands = [shlex.split(command)[1:] for command in sorted(jobs)]
    return about, [
        *(command for command in commands if command[0] != "scripts/train.py"),
        ["scripts/write_report.py", "--run", str(RUN), "--output", str(RUN / "report.html")],
        ["scripts/verify.py", "--run", str(RUN)],
    ]


def run(command: list[str]) -> str:
    """Run a script in this process. What it says on failure in one line; "" if it ends well.

    Raises what the script raises, but for errors that are told.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            run_script(command)
    except SystemExit as ended:
        if ended.code in (None, 0):
            return ""
        words = ended.code if isinstance(ended.code, str) else said.getvalue()
        return words.strip() or "nothing said"
    return ""


def lines_about(files: set[str], before: str, after: str) -> bool:
    """Whether the report says something of one of these files that it did not say before."""
    known = set(before.splitlines())
    names = "|".join(re.escape(Path(file).name) for file in files)
    return any(re.search(rf"\b({names})", line) for line in after.splitlines() if line not in known)


def judge(victim: Path, whole: dict[str, bytes]) -> tuple[str, str]:
    """What comes of a damaged file: the kind of outcome, and what was said."""
    told = ""
    about, commands = consumers_before[victim]
    for command in commands:
        if told and command[0] == "scripts/verify.py":  # it makes nothing, and is the last to tell
            continue
        try:
            said = run(command)
        except InputError as error:
            said = str(error)
        except BaseException:
            return "trace", f"{command[0]}: {traceback.format_exc().splitlines()[-1]}"
        if said:
            told = told or said
            continue
        for path, content in whole.items():
            if path != str(victim) and path in command and Path(path).is_file() and Path(path).read_bytes() != content:
                page = path.endswith("report.html")
                if not (page and lines_about(about, content.decode(), Path(path).read_text(encoding="utf-8"))):
                    return "wrong", f"{shlex.join(command)[:200]}: {path} is another file"
                told = told or "the report says so"
    return ("told", told) if told else ("unharmed", "")


consumers_before: dict[Path, tuple[set[str], list[list[str]]]] = {}
"""What `consumers` says of each file before one of them is damaged."""


# --- tries ------------------------------------------------------------------------------------------------------------


def in_a_process(task: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    """Do a task in a copy of this process, for at most PATIENCE."""
    ours, theirs = multiprocessing.Pipe()
    child = os.fork()
    if child == 0:
        silence()
        try:
            theirs.send(task())
        except BaseException:
            theirs.send(("trace", traceback.format_exc().splitlines()[-1]))
        os._exit(0)
    theirs.close()
    try:
        return ours.recv() if ours.poll(PATIENCE) else ("hang", f"{PATIENCE} s")
    except EOFError:
        return "trace", "the process died"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def silence() -> None:
    """What a copy of this process says is not shown."""
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)


@contextlib.contextmanager
def copy_of(folder: Path) -> Iterator[None]:
    """A copy of a checkout as the working directory."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as temporary:
        copy = shutil.copytree(folder, Path(temporary) / "copy", symlinks=True)
        os.chdir(copy)
        try:
            yield
        finally:
            os.chdir(before)


def damage(folder: Path, tries: int, draw: random.Random) -> Iterator[Try]:
    """(fault, file, outcome, message) of each try; each file and each fault comes as often as another, by chance."""
    with copy_of(folder):
        files = victims()
        consumers_before.update({path: consumers(path) for path in files})
        whole = {str(path): path.read_bytes() for path in RUN.rglob("*") if path.is_file() and "jobs" not in path.parts}
    for _ in range(tries):
        victim, (name, fault) = draw.choice(files), draw.choice(list(FAULTS.items()))
        with copy_of(folder):
            fault(victim, draw)
            yield name, str(victim), *in_a_process(lambda victim=victim: judge(victim, whole))


def kill(folder: Path, kills: int, draw: random.Random) -> Iterator[Try]:
    """Trainings killed at any moment, some saved states damaged; they must end in the bytes of one left alone."""
    with copy_of(folder):
        commands = [shlex.split(record["command"])[1:] for record in read_records(RUN / "jobs").values()]
    trainings = [command for command in commands if command[0] == "scripts/train.py"]
    done = 0
    while done < kills:
        training = draw.choice(trainings)
        checkpoint = Path(training[training.index("--checkpoint") + 1])
        history = Path(training[training.index("--history") + 1])
        with copy_of(folder):
            wanted = [sha256(checkpoint), sha256(history)]
            for path in (checkpoint, history):
                path.unlink()
            started = time.monotonic()
            alone = in_a_process(lambda training=training: ("told", run(training)))
            lasted = time.monotonic() - started
            if alone[1] or [sha256(checkpoint), sha256(history)] != wanted:
                raise SystemExit(f"a training left alone does not end in the same bytes: {alone}")
        with copy_of(folder):
            for path in (checkpoint, history):
                path.unlink()
            for _ in range(min(5, kills - done)):
                kill_after(draw.uniform(0, lasted), training)
                done += 1
                state = checkpoint.with_suffix(".resume.safetensors")
                spoilt = draw.random() < 0.3 and state.is_file()
                if spoilt:
                    flip_a_bit(state, draw)
            outcome, said = in_a_process(lambda training=training: ("unharmed", run(training)))
            if outcome == "unharmed" and said:
                outcome = "told"
            elif outcome == "unharmed" and [sha256(checkpoint), sha256(history)] != wanted:
                outcome = "wrong"
            yield "kill -9 of a training", str(checkpoint), outcome, said


def kill_after(seconds: float, command: list[str]) -> None:
    child = os.fork()
    if child == 0:
        silence()
        with contextlib.suppress(BaseException):
            run(command)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


ODD = (
    "null",
    "-1",
    "1e999",
    "nan",
    "[]",
    "{}",
    "2026-02-30",
    "'\\ud800'",
    "!!python/name:os.system",
    "[" * 200,
    "&a [*a]",
)


def fill_the_disk(folder: Path, tries: int, draw: random.Random) -> Iterator[Try]:
    """Jobs done again where no file can grow beyond a limit that is below what they make: nothing may change."""
    with copy_of(folder):
        records = read_records(RUN / "jobs")
        before = {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file()}
        for _ in range(tries):
            record = draw.choice(list(records.values()))
            room = draw.randrange(max(described["bytes"] for described in record["outputs"].values()))
            outcome, said = in_a_process(lambda record=record, room=room: ("told", in_little_room(record, room)))
            after = {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file()}
            if outcome == "told" and (not said or after != before):
                outcome, said = "wrong", said or "ended well"
            yield "disk full", record["command"][:100], outcome, said


def in_little_room(record: Record, room: int) -> str:
    """What a job says where each write beyond `room` bytes fails, as it does on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    return run(shlex.split(record["command"])[1:])


def spoil_configs(folder: Path, tries: int, draw: random.Random) -> Iterator[Try]:
    """Configs with odd values, lost or repeated lines and foreign bytes: read as they are, or refused in lines."""
    text = (folder / RUN / "config.yaml").read_bytes()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "config.yaml"
        for _ in range(tries):
            path.write_bytes(text)
            name, change = draw.choice([*CHANGES.items()])
            change(path, draw)
            yield f"config: {name}", "config.yaml", *in_a_process(lambda: refused(path))


def odd_value(path: Path, draw: random.Random) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    place = draw.choice([place for place, line in enumerate(lines) if ":" in line])
    lines[place] = f"{lines[place].partition(':')[0]}: {draw.choice(ODD)}"
    path.write_text("\n".join(lines), encoding="utf-8")


CHANGES: dict[str, Fault] = {
    "an odd value": odd_value,
    **{name: FAULTS[name] for name in ("one bit flipped", "cut short", "a line twice", "a line dropped", "empty")},
}


def refused(path: Path) -> tuple[str, str]:
    try:
        read_config(path)
    except InputError as error:
        return "told", str(error)
    return "unharmed", ""


# --- the table --------------------------------------------------------------------------------------------------------

OUTCOMES = ("told", "unharmed", "wrong", "trace", "hang")


def campaign(folder: Path, seed: int, damages: int, kills: int, full: int, configs: int) -> Iterator[Try]:
    """Every try. The same seed makes the same damages."""
    torch.set_num_threads(1)  # so that a copy of this process can go on
    draw = random.Random(seed)
    yield from spoil_configs(folder, configs, draw)
    yield from fill_the_disk(folder, full, draw)
    yield from kill(folder, kills, draw)
    yield from damage(folder, damages, draw)


def table(tries: list[Try]) -> str:
    """Outcomes by fault, as Markdown, with a message of each."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    said: dict[str, str] = {}
    for fault, _, outcome, message in tries:
        counts[fault][outcome] += 1
        if outcome == "told":
            said.setdefault(fault, message.splitlines()[0][:160])
    head = ["fault", "tries", *OUTCOMES, "such as"]
    rows = [
        [fault, str(sum(count.values())), *(str(count[outcome]) for outcome in OUTCOMES), said.get(fault, "")]
        for fault, count in counts.items()
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, number in (("seed", 1), ("damages", 1000), ("kills", 100), ("full", 100), ("configs", 500)):
        parser.add_argument(f"--{option}", type=int, default=number)
    parser.add_argument("--table", type=Path, help="Markdown file to write; printed if not given")
    arguments = parser.parse_args()
    where = Path.cwd()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "checkout"
        folder.mkdir()
        article_helpers.make_run(folder)
        numbers = (arguments.seed, arguments.damages, arguments.kills, arguments.full, arguments.configs)
        tries = []
        for one in campaign(folder, *numbers):
            tries.append(one)
            print(json.dumps(one), file=sys.stderr, flush=True)
    text = table(tries)
    if arguments.table:
        (where / arguments.table).write_text(text, encoding="utf-8")
    print(text)
    bad = [one for one in tries if one[2] in ("wrong", "trace", "hang")]
    print(json.dumps(bad, indent=1))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
