"""Converts problems to rows for TRL's online trainers, and back."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from ..checking import require_checker
from ..problems import Example, Problem, load_problems
from ..problems.mappings.final_answers import final_answer_of


logger = logging.getLogger(__name__)

# Fields that are part of the prompt, fields for people, and the solution, which no reward needs
_NOT_IN_ROWS = ("instruction", "reference", "source", "license")
_NAMED = 5  # problems to list in a message


def load_problems_for_rl(
    source: Any,
    *,
    system_prompt: str | None = None,
    conversational: bool = True,
    skip_invalid: bool = False,
    **options: Any,
) -> Dataset:
    """
    Loads problems as a dataset for `GRPOTrainer`, `RLOOTrainer` and `SDPOTrainer`.

    Each row has the request as `prompt`, and other columns with which [`execution_reward`] scores an answer.

    ```python
    >>> from reflection_trl import load_problems_for_rl

    >>> dataset = load_problems_for_rl("my/problems.jsonl")
    >>> dataset.column_names
    ['prompt', 'problem_id', 'language', 'tests', 'entry_point']
    ```

    Args:
        source (`str`, `PathLike`, `Dataset` or an iterable of `dict` or [`~reflection_trl.problems.Problem`]):
            A source for [`~reflection_trl.problems.load_problems`].
        system_prompt (`str`, *optional*):
            System message of each prompt.
        conversational (`bool`, *optional*, defaults to `True`):
            Whether prompts are messages, which the trainer renders with the model's chat template. Set to `False` for
            plain text, for a base model.
        skip_invalid (`bool`, *optional*, defaults to `False`):
            Whether to skip problems without tests and rows that are not valid problems, with a warning, instead of
            raising an error.
        **options:
            Other options of [`~reflection_trl.problems.load_problems`], such as `mapping`, `columns`, `split` and
            `limit`.

    Returns:
        [`~datasets.Dataset`]: One row per problem, with the columns `prompt`, `problem_id`, `language`, and, if any
        problem has them, `tests`, `examples` and `entry_point`.

    Raises:
        ValueError: If the source cannot be read, or a problem has neither tests nor examples.
    """
    if system_prompt is not None and not conversational:
        raise ValueError("`system_prompt` needs prompts of messages: leave `conversational` at True, or leave it out.")
    problems = list(load_problems(source, skip_invalid=skip_invalid, **options))
    untested = [problem for problem in problems if not problem.has_tests]
    if untested:
        names = ", ".join(repr(problem.id) for problem in untested[:_NAMED])
        names += f" and {len(untested) - _NAMED} more" if len(untested) > _NAMED else ""
        message = (
            f"{len(untested)} of {len(problems)} problems have no tests, so no answer to them has a reward: {names}."
        )
        if not skip_invalid or len(untested) == len(problems):
            raise ValueError(
                f"{message} Add `tests`, `examples` or `answer`, or pass `skip_invalid=True` to train on the others."
            )
        logger.warning("%s They are skipped.", message)
    for checker in {problem.checker for problem in problems if problem.answer is not None}:
        require_checker(checker)
    return to_dataset([problem for problem in problems if problem.has_tests], system_prompt, conversational)


def to_dataset(problems: Sequence[Problem], system_prompt: str | None = None, conversational: bool = True) -> Dataset:
    """
    Returns the rows of [`load_problems_for_rl`].

    Args:
        problems (`Sequence[Problem]`):
            Problems with tests or examples.
        system_prompt (`str`, *optional*):
            System message of each prompt.
        conversational (`bool`, *optional*, defaults to `True`):
            Whether prompts are messages.
    """
    system = [{"role": "system", "content": system_prompt}] if system_prompt is not None else []
    rows = []
    for problem in problems:
        prompt: Any = problem.request
        if conversational:
            prompt = [*system, {"role": "user", "content": prompt}]
        rows.append({"prompt": prompt, **problem_to_columns(problem)})
    # A column without any value would have no type
    filled = [name for name in rows[0] if any(row[name] not in (None, "", []) for row in rows)] if rows else []
    return Dataset.from_list([{name: row[name] for name in filled} for row in rows])


def problem_to_columns(problem: Problem) -> dict[str, Any]:
    """
    Converts a problem to the dataset columns that a reward needs.

    Args:
        problem ([`~reflection_trl.problems.Problem`]):
            The problem.
    """
    fields = {
        field.name: getattr(problem, field.name)
        for field in dataclasses.fields(Problem)
        if field.name not in (*_NOT_IN_ROWS, "id")
    }
    fields["examples"] = [dataclasses.asdict(example) for example in problem.examples]
    fields["choices"] = list(problem.choices)
    if problem.answer is None:
        fields["checker"] = None
    return {"problem_id": problem.id, **fields}


def columns_to_problems(columns: dict[str, Sequence[Any]], num_rows: int) -> list[Problem]:
    """
    Converts the dataset columns that a trainer passes to a reward function back to problems. Inverse of
    [`problem_to_columns`].

    Args:
        columns (`dict[str, Sequence]`):
            Columns of the dataset. Columns that are not fields of a problem are ignored.
        num_rows (`int`):
            Number of rows.

    Raises:
        ValueError: If a row has neither tests nor examples nor a final answer.
    """
    names = [field.name for field in dataclasses.fields(Problem) if field.name not in (*_NOT_IN_ROWS, "id")]
    present = [name for name in names if name in columns]
    ids = columns.get("problem_id", range(num_rows))
    problems = []
    for number in range(num_rows):
        values = {name: columns[name][number] for name in present if columns[name][number] is not None}
        if "examples" in values:
            values["examples"] = tuple(
                example if isinstance(example, Example) else Example(**example) for example in values["examples"]
            )
        if values.get("tests") or values.get("examples"):
            values.pop("answer", None)  # of whatever else the rows hold
        elif "answer" in values:
            values["answer"] = final_answer_of(values["answer"], "answer")
        values["choices"] = tuple(values.get("choices", ()))
        problem = Problem(id=str(ids[number]), instruction="", **values)
        if not problem.has_tests:
            raise ValueError(
                f"The problem {problem.id!r} has neither `tests` nor `examples` nor `answer`, so its answers have no reward: the dataset needs "
                f"these columns (it has {', '.join(sorted(columns)) or 'none'}); `load_problems_for_rl` makes them."
            )
        problems.append(problem)
    return problems
