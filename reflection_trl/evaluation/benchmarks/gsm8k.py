"""
Implements GSM8K: 1,319 problems of grade-school mathematics, each with a number as its final answer.

The prompt is the question alone, without examples (zero-shot), and the final answer that a solution states is scored:
see [`reflection_trl.checking`]. Unlike the "flexible" scores of other evaluators, the last number of a text does not
count. Source: huggingface.co/papers/2110.14168.
"""

import dataclasses

from ...checking.numbers import read_number
from ...checking.reading import tidy
from ...problems import Problem
from ...problems.mappings.final_answers import gsm8k
from ...quoting import quote
from ..tasks import Task
from .benchmark import HubDataset
from .problem_benchmark import ProblemBenchmark
from .rows import download_file, read_rows


HUB_ID = "openai/gsm8k"


class Gsm8k(ProblemBenchmark):
    """Implements GSM8K's test problems."""

    key = "gsm8k"
    usage = "gsm8k"

    def load_tasks(self, source: str | None = None) -> list[Task]:
        return self.make_tasks(self._problems(source))

    def texts(self, source: str | None = None) -> dict[str, list[str]]:
        return self.make_texts(self._problems(source))

    def hub_dataset(self, score: str) -> HubDataset:
        return HubDataset(HUB_ID, "gsm8k", "GSM8K", "main", kind="Mathematical reasoning")

    def _problems(self, source: str | None = None) -> list[Problem]:
        problems: list[Problem] = []
        rows: dict[str, str] = {}
        for number, (where, row) in enumerate(
            read_rows("GSM8K", self.key, {"question": str, "answer": str}, source, HUB_ID, download=_download)
        ):
            try:
                problem = gsm8k(row)
            except ValueError as error:
                raise ValueError(f"{where} is not a problem of GSM8K: {error}.") from error
            if not problem.instruction:
                raise ValueError(f"{where} is not a problem of GSM8K: `question` is empty.")
            if read_number(tidy(problem.answer or "")) is None:
                raise ValueError(
                    f"{where} is not a problem of GSM8K: the final answer must be a number, got {quote(problem.answer)}."
                )
            if problem.instruction in rows:
                raise ValueError(
                    f"{where} has the question of {rows[problem.instruction]}; give one version of the file."
                )
            rows[problem.instruction] = where
            problems.append(dataclasses.replace(problem, id=f"gsm8k-test/{number}", source=HUB_ID))
        return problems


def _download() -> str:
    """Returns the file of the test problems, from the Hub's cache or downloaded."""
    return download_file(HUB_ID, "main/test-00000-of-00001.parquet")
