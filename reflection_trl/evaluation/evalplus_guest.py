"""Runs evalplus's evaluator, inside the isolation that `evalplus_score` builds. Imports nothing of this package.

    python evalplus_guest.py BENCHMARK ZIP ANSWERS WORKERS SANDBOX FILTER KEEP

It prints one JSON line when it starts an answer and one when it has judged it. evalplus's `untrusted_check` runs
each answer in a separate process, in separate namespaces (processes, users, mounts with empty temporary directories),
from a separate worker, so that an answer that attacks its judge affects only itself. No answer's process has, or can
open, a descriptor through which results are sent.

evalplus compares in the answer's process, where the answer can manipulate the comparison. So an answer first runs in
another process, like in evalplus and under the same limits, which sends its results as data (see `digests` in the
sandbox's guest, whose folder is SANDBOX). An answer passes if they are those of results that evalplus accepts, or if
evalplus's comparison accepts them here. It fails if a call exceeds its time limit, if it raises an error that it
raises anywhere, or if the comparison rejects a result.

evalplus itself judges the others: those whose results are not plain data, those that die, and those that could
manipulate it (the third field in ANSWERS), to find out whether they do. An answer that it passes runs again, in a
process that evalplus's own comparison calls like the answer itself, with generous limits: results are data, and an
object that equals everything equals nothing (see `checks` in the sandbox's guest).

Time in the queue for a CPU does not count against the limit of a call (see `time_limit` in the sandbox's guest). An
answer that spent its limit computing has failed. One that waited runs again, alone, before it fails.
"""

import contextlib
import ctypes
import functools
import importlib
import json
import math
import mmap
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import time
import traceback
import types
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from multiprocessing import connection, util
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any


PARTS = ("base", "plus")
# Names of the files with a task and with its digests, beside that with its expected outputs
PROBLEM, DIGESTS = "{}.problem", "{}.digests"
# Longer inputs do not help a reader
MAX_SHOWN = 50_000
# A busy machine slows answers down, and one that passes once is right
ATTEMPTS = 2
MIN_TIME_LIMIT, TIME_LIMIT_FACTOR = 1.0, 4.0  # evalplus's own
# Limits of one answer: bytes in its temporary directory, processes, address space, bytes of a result
DISK, PROCESSES, MEMORY, LONGEST = 256 << 20, 32, 4 << 30, 1 << 30
# Bytes of a task's expected outputs after which a worker judges answers to no other task
BLOATING = 64 << 20
# Factor on the limits of answers that evalplus itself found fast enough, since results come from another process
CONFIRMATION = 10.0
# evalplus ends an answer after this time on one set of inputs, and adds some for what it does itself
LONGEST_PART, OVERHEAD = 60.0, 2.0
# What evalplus puts around an answer
HARNESS = "evalplus.eval.utils"
# A stand-in for an answer that runs in another process, which evalplus judges in its place
STAND_IN = "from answer_of_another_process import load\n{name} = load({name!r})\n"
WORKS = "def works(part):\n    return part\n"
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36


def time_limits(reference_seconds: Iterable[float]) -> list[float]:
    """Returns evalplus's time limits of calls, from the times of the canonical solution."""
    return [max(MIN_TIME_LIMIT, TIME_LIMIT_FACTOR * seconds) for seconds in reference_seconds]


def time_limit_of_part(limits: Iterable[float]) -> float:
    """Returns evalplus's time limit of all calls together, with the program that defines the function."""
    return min(LONGEST_PART, sum(limits))


