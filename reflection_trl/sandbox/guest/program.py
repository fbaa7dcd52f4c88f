"""
Runs the program in a separate process, and then serves the checks' requests.

The program controls this process, so everything in it, including this module, is untrusted.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import functools
import io
import os
import sys
import types
from typing import Any

from . import errors, texts
from .derived import derive
from .exceptions import Exceptions
from .remote import (
    ASYNCHRONOUS,
    OPERATIONS,
    Channel,
    Disconnected,
    Encoder,
    Peer,
    ProtocolError,
    Remote,
    data_type,
    has_behavior,
    is_refilled,
    parameters_of,
    plain,
    refill,
)


# More than the checks may change
_GIVEN = 64
# What iterators of the checks support, which may be files
_OF_ITERATORS = frozenset({"__enter__", "__exit__", "__iter__", "__next__", "__repr__", "__str__"})


def run_program(source: str, channel: Channel, checked: bool) -> int:
    """
    Runs `source` as the real `__main__` module, serves the checks until they end, and returns the exit code.

    `pickle`, `inspect`, `unittest` and `multiprocessing` all look for `__main__` and its file, so both exist.

    Args:
        source (`str`):
            The program.
        channel (`Channel`):
            Connection to the checks.
        checked (`bool`):
            Whether there are checks. They use the program as a module, so code for scripts only does not run, and its
            own `unittest.main()` does not end it.
    """
    main = types.ModuleType("__main__")
    directory = os.getcwd()
    main.__file__ = f"{directory}/main.py"
    main.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    sys.argv[:] = ["main.py"]
    sys.path.insert(0, directory)
    for name in own_modules():
        sys.modules.pop(name, None)
    errors.register_source("main.py", source)
    process = os.getpid()
    code = 0
    outcome: dict[str, Any] = {"end": "finished"}
    try:
        exec(errors.compiled(source, "main.py", as_module=checked), vars(main))
    except SystemExit as exit:
        if not (checked and _from_unittest(exit)):
            code, outcome = _exit_code(exit), {"end": "exited"}
    except BaseException as error:
        code, outcome = 1, {"end": "raised", "error": _report(error)}
    if os.getpid() != process:
        # A child that the program forked has reached the end of the file: it must not serve the checks.
        return code
    _flush()
    channel.send(outcome)
    with contextlib.suppress(Disconnected, ProtocolError):
        Program(channel, vars(main)).serve_until_end()
    return code


@functools.cache
def own_modules() -> tuple[str, ...]:
    """Returns the names of this package's modules. Runs before the first job, since it reads the names of all modules."""
    package = __package__.partition(".")[0]
    return tuple(name for name in sys.modules if name.partition(".")[0] == package)


def leave(code: int) -> None:
    """Ends the process as the interpreter would: threads, `atexit`, objects of the module, buffers."""
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        atexit._run_exitfuncs()
        main = sys.modules.get("__main__")
        if main is not None:
            vars(main).clear()
    except BaseException:
        code = code or 1
    finally:
        _flush()
        os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()


def _exit_code(exit: SystemExit) -> int:
    if exit.code is None or isinstance(exit.code, int):
        return int(exit.code or 0) & 0xFF
    print(exit.code, file=sys.stderr)
    return 1


def _from_unittest(exit: SystemExit) -> bool:
    """Returns whether the program's own `unittest.main()` raised this."""
    trace = exit.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") == "unittest.main"


def _report(error: BaseException) -> dict[str, Any]:
    """Prints the traceback as the interpreter would, without the sandbox's frames, and returns it as data."""
    trace = errors.own_traceback(error.__traceback__)
    record = errors.describe(error, trace)
    try:
        if sys.excepthook is not sys.__excepthook__:
            sys.excepthook(type(error), error, trace)
        else:
            sys.stderr.write(record["text"])
    except BaseException:
        pass
    return record


