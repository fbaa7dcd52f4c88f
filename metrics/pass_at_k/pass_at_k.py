"""Computes pass@k of generated code: every candidate runs in a sandbox, and counts if all its tests pass."""

import dataclasses

import datasets
import evaluate

from reflection_trl.evaluation.statistics import pass_at_k
from reflection_trl.languages import get_language
from reflection_trl.problems.runnable import complete_tests
from reflection_trl.sandbox import Program, Sandbox, SandboxError, Status


_DESCRIPTION = """
pass@k is the probability that at least one of k answers to a problem passes the problem's tests, averaged over the problems. It is
estimated without bias from n >= k answers per problem, of which c are correct: 1 - C(n - c, k) / C(n, k). Unlike `code_eval`, this
metric runs every candidate isolated from the machine (no network, no files, limits on time, memory and processes), in Python and in
other languages.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list[list[str]]`): candidates of each problem, as complete source code.
    references (`list[str]`): tests of each problem: code that follows a candidate and fails unless the candidate is correct, such
        as `assert add(2, 3) == 5`.
    k (`list[int]`, *optional*, defaults to `[1]`): values of k, at most the number of candidates of any problem.
    entry_points (`list[str]`, *optional*): name of the function under test, for each problem. Python needs it if the function has the
        name of a built-in, such as `sum`.
    timeout (`float`, *optional*): time limit for one candidate and its tests in seconds, including compilation. Defaults to
        10 for Python and to more for compiled languages.
    workers (`int`, *optional*): number of candidates that run at the same time. Defaults to the number of processors.

The configuration is the language, Python by default: `evaluate.load("pass_at_k", "cpp")`.

Returns:
    `dict[str, float]`: `pass@k` for each k.

Examples:

    >>> metric = evaluate.load("metrics/pass_at_k")
    >>> right, wrong = "def add(a, b): return a + b", "def add(a, b): return a * b"
    >>> metric.compute(predictions=[[right, wrong]], references=["assert add(2, 3) == 5"], k=[1, 2])
    {'pass@1': 0.5, 'pass@2': 1.0}
"""

_CITATION = """
@misc{chen2021evaluating,
    title = {Evaluating Large Language Models Trained on Code},
    author = {Chen, Mark and others},
    year = {2021},
    eprint = {2107.03374},
    archivePrefix = {arXiv}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class PassAtK(evaluate.Metric):
    """Unbiased pass@k of candidates that run in a sandbox."""

    def _info(self) -> evaluate.MetricInfo:
        self.language = get_language("python" if self.config_name == "default" else self.config_name)
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {"predictions": datasets.List(datasets.Value("string")), "references": datasets.Value("string")}
            ),
            reference_urls=["https://huggingface.co/papers/2107.03374"],
        )

    def _compute(
        self,
        predictions: list[list[str]],
        references: list[str],
        k: list[int] | int = (1,),
        entry_points: list[str] | None = None,
        timeout: float | None = None,
        workers: int | None = None,
    ) -> dict[str, float]:
        if not predictions:
            raise ValueError(
                "There are no problems: give their candidates as `predictions`, and their tests as `references`."
            )
        for index, candidates in enumerate(predictions):
            if None in candidates:
                raise ValueError(f"A candidate of problem {index} is None: use '' for a missing answer.")
        given = list(k) if isinstance(k, (list, tuple, set)) else [k]
        if not all(isinstance(one, int) for one in given):
            raise ValueError(f"`k` must be an integer or a list of integers, got {k!r}.")
        ks = sorted(set(given))
        fewest = min(len(candidates) for candidates in predictions)
        if not ks or ks[0] < 1 or ks[-1] > fewest:
            raise ValueError(
                f"`k` must be between 1 and the number of candidates a problem, which is {fewest} here for at least one problem, "
                f"got {k}."
            )
        if any(not tests.strip() for tests in references):
            raise ValueError("Every reference must hold tests: without any, all candidates would pass.")
        if entry_points is not None and len(entry_points) != len(references):
            raise ValueError(f"`entry_points` names {len(entry_points)} functions for {len(references)} problems.")
        names = entry_points or [None] * len(references)
        if self.language.name == "python":
            references = [_complete(*problem) for problem in zip(range(len(names)), references, names, strict=True)]
        jobs = [
            (self.language.program(candidate, tests, entry_point=name), candidate, tests)
            for candidates, tests, name in zip(predictions, references, names, strict=True)
            for candidate in candidates
        ]
        passed = iter(self._run(jobs, timeout, workers))
        rights = [sum(next(passed) for _ in candidates) for candidates in predictions]
        estimates = {
            k: [pass_at_k(len(candidates), right, k) for candidates, right in zip(predictions, rights, strict=True)]
            for k in ks
        }
        return {f"pass@{k}": sum(problems) / len(problems) for k, problems in estimates.items()}

    def _run(self, jobs: list[tuple[Program, str, str]], timeout: float | None, workers: int | None) -> list[bool]:
        """Returns whether each program, of a candidate and its tests, passes."""
        if missing := self.language.missing():
            raise RuntimeError(missing)
        programs = [program for program, _, _ in jobs]
        if timeout is not None:
            programs = [
                dataclasses.replace(program, limits=dataclasses.replace(program.limits, timeout=timeout))
                for program in programs
            ]
        with Sandbox(workers=workers, readonly=self.language.readonly) as sandbox:
            verdicts = sandbox.run_many(programs)
        for verdict in verdicts:
            if verdict.status is Status.INFRASTRUCTURE:
                raise SandboxError(f"The sandbox could not run a candidate: {verdict.reason}")
        return [
            self.language.diagnose(verdict, candidate, tests).passed
            for verdict, (_, candidate, tests) in zip(verdicts, jobs, strict=True)
        ]


def _complete(index: int, tests: str, name: str | None) -> str:
    try:
        return complete_tests(tests, name)
    except ValueError as error:
        raise ValueError(f"Problem {index}: {error}.") from error
