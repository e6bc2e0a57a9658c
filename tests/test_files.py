"""Only regular files are read; writes happen whole or not at all; what is in the way gets one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unravel.files import (
    INTERRUPTED,
    InputError,
    atomic,
    read_bytes,
    read_json,
    read_text,
    require_writable,
    run_command_line,
    sha256,
)


def test_a_write_replaces_the_file_at_its_end(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic(path) as partial:
        partial.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_a_file_gets_the_permissions_that_new_files_get(tmp_path, mask):
    path = tmp_path / "file.txt"
    before = os.umask(mask)
    try:
        with atomic(path) as partial:
            partial.write_text("one")
            partial.chmod(0o600)  # as safetensors leaves it
    finally:
        assert os.umask(before) == mask
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_content_is_on_the_disk_before_its_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    """What a loss of power leaves cannot be tried; what is asked of the disk, and in which order, can."""
    done, replace, fsync = [], os.replace, os.fsync

    def synced(opened):
        done.append(("synced", Path(f"/proc/self/fd/{opened}").readlink()))
        fsync(opened)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda *names: (done.append(("renamed", names[1])), replace(*names)))
    with atomic(tmp_path / "file.txt") as partial:
        partial.write_text("one")
    assert done == [("synced", partial), ("renamed", tmp_path / "file.txt"), ("synced", tmp_path)]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic(path) as partial:
        partial.write_text("half" * 10_000 + "\udcff", encoding="utf-8")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a small file system here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_gets_one_line_and_no_half_file(small_disk):
    with (
        pytest.raises(InputError, match=r"big.bin: cannot be written: no space left on the device; free some"),
        atomic(small_disk / "big.bin") as partial,
    ):
        partial.write_bytes(bytes(200_000))
    assert list(small_disk.iterdir()) == []


def test_a_checkpoint_on_a_full_disk_gets_one_line_and_no_half_file(small_disk):
    import torch

    from unravel.training.checkpoints import write_tensors

    with pytest.raises(InputError, match=r"seed1.safetensors: cannot be written: no space left on the device"):
        write_tensors(small_disk / "seed1.safetensors", {"weight": torch.zeros(100_000)}, {})
    assert list(small_disk.iterdir()) == []


def test_a_file_where_a_folder_should_be_gets_one_line(tmp_path):
    (tmp_path / "results").write_text("in the way")
    with (
        pytest.raises(InputError, match=r"cannot be written: .*move that file away"),
        atomic(tmp_path / "results" / "demo" / "file.txt"),
    ):
        pass
    with (
        pytest.raises(InputError, match=r"cannot be written: .*move that file away"),
        atomic(tmp_path / "results" / "file.txt"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_gets_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="no permission"), atomic(tmp_path / "file.txt") as partial:
        partial.write_text("text")
    tmp_path.chmod(0o700)


def test_sha256_is_that_of_the_command_line(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(100_000))
    assert subprocess.run(["sha256sum", path], capture_output=True, text=True).stdout.split()[0] == sha256(path)


def test_a_script_ends_with_one_line_for_what_the_user_can_mend():
    def main():
        raise InputError("seed: -1 given, expected 0 or more")

    with pytest.raises(SystemExit) as ended:
        run_command_line(main)
    assert ended.value.code == "error: seed: -1 given, expected 0 or more"  # Python prints it and exits with 1


def test_other_errors_keep_their_trace():
    with pytest.raises(ZeroDivisionError):
        run_command_line(lambda: sys.exit(1 // 0))


def test_a_run_folder_that_cannot_be_written_is_found_before_any_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    require_writable("results/demo")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "results").write_text("in the way")
    with pytest.raises(InputError, match=r"results/demo: cannot be written: .*results is not a folder; move it away"):
        require_writable("results/demo")


def test_a_reader_of_the_output_may_stop_early():
    command = "import sys; from unravel.files import run_command_line as run; run(lambda: print('line\\n' * 100_000))"
    script = f'PYTHONPATH=scripts {sys.executable} -c "{command}" | head -1'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert (done.stdout, done.stderr) == ("line\n", "")


def test_ctrl_c_ends_a_script_with_one_line(capsys):
    def main():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        run_command_line(main)
    assert ended.value.code == INTERRUPTED
    assert capsys.readouterr().err == "interrupted; the same command starts this again\n"


@pytest.mark.parametrize("read", [read_bytes, read_text, read_json, sha256])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dead").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    for path, what in {
        tmp_path: "is a folder, expected a regular file",
        tmp_path / "pipe": "is a pipe, expected a regular file",
        "/dev/zero": "is a device, expected a regular file",
        tmp_path / "dead": "is a link that leads nowhere",
        tmp_path / "missing": "is missing",
        tmp_path / "pipe" / "below": "is missing",
    }.items():
        with pytest.raises(InputError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: {what}; check the path"
    for path in (tmp_path / "loop", "zero\0byte"):
        with pytest.raises(InputError, match="cannot be read"):
            read(path)


def test_a_link_to_a_file_is_followed(tmp_path):
    (tmp_path / "file").write_text("é", encoding="utf-8")
    (tmp_path / "link").symlink_to("file")
    assert read_text(tmp_path / "link") == "é"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON (EOF while parsing"),
        (b'{"a": "\xff"}', "is not JSON"),
        (b'{"a": "\\ud800"}', "is not JSON"),
        (b"[" * 100_000, "is not JSON (recursion limit exceeded"),
        (b"[]", "holds list, expected dict"),
    ],
)
def test_what_is_no_json_object_is_refused_with_what_to_do(tmp_path, content, message):
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_json(tmp_path / "file.json", "draw it again")
    assert str(caught.value).startswith(f"{tmp_path}/file.json: {message}")
    assert str(caught.value).endswith("; draw it again")


def test_text_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "file.txt").write_bytes(b"abc\xff")
    with pytest.raises(InputError, match=r"file.txt: is not text in UTF-8 \(byte 3\); check the path"):
        read_text(tmp_path / "file.txt")
