"""Implements the second mechanism, for machines without user namespaces: Landlock and seccomp, through sandlock."""

from __future__ import annotations

import importlib.util
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from ..scratch import ScratchFolder
from .bubblewrap import ENVIRONMENT, SANDBOX_USERS, drop_user, open_to_all, unprivileged_user
from .interpreter import Interpreter, find_interpreter
from .shared_memory import remove_shared_memory
from .verdict import SandboxUnavailableError


_READABLE = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/ld.so.cache")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

# Runs outside our process: sandlock keeps threads that watch the sandbox, and ends with it. Without a process namespace,
# what a program has started in a session of its own would live on, so the process that stays here adopts all of it, and
# ends it when the sandbox has ended, on request, and when we die.
_LAUNCHER = """
import ctypes, json, os, signal, sys, time
parent, config = int(sys.argv[1]), json.loads(sys.argv[2])
prctl = ctypes.CDLL(None).prctl
def descendants():
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    children.setdefault(int(file.read().rpartition(")")[2].split()[1]), []).append(int(name))
            except OSError:
                pass
    found = [os.getpid()]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]
def end(*_):
    while found := descendants():
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        time.sleep(0.002)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
if os.getppid() != parent:
    sys.exit(1)
guardian, launcher = os.getpid(), os.fork()
if launcher:
    os.close(0)
    os.waitpid(launcher, 0)
    end()
signal.signal(signal.SIGTERM, signal.SIG_DFL)
prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() != guardian:
    sys.exit(1)
sys.path.append(config["library"])
os.environ["HOME"] = config["storage"]
import sandlock
box = sandlock.Sandbox(
    fs_readable=config["readable"], fs_writable=config["writable"], max_memory=config["memory"],
    max_processes=config["processes"], max_disk=config["disk"], workdir=config["workdir"], fs_storage=config["storage"],
    on_exit=sandlock.BranchAction.ABORT, on_error=sandlock.BranchAction.ABORT,
    clean_env=True, env=config["environment"], cwd=config["workdir"], no_coredump=True,
)
sys.exit(box.run_interactive(sys.argv[3:]) & 0xFF)
"""


class Landlock:
    """
    Builds the command lines that start a process under sandlock.

    There are no namespaces: the host's directories are forbidden instead of absent, and each program pays for a new
    interpreter. The process limit counts processes, not threads.

    Args:
        interpreter ([`Interpreter`]):
            Interpreter of Python programs.
        readonly (`Sequence[str]`, *optional*, defaults to `()`):
            Directories beside the system's that programs may read.
    """

    name = "landlock"
    fork_server = False
    own_user = False
    proc = False  # and sandlock, which watches from outside, does not let its processes hide

    def __init__(self, interpreter: Interpreter, readonly: Sequence[str] = ()):
        found = importlib.util.find_spec("sandlock")
        if found is None or found.origin is None:
            raise SandboxUnavailableError("sandlock is not installed: run `pip install sandlock`.")
        self.uid = unprivileged_user()
        self.library = str(Path(found.origin).parent.parent)
        if self.uid is not None and not open_to_all(interpreter.path) and Path("/usr/bin/python3").exists():
            # An interpreter in root's home is out of reach, and nothing can be mounted elsewhere.
            interpreter = find_interpreter("/usr/bin/python3")
        self.python = interpreter.path
        self.covered: list[str] = []
        self.readonly = [*interpreter.prefixes, *readonly]
        for path in (self.library, self.python, *self.readonly):
            if self.uid is not None and not open_to_all(path):
                raise SandboxUnavailableError(
                    f"{path} cannot be reached by an unprivileged user: install it outside root's home."
                )
        self._folders: dict[str, ScratchFolder] = {}
        self._lock = threading.Lock()
        remove_shared_memory(SANDBOX_USERS)

    def make_workdir(self) -> str:
        """
        Returns a directory of the host for one job; writes to it go to a layer of limited size, which is discarded.
        """
        folder = ScratchFolder()
        for name in ("job", "storage"):
            os.mkdir(os.path.join(folder.path, name))
            if self.uid is not None:
                os.chown(os.path.join(folder.path, name), self.uid, self.uid)
        os.chmod(folder.path, 0o711)
        workdir = os.path.join(folder.path, "job")
        with self._lock:
            self._folders[workdir] = folder
        return workdir

    def remove_workdir(self, workdir: str) -> None:
        # No job starts while what sandlock shares among those of a user is removed
        with self._lock:
            self._folders.pop(workdir).remove()
            if not self._folders and self.uid is not None:
                remove_shared_memory([self.uid])

    def command(
        self,
        argv: Sequence[str],
        *,
        workdir: str,
        memory: int,
        processes: int,
        disk: int,
        cgroup: Sequence[str] = (),
        **_: object,
    ) -> list[str]:
        config = {
            "library": self.library,
            "readable": [path for path in (*_READABLE, *self.readonly) if os.path.exists(path)] + list(_DEVICES[1:]),
            "writable": [workdir, "/dev/null"],
            "memory": memory,
            "processes": processes,
            "disk": disk,
            "workdir": workdir,
            "storage": os.path.join(os.path.dirname(workdir), "storage"),
            "environment": {**ENVIRONMENT, "HOME": workdir, "TMPDIR": workdir},
        }
        launcher = [self.python, "-I", "-c", _LAUNCHER, str(os.getpid()), json.dumps(config), *argv]
        return drop_user(self.uid, launcher)
