"""Defines the results of an evaluation, and saves them to a file."""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..quoting import quote_error


FORMAT_VERSION = 1

# Among what is suspicious about an answer that evalplus itself lets pass
DECEIVED = "passes evalplus only by an object of its own or by what it does to its judge"


@dataclass(frozen=True)
class Outcome:
    """
    Holds the result of one answer.

    Args:
        task_id (`str`):
            Name of the task in its benchmark, such as `"HumanEval/17"`.
        sample (`int`):
            Number of the answer among those of the task, from 0.
        passed (`bool`):
            Whether it holds under the benchmark's tests.
        kind (`str`):
            Why it failed: a value of [`~reflection_trl.feedback.FeedbackKind`], `"wrong_answer"`, `"refused"`,
            `"truncated"` or `"empty"`; `"none"` when it passed.
        detail (`str`):
            The failing test, or the error, as a person would want to read it.
        solution (`str`):
            The code that was judged.
        suspicious (`list[str]`):
            What the code touches that honest answers do not, whether it passed or not.
        answer (`str`, *optional*, defaults to `""`):
            The final answer that was read, by which votes are counted; empty if the task has none, or none was read.
    """

    task_id: str
    sample: int
    passed: bool
    kind: str = "none"
    detail: str = ""
    solution: str = ""
    suspicious: list[str] = field(default_factory=list)
    answer: str = ""


@dataclass(frozen=True)
class Score:
    """
    Holds the results of one benchmark.

    Args:
        benchmark (`str`):
            One of the benchmark's `score_names`, such as `"humaneval+"` or `"multipl-e:java"`.
        outcomes (`list[Outcome]`):
            One for each answer.
    """

    benchmark: str
    outcomes: list[Outcome]


@dataclass(frozen=True)
class EvaluationRun:
    """
    Holds the results of one model (or one file of answers) on several benchmarks.

    Args:
        model (`str`):
            The model's name, or that of the file of answers.
        scores (`list[Score]`):
            What came out.
        skipped (`dict[str, str]`):
            Benchmarks that were not run, or not on all of their tasks, and why (a compiler that is missing).
        settings (`dict`):
            Sampling, prompt, limits, versions: whatever one needs to repeat it.
        date (`str`):
            ISO 8601, UTC.
        command (`str`):
            The command line.
        revision (`str`, *optional*):
            The model's commit on the Hub.
        problems (`dict[str, dict[str, str]]`):
            The text of each problem by its id, for each benchmark. Empty in files of earlier versions.
    """

    model: str
    scores: list[Score]
    skipped: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    date: str = ""
    command: str = ""
    revision: str | None = None
    problems: dict[str, dict[str, str]] = field(default_factory=dict)

    def score(self, benchmark: str) -> Score | None:
        """Returns the score of one benchmark, or `None` where it was not run."""
        return next((score for score in self.scores if score.benchmark == benchmark), None)

    def trial_sentence(self, name: str | None = None) -> str:
        """
        Says that only the first problems of the benchmarks were judged; empty for a run that judged all of them.

        Args:
            name (`str`, *optional*):
                What to call the run, by default by the name of its model.
        """
        limit = self.settings.get("limit")
        counts = (len({outcome.task_id for outcome in score.outcomes}) for score in self.scores)
        # A benchmark with fewer problems than that was judged as a whole
        if not isinstance(limit, int) or all(count < limit for count in counts):
            return ""
        problems = f"first {limit:,} problems" if limit > 1 else "first problem"
        return (
            f"{name or self.model} judged only the {problems} of each benchmark (--limit {limit}): its pass rates are not "
            "those of the benchmarks and must not be reported as such."
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the run as JSON, in one step: a file is whole or absent."""
        path = Path(path)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(json.dumps({"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}, indent=1) + "\n")
        partial.replace(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "EvaluationRun":
        """
        Reads a run that [`EvaluationRun.save`] wrote.

        Raises:
            ValueError: If the file is not such a run; the sentence names the file.
        """
        try:
            record = json.loads(Path(path).read_text())
            version = record.pop("format_version")
            if version != FORMAT_VERSION:
                raise ValueError(f"format {version}, this version reads {FORMAT_VERSION}")
            record["scores"] = [
                Score(score["benchmark"], [Outcome(**outcome) for outcome in score["outcomes"]])
                for score in record["scores"]
            ]
            return cls(**record)
        except FileNotFoundError:
            where = "" if Path(path).is_absolute() else f"; paths start from {os.getcwd()}"
            raise ValueError(f"the results {os.fspath(path)!r} do not exist{where}.") from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} holds no evaluation run of this package ({quote_error(error)}): give a results.json."
            ) from None
