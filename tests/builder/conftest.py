"""A model that says what it is told to, and runs of the tests' own programs without a sandbox."""

from __future__ import annotations

import contextlib
import io
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.generation.types import Completion, Sampling
from reflection_trl.languages.execution import Run


@dataclass
class ScriptedModel:
    """
    Says its lines one after another. A line is a text, a `Completion`, an exception to raise, or a function of the prompt.
    """

    lines: Sequence[Any]
    prompts: list[Any] = field(default_factory=list)
    samplings: list[Sampling] = field(default_factory=list)

    async def __call__(self, prompt, sampling: Sampling) -> Completion:
        number = len(self.prompts)
        self.prompts.append(prompt)
        self.samplings.append(sampling)
        assert number < len(self.lines), f"asked once more than scripted: {prompt[-1]['content']}"
        line = self.lines[number]
        line = line(prompt) if callable(line) else line
        if isinstance(line, BaseException):
            raise line
        return line if isinstance(line, Completion) else Completion(line, prompt_tokens=10, completion_tokens=3)

    def sent(self) -> str:
        """Everything that it has been sent, as one text."""
        return "\n".join(turn["content"] for prompt in self.prompts for turn in prompt)


_KINDS = {
    AssertionError: FeedbackKind.ASSERTION,
    NameError: FeedbackKind.NAME,
    SyntaxError: FeedbackKind.SYNTAX,
    TypeError: FeedbackKind.TYPE,
    ImportError: FeedbackKind.IMPORT,
}


class RunsHere:
    """Runs Python of the tests' own in this process, which is all that the loop's logic needs."""

    def __init__(self):
        self.calls: list[tuple[str, str, str]] = []  # source, tests, stdin

    async def __call__(self, language, source, tests="", *, entry_point=None, stdin="") -> Run:
        assert language == "python"
        self.calls.append((source, tests, stdin))
        output = io.StringIO()
        lines = iter(stdin.splitlines())
        names = {"__name__": "__main__", "input": lambda: next(lines)}
        try:
            with contextlib.redirect_stdout(output):
                for part, code in (("program", source), ("tests", tests)):
                    exec(compile(code, part, "exec"), names)
        except Exception as error:
            kind = next((_KINDS[cls] for cls in type(error).__mro__ if cls in _KINDS), FeedbackKind.RUNTIME)
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in (part,)]
            line = frames[-1].lineno if frames else None
            text = f"{type(error).__name__}: {error}".rstrip(": ")
            source_line = (source if part == "program" else tests).split("\n")[line - 1] if line else None
            feedback = Feedback(
                kind,
                text=f"{text}\n{source_line}" if source_line else text,
                error_type=type(error).__name__,
                message=str(error),
                file=part,
                line=line,
            )
            return Run(feedback, output.getvalue())
        return Run(Feedback(FeedbackKind.NONE, text=output.getvalue().rstrip()), output.getvalue())


@pytest.fixture
def execute():
    return RunsHere()
