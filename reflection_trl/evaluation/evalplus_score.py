"""Judges answers to HumanEval(+) and MBPP(+) by evalplus's own evaluator, in isolation.

evalplus protects itself against accidents only (as its `reliability_guard` states), so the whole evaluator runs inside
bubblewrap: no network; read-only access to the files of the system, the interpreter, the benchmark and its expected
outputs, and no others; limits on processes, memory and disk; and all processes end with it. The canonical solutions,
which are trusted, produce the expected outputs outside, once; evalplus's own cache stores them.

evalplus compares results in the answer's own process, where an answer can pass with an object that equals everything,
or by overwriting the result that its judge reads. So an answer passes only if its results, as data, pass evalplus's
comparison, or equal outputs that pass it, in another process.
"""

import contextlib
import json
import logging
import os
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import sandbox
from ..python_code import canonical_form
from ..sandbox import ErrorInfo, Sandbox, SandboxError, read_error
from ..sandbox.bubblewrap import Bubblewrap
from ..sandbox.cgroup import Cgroup
from ..sandbox.interpreter import find_interpreter
from ..sandbox.mechanisms import Unsandboxed
from ..sandbox.seccomp import build_filter
from ..scratch import ScratchFolder
from .evalplus_data import EVALPLUS
from .expected_outputs import ground_truth
from .one_process import distrusted
from .tasks import Sample


logger = logging.getLogger(__name__)

_GUEST = Path(__file__).with_name("evalplus_guest.py")
_SANDBOX_GUEST = Path(sandbox.__file__).with_name("guest")
# Paths inside the sandbox
_INSIDE = {
    name: f"/evaluation/{name}"
    for name in ("evalplus_guest.py", "ground_truth.zip", "answers.jsonl", "sandbox_guest", "filter")
}
_PACKAGES = "/evaluation/packages"
_DISK = 1 << 30
# An answer has two sets of inputs. On a busy machine, each runs for up to 6 x 62 seconds to be compared, 62 in evalplus and 62 to confirm a
# pass, so a longer silence means that the evaluator hangs
_SILENCE = 1000.0
# evalplus limits an answer to 4 GiB of address space, including its expected outputs
_ANSWER_MEMORY, _OWN_MEMORY = 4 << 30, 4 << 30


@dataclass(frozen=True)
class Check:
    """
    Holds evalplus's result for one answer on one set of inputs.

    Args:
        status (`str`):
            `"pass"`, `"fail"` or `"timeout"` (also if the answer's process died).
        fail_tests (`list`, *optional*, defaults to `[]`):
            The failing input, as in evalplus's results; empty if the code itself failed.
        arguments (`str`, *optional*):
            Source of that input, a tuple; `None` if it is very long.
        expected (`str`, *optional*):
            Source of the expected output; `None` if it is very long.
        limit (`float`, *optional*):
            Time limit in seconds: of all inputs if the status is `"timeout"`, else of this one.
        late (`bool`, *optional*, defaults to `False`):
            Whether a time limit caused the failure.
        deceived (`bool`, *optional*, defaults to `False`):
            Whether evalplus itself passes the answer, but only because of an object of the answer (such as one that
            equals everything) or because the answer manipulates its judge: its results, as data, are wrong.
        error ([`~reflection_trl.sandbox.ErrorInfo`], *optional*):
            The error that caused the failure; if the output is wrong, an `AssertionError` with the actual value. `None` if it
            is not known.
    """

    status: str
    fail_tests: list[Any] = field(default_factory=list)
    arguments: str | None = None
    expected: str | None = None
    limit: float | None = None
    late: bool = False
    deceived: bool = False
    error: ErrorInfo | None = None

    @property
    def passed(self) -> bool:
        return self.status == "pass"


@dataclass(frozen=True)
class Judgment:
    """Holds evalplus's results for one answer: on the benchmark's inputs, and on those that the `+` adds."""

    base: Check
    plus: Check


