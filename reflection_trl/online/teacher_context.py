"""What the teacher reads before it predicts a student's answer: the request, and what is known of the answer by then."""

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


@dataclass(frozen=True)
class Rollout:
    """
    One completion, and what running it gave.

    Args:
        prompt (`str` or `list[dict]`):
            The prompt, as the dataset has it.
        completion (`str`):
            What the model wrote.
        outcome ([`Outcome`]):
            What running it gave.
        problem_id (`str`, *optional*, defaults to `""`):
            The problem's name.
    """

    prompt: Any
    completion: str
    outcome: Outcome
    problem_id: str = ""


@dataclass(frozen=True)
class TeacherContext:
    """
    Which of the things that are known of an answer the teacher is shown.

    Args:
        show_peer (`bool`, *optional*, defaults to `True`):
            An answer to the same prompt that passes, where there is one.
        show_feedback (`bool`, *optional*, defaults to `True`):
            What the tests said of this answer.
        show_attempt (`bool`, *optional*, defaults to `False`):
            This answer itself.
        max_feedback_length (`int`, *optional*, defaults to `2000`):
            Characters of feedback.
        teach_passed (`bool`, *optional*, defaults to `False`):
            Teach answers that pass, too, where a peer does.
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
                The answer.
            peers (`Sequence[str]`):
                Other answers to the same prompt that pass; the first is shown.

        Returns:
            `str` or `list[dict]`, *optional*: In the form of the prompt; `None` where the teacher would know no more than the
            student.
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
        values, template = {"peer": peer, "feedback": feedback, "attempt": attempt}, load_template("teacher")
        if isinstance(rollout.prompt, str):
            return template.render(request=rollout.prompt, **values)
        *before, last = rollout.prompt
        return [*before, {**last, "content": template.render(request=last["content"], **values)}]


def clip_feedback(feedback: str, max_length: int) -> str:
    """
    Returns feedback in a code block, cut to its end, where errors say what is wrong.

    Args:
        feedback (`str`):
            What running an answer printed.
        max_length (`int`):
            Characters that are kept.
    """
    return fence_code(feedback if len(feedback) <= max_length else f"[...]\n{feedback[-max_length:]}", "text")


@cache
def load_template(name: str) -> Template:
    """
    Returns a template of this folder.

    Args:
        name (`str`):
            File name without its ending.
    """
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=False)
    return environment.from_string((Path(__file__).parent / "templates" / f"{name}.jinja").read_text(encoding="utf-8"))


def passing_peers(
    rollouts: Sequence[Rollout], num_generations: int, corrected: Sequence[str | None] | None = None
) -> list[list[str]]:
    """
    Returns for each rollout the answers to its prompt that pass and that the teacher may read.

    Args:
        rollouts (`Sequence[Rollout]`):
            Groups of `num_generations` rollouts of a prompt, one after the other.
        num_generations (`int`):
            Rollouts of a group.
        corrected (`Sequence[str]`, *optional*):
            The repair of each rollout where there is one that passes, else `None`.

    Returns:
        `list[list[str]]`: For each rollout the others of its group that pass, then its own repair, then the repairs of the others.
    """
    corrected = [None] * len(rollouts) if corrected is None else corrected
    peers = []
    for number in range(len(rollouts)):
        first = number - number % num_generations
        others = [i for i in range(first, min(first + num_generations, len(rollouts))) if i != number]
        passed = [rollouts[i].completion for i in others if rollouts[i].outcome.passed]
        peers.append([*passed, *(text for i in (number, *others) if (text := corrected[i]) is not None)])
    return peers
