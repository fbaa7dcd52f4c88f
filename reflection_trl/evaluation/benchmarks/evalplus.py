"""Implements HumanEval(+) and MBPP(+), which evalplus loads and scores, in isolation."""

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

from ...answers import without_thoughts
from ...coroutines import run_coroutine
from ...problems.mappings.mbpp import mbpp
from ...problems.mappings.text import code_block
from ..answers import sanitize
from ..evalplus_data import EVALPLUS, EvalPlusData
from ..evalplus_outcomes import score_evalplus
from ..evalplus_score import judge_evalplus, write_eval_results
from ..prompts import Prompt, make_published_prompt
from ..results import Score
from ..tasks import Sample, Task
from .benchmark import Benchmark, HubDataset, Judging


# As in evalplus 0.3.1 (`codegen.run_codegen`)
_INSTRUCTION = (
    "Please provide a self-contained Python script that solves the following problem in a markdown code block:"
)
_RESPONSE = (
    "Below is a Python script with a self-contained function that solves the problem and passes corresponding tests:"
)
# Texts that end the program in an answer to a published prompt, which begins inside a code block
_PUBLISHED_STOPS = ("\n```", "\n# Test", "\nif", "\nassert", "\nprint")


class EvalPlus(Benchmark):
    """Base class of HumanEval and MBPP."""

    styles = ("request", "evalplus", "published", "completion")
    data: ClassVar[EvalPlusData]
    hub: ClassVar[tuple[HubDataset, HubDataset]]

    @property
    def score_names(self) -> tuple[str, ...]:
        return self.name, f"{self.name}+"

    @classmethod
    def owns(cls, task_id: str) -> bool:
        return task_id.lower().startswith(f"{cls.data.title.lower()}/")

    def load_tasks(self, source: str | None = None) -> list[Task]:
        return [
            Task(
                task["task_id"],
                self.name,
                self.request(task),
                prompt=task["prompt"],
                entry_point=task["entry_point"],
            )
            for task in self.data.read().values()
        ]

    def request(self, task: dict[str, Any]) -> str:
        """Returns the request for one of evalplus's tasks, as a user would write it."""
        raise NotImplementedError

    def published_request(self, task: Task) -> str:
        """Returns the request for a task as in ReflectionCoder's published results."""
        raise NotImplementedError

    def make_styled_prompt(self, task: Task, style: str) -> Prompt:
        if style == "published":
            return make_published_prompt(self.published_request(task), "```python\n", _PUBLISHED_STOPS)
        from evalplus.provider.utility import EOS, extra_eos_for_direct_completion

        if style == "completion":
            return Prompt(f"{task.prompt.strip()}\n", (*EOS, *extra_eos_for_direct_completion(self.data.name)))
        turns = [
            {"role": "user", "content": f"{_INSTRUCTION}\n```\n{task.prompt.strip()}\n```\n"},
            {"role": "assistant", "content": f"{_RESPONSE}\n```python\n"},
        ]
        return Prompt(turns, (*EOS, "\n```\n"))

    def read_solution(self, task: Task, text: str, style: str) -> str:
        if style == "request":
            return super().read_solution(task, text, style)
        text = without_thoughts(text)
        if style == "published":
            return text.strip()
        text = text.replace("\t", "    ")
        return sanitize(f"{task.prompt.strip()}\n{text}" if style == "completion" else text, task.entry_point)

    def judge(self, tasks: Sequence[Task], samples: Sequence[Sample], judging: Judging) -> list[Score]:
        judgments = judge_evalplus(
            self.data.name,
            samples,
            workers=judging.workers,
            unsandboxed=judging.unsandboxed,
            report=judging.report,
        )
        write_eval_results(judging.folder / "samples_eval_results.json", self.data.name, samples, judgments)

        open_executor = functools.partial(judging.open_executor, ["python"])
        return run_coroutine(score_evalplus(self.name, tasks, samples, judgments, open_executor))

    def hub_dataset(self, score: str) -> HubDataset | None:
        return dict(zip(self.score_names, self.hub, strict=True))[score]


class HumanEval(EvalPlus):
    """Implements HumanEval and HumanEval+."""

    key = "humaneval"
    aliases = ("humaneval+",)
    usage = "humaneval"
    data = EVALPLUS["humaneval"]
    hub = (
        HubDataset("openai/openai_humaneval", "openai_humaneval", "HumanEval"),
        HubDataset("evalplus/humanevalplus", "humanevalplus", "HumanEval+"),
    )

    def request(self, task: dict[str, Any]) -> str:
        return f"Complete this Python code:\n\n{code_block(task['prompt'])}"

    def published_request(self, task: Task) -> str:
        return f"Write a complete Python function for the problem.\n\n{task.prompt.strip()}"

    def texts(self, source: str | None = None) -> dict[str, list[str]]:
        return {name: [task["prompt"], task["canonical_solution"]] for name, task in self.data.read().items()}


class Mbpp(EvalPlus):
    """Implements MBPP and MBPP+."""

    key = "mbpp"
    aliases = ("mbpp+",)
    usage = "mbpp"
    data = EVALPLUS["mbpp"]
    hub = (
        HubDataset("google-research-datasets/mbpp", "mbpp", "MBPP"),
        HubDataset("evalplus/mbppplus", "mbppplus", "MBPP+"),
    )

    def request(self, task: dict[str, Any]) -> str:
        """Returns the request in the words of MBPP's training problems, with the name of the function and one call."""
        text, test = split_statement(task["prompt"])
        row = {
            "task_id": task["task_id"],
            "text": text,
            "code": task["canonical_solution"],
            "test_list": [f"assert {test}"],
        }
        return mbpp(row).instruction

    def published_request(self, task: Task) -> str:
        text, test = split_statement(task.prompt)
        return f"{text}\nYour code should satisfy the following assertion:\n```python\nassert {test}\n```"

    def texts(self, source: str | None = None) -> dict[str, list[str]]:
        return {
            name: [*filter(None, split_statement(task["prompt"])), task["canonical_solution"]]
            for name, task in self.data.read().items()
        }


def split_statement(prompt: str) -> tuple[str, str]:
    """Returns the sentence of a prompt of MBPP+, and the condition of its assert. The prompt is a docstring."""
    text, _, test = prompt.strip().removeprefix('"""').removesuffix('"""').partition("\nassert ")
    return text.strip(), test.strip()
