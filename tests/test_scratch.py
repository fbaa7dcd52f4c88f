"""Temporary folders: removed with their process, however it ended, and never under a live one."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reflection_trl import scratch
from reflection_trl.scratch import ScratchFolder, remove_abandoned


PROCESS = """
import sys, time
from reflection_trl.scratch import ScratchFolder
folder = ScratchFolder(sys.argv[1])
open(folder.path + "/answers.jsonl", "w").write("secret")
print(folder.path, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(scratch, "_YOUNG_SECONDS", -1.0)
    remove_abandoned.cache_clear()
    yield
    remove_abandoned.cache_clear()


@pytest.fixture
def other(tmp_path):
    """Another process with a folder."""
    process = subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.wait()
    process.stdout.close()


def sweep(tmp_path):
    remove_abandoned.cache_clear()
    with ScratchFolder(tmp_path):
        pass


def test_a_folder_goes_with_its_block(tmp_path):
    with ScratchFolder(tmp_path) as folder:
        assert oct(os.stat(folder).st_mode & 0o777) == "0o700"
        Path(folder, "file").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_live_one_is_not(other, tmp_path):
    process, folder = other
    sweep(tmp_path)
    assert (folder / "answers.jsonl").read_text() == "secret"
    os.kill(process.pid, signal.SIGSTOP)  # one that does not move lives too
    sweep(tmp_path)
    assert folder.exists()
    process.kill()
    process.wait()
    assert folder.exists()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folders_of_others_stay(tmp_path, monkeypatch):
    prefix = Path(ScratchFolder(tmp_path).path).name.rpartition("-")[0]
    names = ["reflection_trl-another_host-abc", "something-else", f"{prefix}-file"]
    for name in names[:2]:
        (tmp_path / name).mkdir()
    (tmp_path / names[2]).write_text("a file")
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / f"{prefix}-link").symlink_to(kept)
    (kept / "file").write_text("x")
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {*names, f"{prefix}-link", "kept"}
    assert (kept / "file").exists()
    (tmp_path / f"{prefix}-mine").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)  # another user's, from there
    sweep(tmp_path)
    assert (tmp_path / f"{prefix}-mine").exists()
    monkeypatch.undo()
    monkeypatch.setattr(scratch, "_YOUNG_SECONDS", -1.0)
    sweep(tmp_path)
    assert not (tmp_path / f"{prefix}-mine").exists()


def test_a_young_folder_is_not_swept(tmp_path, monkeypatch):
    """Its process may be about to lock it."""
    prefix = Path(ScratchFolder(tmp_path).path).name.rpartition("-")[0]
    (tmp_path / f"{prefix}-new").mkdir()
    monkeypatch.setattr(scratch, "_YOUNG_SECONDS", 60.0)
    sweep(tmp_path)
    assert (tmp_path / f"{prefix}-new").exists()


def test_without_locks_nothing_is_swept(other, tmp_path, monkeypatch):
    """Such as on a network file system."""
    process, folder = other
    process.kill()
    process.wait()

    def refuse(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    sweep(tmp_path)
    assert folder.exists()


def test_directories_that_a_program_closed_are_removed(tmp_path):
    """As an ordinary user: root needs no rights."""
    code = f"""
import os
if os.geteuid() == 0:
    os.setgid(65011); os.setuid(65011)
from reflection_trl.scratch import ScratchFolder
with ScratchFolder({str(tmp_path)!r}) as folder:
    os.makedirs(folder + "/a/b")
    open(folder + "/a/b/file", "w").close()
    os.chmod(folder + "/a/b", 0)
    os.chmod(folder + "/a", 0)
"""
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o005)
    tmp_path.chmod(0o777)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    # The package is imported by root, since it may lie where others cannot read
    code = code.replace("import os\n", "import os\nimport reflection_trl.scratch\n", 1)
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_swept_before_its_lock_is_made_again(tmp_path, monkeypatch):
    made, mkdtemp = [], scratch.tempfile.mkdtemp

    def swept(**options):
        made.append(mkdtemp(**options))
        if len(made) == 1:
            flock = fcntl.flock

            def late(*arguments):
                monkeypatch.setattr(fcntl, "flock", flock)
                os.rmdir(made[0])
                flock(*arguments)

            monkeypatch.setattr(fcntl, "flock", late)
        return made[-1]

    monkeypatch.setattr(scratch.tempfile, "mkdtemp", swept)
    with ScratchFolder(tmp_path) as folder:
        assert folder == made[1] and os.path.isdir(folder)


def test_names_tell_the_host_in_plain_characters(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "node-1.example/../x")
    with ScratchFolder(tmp_path) as folder:
        assert Path(folder).parent == tmp_path and Path(folder).name.startswith("reflection_trl-node_1_example____x-")
    assert time.time() - tmp_path.stat().st_mtime < 60
