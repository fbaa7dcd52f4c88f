"""What a model is asked, in four styles.

| style | what it is |
|---|---|
| `request` | the request as a user would put it, through the model's chat template: the prompt that our training ends at |
| `evalplus` | EvalPlus's own chat prompt, whose answer has been begun; for figures to be held against its leaderboard |
| `published` | the block-token prompts with which ReflectionCoder's figures were made |
| `completion` | the benchmark's code, to go on from: for base models |
"""

from dataclasses import dataclass
from typing import Any

from ..languages import get_language
from ..rendering import BLOCK_TOKENS
from .benchmarks import EVALPLUS, split_statement
from .tasks import Task


# Longest answers, in tokens: evalplus's own for its prompts
MAX_TOKENS = {"request": 1024, "evalplus": 768, "published": 1024, "completion": 768}

# As in evalplus 0.3.1 (`codegen.run_codegen`)
_INSTRUCTION = (
    "Please provide a self-contained Python script that solves the following problem in a markdown code block:"
)
_RESPONSE = (
    "Below is a Python script with a self-contained function that solves the problem and passes corresponding tests:"
)
# As the published code spells them
_PUBLISHED_NAMES = {"csharp": "CSharp", "javascript": "Javascript", "typescript": "Typescript"}
# What ends the program in an answer to a published prompt, which begins inside a code block
_PUBLISHED_STOPS = ("\n```", "\n# Test", "\nif", "\nassert", "\nprint")


@dataclass(frozen=True)
class Prompt:
    """
    A prompt as [`~reflection_trl.generation.Generate`] takes it.

    Args:
        content (`list[dict]` or `str`): conversation, or text to go on from.
        stop (`tuple[str]`, *optional*): texts at which the answer ends.
    """

    content: list[dict[str, Any]] | str
    stop: tuple[str, ...] = ()


def make_prompt(task: Task, style: str) -> Prompt:
    """
    The prompt of a task.

    Args:
        task ([`Task`]): the task.
        style (`str`): `"request"`, `"evalplus"`, `"published"` or `"completion"`.

    Raises:
        ValueError: If there is no such style, or it does not fit the benchmark.
    """
    if style not in MAX_TOKENS:
        raise ValueError(f"Unknown prompt style {style!r}: use one of {', '.join(MAX_TOKENS)}.")
    if style == "request":
        return Prompt([{"role": "user", "content": task.request}])
    if style == "published" and task.problem is None:
        return _published(task)
    if task.benchmark not in EVALPLUS:
        if task.problem is not None:
            raise ValueError(f"The prompt style {style!r} is for benchmarks; {task.benchmark} is asked as 'request'.")
        if style == "evalplus":
            raise ValueError(f"The prompt style 'evalplus' is for {' and '.join(EVALPLUS)}, not for {task.benchmark}.")
        return Prompt(task.prompt, task.stop)
    return _evalplus(task) if style == "evalplus" else _completion(task)


def needs_chat_template(style: str) -> bool:
    """Whether prompts of a style are conversations."""
    return style in ("request", "evalplus")


def _evalplus(task: Task) -> Prompt:
    from evalplus.provider.utility import EOS

    turns = [
        {"role": "user", "content": f"{_INSTRUCTION}\n```\n{task.prompt.strip()}\n```\n"},
        {"role": "assistant", "content": f"{_RESPONSE}\n```python\n"},
    ]
    return Prompt(turns, (*EOS, "\n```\n"))


def _completion(task: Task) -> Prompt:
    from evalplus.provider.utility import EOS, extra_eos_for_direct_completion

    return Prompt(f"{task.prompt.strip()}\n", (*EOS, *extra_eos_for_direct_completion(task.benchmark)))


def _published(task: Task) -> Prompt:
    if task.benchmark == "mbpp":
        text, test = split_statement(task.prompt)
        request = f"{text}\nYour code should satisfy the following assertion:\n```python\n{test}\n```"
    else:
        title = _PUBLISHED_NAMES.get(task.language, get_language(task.language).title)
        request = f"Write a complete {title} function for the problem.\n\n{task.prompt.strip()}"
    tokens = BLOCK_TOKENS
    ends = tokens["end_of_block"] + tokens["end_of_message"]
    asked = f"{tokens['user']}{tokens['text']}{request}{ends}{tokens['assistant']}{tokens['text']}"
    if task.benchmark in EVALPLUS:
        return Prompt(f"{asked}```python\n", _PUBLISHED_STOPS)
    return Prompt(f"{asked}```{title.lower()}\n{task.prompt}", (*task.stop, "```"))
