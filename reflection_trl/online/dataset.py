"""Converts problems to rows for TRL's online trainers, and back."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset

from ..checking import require_checker
from ..problems import Problem, load_problems
from ..problems.load import read_problem
from .messages import prompt_text


logger = logging.getLogger(__name__)

# Fields that are part of the prompt, fields for people, and the solution, which no reward needs
_NOT_IN_ROWS = ("id", "instruction", "reference", "source", "license")
_IN_ROWS = tuple(field.name for field in dataclasses.fields(Problem) if field.name not in _NOT_IN_ROWS)
COLUMNS = ("prompt", "problem_id", *_IN_ROWS)  # that are read
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
    fields: dict[str, Any] = {name: getattr(problem, name) for name in _IN_ROWS}
    fields["examples"] = [dataclasses.asdict(example) for example in problem.examples]
    fields["choices"] = list(problem.choices)
    if problem.answer is None:
        fields["checker"] = None
    return {"problem_id": problem.id, **fields}


def columns_to_problems(columns: Mapping[str, Any], num_rows: int) -> list[Problem]:
    """
    Converts the dataset columns that a trainer passes to a reward function to problems.

    Args:
        columns (`Mapping[str, Any]`):
            Columns of the dataset, as lists, and other arguments of reward functions: see [`row_to_problem`].
        num_rows (`int`):
            Number of rows.

    Raises:
        ValueError: If the answers to a row cannot be judged, or nothing judges them.
    """
    lists = {name: values for name, values in columns.items() if isinstance(values, Sequence)}
    problems: list[Problem] = []
    previous: dict[str, Any] = {}
    for number in range(num_rows):
        row = {name: lists[name][number] for name in COLUMNS if name in lists}
        if number == 0 or row != previous:  # the rows of a group are equal
            problem = row_to_problem(row, number)
        if not problem.has_tests:
            raise ValueError(
                f"The problem {problem.id!r} has neither `tests` nor `examples` nor `answer`, so its answers have no reward: the dataset needs "
                f"these columns (it has {', '.join(sorted(lists))}); `load_problems_for_rl` makes them."
            )
        problems.append(problem)
        previous = row
    return problems


def row_to_problem(row: Mapping[str, Any], number: int) -> Problem:
    """
    Converts a row of a dataset to a problem. Inverse of [`problem_to_columns`], which also reads the other forms of tests
    and answers that [`load_problems_for_rl`] reads.

    Args:
        row (`Mapping[str, Any]`):
            Row with `prompt`, and with `tests`, `examples` or `answer` and what belongs to them. Other columns are ignored.
        number (`int`):
            Number of the row, which names a problem without `problem_id`.

    Raises:
        ValueError: If its answers cannot be judged. The message names the problem.
    """
    name = str(row.get("problem_id", number))
    fields = {field: row[field] for field in _IN_ROWS if field in row}
    if fields.get("tests") or fields.get("examples"):
        fields.pop("answer", None)  # of whatever else the rows hold
    try:
        problem = read_problem(fields, prompt_text(row.get("prompt") or ""))
    except ValueError as error:
        raise ValueError(f"The answers to the problem {name!r} cannot be judged: {str(error).rstrip('.')}.") from None
    return dataclasses.replace(problem, id=name)
