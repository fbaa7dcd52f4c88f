"""Defines the settings of rollouts."""

import functools
from dataclasses import dataclass, field
from pathlib import Path

from ..generation.types import Sampling
from .prompts import Prompts


ANSWER_CONTEXTS = ("sequence", "program", "request")
ANSWER_CHOICES = ("first", "random")


@dataclass(frozen=True)
class RolloutOptions:
    """Defines the settings of rollouts that are also options of the command line: see [`RolloutSettings`]."""

    rounds: int = 4
    seed: int = 0
    tell_tests: bool = True
    repair_candidates: int = 1
    answer_first: bool = False
    answer_context: str = "sequence"
    answer_samples: int = 4
    answer_choice: str = "first"
    solve_rate_samples: int = 4
    max_resamples: int = 2
    voters: int = 0
    tell_answer: bool = False
    compute: bool = False


@dataclass(frozen=True)
class RolloutSettings(RolloutOptions):
    """
    Settings of rollouts.

    Args:
        rounds (`int`, *optional*, defaults to `4`):
            Maximum number of programs in stage one.
        first ([`~reflection_trl.generation.Sampling`], *optional*, defaults to `Sampling(temperature=0.8, top_p=0.95, max_tokens=1024)`):
            Sampling settings of the first program.
        repair ([`~reflection_trl.generation.Sampling`], *optional*, defaults to `Sampling(temperature=0.6, top_p=0.95, max_tokens=1536)`):
            Sampling settings of the other programs.
        prose ([`~reflection_trl.generation.Sampling`], *optional*, defaults to `Sampling(temperature=0.6, top_p=0.95, max_tokens=160)`):
            Sampling settings of the closing sentence of an accepted sequence, and of an analysis if a repair has none.
        answer ([`~reflection_trl.generation.Sampling`], *optional*, defaults to `Sampling(temperature=0.2, top_p=0.95, max_tokens=1024)`):
            Sampling settings of the answer to the one-off request.
        seed (`int`, *optional*, defaults to `0`):
            Seed of the run. The seed of each sample is derived from it, the problem id, the sample and the round.
            Seeds in the sampling settings above are not used.
        tell_tests (`bool`, *optional*, defaults to `True`):
            Whether the model sees how its program fails the problem's own tests. Otherwise such a program ends the
            rollout.
        repair_candidates (`int`, *optional*, defaults to `1`):
            Number of repairs to sample in each round. The first that passes is used, or else the first. Small models
            rarely repair a program, and the samples share their prompt.
        answer_first (`bool`, *optional*, defaults to `False`):
            Whether the first program is the model's answer to the one-off request alone, to which it adds asserts. If
            it passes, it is also the final answer, unless that is sampled after the sequence.
        answer_context (`str`, *optional*, defaults to `"sequence"`):
            Context in which the final answer is sampled. `"sequence"`: after the sequence, in the conversation of the
            row, so that it is the teacher's own answer; it is kept unchanged. `"program"`: in a separate conversation,
            with the program that passed. `"request"`: from the request alone, as the student answers.
        answer_samples (`int`, *optional*, defaults to `4`):
            Number of answers to sample and score in the contexts `"sequence"` and `"request"`. One usable answer is
            kept.
        answer_choice (`str`, *optional*, defaults to `"first"`):
            Usable answer to keep: the `"first"`, or a `"random"` one.
        solve_rate_samples (`int`, *optional*, defaults to `4`):
            Number of answers to sample from the request alone, once per problem, to measure its difficulty for the
            model. 0 disables this.
        max_resamples (`int`, *optional*, defaults to `2`):
            Maximum number of times to resample an unusable answer (no code, truncated, a program that failed before,
            words that refer to the attempts). The temperature rises by 0.2 each time.
        voters (`int`, *optional*, defaults to `0`):
            Number of additional answers for a problem with neither tests nor reference: an assert that most of them
            fail is wrong.
        max_chars (`int`, *optional*, defaults to `32000`):
            Maximum length of the conversation, and of each answer, in characters.
        templates (`str` or `Path`, *optional*):
            Folder with your own prompts: see [`~reflection_trl.builder.prompts.Prompts`].
        tell_answer (`bool`, *optional*, defaults to `False`):
            Whether the model is shown the expected answer when its final answer is wrong. Repairs are then easily made up.
        compute (`bool`, *optional*, defaults to `False`):
            Whether solutions of problems with a final answer may contain programs, which are run in the sandbox.

    Raises:
        ValueError: If a number is out of range, or a template is invalid.
    """

    first: Sampling = field(default_factory=lambda: Sampling(temperature=0.8, top_p=0.95, max_tokens=1024))
    repair: Sampling = field(default_factory=lambda: Sampling(temperature=0.6, top_p=0.95, max_tokens=1536))
    prose: Sampling = field(default_factory=lambda: Sampling(temperature=0.6, top_p=0.95, max_tokens=160))
    answer: Sampling = field(default_factory=lambda: Sampling(temperature=0.2, top_p=0.95, max_tokens=1024))
    max_chars: int = 32_000
    templates: str | Path | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("rounds", 1),
            ("max_chars", 1000),
            ("repair_candidates", 1),
            ("answer_samples", 1),
            ("solve_rate_samples", 0),
            ("max_resamples", 0),
            ("voters", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"`{name}` must be at least {least}, got {getattr(self, name)}.")
        for name, choices in (("answer_context", ANSWER_CONTEXTS), ("answer_choice", ANSWER_CHOICES)):
            if getattr(self, name) not in choices:
                raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {getattr(self, name)!r}.")
        if self.voters == 1:
            raise ValueError("`voters` must be 0 or at least 2, got 1: one answer has no majority.")
        _ = self.prompts  # detects an invalid template before anything is sampled

    @functools.cached_property
    def prompts(self) -> Prompts:
        """Returns the templates, read once."""
        return Prompts.load(self.templates)
