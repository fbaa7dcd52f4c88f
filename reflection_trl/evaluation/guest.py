"""Runs evalplus's evaluator, inside the isolation that `evalplus_score` builds. Imports nothing of this package.

    python guest.py ground-truth BENCHMARK FILE        writes the expected outputs of canonical solutions; trusted, run outside
    python guest.py by-task FILE ZIP                   writes them once more, each task by itself; likewise
    python guest.py judge BENCHMARK ZIP ANSWERS WORKERS SANDBOX FILTER KEEP

`judge` prints a JSON line when it begins with an answer and one when it is judged. Each answer is run by evalplus's
`untrusted_check` in a process of its own, in namespaces of its own (processes, users, mounts with fresh temporary
directories), from a worker of its own, so that what an answer does to its judge costs that answer alone. No answer's process
holds, or can open, a descriptor on which results travel.

evalplus compares in the answer's process, where the answer decides. So an answer is first run in another process, which evalplus's
own comparison calls as it would the answer itself, under the same limits: what comes back is data, and an object that equals
everything equals nothing (see `checks` in the sandbox's guest, of which SANDBOX is the folder). What passes there passes. Of
everything else evalplus is asked itself; what it lets pass is compared as data once more, with ample limits.
"""

import contextlib
import ctypes
import functools
import importlib
import json
import math
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
from collections.abc import Callable, Iterator, Sequence, Set
from multiprocessing import connection, util
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any


PARTS = ("base", "plus")
# Longer inputs are no use to a reader
MAX_SHOWN = 50_000
# A machine at work on other things makes answers slow; one that is right once is right
ATTEMPTS = 2
MIN_TIME_LIMIT, TIME_LIMIT_FACTOR = 1.0, 4.0  # evalplus's own
LOST = {"base": ["timeout", []], "plus": ["timeout", []], "seconds": math.inf, "deceived": []}
# What one answer may have: bytes in its temporary directory, processes, address space, bytes of a result
DISK, PROCESSES, MEMORY, LONGEST = 256 << 20, 32, 4 << 30, 1 << 30
# Times the limits, for what evalplus itself has found fast enough: results travel from another process
CONFIRMATION = 10.0
# What evalplus takes away from an answer
GUARD = ("evalplus.eval.utils", "reliability_guard")
# An answer that runs elsewhere, for evalplus to judge in its place
STAND_IN = "from answer_of_another_process import load\n{name} = load({name!r})\n"
WORKS = "def works(part):\n    return part\n"
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36


def ground_truth(benchmark: str, file: str) -> None:
    from evalplus import evaluate
    from evalplus.eval._special_oracle import MBPP_OUTPUT_NOT_NONE_TASKS

    folder, name = os.path.split(file)
    evaluate.CACHE_DIR = folder
    not_none = MBPP_OUTPUT_NOT_NONE_TASKS if benchmark == "mbpp" else []
    evaluate.get_groundtruth(read_problems(benchmark), name.removesuffix(".pkl"), not_none)


def by_task(file: str, archive: str) -> None:
    """Stores one pickle per task. `Mbpp/255` alone is 780 MB, and 12 MB compressed."""
    with open(file, "rb") as source:
        expected = pickle.load(source)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for task_id, outputs in expected.items():
            target.writestr(task_id, pickle.dumps(outputs))


def read_problems(benchmark: str) -> dict[str, dict[str, Any]]:
    from evalplus.data import get_human_eval_plus, get_mbpp_plus

    return get_human_eval_plus() if benchmark == "humaneval" else get_mbpp_plus()


def packed_problems(benchmark: str) -> dict[str, bytes]:
    """Returns the benchmark's problems, each pickled, with its inputs also as evalplus's results show them."""
    problems = read_problems(benchmark)
    if benchmark == "mbpp":
        from evalplus.data.mbpp import mbpp_serialize_inputs
    for name, problem in problems.items():
        for part in PARTS:
            inputs = problem[f"{part}_input"]
            problem[f"{part}_shown"] = mbpp_serialize_inputs(name, inputs) if benchmark == "mbpp" else inputs
    return {name: pickle.dumps(problem) for name, problem in problems.items()}


def elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """
    Returns the outcome of a function, run in a process of its own: what it imports and reads makes every later fork of
    this one slower.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with open(write, "wb") as target:
                pickle.dump(function(*arguments), target)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(write)
    with open(read, "rb") as source:
        data = source.read()
    if os.waitpid(child, 0)[1]:
        sys.exit(1)  # it has said why
    return pickle.loads(data)


class Judge:
    """
    Holds everything that is needed to judge answers. Workers inherit it.

    Expected outputs are read task by task: all of them are gigabytes of objects, and to fork a process that holds them takes longer
    than most answers run.
    """

    def __init__(self, benchmark: str, ground_truth_file: str, answers_file: str):
        from evalplus import eval as evaluator

        # It asks for this in the answer's process, whose `/proc` does not tell
        memory = evaluator.query_maximum_memory_bytes()
        evaluator.query_maximum_memory_bytes = lambda: memory
        self.benchmark = benchmark
        self._problems = elsewhere(packed_problems, benchmark)
        self._ground_truth_file = ground_truth_file
        with open(answers_file, encoding="utf-8") as file:
            self.answers = [json.loads(line) for line in file]

    @functools.lru_cache(maxsize=1)  # noqa: B019 # there is one judge, as long as the process lives
    def problem(self, task_id: str) -> dict[str, Any]:
        return pickle.loads(self._problems[task_id])

    @functools.lru_cache(maxsize=1)  # noqa: B019
    def expected(self, task_id: str) -> dict[str, Any]:
        with zipfile.ZipFile(
            self._ground_truth_file
        ) as archive:  # opened in each worker, because workers would share its position
            return pickle.loads(archive.read(task_id))

    def check(self, index: int, part: str, patience: float, solution: str | None = None) -> list[Any]:
        """Returns evalplus's result for an answer, or for `solution` in its place: a status, and a boolean for each input that ran."""
        from evalplus.eval import untrusted_check

        task_id, answer = self.answers[index]
        problem, expected = self.problem(task_id), self.expected(task_id)
        status, details = untrusted_check(
            self.benchmark,
            answer if solution is None else solution,
            problem[f"{part}_input"],
            problem["entry_point"],
            expected[part],
            problem["atol"],
            expected[f"{part}_time"],
            fast_check=True,
            min_time_limit=MIN_TIME_LIMIT * patience,
            gt_time_limit_factor=TIME_LIMIT_FACTOR * patience,
        )
        return [status, [bool(detail) for detail in details]]

    def report(self, index: int, result: dict[str, Any]) -> dict[str, Any]:
        """Returns the result for the host: the statuses, and the first failing input with its expected output."""
        task_id, _ = self.answers[index]
        problem, expected = self.problem(task_id), self.expected(task_id)
        report: dict[str, Any] = {"index": index}
        for part in PARTS:
            status, details = result[part]
            inputs = problem[f"{part}_input"]
            report[part] = {"status": status, "slow": result["seconds"] >= MIN_TIME_LIMIT}
            if part in result["deceived"]:
                report[part]["deceived"] = True
            if status == "pass":
                continue
            report[part]["fail_tests"] = [problem[f"{part}_shown"][len(details) - 1]] if details else []
            # Details end with the input that failed; where the process was ended, the one behind them was at work
            at = len(details) - 1 if details and not details[-1] else len(details)
            if at < len(inputs):
                report[part].update(
                    arguments=source(tuple(inputs[at])),
                    expected=source(expected[part][at]),
                    limit=max(MIN_TIME_LIMIT, TIME_LIMIT_FACTOR * expected[f"{part}_time"][at]),
                )
        return report