def verdict(
    status: str,
    details: Iterable[Any] = (),
    *,
    late: bool = False,
    doubtful: bool = False,
    deceived: bool = False,
    error: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Returns the verdict on an answer and one set of inputs.

    Args:
        status (`str`):
            evalplus's: `"pass"`, `"fail"` or `"timeout"`.
        details (`Iterable`, *optional*, defaults to `()`):
            Whether each input passed, up to the first that did not.
        late (`bool`, *optional*, defaults to `False`):
            Whether a time limit ended the answer.
        doubtful (`bool`, *optional*, defaults to `False`):
            Whether it might pass if it ran alone.
        deceived (`bool`, *optional*, defaults to `False`):
            Whether evalplus passes the answer, but its results, as data, are wrong.
        error (`dict`, *optional*):
            Description of the error that ended the answer; of a wrong result, an `AssertionError` with the actual value.
    """
    return {
        "status": status,
        "details": [bool(detail) for detail in details],
        "late": late,
        "doubtful": doubtful,
        "deceived": deceived,
        "error": error,
    }


@contextlib.contextmanager
def replaced(module: Any, **values: Any) -> Iterator[None]:
    """Replaces attributes of a module within the block."""
    before = {name: getattr(module, name) for name in values}
    vars(module).update(values)
    try:
        yield
    finally:
        vars(module).update(before)


@contextlib.contextmanager
def answers_from(load: Callable[[str], Any]) -> Iterator[None]:
    """Makes `load` the source of the functions of [`STAND_IN`] within the block."""
    module: Any = types.ModuleType("answer_of_another_process")
    module.load = load
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        del sys.modules[module.__name__]


def count_right(
    benchmark: str, name: str, inputs: Sequence[Any], outputs: Iterator[Any], expected: Sequence[Any], atol: float
) -> int:
    """
    Lets evalplus compare outputs, which are plain data, in this process.

    Args:
        benchmark (`str`):
            `"humaneval"` or `"mbpp"`.
        name (`str`):
            Name of the function.
        inputs, outputs, expected (`Sequence`):
            The arguments of each call, its output and the expected one.
        atol (`float`):
            The task's tolerance.

    Returns:
        `int`: Number of right outputs, up to the first other one.
    """
    from evalplus import eval as evaluator

    status, progress = types.SimpleNamespace(), types.SimpleNamespace(value=0)
    details = [False] * len(inputs)
    unlimited = {"reliability_guard": lambda **_: None, "time_limit": lambda _: contextlib.nullcontext()}
    with replaced(evaluator, **unlimited), answers_from(lambda name: lambda *arguments: next(outputs)):
        evaluator.unsafe_execute(
            benchmark,
            name,
            STAND_IN.format(name=name),
            inputs,
            expected,
            [0.0] * len(inputs),
            atol,
            True,
            status,
            details,
            progress,
        )
    return sum(details)


def guest_module(folder: str, name: str) -> Any:
    """Returns a module of the sandbox's guest, which lies in `folder`."""
    if os.path.dirname(folder) not in sys.path:
        sys.path.append(os.path.dirname(folder))
    return importlib.import_module(f"{os.path.basename(folder)}.{name}")


class Judge:
    """
    Holds the data for judging answers. Workers inherit it.

    Expected outputs are read task by task: together they are gigabytes of objects, and forking a process that holds
    them takes longer than most answers run.
    """

    def __init__(self, benchmark: str, ground_truth_file: str, answers_file: str, sandbox: str):
        from evalplus import eval as evaluator

        self._time_limit, self._digests, self._errors = (
            guest_module(sandbox, name) for name in ("time_limit", "digests", "errors")
        )
        # evalplus reads this in the answer's process, whose `/proc` does not contain it
        memory = evaluator.query_maximum_memory_bytes()
        evaluator.query_maximum_memory_bytes = lambda: memory
        # evalplus would wait forever for the lock of an answer that dies while it holds it. Without locks nothing is lost,
        # since it reads what the answer's process has written after this process has ended
        evaluator.Value = functools.partial(multiprocessing.Value, lock=False)
        evaluator.Array = functools.partial(multiprocessing.Array, lock=False)
        self.benchmark = benchmark
        self._ground_truth_file = ground_truth_file
        self.bloated = False  # whether this process has held so much that each of its forks takes long
        with open(answers_file, encoding="utf-8") as file:
            self.answers = [json.loads(line) for line in file]

    @functools.lru_cache(maxsize=1)  # noqa: B019 # there is one judge for the lifetime of the process
    def problem(self, task_id: str) -> dict[str, Any]:
        return self._read(PROBLEM.format(task_id))

    @functools.lru_cache(maxsize=1)  # noqa: B019
    def expected(self, task_id: str) -> dict[str, Any]:
        return self._read(task_id)

    @functools.lru_cache(maxsize=1)  # noqa: B019
    def digests(self, task_id: str) -> dict[str, tuple[bytes, list[float]] | None]:
        return self._read(DIGESTS.format(task_id))

    def _read(self, name: str) -> Any:
        # Opened in each worker, because an inherited file shares its position
        with zipfile.ZipFile(self._ground_truth_file) as archive:
            self.bloated |= archive.getinfo(name).file_size > BLOATING
            return pickle.loads(archive.read(name))

    @functools.lru_cache(maxsize=2)  # noqa: B019
    def calls(self, task_id: str, part: str) -> bytes:
        """Returns the inputs of a task, each with its time limit, pickled for the answers' processes."""
        known = self.digests(task_id)[part]
        assert known is not None  # others are not compared
        return pickle.dumps([*zip(self.problem(task_id)[f"{part}_input"], known[1], strict=True)])

    def check(self, index: int, part: str, patience: float, solution: str | None = None) -> dict[str, Any]:
        """
        Returns evalplus's verdict on an answer.

        Args:
            index (`int`):
                Index of the answer.
            part (`str`):
                One of [`PARTS`].
            patience (`float`):
                Factor on the time limit of all calls together, which evalplus measures by the clock on the wall.
            solution (`str`, *optional*):
                A stand-in for the answer, which gets more time, since it calls another process.
        """
        from evalplus import eval as evaluator

        task_id, answer, _ = self.answers[index]
        problem, expected = self.problem(task_id), self.expected(task_id)
        factor = patience if solution is None else CONFIRMATION * patience
        exceeded = mmap.mmap(-1, 2)  # shared with the process of the answer, which evalplus forks

        @contextlib.contextmanager
        def time_limit(seconds: float) -> Iterator[None]:
            limit = self._time_limit.TimeLimit(seconds / patience)
            try:
                with limit:
                    yield
            except BaseException:
                exceeded[:] = bytes([limit.exceeded, limit.worked])
                raise

        evaluator.time_limit = time_limit
        started = time.monotonic()
        status, details = evaluator.untrusted_check(
            self.benchmark,
            answer if solution is None else solution,
            problem[f"{part}_input"],
            problem["entry_point"],
            expected[part],
            problem["atol"],
            expected[f"{part}_time"],
            fast_check=True,
            min_time_limit=MIN_TIME_LIMIT * factor,
            gt_time_limit_factor=TIME_LIMIT_FACTOR * factor,
        )
        late, worked = map(bool, exceeded[:])
        if status == "timeout":  # or its process has died
            limit = time_limit_of_part(factor * one for one in time_limits(expected[f"{part}_time"]))
            late, worked = time.monotonic() - started >= limit + OVERHEAD, False
        late &= status != "pass"
        return verdict(status, details, late=late, doubtful=late and not worked)

    def verdict_on_outputs(self, index: int, part: str, outputs: Any) -> tuple[dict[str, Any], bool]:
        """
        Returns a verdict on the outputs of an answer, and whether it is certainly evalplus's.

        Args:
            index (`int`):
                Index of the answer.
            part (`str`):
                One of [`PARTS`].
            outputs (`Outputs`):
                Reads the outputs of the answer's calls, in order: see the sandbox's `digests`.
        """
        task_id, _, manipulates = self.answers[index]
        known = self.digests(task_id)[part]
        assert known is not None  # others are not compared
        right, other = outputs.equal(known[0])
        wrong = None
        if other is not None:
            right, wrong = self._compare(task_id, part, right, other, outputs)
        if right == len(known[1]):
            return verdict("pass"), True
        before = [True] * right
        if outputs.late is not None:
            status, details = ("timeout", before) if outputs.late.all else ("fail", [*before, False])
            return verdict(status, details, late=True, doubtful=outputs.late.waited), True
        if outputs.error is not None:
            record = outputs.description()
            error = None if record is None else self._errors.from_program(record)
            certain = outputs.error.certain and not (manipulates and outputs.error.ran)
            return verdict("fail", [*before, False] if outputs.error.in_call else [], error=error), certain
        if wrong is not None:
            return verdict("fail", [*before, False], error=wrong), not manipulates
        return verdict("timeout", before), False  # its process has ended, or the output is too long to send

    def _compare(
        self, task_id: str, part: str, at: int, other: tuple[bytes, bytes], outputs: Any
    ) -> tuple[int, dict[str, Any] | None]:
        """
        Lets evalplus compare the outputs from number `at` on, of which the first is already read. Returns how many of all
        are right, up to the first other one, and the description of this one if it is wrong.
        """
        from evalplus import eval as evaluator

        problem, known = self.problem(task_id), self.digests(task_id)[part]
        assert known is not None
        wanted, size = self.expected(task_id)[part], self._digests.SIZE
        read: list[Any] = []

        def values() -> Iterator[Any]:
            for number in range(at, len(wanted)):
                read.clear()
                packed, digest = other if number == at else outputs.next() or (b"", b"")
                equal = digest == known[0][number * size : (number + 1) * size]
                read.append(wanted[number] if equal else self._digests.unpack(packed))
                yield read[0]

        # evalplus itself tolerates differences after the first floats
        atol = problem["atol"] or (1e-6 if any(map(evaluator.is_floats, wanted[:at])) else 0)
        inputs = problem[f"{part}_input"][at:]
        right = at + count_right(self.benchmark, problem["entry_point"], inputs, values(), wanted[at:], atol)
        return right, self._errors.describe_output(read[0]) if read and right < len(wanted) else None

    def report(self, index: int, verdicts: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """Returns the verdicts for the host, with the first failing input and its expected output."""
        task_id, *_ = self.answers[index]
        report: dict[str, Any] = {"index": index}
        for part in PARTS:
            status, details = verdicts[part]["status"], verdicts[part]["details"]
            report[part] = {name: verdicts[part][name] for name in ("status", "late", "deceived", "error")}
            if status == "pass":
                continue
            problem, expected = self.problem(task_id), self.expected(task_id)
            inputs, limits = problem[f"{part}_input"], time_limits(expected[f"{part}_time"])
            report[part]["fail_tests"] = [problem[f"{part}_shown"][len(details) - 1]] if details else []
            # Details end with the failing input; if the process was killed, it was running the next one
            at = len(details) - 1 if details and not details[-1] else len(details)
            if at < len(inputs):
                report[part].update(
                    arguments=source(tuple(inputs[at])),
                    expected=source(expected[part][at]),
                    limit=time_limit_of_part(limits) if status == "timeout" else limits[at],
                )
        return report


def source(value: Any) -> str | None:
    """Returns the source code of a value; `None` if it has none, or it is too long."""
    text = repr(value)
    try:
        if len(text) <= MAX_SHOWN and repr(eval(text, {"inf": math.inf, "nan": math.nan})) == text:
            return text
    except (NameError, SyntaxError):
        pass
    return None


class Cells:
    """
    Runs answers, each in separate namespaces.

    Args:
        folder (`str`):
            Folder of the sandbox's guest.
        filter (`str`):
            File of the seccomp program; empty for no isolation at all.
        keep (`list[str]`):
            Read-only directories that answers need, below `/tmp`, `/dev/shm` or beside `folder`.
    """

    def __init__(self, folder: str, filter: str, keep: list[str]):
        self._folder, self._keep = folder, keep
        self._job, self._remote, self._checks, self._digests = (
            guest_module(folder, name) for name in ("job", "remote", "checks", "digests")
        )
        vars(self._remote)["MAX_MESSAGE"] = LONGEST
        self._filter, self._proc = b"", -1
        if filter:
            with open(filter, "rb") as file:
                self._filter = file.read()
            self._proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        # The parent folder is hidden, since it also contains the benchmark's solutions and expected outputs
        limits = {"disk": DISK, "processes": PROCESSES, "keep": [*keep, folder], "hidden": os.path.dirname(folder)}
        self._settings: dict[str, Any] = {
            "filter": self._filter,
            "apart": limits,
            "memory": MEMORY,
            "longest_message": LONGEST,
            "harness": HARNESS,
        }
        self._answers: Any = None

    def open(self) -> int:
        """Starts the interpreter from which answers are forked, once per worker, and returns its process."""
        self._answers = Answers(self._folder, self._settings)
        return self._answers.pid

    def work(self) -> bool:
        """Returns whether an answer can be run and called here."""

        def check(part: str, solution: str) -> dict[str, Any]:
            names: dict[str, Any] = {}
            exec(solution, names)
            return verdict(names["works"](part))

        def judge(part: str, outputs: Any) -> tuple[dict[str, Any], bool]:
            return verdict(part), outputs.equal(known) == (1, None)

        process, known = self.open(), self._digests.digest(self._digests.pack("base"))
        calls = {"base": pickle.dumps([(["base"], 10.0)])}
        try:
            compared = self.compare(judge, WORKS, "works", calls, {"base": [10.0]})
            confirmed = self.confirm(check, {"base": [["base"]]}, WORKS, "works")
            return compared == {"base": (verdict("base"), True)} and confirmed == {"base": verdict("base")}
        finally:
            self._answers.close()
            os.waitpid(process, 0)

    def _fork(self) -> int:
        return self._job.fork_apart(self._proc, self._filter, **self._settings["apart"]) if self._filter else os.fork()

    def run(
        self, check: Callable[[str], dict[str, Any]], parts: Sequence[str], *kept: int
    ) -> dict[str, dict[str, Any]]:
        """
        Returns the verdicts of `check`, run in a process that holds these descriptors. If the process dies, the
        remaining verdicts are missing.
        """
        read, write = os.pipe()
        child = self._fork()
        if child == 0:
            try:
                null = os.open(os.devnull, os.O_RDWR)
                close_all_but(write, null, *kept)

                def confine(_: Any) -> None:
                    os.close(write)
                    os.dup2(null, 2)  # a file of the host, with which an answer could fill the disk

                # Runs in the answer's process, before the answer
                util.register_after_fork(self, confine)
                for part in parts:
                    line = json.dumps([part, check(part)]).encode() + b"\n"
                    while line:
                        line = line[os.write(write, line) :]
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(write)
        said = b""
        while some := os.read(read, 1 << 16):
            said += some
        os.close(read)
        end(child)
        return dict(map(json.loads, said[: said.rfind(b"\n") + 1].splitlines()))

    def compare(
        self,
        judge: Callable[[str, Any], tuple[dict[str, Any], bool]],
        source: str,
        name: str,
        calls: dict[str, bytes],
        limits: dict[str, list[float]],
    ) -> dict[str, tuple[dict[str, Any], bool]]:
        """
        Calls an answer's function `name` with the `calls` of each part, in a separate process for each, one after another.
        Returns what `judge` says of the part and its outputs (see the sandbox's `digests`).
        """
        pairs = {part: socket.socketpair() for part in calls}
        self._answers.start([theirs for _, theirs in pairs.values()])
        compared: dict[str, tuple[dict[str, Any], bool]] = {}
        try:
            for part, (ours, _) in pairs.items():
                ours.settimeout(LONGEST_PART)  # the process of the first part may have stopped that of the second
                channel = self._remote.Channel(ours)
                with contextlib.suppress(self._remote.Disconnected):
                    channel.send({"source": source, "name": name})
                    channel.send_encoded(self._remote.with_length(calls[part]))
                    seconds = time_limit_of_part(limits[part]) + OVERHEAD
                    compared[part] = judge(part, self._digests.Outputs(ours, seconds, self._answers.cpu_times))
            return compared
        finally:
            for ours, _ in pairs.values():
                ours.close()
            self._answers.end()

    def confirm(
        self, check: Callable[[str, str], dict[str, Any]], inputs: dict[str, list[Any]], source: str, name: str
    ) -> dict[str, dict[str, Any]]:
        """
        Returns the verdicts of `check` on stand-ins for an answer that runs in other processes, one for each part.
        `check` calls the function `name` with the inputs of the part, in order.
        """
        pairs = {part: socket.socketpair() for part in inputs}
        self._answers.start([theirs for _, theirs in pairs.values()])

        def judge(part: str) -> dict[str, Any]:
            def load(name: str) -> Any:
                channel = self._remote.Channel(pairs[part][0], reads_ahead=True)
                channel.send({"source": source})
                if channel.receive().get("end") != "finished":
                    raise RuntimeError("the answer does not run")
                found = self._checks.Checks(channel, name).lookup(name)
                is_function = isinstance(found, self._remote.Remote) and found._kind == "function"
                return self._checks.CallsInOrder(found, inputs[part]) if is_function else found

            with answers_from(load):
                return check(part, STAND_IN.format(name=name))

        try:
            return self.run(judge, [*inputs], *(ours.fileno() for ours, _ in pairs.values()))
        finally:
            for ours, _ in pairs.values():
                ours.close()
            self._answers.end()


class Answers:
    """
    Represents a worker's connection to the interpreter from which answers are forked, and whose memory contains
    nothing of a judge: see `answer` in the sandbox's guest.

    Args:
        folder (`str`):
            Folder of the sandbox's guest.
        settings (`dict`):
            Settings of [`Cells`], in the form that `answer` expects.
    """

    def __init__(self, folder: str, settings: dict[str, Any]):
        self._job = guest_module(folder, "job")
        self._ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                os.dup2(theirs.fileno(), 3)
                close_all_but(3)
                code = f"import sys; sys.path.append({os.path.dirname(folder)!r})\n"
                code += f"from {os.path.basename(folder)}.answer import main\nmain({settings!r})"
                os.execv(sys.executable, [sys.executable, "-s", "-B", "-P", "-c", code])
            finally:
                os._exit(1)
        theirs.close()

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """Starts a process of an answer for each of these sockets, and closes them here."""
        socket.send_fds(self._ours, [b"s"], [one.fileno() for one in sockets])
        for one in sockets:
            one.close()

    def cpu_times(self) -> tuple[float, float]:
        """Returns the CPU seconds of the answer's processes, and the longest time that one of them waited for a CPU."""
        import psutil

        return self._job.cpu_times(child.pid for child in psutil.Process(self.pid).children(recursive=True))

    def close(self) -> None:
        """Ends the interpreter."""
        self._ours.close()

    def end(self) -> None:
        """Ends the processes of the answer and their children, and waits until they have ended."""
        self._ours.sendall(b"e")
        if not self._ours.recv(1):
            raise RuntimeError("the interpreter that answers are forked from has ended")


def close_all_but(*descriptors: int) -> None:
    last = 2
    for descriptor in sorted(descriptors):
        os.closerange(last + 1, descriptor)
        last = max(last, descriptor)
    os.closerange(last + 1, 1 << 16)


def end(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def work(judge: Judge, cells: Cells, pipe: Connection, foreign: Sequence[Connection], results: int) -> None:
    """Runs a worker, which judges the answers that it receives, one after another."""
    os.close(results)
    for other in foreign:
        other.close()
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphaned processes of answers become children of this one, which ends them
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    answers = cells.open()
    while True:
        index, patience = json.loads(pipe.recv_bytes())
        verdicts = judge_one(judge, cells, index, patience)
        end_descendants({answers})
        doubtful = any(one["doubtful"] for one in verdicts.values())
        result = {"report": judge.report(index, verdicts), "doubtful": doubtful, "bloated": judge.bloated}
        pipe.send_bytes(json.dumps(result).encode())


def judge_one(judge: Judge, cells: Cells, index: int, patience: float) -> dict[str, dict[str, Any]]:
    """Returns the verdicts on an answer: evalplus's, unless its results, as data, are wrong."""
    task_id, source, _ = judge.answers[index]
    name = judge.problem(task_id)["entry_point"]
    limits = {part: known[1] for part, known in judge.digests(task_id).items() if known}
    calls = {part: judge.calls(task_id, part) for part in limits}
    judge_outputs = functools.partial(judge.verdict_on_outputs, index)
    compared = cells.compare(judge_outputs, source, name, calls, limits) if calls else {}
    verdicts = {part: found for part, (found, certain) in compared.items() if certain}
    left = [part for part in PARTS if part not in verdicts]
    if not left:
        return verdicts
    judge.expected(task_id)  # once for all forks
    found = cells.run(lambda part: judge.check(index, part, patience), left)
    verdicts |= {part: found.get(part, verdict("timeout")) for part in left}
    passed = {part: judge.problem(task_id)[f"{part}_input"] for part in left if verdicts[part]["status"] == "pass"}
    if passed:
        confirmed = cells.confirm(
            lambda part, solution: judge.check(index, part, patience, solution), passed, source, name
        )
        for part in passed:
            again = confirmed.get(part, verdict("fail"))
            if again["status"] != "pass":
                verdicts[part] = verdict("fail", again["details"], doubtful=again["doubtful"], deceived=True)
    for part in {*left} & {*compared}:
        guess, _ = compared[part]
        if all(guess[name] == verdicts[part][name] for name in ("status", "details")):
            verdicts[part]["error"] = guess["error"]
    return verdicts


def prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value)


def end_descendants(but: Set[int | None]) -> None:
    """Ends the descendants of this process, except some of its children and their descendants, within 10 s."""
    import psutil

    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        left = [child for child in psutil.Process().children() if child.pid not in but]
        if not left:
            return
        for process in left:
            with contextlib.suppress(psutil.Error):
                for below in [*process.children(recursive=True), process]:
                    below.kill()
        psutil.wait_procs(left, timeout=0.5)


def judge_all(judge: Judge, cells: Cells, workers: int, emit: Callable[[dict[str, Any]], None], results: int) -> None:
    """Judges the answers concurrently. Those that waiting or a dead worker may have failed run again, alone."""
    waiting, attempts, patience = list(range(len(judge.answers))), ATTEMPTS, 1.0
    while waiting:
        attempts -= 1
        again = []
        for index, result in _judged(judge, cells, waiting, workers, patience, emit, results):
            if attempts and (result is None or result["doubtful"]):
                again.append(index)
            else:
                emit(result["report"] if result else judge.report(index, dict.fromkeys(PARTS, verdict("timeout"))))
        # Scaled by the load of the machine per CPU
        waiting, workers, patience = again, 1, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _judged(
    judge: Judge,
    cells: Cells,
    indices: Sequence[int],
    workers: int,
    patience: float,
    emit: Callable[[dict[str, Any]], None],
    results: int,
) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Yields each index with its result; `None` if the worker died."""
    waiting: dict[str, deque[int]] = {}
    for index in indices:
        waiting.setdefault(judge.answers[index][0], deque()).append(index)
    busy: dict[Connection, tuple[BaseProcess, int]] = {}
    idle: list[tuple[BaseProcess, Connection, str]] = []
    context = multiprocessing.get_context("fork")
    while waiting or busy:
        while waiting and len(busy) < workers:
            task_id = None
            if idle:
                process, pipe, task_id = idle.pop()
            else:
                pipe, theirs = context.Pipe()
                foreign = [pipe, *busy, *(pipe for _, pipe, _ in idle)]
                process = context.Process(target=work, args=(judge, cells, theirs, foreign, results))
                process.start()
                theirs.close()
            if task_id not in waiting:
                # A worker reads the expected outputs of a task once, so workers get different tasks while there are any
                taken = {judge.answers[index][0] for _, index in busy.values()}
                task_id = next((one for one in waiting if one not in taken), None) or next(iter(waiting))
            index = waiting[task_id].popleft()
            if not waiting[task_id]:
                del waiting[task_id]
            emit({"begin": index})
            busy[pipe] = process, index
            _send(pipe, [index, patience])
        ready = connection.wait(list(busy), timeout=2.0)
        if not ready:
            for process, _ in busy.values():
                # An answer may have stopped (SIGSTOP) its judge
                assert process.pid is not None  # it has been started
                os.kill(process.pid, signal.SIGCONT)
        for pipe in [pipe for pipe in busy if pipe in ready]:
            process, index = busy.pop(pipe)
            try:
                result = json.loads(pipe.recv_bytes())
                task_id = judge.answers[index][0]
                if result["bloated"] and task_id not in waiting:
                    process.kill()
                    process.join()
                else:
                    idle.append((process, pipe, task_id))
            except (EOFError, OSError, ValueError):
                process.kill()
                process.join()
                others = [other for other, _ in busy.values()] + [other for other, _, _ in idle]
                end_descendants({other.pid for other in others})
                result = None
            yield index, result
    for process, *_ in idle:
        process.kill()


def _send(pipe: Connection, message: Any) -> None:
    with contextlib.suppress(OSError):  # `wait` finds the pipe of a killed worker closed
        pipe.send_bytes(json.dumps(message).encode())


def main() -> None:
    benchmark, file, answers, workers, sandbox, filter, keep = sys.argv[1:]
    multiprocessing.set_start_method("fork")  # evalplus passes its functions by inheritance
    if not filter:
        prctl(PR_SET_DUMPABLE, 0)  # otherwise answers could open our descriptors through /proc
    results = os.dup(1)
    os.dup2(2, 1)  # evalplus prints while it runs

    def emit(message: dict[str, Any]) -> None:
        os.write(results, json.dumps(message).encode() + b"\n")

    judge, cells = Judge(benchmark, file, answers, sandbox), Cells(sandbox, filter, json.loads(keep))
    if not cells.work():
        sys.exit("no answer can be run and called in namespaces of its own")
    judge_all(judge, cells, int(workers), emit, results)
    emit({"end": True})


if __name__ == "__main__":
    main()