class Program(Peer):
    """Implements the program's end of the conversation with the checks."""

    def __init__(self, channel: Channel, namespace: dict[str, Any]):
        super().__init__(channel)
        self.namespace = namespace
        self.exceptions = Exceptions(self)
        self._kept: dict[type, bool] = {}
        self._given: dict[Any, Any] = {}  # containers that the checks have read, as they were
        self._printed = "", ""  # by a request that has raised an error
        self._loop: Any = None  # of asyncio

    def keeps(self, cls: type) -> bool:
        if cls not in self._kept:
            self._kept[cls] = cls.__module__ == "__main__" and data_type(cls) is not None and has_behavior(cls)
        return self._kept[cls]

    def serve_until_end(self) -> None:
        process = os.getpid()
        while True:
            message = self.channel.receive()
            if "do" not in message:
                self.channel.send({"end": "program"})
                return
            self.answer(message)
            _flush()
            if os.getpid() != process:
                os._exit(0)

    def operate(self, remote: Remote, name: str, args: tuple[Any, ...] = ()) -> Any:
        if remote._kind == "object" or name in _OF_ITERATORS:
            return super().operate(remote, name, args)
        # Python's own answers
        if name in ("__eq__", "__ne__"):
            return (name == "__eq__") == remote._is(args[0]) if remote._is(args[0]) else NotImplemented
        if name in ("__bool__", "__hash__"):
            return True if name == "__bool__" else remote._number
        raise TypeError(f"{name} is not supported by {remote._type!r} object")

    def serve(self, what: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        action, target = what[0], what[1]
        if action == "name":
            found = self._lookup(target)
            if is_refilled(found[1]):
                self._give(None, target, found[1])
            return found
        if action == "restore":
            return self._restore(target, what[2], *args)
        if action == "names":
            # Objects only: the checks request constants at each use, since the program may change them.
            return [(name, *self._lookup(name)) for name in target if self._is_object(name)]
        if action == "run":
            text, given, modules = args
            return texts.run_text(what[1], what[2], text, given, modules, self.namespace)
        if action == "within":
            return self._within(what[1:], *args, **kwargs)
        if action == "seed":
            import random

            return random.seed(*args, **kwargs)
        if action == "derive":
            return derive(*args)
        value = self.exported(target)
        if action == "call":
            return value(*args, **kwargs)
        if action == "get":
            member = parameters_of(value) if what[2] == "__signature__" else getattr(value, what[2])
            if is_refilled(member):
                self._give(target, what[2], member)
            return member
        if action == "super":
            return getattr(super(value, *args), what[2])
        if action == "set":
            return setattr(value, what[2], *args)
        if action == "del":
            return delattr(value, what[2])
        if action == "data":
            return plain(value)
        if action == "op" and what[2] in ASYNCHRONOUS:
            return self._awaited(getattr(type(value), what[2])(value, *args))
        if action == "op":
            return OPERATIONS[what[2]](value, *args)
        if action == "await":
            return self._awaited(value)
        if action == "dataclass":
            import dataclasses

            return getattr(dataclasses, what[2])(value, *args, **kwargs)
        raise ProtocolError("no such request")

    def _awaited(self, awaitable: Any) -> Any:
        """Waits for an awaitable in the one loop of the program, where what it has started continues at the next call."""
        import asyncio

        async def wait() -> Any:
            return await awaitable

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(wait())

    def _give(self, number: int | None, name: str, container: Any) -> None:
        """Keeps a container as the checks have read it."""
        self._given.pop(next(iter(self._given)) if len(self._given) > _GIVEN else None, None)
        self._given[number, name] = Encoder(self).encode(container)

    def _restore(self, number: int | None, name: str, changed: Any) -> None:
        """Fills a container with what the checks have made of their copy, unless the program has changed it too."""
        container = self.namespace[name] if number is None else getattr(self.exported(number), name)
        if Encoder(self).encode(container) == self._given.get((number, name)):
            refill(container, changed)
            self._given[number, name] = Encoder(self).encode(container)

    def _within(self, what: list[Any], given: Any, *args: Any, **kwargs: Any) -> tuple[Any, str, str, list[Any]]:
        """
        Executes a request with the standard input and the built-in functions that the checks have patched; returns its
        result, what it has printed, and its warnings.
        """
        import warnings

        _flush()
        places = {name: (sys if hasattr(sys, name) else builtins) for name in given}
        known = {name: getattr(place, name) for name, place in places.items()}
        out, err = io.StringIO(), io.StringIO()
        streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
        with streams[0], streams[1], warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                for name, place in places.items():
                    setattr(place, name, given[name])
                value = self.serve(what, args, kwargs)
            except BaseException:
                self._printed = out.getvalue(), err.getvalue()
                raise
            finally:
                for name, place in places.items():
                    setattr(place, name, known[name])
        return value, out.getvalue(), err.getvalue(), [one.message for one in caught]

    def _lookup(self, name: str) -> tuple[str, Any]:
        """Returns `("module" | "from" | "value" | "none", ...)`. The checks import the standard library themselves."""
        if name not in self.namespace:
            return "none", None
        value = self.namespace[name]
        if isinstance(value, types.ModuleType):
            return "module", value.__name__
        module: Any = getattr(value, "__module__", None)
        standard = type(module) is str and module != "__main__" and getattr(value, "__name__", name) == name
        if standard and vars(sys.modules.get(module, types)).get(name) is value:
            return "from", module
        if getattr(sys.modules.get("typing"), name, None) is value:
            return "from", "typing"
        return "value", value

    def _is_object(self, name: str) -> bool:
        return name in self.namespace and isinstance(
            self.namespace[name], (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)
        )

    def describe_error(self, error: BaseException, encoder: Any) -> dict[str, Any]:
        record = errors.describe(error, errors.own_traceback(error.__traceback__))
        printed, self._printed = self._printed, ("", "")
        return super().describe_error(error, encoder) | {"record": record, "printed": printed}