def source(value: Any) -> str | None:
    """Returns the source code of a value; `None` where there is none, or too much of it."""
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
            Of the sandbox's guest.
        filter (`str`):
            File of the seccomp program; empty for no isolation at all.
        keep (`list[str]`):
            Read-only directories that answers need, below `/tmp`, `/dev/shm` or beside `folder`.
    """

    def __init__(self, folder: str, filter: str, keep: list[str]):
        self._folder, self._keep = folder, keep
        sys.path.append(os.path.dirname(folder))
        self._guest = os.path.basename(folder)
        self._job, self._remote, self._checks = (
            importlib.import_module(f"{self._guest}.{name}") for name in ("job", "remote", "checks")
        )
        vars(self._remote)["MAX_MESSAGE"] = LONGEST
        self._filter, self._proc = b"", -1
        if filter:
            with open(filter, "rb") as file:
                self._filter = file.read()
            self._proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        # Beside the sandbox's guest lie the benchmark, with its solutions, and what is expected
        limits = {"disk": DISK, "processes": PROCESSES, "keep": [*keep, folder], "hidden": os.path.dirname(folder)}
        self._settings: dict[str, Any] = {
            "filter": self._filter,
            "apart": limits,
            "memory": MEMORY,
            "longest_message": LONGEST,
            "guard": GUARD,
        }
        self._answers: Any = None

    def open(self) -> int:
        """Starts, once for a worker, the interpreter that answers are forked from, and returns its process."""
        self._answers = Answers(self._folder, self._settings)
        return self._answers.pid

    def work(self) -> bool:
        """Returns whether an answer can be run and called here."""

        def check(part: str, solution: str) -> list[Any]:
            names: dict[str, Any] = {}
            exec(solution, names)
            return [names["works"](part)]

        process = self.open()
        try:
            return self.confirm(check, {"base": [["base"]]}, WORKS, "works", strict=True) == {"base": ["base"]}
        finally:
            self._answers.close()
            os.waitpid(process, 0)

    def _fork(self) -> int:
        return self._job.fork_apart(self._proc, self._filter, **self._settings["apart"]) if self._filter else os.fork()

    def run(self, check: Callable[[str], list[Any]], parts: Sequence[str], *kept: int) -> dict[str, list[Any]]:
        """
        Returns the outcomes of `check`, in a process that holds these descriptors; without those that it did not live
        to tell.
        """
        read, write = os.pipe()
        child = self._fork()
        if child == 0:
            try:
                null = os.open(os.devnull, os.O_RDWR)
                close_all_but(write, null, *kept)

                def confine(_: Any) -> None:
                    os.close(write)
                    os.dup2(null, 2)  # a file of the host's, which an answer could fill its disk with

                # In the process of the answer, before it runs
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

    def confirm(
        self,
        check: Callable[[str, str], list[Any]],
        inputs: dict[str, list[Any]],
        source: str,
        name: str,
        strict: bool,
    ) -> dict[str, list[Any]]:
        """
        Returns the outcomes of `check` on stand-ins for an answer that runs in other processes, one for each part.
        `check` calls the function `name` with the inputs of the part, in their order. With `strict` the answer has
        what evalplus leaves it, and no more.
        """
        pairs = {part: socket.socketpair() for part in inputs}
        self._answers.start([theirs for _, theirs in pairs.values()])

        def judge(part: str) -> list[Any]:
            def load(name: str) -> Any:
                channel = self._remote.Channel(pairs[part][0], reads_ahead=True)
                channel.send({"source": source, "strict": strict})
                if channel.receive().get("end") != "finished":
                    raise RuntimeError("the answer does not run")
                found = self._checks.Checks(channel, name).lookup(name)
                is_function = isinstance(found, self._remote.Remote) and found._kind == "function"
                return self._checks.CallsInOrder(found, inputs[part]) if is_function else found

            stand_in: Any = types.ModuleType("answer_of_another_process")
            stand_in.load = load
            sys.modules[stand_in.__name__] = stand_in
            return check(part, STAND_IN.format(name=name))

        try:
            return self.run(judge, [*inputs], *(ours.fileno() for ours, _ in pairs.values()))
        finally:
            for ours, _ in pairs.values():
                ours.close()
            self._answers.end()


class Answers:
    """
    Represents a worker's end of the interpreter that answers are forked from, which holds no memory of a judge's: see `answer` in the
    sandbox's guest.

    Args:
        folder (`str`):
            Of the sandbox's guest.
        settings (`dict`):
            Of [`Cells`], as `answer` takes them.
    """

    def __init__(self, folder: str, settings: dict[str, Any]):
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
        """Starts a process of an answer for each of these sockets, which are closed here."""
        socket.send_fds(self._ours, [b"s"], [one.fileno() for one in sockets])
        for one in sockets:
            one.close()

    def close(self) -> None:
        """Ends the interpreter."""
        self._ours.close()

    def end(self) -> None:
        """Ends them, and what they have started. Returns when they have ended."""
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
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # what answers leave in the background becomes ours to end
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    answers = cells.open()
    while True:
        index, patience = json.loads(pipe.recv_bytes())
        result = judge_one(judge, cells, index, patience)
        end_descendants({answers})
        pipe.send_bytes(json.dumps({**result, "report": judge.report(index, result)}).encode())


def judge_one(judge: Judge, cells: Cells, index: int, patience: float) -> dict[str, Any]:
    """Returns evalplus's result for an answer, and where it differs if its results are converted to data."""
    task_id, source = judge.answers[index]
    judge.expected(task_id)  # once for all that are forked off
    name, problem = judge.problem(task_id)["entry_point"], judge.problem(task_id)

    def as_data(parts: Sequence[str], patience: float, strict: bool) -> dict[str, list[Any]]:
        inputs = {part: problem[f"{part}_input"] for part in parts}
        return cells.confirm(
            lambda part, solution: judge.check(index, part, patience, solution), inputs, source, name, strict
        )

    # What passes as data, under evalplus's own limits, passes evalplus too
    result: dict[str, Any] = {part: said for part, said in as_data(PARTS, patience, True).items() if said[0] == "pass"}
    left, start = [part for part in PARTS if part not in result], time.monotonic()
    found = cells.run(lambda part: judge.check(index, part, patience), left) if left else {}
    result |= {part: found.get(part, ["timeout", []]) for part in left}
    result |= {"seconds": time.monotonic() - start, "deceived": []}
    passed = [part for part in left if result[part][0] == "pass"]
    confirmed = as_data(passed, CONFIRMATION * patience, False) if passed else {}
    for part in passed:
        status, details = confirmed.get(part, ["fail", []])
        if status != "pass":
            result["deceived"].append(part)
            result[part] = ["fail", details]
    return result


def prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value)


def end_descendants(but: Set[int | None] = frozenset(), seconds: float = 10.0) -> None:
    """Ends the processes below this one, all but some of its children and what is below those."""
    import psutil

    deadline = time.monotonic() + seconds
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
    """Judges the answers, several at a time; those that a time limit or the end of a worker may have failed, again, alone."""
    waiting, attempts, patience = list(range(len(judge.answers))), ATTEMPTS, 1.0
    while waiting:
        attempts -= 1
        again = []
        for index, result in _judged(judge, cells, waiting, workers, patience, emit, results):
            doubtful = result is None or (result["seconds"] >= MIN_TIME_LIMIT and _failed(result))
            if doubtful and attempts:
                again.append(index)
            else:
                emit(result["report"] if result else judge.report(index, LOST))
        # As much more time as the machine is busier than it has processors
        waiting, workers, patience = again, 1, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _failed(result: dict[str, Any]) -> bool:
    return any(result[part][0] != "pass" for part in PARTS)


def _judged(
    judge: Judge,
    cells: Cells,
    indices: Sequence[int],
    workers: int,
    patience: float,
    emit: Callable[[dict[str, Any]], None],
    results: int,
) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Yields each index with its result, `None` where the worker did not live to tell."""
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
                # A worker reads the expected outputs of a task once: a task to itself, as long as there are some left
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
                # An answer may have stopped its judge
                assert process.pid is not None  # it has been started
                os.kill(process.pid, signal.SIGCONT)
        for pipe in [pipe for pipe in busy if pipe in ready]:
            process, index = busy.pop(pipe)
            try:
                result = json.loads(pipe.recv_bytes())
                idle.append((process, pipe, judge.answers[index][0]))
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
    with contextlib.suppress(OSError):  # of one that has been killed, `wait` finds the end closed
        pipe.send_bytes(json.dumps(message).encode())


def main() -> None:
    mode, *rest = sys.argv[1:]
    if mode == "ground-truth":
        return ground_truth(*rest)
    if mode == "by-task":
        return by_task(*rest)
    benchmark, file, answers, workers, sandbox, filter, keep = rest
    multiprocessing.set_start_method("fork")  # evalplus hands its functions over by inheritance
    if not filter:
        prctl(PR_SET_DUMPABLE, 0)  # or answers could reach our descriptors through /proc
    results = os.dup(1)
    os.dup2(2, 1)  # evalplus prints as it goes

    def emit(message: dict[str, Any]) -> None:
        os.write(results, json.dumps(message).encode() + b"\n")

    judge, cells = Judge(benchmark, file, answers), Cells(sandbox, filter, json.loads(keep))
    if not cells.work():
        sys.exit("no answer can be run and called in namespaces of its own")
    judge_all(judge, cells, int(workers), emit, results)
    emit({"end": True})


if __name__ == "__main__":
    main()