def judge_evalplus(
    benchmark: str,
    samples: Sequence[Sample],
    *,
    workers: int | None = None,
    unsandboxed: bool = False,
    report: Callable[[int], None] = lambda judged: None,
) -> list[Judgment]:
    """
    Judges answers.

    Time that an answer waits for a CPU does not count against the time limits of its calls. An answer that exceeded a limit
    by computing is judged once. If it waited, such as for a lock or the disk, it is judged again, alone. evalplus's limit of
    all calls together is then scaled by the load of the machine per CPU. `EVALPLUS_TIMEOUT_PER_TASK` has no effect.

    Args:
        benchmark (`str`):
            `"humaneval"` or `"mbpp"`.
        samples (`Sequence[Sample]`):
            Answers to its tasks.
        workers (`int`, *optional*):
            Number of answers to judge concurrently; by default the number of CPUs.
        unsandboxed (`bool`, *optional*, defaults to `False`):
            Whether to run them with **no isolation at all**. Refused for root.
        report (`Callable`, *optional*):
            Called with the number of judged answers.

    Returns:
        `list[Judgment]`: One for each answer.

    Raises:
        ValueError: If the benchmark cannot be read, or an answer belongs to none of its tasks.
        [`~reflection_trl.sandbox.SandboxError`]: If no isolation mechanism works, or the evaluator does not run in it.
    """
    tasks = EVALPLUS[benchmark].read()
    for sample in samples:
        if sample.task_id not in tasks:
            raise ValueError(
                f"{EVALPLUS[benchmark].title}+ has no problem {sample.task_id!r}: use the ids of its problems, such as {next(iter(tasks))!r}."
            )
    if "EVALPLUS_TIMEOUT_PER_TASK" in os.environ:
        logger.warning("EVALPLUS_TIMEOUT_PER_TASK is set and has no effect: evalplus 0.3.1 cannot read it.")
    truth = ground_truth(benchmark)
    if not unsandboxed:
        with Sandbox(workers=1, mechanism="bubblewrap"):
            pass  # tests the isolation with attacks, and refuses to run if one succeeds
    workers = workers or len(os.sched_getaffinity(0))
    judged: dict[int, Judgment] = {}
    # Among many answers to a task, those that differ only in layout are judged once
    first: dict[tuple[str, str], int] = {}
    alike = [
        first.setdefault((sample.task_id, canonical_form(sample.solution)), index)
        for index, sample in enumerate(samples)
    ]
    counts, done = Counter(alike), 0

    def keep(index: int, judgment: Judgment) -> None:
        nonlocal done
        judged[index] = judgment
        for _ in range(counts[index]):
            done += 1
            report(done)

    waiting = list(first.values())
    while waiting:
        begun: set[int] = set()
        with _guest(benchmark, truth, [samples[index] for index in waiting], workers, unsandboxed) as messages:
            for message in messages:
                if "begin" in message:
                    begun.add(waiting[message["begin"]])
                elif "index" in message:
                    keep(waiting[message["index"]], _judgment(message))
            said = messages.said()
        unfinished = [index for index in waiting if index not in judged]
        suspects = [index for index in unfinished if index in begun]
        if unfinished and not suspects:
            raise SandboxError(f"evalplus's evaluator does not run in isolation: {said or 'it printed no error'}.")
        # One of them crashed the evaluator: judging each alone shows which
        for index in suspects:
            keep(index, _judge_one(benchmark, truth, samples[index], unsandboxed))
        waiting = [index for index in unfinished if index not in begun]
    return [judged[index] for index in alike]


def write_eval_results(
    file: str | os.PathLike[str], benchmark: str, samples: Sequence[Sample], judgments: Sequence[Judgment]
) -> None:
    """
    Writes judgments in evalplus's format, for its other tools. An existing file is renamed to `.bak`.

    Args:
        file (`str` or `Path`):
            File to write. evalplus's convention is `X_eval_results.json` beside `X.jsonl`.
        benchmark (`str`):
            `"humaneval"` or `"mbpp"`.
        samples (`Sequence[Sample]`):
            The answers.
        judgments (`Sequence[Judgment]`):
            One judgment per answer.
    """
    file = Path(file)
    results: dict[str, list[dict[str, Any]]] = {}
    for sample, judgment in zip(samples, judgments, strict=True):
        results.setdefault(sample.task_id, []).append(
            {
                "task_id": sample.task_id,
                "solution": sample.solution,
                # evalplus's own result, so that figures of its tools are comparable
                "base_status": "pass" if judgment.base.deceived else judgment.base.status,
                "plus_status": "pass" if judgment.plus.deceived else judgment.plus.status,
                "base_fail_tests": [] if judgment.base.deceived else judgment.base.fail_tests,
                "plus_fail_tests": [] if judgment.plus.deceived else judgment.plus.fail_tests,
            }
        )
    if file.exists():
        kept = file.with_name(f"{file.name}.bak")
        file.replace(kept)
        logger.info("%s was there already: the answers were judged again, and it is kept as %s.", file, kept.name)
    partial = file.with_name(f".{file.name}.partial")
    content = {
        "date": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "hash": EVALPLUS[benchmark].checksum(),
        "eval": results,
    }
    partial.write_text(json.dumps(content))
    partial.replace(file)


