"""
Samples second turns: a failed answer is repaired with its feedback, and a passing repair becomes a reflection
sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accelerate.utils import gather_object
from trl import GRPOTrainer

from ..answers import without_thoughts
from ..fences import fence_code
from ..languages import get_language
from .dataset import columns_to_problems
from .judging import AnswerJudge, Outcome
from .teacher_context import Rollout, clip_feedback, load_template


FOLDER = "reflections"
_RULE = "---"  # between what was wrong and the corrected solution


@dataclass(frozen=True)
class Repair:
    """
    Holds the second turn of a failed answer.

    Args:
        text (`str`):
            Completion that repairs the answer.
        outcome ([`Outcome`]):
            Result of running it.
        language (`str`):
            Language of its program; empty for a solution with a final answer.
    """

    text: str
    outcome: Outcome
    language: str

    @property
    def answer(self) -> str:
        """
        Returns the corrected program in a code block, or the corrected solution, without the text before it; empty if
        the solution is not set apart.
        """
        if not self.language:
            _, rule, solution = f"\n{without_thoughts(self.text)}".rpartition(f"\n{_RULE}\n")
            return solution.strip() if rule else ""
        return fence_code(self.outcome.code.strip(), get_language(self.language).fences[0])


def repair_prompt(rollout: Rollout, max_feedback_length: int) -> Any | None:
    """
    Returns the prompt of a second turn: the request, the failed answer and its feedback.

    Args:
        rollout ([`Rollout`]):
            Failed answer.
        max_feedback_length (`int`):
            Maximum number of characters of the feedback that the model reads.

    Returns:
        `str` or `list[dict]`, *optional*: Prompt in the form of the rollout's prompt; `None` if there is nothing to
        repair.
    """
    outcome, attempt = rollout.outcome, without_thoughts(rollout.completion).strip()
    if not outcome.is_judged or outcome.passed or not outcome.text.strip() or not attempt:
        return None
    feedback = clip_feedback(outcome.text.strip(), max_feedback_length)
    template = load_template("repair_solution" if outcome.is_solution else "repair")
    if isinstance(rollout.prompt, str):
        return template.render(request=rollout.prompt, attempt=attempt, feedback=feedback)
    asked = template.render(request="", attempt="", feedback=feedback)
    return [*rollout.prompt, {"role": "assistant", "content": attempt}, {"role": "user", "content": asked}]


def reflection_row(rollout: Rollout, repair: Repair, step: int) -> dict[str, Any] | None:
    """
    Returns a failed answer and its repair as a reflection row for [`ReflectionDistillTrainer`].

    Args:
        rollout ([`Rollout`]):
            Failed answer.
        repair ([`Repair`]):
            Passing repair.
        step (`int`):
            Optimizer step for which both were sampled.

    Returns:
        `dict`, *optional*: The row, whose final answer is the corrected program or solution alone; `None` if there is
        none apart, or the prompt is a conversation with several user turns, which a reflection row cannot contain.
    """
    if not repair.answer:
        return None
    prompt = rollout.prompt
    asked = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if [message["role"] for message in asked] not in (["user"], ["system", "user"]):
        return None
    feedback = rollout.outcome.feedback
    return {
        "messages": [
            *asked,
            {"role": "assistant", "content": without_thoughts(rollout.completion).strip()},
            {"role": "tool", "content": rollout.outcome.text},
            {"role": "assistant", "content": without_thoughts(repair.text).strip()},
            asked[-1],
            {"role": "assistant", "content": repair.answer},
        ],
        "type": "reflection",
        "problem_id": rollout.problem_id,
        "language": repair.language or None,
        "step": step,
        "feedback": [{"kind": rollout.outcome.kind} if feedback is None else feedback.to_dict()],
    }


def sample_repairs(
    trainer: GRPOTrainer,
    judge: AnswerJudge,
    inputs: Sequence[dict[str, Any]],
    rollouts: Sequence[Rollout],
    max_feedback_length: int,
    max_positions: int,
) -> list[Repair | None]:
    """
    Samples a second turn for each failed answer of this process with the trainer's generation, and runs it.

    Every process must call this function, because generation communicates between processes.

    Args:
        trainer ([`~trl.GRPOTrainer`]):
            Generates and tokenizes.
        judge ([`AnswerJudge`]):
            Runs the repairs.
        inputs (`Sequence[dict]`):
            Dataset row of each rollout.
        rollouts (`Sequence[Rollout]`):
            Answers of this process.
        max_feedback_length (`int`):
            Maximum number of characters of feedback that the model reads.
        max_positions (`int`):
            Context length of the model in tokens. A prompt that leaves no room for a completion is not repaired.

    Returns:
        `list[Repair | None]`: One per rollout; `None` if nothing was repaired.
    """
    prompts = [repair_prompt(rollout, max_feedback_length) for rollout in rollouts]
    numbers = [number for number, prompt in enumerate(prompts) if prompt is not None]
    ids: list[list[int]] = trainer._tokenize_prompts([prompts[number] for number in numbers])[0] if numbers else []
    room = max_positions - (trainer.max_completion_length or 0)
    fitting = [(number, tokens) for number, tokens in zip(numbers, ids, strict=True) if len(tokens) <= room]
    # A vLLM server slices its output by the number of prompts of one process, so all processes send the same number
    most = max(gather_object([len(fitting)]))
    if most == 0:
        return [None] * len(rollouts)
    batch = [tokens for _, tokens in fitting]
    if len(batch) < most:
        filler = batch[0] if batch else trainer._tokenize_prompts([inputs[0]["prompt"]])[0][0]
        batch += [filler] * (most - len(batch))
    completions, _ = trainer._generate_single_turn(batch, None, {}, num_generations=1)
    texts = trainer._tokenizer.batch_decode(completions[: len(fitting)], skip_special_tokens=True)
    repairs: list[Repair | None] = [None] * len(rollouts)
    if not fitting:
        return repairs
    rows = [inputs[number] for number, _ in fitting]
    problems = columns_to_problems({name: [row[name] for row in rows] for name in rows[0]}, len(rows))
    outcomes = judge.judge(problems, texts)
    for (number, _), text, outcome, problem in zip(fitting, texts, outcomes, problems, strict=True):
        repairs[number] = Repair(text, outcome, "" if outcome.is_solution else problem.language)
    return repairs
