"""Selects the Python that runs the programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from ..quoting import quote_error
from .verdict import SandboxError


_ASK = """
import json, sys, sysconfig
print(json.dumps({"prefixes": [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix],
                  "shared": bool(sysconfig.get_config_var("Py_ENABLE_SHARED")), "version": sys.version_info[:2]}))
"""


@dataclass(frozen=True)
class Interpreter:
    """
    Describes a Python interpreter.

    Args:
        path (`str`):
            Its executable.
        prefixes (`tuple[str, ...]`):
            Directories that it needs in addition to the system's.
        shared (`bool`):
            Whether it needs a shared library of its prefix.
        relocatable (`bool`):
            Whether it also runs when its one prefix is mounted elsewhere.
    """

    path: str
    prefixes: tuple[str, ...]
    shared: bool
    relocatable: bool


def find_interpreter(python: str | None) -> Interpreter:
    """Returns the interpreter `python`, or the one that we run on, without its virtual environment."""
    path = os.path.realpath(sys._base_executable) if python is None else os.path.abspath(python)  # type: ignore[attr-defined]
    try:
        answer = subprocess.run([path, "-I", "-c", _ASK], capture_output=True, text=True, timeout=60, check=True)
        facts = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise SandboxError(f"`python` must be a Python interpreter, got {path!r} ({quote_error(error)}).") from None
    if facts["version"] < [3, 10]:
        raise SandboxError(f"`python` must be Python 3.10 or newer, got {path!r}.")
    # A path with symbolic links needs both ends
    needed = {way for prefix in facts["prefixes"] for way in (os.path.abspath(prefix), os.path.realpath(prefix))}
    prefixes = tuple(sorted(prefix for prefix in needed if not f"{prefix}/".startswith("/usr/")))
    relocatable = len(prefixes) == 1 and path.startswith(f"{prefixes[0]}/")
    return Interpreter(path, prefixes, facts["shared"], relocatable)
