"""Defines the results of an evaluation, and saves them to a file."""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..quoting import quote_error


FORMAT_VERSION = 1

# A suspicious feature of answers that evalplus accepts
DECEIVED = "passes evalplus only by an object of its own or by what it does to its judge"


@dataclass(frozen=True)
class Outcome:
    """
    Holds the result of one answer.

    Args:
        task_id (`str`):
            Name of the task in its benchmark, such as `"HumanEval/17"`.
        sample (`int`):
            Index of the answer among those of the task, from 0.
        passed (`bool`):
            Whether it passes the benchmark's tests.
        kind (`str`, *optional*, defaults to `"none"`):
            Failure type: a value of [`~reflection_trl.feedback.FeedbackKind`], `"wrong_answer"`, `"refused"`,
            `"truncated"` or `"empty"`; `"none"` if it passed.
        detail (`str`, *optional*, defaults to `""`):
            The failing test, or the error, in readable form.
        solution (`str`, *optional*, defaults to `""`):
            The code that was scored.
        suspicious (`list[str]`, *optional*, defaults to `[]`):
            Suspicious parts of the code, whether it passed or not.
        answer (`str`, *optional*, defaults to `""`):
            The parsed final answer, with which votes are counted; empty if the task has none, or none was found.
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
            One outcome per answer.
    """

    benchmark: str
    outcomes: list[Outcome]


@dataclass(frozen=True)
class EvaluationRun:
    """
    Holds the results of one model (or one file of answers) on several benchmarks.

    Args:
        model (`str`):
            Name of the model, or of the file of answers.
        scores (`list[Score]`):
            Scores of the benchmarks.
        skipped (`dict[str, str]`, *optional*, defaults to `{}`):
            Benchmarks that were skipped, completely or partly, with the reason (such as a missing compiler).
        settings (`dict`, *optional*, defaults to `{}`):
            Sampling, prompt, limits, versions: everything that is needed to repeat the run.
        date (`str`, *optional*, defaults to `""`):
            ISO 8601, UTC.
        command (`str`, *optional*, defaults to `""`):
            Command line.
        revision (`str`, *optional*):
            Commit of the model on the Hub.
        problems (`dict[str, dict[str, str]]`, *optional*, defaults to `{}`):
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
        Returns a sentence that only the first problems of the benchmarks were scored, or `""` if all were.

        Args:
            name (`str`, *optional*):
                Name of the run; by default the name of its model.
        """
        limit = self.settings.get("limit")
        counts = (len({outcome.task_id for outcome in score.outcomes}) for score in self.scores)
        # A benchmark with fewer problems was scored completely
        if not isinstance(limit, int) or all(count < limit for count in counts):
            return ""
        problems = f"first {limit:,} problems" if limit > 1 else "first problem"
        return (
            f"{name or self.model} judged only the {problems} of each benchmark (--limit {limit}): its pass rates are not "
            "those of the benchmarks and must not be reported as such."
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the run as JSON, atomically: a file is either complete or absent."""
        path = Path(path)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(json.dumps({"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}, indent=1) + "\n")
        partial.replace(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "EvaluationRun":
        """
        Reads a run that [`EvaluationRun.save`] wrote.

        Raises:
            ValueError: If the file is not such a run. The message names the file.
        """
        try:
            record = json.loads(Path(path).read_text())
            version = record.pop("format_version")
            if version != FORMAT_VERSION:
                raise ValueError(f"it has format {version}, but this version reads format {FORMAT_VERSION}")
            record["scores"] = [
                Score(score["benchmark"], [Outcome(**outcome) for outcome in score["outcomes"]])
                for score in record["scores"]
            ]
            return cls(**record)
        except FileNotFoundError:
            where = "" if Path(path).is_absolute() else f"; paths start from {os.getcwd()}"
            raise ValueError(f"The results {os.fspath(path)!r} do not exist{where}.") from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is not an evaluation run of this package ({quote_error(error)}): give a results.json."
            ) from None
