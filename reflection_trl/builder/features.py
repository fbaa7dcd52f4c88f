"""Defines the columns of a reflection-sequence dataset, and converts rollouts to rows."""

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..feedback import Feedback
from ..languages import get_language
from ..problems import Problem
from .sequence import ReflectionSequence


if TYPE_CHECKING:
    from datasets import Features

_NOT_IN_ROWS = frozenset({"unaided", "suspicious", "outcomes", "solved", "taught", "runs", "rejection", "detail"})
_FEEDBACK_NUMBERS = ("line", "column")


def sequence_features(rejected: bool = False) -> "Features":
    """
    Returns the columns of built rows. Training needs only `messages` and `type`. The other columns are for people.

    Args:
        rejected (`bool`, *optional*, defaults to `False`):
            Whether the rows contain the reason of their rejection.
    """
    from datasets import Features, List, Value

    fields = Feedback.__dataclass_fields__
    feedback = {name: Value("int32" if name in _FEEDBACK_NUMBERS else "string") for name in fields}
    columns = {
        "messages": List({"role": Value("string"), "content": Value("string")}),
        "type": Value("string"),
        "feedback": List(feedback),
        "problem_id": Value("string"),
        "sample": Value("int32"),
        "language": Value("string"),
        "tests": Value("string"),
        "examples": List({"stdin": Value("string"), "stdout": Value("string")}),
        "entry_point": Value("string"),
        "answer": Value("string"),
        "checker": Value("string"),
        "choices": List(Value("string")),
        "source": Value("string"),
        "license": Value("string"),
        "rounds": Value("int32"),
        "repaired": Value("bool"),
        "solve_rate": Value("float32"),
        "teacher_solve_rate": Value("float32"),
        "wrong_asserts": List(Value("string")),
        "model": Value("string"),
        "sampling": Value("string"),
        "prompt_tokens": Value("int32"),
        "completion_tokens": Value("int32"),
    }
    if rejected:
        columns |= {"rejection": Value("string"), "detail": Value("string")}
    return Features(columns)


def _suspicious(sequence: ReflectionSequence) -> list[str]:
    """Returns names in its programs that legitimate programs do not use."""
    language = get_language(sequence.problem.language)
    return sorted({words for attempt in sequence.attempts for words in language.suspicious(attempt.code)})


def to_record(sequence: ReflectionSequence) -> dict[str, Any]:
    """Returns the stored record of a rollout: everything except the problem, which the run stores."""
    return {
        "problem_id": sequence.problem.id,
        "sample": sequence.sample,
        "rejection": sequence.rejection,
        "detail": sequence.detail,
        "messages": sequence.messages() if sequence.accepted else _messages_so_far(sequence),
        "feedback": [run.to_dict() for attempt in sequence.attempts for run in attempt.runs],
        "outcomes": [attempt.feedback.kind.value for attempt in sequence.attempts],
        "rounds": sequence.rounds,
        "repaired": sequence.repaired,
        "unaided": sequence.unaided,
        "suspicious": _suspicious(sequence),
        "solved": list(sequence.solved),
        "taught": list(sequence.taught),
        "wrong_asserts": list(sequence.wrong_asserts),
        "prompt_tokens": sequence.prompt_tokens,
        "completion_tokens": sequence.completion_tokens,
        "runs": sequence.runs,
    }


def to_row(
    record: dict[str, Any], problem: Problem, model: str, sampling: str, solve_rate: float | None = None
) -> dict[str, Any]:
    """
    Converts a rollout to a row of the dataset.

    Args:
        record (`dict`):
            Output of [`to_record`].
        problem ([`~reflection_trl.problems.Problem`]):
            Its problem.
        model (`str`):
            Model that wrote it.
        sampling (`str`):
            Sampling settings, as JSON.
        solve_rate (`float`, *optional*):
            Share of answers to the request alone that pass the problem's tests.
    """
    row = {name: record[name] for name in record if name not in _NOT_IN_ROWS}
    row |= {
        "type": "reflection",
        "language": problem.language if problem.answer is None else None,
        "tests": problem.tests,
        "examples": [dataclasses.asdict(example) for example in problem.examples],
        "entry_point": problem.entry_point,
        "answer": problem.answer,
        "checker": problem.checker if problem.answer is not None else None,
        "choices": list(problem.choices),
        "source": problem.source,
        "license": problem.license,
        "solve_rate": solve_rate,
        "teacher_solve_rate": share_solved([record]),
        "model": model,
        "sampling": sampling,
    }
    if record["rejection"] is not None:
        row |= {"rejection": record["rejection"], "detail": record["detail"]}
    return row


def share_solved(records: Iterable[dict[str, Any]], field: str = "taught") -> float | None:
    """
    Returns the share of sampled answers that passed their problem's tests.

    Args:
        records (`Iterable[dict]`):
            Outputs of [`to_record`].
        field (`str`, *optional*, defaults to `"taught"`):
            Kind of answers: `"taught"`, after a sequence, or `"solved"`, to the request alone.

    Returns:
        `float`, *optional*: The share; `None` if no answer was sampled and scored.
    """
    outcomes = [passed for record in records for passed in record.get(field, ())]
    return sum(outcomes) / len(outcomes) if outcomes else None


def _messages_so_far(sequence: ReflectionSequence) -> list[dict[str, str]]:
    """Returns the conversation of a rejected rollout, up to its end."""
    messages = sequence.messages()
    while len(messages) > 1 and (
        not messages[-1]["content"] or (messages[-1]["role"] == "user" and not sequence.answer)
    ):
        messages.pop()
    if sequence.unusable:
        if sequence.attempts and sequence.attempts[-1].feedback.passed and messages[-1]["role"] != "user":
            messages.append({"role": "user", "content": sequence.request})
        messages.append({"role": "assistant", "content": sequence.unusable})
    return messages
