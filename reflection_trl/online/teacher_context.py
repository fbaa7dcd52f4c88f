"""Builds the prompt of the teacher: the request, and the feedback on the student's answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..answers import without_thoughts
from ..fences import fence_code
from .judging import Outcome
from .messages import complete_request


@dataclass(frozen=True)
class Rollout:
    """
    Holds one completion and the result of running it.

    Args:
        prompt (`str` or `list[dict]`):
            Prompt of the dataset.
        completion (`str`):
            Generated text.
        outcome ([`Outcome`]):
            Result of running it.
        problem_id (`str`, *optional*, defaults to `""`):
            Id of the problem.
    """

    prompt: Any
    completion: str
    outcome: Outcome
    problem_id: str = ""


@dataclass(frozen=True)
class TeacherContext:
    """
    Selects the information about an answer that the teacher reads.

    Args:
        show_peer (`bool`, *optional*, defaults to `True`):
            Whether the teacher reads a passing answer to the same prompt, if there is one.
        show_feedback (`bool`, *optional*, defaults to `True`):
            Whether the teacher reads the test output of this answer.
        show_attempt (`bool`, *optional*, defaults to `False`):
            Whether the teacher reads this answer.
        max_feedback_length (`int`, *optional*, defaults to `2000`):
            Maximum number of characters of feedback.
        teach_passed (`bool`, *optional*, defaults to `False`):
            Whether to distill on passing answers too, if another answer passes.
    """

    show_peer: bool = True
    show_feedback: bool = True
    show_attempt: bool = False
    max_feedback_length: int = 2000
    teach_passed: bool = False

    def build(self, rollout: Rollout, peers: Sequence[str]) -> Any | None:
        """
        Returns the teacher's prompt for an answer.

        Args:
            rollout ([`Rollout`]):
                Answer of the student.
            peers (`Sequence[str]`):
                Other passing answers to the same prompt. The first is used.

        Returns:
            `str` or `list[dict]`, *optional*: In the form of the prompt, of whose messages the last one of the user is
            completed; `None` if the teacher would have no more information than the student.
        """
        outcome = rollout.outcome
        if not outcome.is_judged or (outcome.passed and not self.teach_passed):
            return None
        peer = without_thoughts(peers[0]).strip() if self.show_peer and peers else ""
        feedback = outcome.text.strip() if self.show_feedback and not outcome.passed else ""
        attempt = rollout.completion.strip() if self.show_attempt and not outcome.passed else ""
        if not (peer or feedback or attempt):
            return None
        feedback = clip_feedback(feedback, self.max_feedback_length) if feedback else ""
        values: dict[str, Any] = {
            "peer": peer,
            "feedback": feedback,
            "attempt": attempt,
            "solution": outcome.is_solution,
        }
        template = load_template("teacher")
        return complete_request(rollout.prompt, lambda request: template.render(request=request, **values))


def clip_feedback(feedback: str, max_length: int) -> str:
    """
    Returns feedback in a code block, truncated to its end, where error messages are.

    Args:
        feedback (`str`):
            Output of running an answer.
        max_length (`int`):
            Maximum number of characters.
    """
    return fence_code(feedback if len(feedback) <= max_length else f"[...]\n{feedback[-max_length:]}", "text")


@cache
def load_template(name: str) -> Template:
    """
    Returns a template of this folder.

    Args:
        name (`str`):
            File name without extension.
    """
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=False)
    return environment.from_string((Path(__file__).parent / "templates" / f"{name}.jinja").read_text(encoding="utf-8"))


def passing_peers(
    rollouts: Sequence[Rollout], num_generations: int, corrected: Sequence[str | None] | None = None
) -> list[list[str]]:
    """
    Returns, for each rollout, the passing answers to its prompt that the teacher may read.

    Args:
        rollouts (`Sequence[Rollout]`):
            Groups of `num_generations` rollouts of a prompt, one group after the other.
        num_generations (`int`):
            Number of rollouts of a group.
        corrected (`Sequence[str]`, *optional*):
            The passing repair of each rollout, or `None`.

    Returns:
        `list[list[str]]`: For each rollout the passing answers of the others in its group, then its own repair, then
        the repairs of the others.
    """
    corrected = [None] * len(rollouts) if corrected is None else corrected
    peers = []
    for number in range(len(rollouts)):
        first = number - number % num_generations
        others = [i for i in range(first, first + num_generations) if i != number]
        passed = [rollouts[i].completion for i in others if rollouts[i].outcome.passed]
        peers.append([*passed, *(text for i in (number, *others) if (text := corrected[i]) is not None)])
    return peers
