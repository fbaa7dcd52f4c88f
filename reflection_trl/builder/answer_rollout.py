r"""
Makes one rollout on a problem with a final answer: a model solves it, sees whether the answer is correct, repairs the solution, and answers the
request.

**Stage one** is a conversation as for programs, in which a checker takes the interpreter's place: it reads the final answer of a solution and
reports whether it is correct (see [`reflection_trl.checking`]). The expected answer is shown only with `tell_answer`. A solution without a
final answer, or with several, is useless for training and is resampled.

With `compute` a solution may contain programs. Each is run in the sandbox, and the model continues with its output. Text that it
wrote after a program is removed, because the model had not seen the output.

**Stage two** is the final solution, sampled in the context of `answer_context` and scored independently.
"""

import functools
import re
from dataclasses import dataclass, replace
from typing import Any

from ..checking import answer_key, read_final_answer
from ..feedback import Feedback, FeedbackKind
from ..fences import find_fences
from ..generation.types import Completion, Sampling
from ..problems.final_answer import judge_answer
from ..python_code import parse_python
from .acceptance import Rejected, Rejection, leaning_phrase
from .rollout_base import Rollout, brief, gather_usable, refuse_echo, shown
from .sequence import Attempt, Computation
from .single_turn import JudgedCompletion


_COMPUTATIONS = 4  # per solution
# Words at the beginning of a solution that explains the error of the previous one
_EXPLAINS = re.compile(
    r"\b(wrong(ly)?|mistakes?|mistaken(ly)?|errors?|incorrect(ly)?|instead|forgot(ten)?|missed|misread|misunder\w+|overlooked|should (have|be|not)|"
    r"failed|need(s|ed)? to|correct(ion|ed)?|repair(s|ed)?)\b",
    re.IGNORECASE,
)
_BEGINNING = 600  # characters


@dataclass(frozen=True)
class _Solution:
    """
    Holds a solution of one round.

    Args:
        text (`str`):
            The message with the final answer.
        feedback ([`~reflection_trl.feedback.Feedback`]):
            The verdict.
        computed (`tuple[Computation]`, *optional*, defaults to `()`):
            Computations before it.
    """

    text: str
    feedback: Feedback
    computed: tuple[Computation, ...] = ()