class _Messages:
    """Yields the evaluator's messages line by line, until it ends or sends nothing for too long."""

    def __init__(self, process: subprocess.Popen[bytes], log: Any):
        assert process.stdout is not None
        self._process = process
        self._output = process.stdout
        self._log = log

    def __iter__(self) -> Iterator[dict[str, Any]]:
        rest, deadline = b"", time.monotonic() + _SILENCE
        while select.select([self._output], [], [], max(0.0, deadline - time.monotonic()))[0]:
            part = os.read(self._output.fileno(), 1 << 16)
            if not part:
                return
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                deadline = time.monotonic() + _SILENCE
                yield json.loads(line)

    def said(self) -> str:
        """Returns the last line of the evaluator's standard error."""
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1].rstrip(".") if lines else ""


@contextlib.contextmanager
def _guest(
    benchmark: str, truth: Path, samples: Sequence[Sample], workers: int, unsandboxed: bool
) -> Iterator[_Messages]:
    """Starts the evaluator on some answers, and ends it with the block."""
    interpreter = find_interpreter(sys.executable)
    mechanism = Unsandboxed(interpreter) if unsandboxed else Bubblewrap(interpreter)
    cgroup = None if unsandboxed else Cgroup.create()
    with ScratchFolder() as folder, tempfile.TemporaryFile() as log:
        answers = Path(folder) / "answers.jsonl"
        described = [(one.task_id, one.solution, bool(distrusted(one.solution))) for one in samples]
        answers.write_text("".join(json.dumps(one) + "\n" for one in described))
        filter = Path(folder) / "filter"
        filter.write_bytes(build_filter())
        outside = [_GUEST, truth, answers, _SANDBOX_GUEST, filter]
        files = dict(zip(_INSIDE, map(str, outside), strict=True)) if unsandboxed else _INSIDE
        environment = {"PATH": os.environ.get("PATH", os.defpath)}
        packages = None if unsandboxed else _packages_elsewhere(interpreter.prefixes)
        keep = [] if unsandboxed else [*mechanism.covered, *([_PACKAGES] if packages else [])]
        arguments = [
            files["evalplus_guest.py"],
            benchmark,
            files["ground_truth.zip"],
            files["answers.jsonl"],
            str(workers),
            files["sandbox_guest"],
            "" if unsandboxed else files["filter"],
            json.dumps(keep),
        ]
        command = [mechanism.python, "-s", "-B", "-P", *arguments]
        if isinstance(mechanism, Bubblewrap):
            mechanism.readonly += [
                (os.path.realpath(path), _INSIDE[name]) for name, path in zip(_INSIDE, outside, strict=True)
            ]
            if packages is not None:
                mechanism.readonly.append((packages, _PACKAGES))
                mechanism.environment["PYTHONPATH"] = _PACKAGES
            command = ["prlimit", f"--nproc={_processes(workers)}", "--core=0", "--", *command]
        else:
            environment |= {"HOME": folder, "TMPDIR": folder}
        try:
            if isinstance(mechanism, Bubblewrap):
                command = mechanism.command(
                    command,
                    disk=_DISK,
                    nested=True,  # each answer gets separate namespaces, and the seccomp filter
                    cgroup=[str(path / "cgroup.procs") for path in cgroup.directories] if cgroup else [],
                )
            if cgroup is not None:
                cgroup.limit(memory=_memory(workers), processes=_processes(workers) + 16, share=workers)
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env=environment,
                cwd="/",
            )
            with process:
                try:
                    yield _Messages(process, log)
                finally:
                    process.kill()  # also ends all processes inside
        finally:
            if cgroup is not None:
                cgroup.remove()


def _judge_one(benchmark: str, truth: Path, sample: Sample, unsandboxed: bool) -> Judgment:
    with _guest(benchmark, truth, [sample], 1, unsandboxed) as messages:
        for message in messages:
            if "index" in message:
                return _judgment(message)
    return Judgment(Check("timeout"), Check("timeout"))


def _judgment(message: dict[str, Any]) -> Judgment:
    base, plus = (Check(**message[part] | {"error": read_error(message[part]["error"])}) for part in ("base", "plus"))
    return Judgment(base, plus)


def _packages_elsewhere(prefixes: Sequence[str]) -> str | None:
    """Returns evalplus's folder if it is outside the interpreter's: on `PYTHONPATH`, or in the user's packages."""
    import evalplus

    folder = os.path.realpath(Path(evalplus.__path__[0]).parent)
    known = (*map(os.path.realpath, prefixes), "/usr")
    return None if any(f"{folder}/".startswith(f"{one}/") for one in known) else folder


def _processes(workers: int) -> int:
    return 32 + 72 * workers  # 32 for an answer, and 32 for its stand-in


def _memory(workers: int) -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(_OWN_MEMORY + workers * _ANSWER_MEMORY, total * 3 // 4)
