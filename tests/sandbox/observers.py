"""What the tests look at: the host from outside, the sandbox from inside."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import threading
from pathlib import Path

from reflection_trl.sandbox import Limits, PythonProgram


class Host:
    """The host as it must stay: servers that nobody calls, files that nobody writes or reads, a process that lives."""

    def __init__(self, directory: Path):
        self.secret = secrets.token_hex(16)
        self.directory = directory
        directory.chmod(0o777)
        self.secret_file = directory / "secret"
        self.secret_file.write_text(self.secret)
        self.secret_file.chmod(0o644)
        os.environ["SECRET_OF_THE_HOST"] = self.secret
        self.process = subprocess.Popen(["sleep", "1000"])
        self.mounts = self._mounts()
        self.hits: list[str] = []
        self.servers = {
            "tcp": socket.create_server(("127.0.0.1", 0)),
            "udp": socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            "abstract": socket.socket(socket.AF_UNIX),
        }
        self.servers["udp"].bind(("127.0.0.1", 0))
        self.servers["abstract"].bind(f"\0{self.secret[:8]}")
        self.servers["abstract"].listen()
        for name, server in self.servers.items():
            threading.Thread(target=self._serve, args=(name, server), daemon=True).start()

    def _serve(self, name: str, server: socket.socket) -> None:
        while True:
            try:
                server.recv(64) if server.type == socket.SOCK_DGRAM else server.accept()[0].close()
            except OSError:
                return
            self.hits.append(name)

    def close(self) -> None:
        del os.environ["SECRET_OF_THE_HOST"]
        self.process.kill()
        self.process.wait()
        for server in self.servers.values():
            server.close()

    def names(self, program: str) -> dict[str, object]:
        """What the program named `program` is told."""
        mark = "mark-" + re.sub("[^a-z0-9]", "-", program.lower()) + "-" + secrets.token_hex(4)
        return {
            "mark": mark,
            "secret": str(self.secret_file),
            "written": str(self.directory / mark),
            "home": str(Path.home()),
            "pid": self.process.pid,
            **{name: server.getsockname() for name, server in self.servers.items() if name != "abstract"},
            "abstract": f"\0{self.secret[:8]}",
        }

    def check_untouched(self, mark: str) -> None:
        """Fails when anything of the host has changed, or anything named `mark` is on it."""
        assert self.hits == []
        assert self.secret_file.read_text() == self.secret
        assert sorted(path.name for path in self.directory.iterdir()) == ["secret"]
        assert self.process.poll() is None
        assert self._mounts() == self.mounts
        for directory in ("/", "/tmp", "/dev/shm", "/usr", "/etc", "/dev", "/var/tmp"):
            assert mark not in os.listdir(directory)
        assert mark not in Path("/proc/net/unix").read_text()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert not path.read_bytes().startswith(mark.encode())
            except OSError:
                continue

    @staticmethod
    def _mounts() -> list[str]:
        # The fields behind the mount point may change by themselves.
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return sorted(line.split(" - ")[0].split()[4] for line in lines)


def descendants(pid: int) -> list[int]:
    """Ids of the processes below `pid`."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in path.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


_INSPECTION = """
import os, resource, signal, sys, threading
for path in ("/", "/tmp", "/tmp/job", "/dev", "/dev/shm", "/usr", "/etc"):
    print(path, sorted(os.listdir(path)) if os.path.isdir(path) else None)
print(sorted(name for name in os.listdir("/proc") if name.isdigit()), threading.active_count())
print([line.split()[-1] for line in open("/proc/net/unix").read().splitlines()[1:] if line.split()[-1].startswith("@")]
      if os.path.exists("/proc/net/unix") else None)
print(sorted(os.environ.items()))
print([(n, resource.getrlimit(getattr(resource, n))) for n in dir(resource) if n.startswith("RLIMIT")])
print([signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE)] == [0, signal.default_int_handler, 1])
print(os.getcwd(), sys.argv, os.getuid(), os.getgid(), os.getgroups(), os.umask(0o22))
print(len([1].__class__([0] * 3)), abs(-1), AssertionError.__mro__)
"""


def inspection() -> PythonProgram:
    """A program that prints all that an earlier one may have left."""
    return PythonProgram(_INSPECTION, limits=Limits(timeout=60.0))


def neighbor(number: int) -> PythonProgram:
    """A decent program that notices when it is disturbed."""
    source = f"""
import os, subprocess, sys
assert os.listdir("/tmp") in (["job"], []) or os.getcwd() != "/tmp/job"
with open("mine", "w") as file:
    file.write("x" * 1000 + "{number}")

def work(n):
    total = sum(i * i for i in range(n))
    assert open("mine").read().endswith("{number}")
    return total
"""
    return PythonProgram(source, "assert work(20000) == 2666466670000", limits=Limits(timeout=60.0))


def own_folders() -> list[str]:
    """The temporary folders that this process holds."""
    links = (os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if os.path.islink(entry.path))
    return [link for link in links if os.path.basename(link).startswith("reflection_trl-") and os.path.isdir(link)]