class AnswerRollout(Rollout):
    """Makes the rollout of a problem with a final answer. The arguments are those of [`~reflection_trl.builder.rollout.rollout`]."""

    async def _reflect(self) -> None:
        self._chat.append({"role": "user", "content": self.sequence.instruction})
        failed: set[str] = set()
        for number in range(self.settings.rounds):
            solution = await self._solve(number, failed)
            code = "\n\n".join(computation.code for computation in solution.computed)
            attempt = Attempt(solution.text, code, solution.feedback, computed=solution.computed)
            self._note(attempts=(*self.sequence.attempts, attempt))
            self._chat += self._sent(solution)
            if solution.feedback.passed:
                return
            failed.add(self._key(solution.feedback))
            request = self._prompt("feedback", instruction=self.problem.request, feedback=solution.feedback.text)
            self._chat.append({"role": "user", "content": request})
        raise Rejected(
            Rejection.ROUNDS_EXHAUSTED,
            f"No solution was correct in {self.settings.rounds} rounds; the last one: {brief(self.sequence.attempts[-1].feedback)}",
        )

    async def _solve(self, number: int, failed: set[str]) -> _Solution:
        """Returns the solution of a round: of several repairs the first correct one, or else the first."""
        count = self.settings.repair_candidates if number else 1
        solutions, refused = await gather_usable(
            self._sampler.resample_until_usable(functools.partial(self._sample_solution, number, candidate, failed))
            for candidate in range(count)
        )
        if not solutions:
            raise refused[0]
        solution = next((one for one in solutions if one.feedback.passed), solutions[0])
        return await self._explained(solution, number) if number else solution

    async def _sample_solution(self, number: int, candidate: int, failed: set[str], again: int) -> _Solution:
        alone = number == 0 and self.settings.answer_first
        chat = self._request_alone() if alone else [*self._chat]
        sampling = self.settings.repair if number else self.settings.first
        step = f"{number} candidate {candidate}" if candidate else str(number)
        where, computed = f"round {number + 1}", list[Computation]()
        while True:
            name = f"{step} computation {len(computed)}" if computed else step
            completion = await self._complete(chat, sampling, name, again)
            may_compute = self.settings.compute and not alone and len(computed) < _COMPUTATIONS
            program = _find_program(completion.text) if may_compute else None
            if program is None:
                break
            text, code = program
            computed.append(Computation(text, code, shown((await self._run("python", code)).feedback)))
            chat += self._sent_computation(computed[-1])
        self._check_text(completion, where)
        refuse_echo(completion.text, self._prompt("feedback", feedback="") if number else self._instruction(""))
        feedback = await self._judge(completion.text)
        if feedback.kind is FeedbackKind.NO_ANSWER:
            raise Rejected(Rejection.NO_ANSWER, f"{feedback.message} ({where})", completion.text)
        if not feedback.passed and self._key(feedback) in failed:
            raise Rejected(Rejection.NO_PROGRESS, f"Round {number + 1} repeats an answer that has failed.")
        return _Solution(completion.text, feedback, tuple(computed))

    def _key(self, feedback: Feedback) -> str:
        return answer_key(feedback.actual or "", self.problem.checker, self.problem.choices)

    async def _explained(self, solution: _Solution, number: int) -> _Solution:
        """Returns the repair with an explanation of the error. If the repair has none, the model is asked for it."""
        first = solution.computed[0].text if solution.computed else solution.text
        if _EXPLAINS.search(first[:_BEGINNING]):
            return solution
        feedback = self.sequence.attempts[-1].feedback
        request = self._prompt("analysis", instruction=self.problem.request, feedback=feedback.text)
        chat = [*self._chat, *self._sent(solution), {"role": "user", "content": request}]
        lead = await self._sampler.sample_prose(chat, f"analysis {number}")
        if len(lead.split()) < 5 or read_final_answer(lead).answers:
            raise Rejected(
                Rejection.ANALYSIS_MISSING, f"Round {number + 1} repairs the solution without saying what was wrong."
            )
        if solution.computed:
            begun = replace(solution.computed[0], text=f"{lead}\n\n{first}")
            return replace(solution, computed=(begun, *solution.computed[1:]))
        return replace(solution, text=f"{lead}\n\n{first}")

    async def _accept_completion(self, judged: JudgedCompletion) -> None:
        text = judged.completion.text
        self._check_text(judged.completion, "the answer")
        self._note(answer=text, answer_code=judged.answer.code)
        assert judged.feedback is not None  # a text is always judged
        if judged.feedback.kind is FeedbackKind.NO_ANSWER:
            raise Rejected(Rejection.NO_ANSWER, f"{judged.feedback.message} (the answer)", text)
        if phrase := leaning_phrase(text, self.problem.request):
            raise Rejected(Rejection.LEANS_ON_REFLECTION, f"The answer says {phrase!r}, which refers to earlier work.")
        if not judged.feedback.passed:
            raise Rejected(Rejection.WRONG_ANSWER, f"The answer is wrong: {brief(judged.feedback)}")

    async def _answer_from_program(self) -> None:
        await self._sampler.resample_until_usable(self._aided_answer)

    async def _aided_answer(self, again: int) -> None:
        """Samples an answer of the model, given the correct solution."""
        program = self.sequence.attempts[-1].text
        request = self._prompt("answer", instruction=self.problem.request, program=program)
        completion = await self._complete(
            [{"role": "user", "content": request}], self.settings.answer, "answer", again
        )
        refuse_echo(completion.text, self._prompt("answer", instruction="", program=""))
        feedback = await judge_answer(self.problem, completion.text, self._run)
        await self._accept_completion(JudgedCompletion.of_final_answer(completion, feedback))

    async def _complete(self, chat: list[dict[str, Any]], sampling: Sampling, step: str, again: int) -> Completion:
        return await self._sampler.complete(
            chat, self._sampler.heated(sampling, again), f"{step} again {again}" if again else step
        )

    async def _judge(self, text: str) -> Feedback:
        return await judge_answer(self.problem, text, self._run, tell_expected=self.settings.tell_answer)

    def _check_text(self, completion: Completion, where: str) -> None:
        if completion.finish_reason == "length":
            detail = f"The model reached its token limit in {where}."
            raise Rejected(Rejection.TRUNCATED, detail, completion.text)
        self._sampler.check_text(completion, where, declined=not read_final_answer(completion.text).answers)
        if any(fence.language == "output" for fence in find_fences(completion.text)):
            # Models that were trained to use an interpreter continue like this, and rows would teach it
            detail = f"The model made up the output of a program ({where}): `compute` runs programs."
            raise Rejected(Rejection.IMAGINED_OUTPUT, detail, completion.text)

    def _instruction(self, problem: str) -> str:
        return self._prompt("reflection", instruction=problem, compute=self.settings.compute)

    def _sent(self, solution: _Solution) -> list[dict[str, Any]]:
        """Returns a solution in the form that is sent to the model."""
        turns = [turn for computation in solution.computed for turn in self._sent_computation(computation)]
        return [*turns, {"role": "assistant", "content": solution.text}]

    def _sent_computation(self, computation: Computation) -> list[dict[str, Any]]:
        request = self._prompt("output", instruction=self.problem.request, feedback=computation.feedback.text)
        return [{"role": "assistant", "content": computation.text}, {"role": "user", "content": request}]


def _find_program(text: str) -> tuple[str, str] | None:
    """Returns a text up to its first program, which it includes, and the program; `None` if it has none."""
    for fence in find_fences(text):
        if fence.closed and fence.language in ("", "py", "python", "python3") and fence.code.strip():
            tree = parse_python(fence.code)
            if tree is not None and (fence.language or tree.body):
                return text[: fence.end].rstrip(), fence.code
    return None
