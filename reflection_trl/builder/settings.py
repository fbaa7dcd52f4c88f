"""How rollouts are made."""

import functools
from dataclasses import dataclass, field
from pathlib import Path

from ..generation.types import Sampling
from .prompts import Prompts


ANSWER_CONTEXTS = ("sequence", "program", "request")
ANSWER_CHOICES = ("first", "random")


@dataclass(frozen=True)
class RolloutSettings:
    """
    How rollouts are made.

    Args:
        rounds (`int`, *optional*, defaults to `4`):
            The most programs that the model may write in stage one.
        first ([`~reflection_trl.generation.Sampling`], *optional*):
            How the first program is drawn.
        repair ([`~reflection_trl.generation.Sampling`], *optional*):
            How the others are.
        prose ([`~reflection_trl.generation.Sampling`], *optional*):
            How the closing sentence of an accepted sequence is, and an analysis where a repair came without one.
        answer ([`~reflection_trl.generation.Sampling`], *optional*):
            How the answer to the one-off request is.
        seed (`int`, *optional*, defaults to `0`):
            Each draw has a seed of its own, made from this one, the problem's id, the sample and the round. Seeds in the
            samplings above are not used.
        tell_tests (`bool`, *optional*, defaults to `True`):
            Whether the model sees how its program fails the problem's own tests. If not, such a program ends the rollout.
        repair_candidates (`int`, *optional*, defaults to `1`):
            Repairs that are drawn for each round. The first that passes is taken, or else the first: small models repair
            seldom, and what they are asked for begins with the same tokens.
        answer_first (`bool`, *optional*, defaults to `False`):
            Whether the first program is the model's answer to the one-off request alone, to which it adds asserts. If it passes, it is
            the final answer too, unless that is drawn after the sequence.
        answer_context (`str`, *optional*, defaults to `"sequence"`):
            Where the final answer is drawn. `"sequence"`: after the sequence, in the conversation that the row holds, so that it is the
            teacher's own answer; it is kept as it was drawn. `"program"`: in a conversation of its own, given the program that passed.
            `"request"`: to the request alone, as the student answers.
        answer_draws (`int`, *optional*, defaults to `4`):
            Answers that are drawn in the contexts `"sequence"` and `"request"`, and judged. One that is good enough is taken.
        answer_choice (`str`, *optional*, defaults to `"first"`):
            Which of those that are good enough: the `"first"`, or one at `"random"`.
        solve_rate_draws (`int`, *optional*, defaults to `4`):
            Answers to the request alone that are drawn, once for each problem, to learn how hard it is for the model. With 0 it is not
            measured.
        redraws (`int`, *optional*, defaults to `2`):
            How often an answer that cannot be used (no code, cut off, a program that has failed already, words that lean on
            the attempts) is drawn again, each time at a temperature that is higher by 0.2.
        voters (`int`, *optional*, defaults to `0`):
            Answers to draw beside, for a problem with neither tests nor reference: an assert that most of them fail is wrong.
        max_chars (`int`, *optional*, defaults to `32000`):
            The longest conversation, in characters, and the longest single answer that is looked at.
        templates (`str` or `Path`, *optional*):
            Directory with prompts of your own: see [`~reflection_trl.builder.prompts.Prompts`].

    Raises:
        ValueError: If a number is out of its range, or a template cannot be used.
    """

    rounds: int = 4
    first: Sampling = field(default_factory=lambda: Sampling(temperature=0.8, top_p=0.95, max_tokens=1024))
    repair: Sampling = field(default_factory=lambda: Sampling(temperature=0.6, top_p=0.95, max_tokens=1536))
    prose: Sampling = field(default_factory=lambda: Sampling(temperature=0.6, top_p=0.95, max_tokens=160))
    answer: Sampling = field(default_factory=lambda: Sampling(temperature=0.2, top_p=0.95, max_tokens=1024))
    seed: int = 0
    tell_tests: bool = True
    repair_candidates: int = 1
    answer_first: bool = False
    answer_context: str = "sequence"
    answer_draws: int = 4
    answer_choice: str = "first"
    solve_rate_draws: int = 4
    redraws: int = 2
    voters: int = 0
    max_chars: int = 32_000
    templates: str | Path | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("rounds", 1),
            ("max_chars", 1000),
            ("repair_candidates", 1),
            ("answer_draws", 1),
            ("solve_rate_draws", 0),
            ("redraws", 0),
            ("voters", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"`{name}` must be at least {least}, got {getattr(self, name)}.")
        for name, choices in (("answer_context", ANSWER_CONTEXTS), ("answer_choice", ANSWER_CHOICES)):
            if getattr(self, name) not in choices:
                raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {getattr(self, name)!r}.")
        if self.voters == 1:
            raise ValueError("`voters` must be 0 or at least 2, got 1: one answer is no majority.")
        _ = self.prompts  # a template that cannot be used is found before anything is drawn

    @functools.cached_property
    def prompts(self) -> Prompts:
        """Returns the templates, read once."""
        return Prompts.load(self.templates)
