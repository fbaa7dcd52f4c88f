"""Builds a dataset from problems and a model, for the command and `build_reflection_dataset`."""

import asyncio
import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checking import require_checker
from ..coroutines import run_coroutine
from ..evaluation.benchmark_texts import benchmark_texts
from ..evaluation.contamination import row_overlaps
from ..files.run_folder import RunError, RunFolder, SessionUsage, write_json
from ..files.work_queue import WorkQueue
from ..generation import Generate, GenerationArguments, open_generator, with_served_name
from ..generation.retries import describe_retries
from ..languages import Executor, get_language
from ..languages.execution import Execute, refuse_to_run
from ..problems import NgramIndex, Problem, load_problems, write_problems
from .acceptance import Rejection
from .early_stopping import EarlyStopping
from .features import share_solved, to_row
from .plot import plot_build
from .prepare import ProblemReport, prepare_problems
from .progress import Progress
from .references import References
from .run import CountedRuns, Task, latest_records, make_rollouts, open_tasks
from .selection import difficulty_quotas, select
from .settings import RolloutSettings
from .statistics import BuildStatistics, measure


if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

HELD_OUT_FILE = "held_out.jsonl"

_WATCH_SECONDS = 1.0
_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Build:
    """
    Describes a run. Runs that differ only in `samples`, `min_repaired_share`, `by_difficulty` or `decontaminate_against`
    can share rollouts.

    Args:
        problems (`Sequence[Problem]`):
            Prepared problems.
        model (`str`):
            Name of the model.
        settings ([`RolloutSettings`]):
            Settings of the rollouts.
        samples (`int`, *optional*, defaults to `1`):
            Number of rollouts per problem.
        min_repaired_share (`float`, *optional*, defaults to `0.0`):
            See [`select`].
        report ([`~reflection_trl.builder.ProblemReport`], *optional*):
            Report of [`prepare_problems`].
        held_out (`Sequence[Problem]`, *optional*, defaults to `()`):
            Held-out problems, which the run stores beside its rows.
        give_up_after (`int`, *optional*):
            Stops sampling a problem after its first `give_up_after` rollouts were all rejected.
        chat_template_kwargs (`dict`, *optional*):
            Additional variables for the model's chat template.
        by_difficulty (`bool`, *optional*, defaults to `False`):
            Whether to set aside rows of problems in proportion to how often the model solves them without a sequence:
            see [`~reflection_trl.builder.selection.difficulty_quotas`].
        decontaminate_against (`Sequence[str]`, *optional*, defaults to `()`):
            Benchmarks, with the names of [`~reflection_trl.evaluation.benchmark_texts.benchmark_texts`]. A rollout that
            overlaps with one of their tasks is rejected, because the model may write such code for another problem.

    Raises:
        ValueError: If a number is out of range, there are no problems, or a problem cannot run on this machine.
    """

    problems: Sequence[Problem]
    model: str
    settings: RolloutSettings
    samples: int = 1
    min_repaired_share: float = 0.0
    report: ProblemReport | None = None
    held_out: Sequence[Problem] = ()
    give_up_after: int | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    by_difficulty: bool = False
    decontaminate_against: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.problems:
            raise ValueError(
                "There are no problems to build from, because all were removed or the source is empty: give other problems."
            )
        if self.samples < 1:
            raise ValueError(f"`samples_per_problem` must be at least 1, got {self.samples}.")
        if self.give_up_after is not None and self.give_up_after < 1:
            raise ValueError(f"`give_up_after` must be at least 1, got {self.give_up_after}.")
        if self.by_difficulty and not self.settings.solve_rate_samples:
            raise ValueError("`by_difficulty` needs solve rates: set `solve_rate_samples` to at least 1.")
        for name in ("tell_answer", "compute"):
            if getattr(self.settings, name) and all(problem.answer is None for problem in self.problems):
                raise ValueError(
                    f"`{name}` applies to problems with a final `answer`, and none of these problems has one: leave it out."
                )
        select([], self.min_repaired_share)
        for checker in {problem.checker for problem in self.problems if problem.answer is not None}:
            require_checker(checker)
        for language in {problem.language for problem in self.problems}:
            if (missing := get_language(language).missing()) is not None:
                raise ValueError(missing)
        for problem in self.problems:
            try:
                json.dumps(dataclasses.asdict(problem), ensure_ascii=False).encode()
            except UnicodeEncodeError:
                raise ValueError(
                    f"Problem {problem.id!r} contains half of a surrogate pair, which is not a valid character: fix or remove it."
                ) from None

    @property
    def keys(self) -> list[tuple[str, int]]:
        """Returns problem id and sample index of all rollouts, in the order of the results."""
        return [(problem.id, sample) for problem in self.problems for sample in range(self.samples)]

    def fingerprint(self) -> dict[str, Any]:
        """Returns the content of `run.json`."""
        settings = dataclasses.asdict(self.settings)
        settings["templates"] = _digest(self.prompts)
        settings["give_up_after"] = self.give_up_after
        settings["chat_template_kwargs"] = self.chat_template_kwargs
        for later in ("give_up_after", "chat_template_kwargs", "answer_first", "tell_answer", "compute"):
            if not settings[later]:  # so that runs from before this setting can be resumed
                del settings[later]
        return {
            "model": self.model,
            "problems": f"{len(self.problems)} problems, {_digest(list(map(_content, self.problems)))}",
            **settings,
        }

    @property
    def prompts(self) -> dict[str, str]:
        """Returns the templates of the kinds of problems that there are."""
        kinds = {problem.answer is not None for problem in self.problems}
        return {name: text for kind in sorted(kinds) for name, text in self.settings.prompts.of_kind(kind).items()}

    def open_executor(self) -> AbstractAsyncContextManager[Execute]:
        """Returns the executor of programs, as a context manager. It opens no sandbox if there is nothing to run."""
        runs = [problem for problem in self.problems if problem.runs_programs or self.settings.compute]
        if not runs:
            return contextlib.nullcontext(refuse_to_run)
        return Executor(languages={problem.language for problem in runs})

    @property
    def untested(self) -> str:
        """Returns a sentence on problems that only the model's own asserts can check, or `""` if there are none."""
        total, untested = len(self.problems), sum(not problem.has_tests for problem in self.problems)
        if not untested:
            return ""
        which = (
            f"None of the {total:,} problems has"
            if untested == total
            else f"{untested:,} of {total:,} problems have neither"
        )
        what = "tests or examples" if untested == total else "tests nor examples"
        return f"{which} {what}: answers to them are checked only by asserts that the model wrote itself."

    def open_tasks(self, folder: RunFolder, process: int = 0, processes: int = 1) -> list[Task]:
        """Returns the rollouts that a process still has to make: see [`~reflection_trl.builder.run.open_tasks`]."""
        whole = self.give_up_after is not None
        return open_tasks(self.problems, self.samples, folder, process, processes, whole)

    def early_stopping(self, folder: RunFolder) -> EarlyStopping:
        """Returns which problems are given up, according to the existing rollouts."""
        return EarlyStopping(self.give_up_after, latest_records(folder).values())

    def sampling(self) -> dict[str, str]:
        """Returns the sampling settings of each stage, for cards and rows."""
        stages = {
            stage: ", ".join(
                f"{name} {value}"
                for name, value in dataclasses.asdict(getattr(self.settings, stage)).items()
                if value not in (None, ())
            )
            for stage in ("first", "repair", "prose", "answer")
        }
        context = self.settings.answer_context
        if context != "program":
            context = f"{context}, {self.settings.answer_choice} usable one of {self.settings.answer_samples}"
        return {
            **stages,
            "answer sampled in": context,
            "rounds": str(self.settings.rounds),
            "seed": str(self.settings.seed),
        }


def build_reflection_dataset(
    problems: Any,
    model: str | None = None,
    rounds: int = 4,
    *,
    samples_per_problem: int = 1,
    min_repaired_share: float = 0.0,
    give_up_after: int | None = None,
    by_difficulty: bool = False,
    seed: int = 0,
    settings: RolloutSettings | None = None,
    generation: GenerationArguments | None = None,
    generate: Generate | None = None,
    execute: Execute | None = None,
    decontaminate_against: Sequence[str] = ("humaneval", "mbpp"),
    output_dir: str | os.PathLike[str] | None = None,
    in_flight: int = 128,
    progress: bool = True,
) -> "Dataset":
    """
    Builds a dataset of reflection sequences. A second call with the same arguments resumes where the first stopped.

    Args:
        problems (`Any`):
            Problems, or a source for [`~reflection_trl.problems.load_problems`]: an id on the Hub, files, a dataset.
        model (`str`, *optional*):
            Model id on the Hub, or a folder. With `generation`, the same as its `model_name_or_path`, which may then be
            missing; with `generate`, the name of the model for rows and cards.
        rounds (`int`, *optional*, defaults to `4`):
            Maximum number of programs in a sequence.
        samples_per_problem (`int`, *optional*, defaults to `1`):
            Number of rollouts per problem.
        min_repaired_share (`float`, *optional*, defaults to `0.0`):
            Minimum share of rows with at least one failed attempt. Surplus rows without a failed attempt are set
            aside.
        give_up_after (`int`, *optional*):
            Stops sampling a problem after its first `give_up_after` rollouts were all rejected.
        by_difficulty (`bool`, *optional*, defaults to `False`):
            Whether to set aside rows of problems in proportion to how often the model solves them without a sequence.
        seed (`int`, *optional*, defaults to `0`):
            Seed of all samples.
        settings ([`RolloutSettings`], *optional*):
            All settings of rollouts. They include `rounds` and `seed`, which must then not be passed.
        generation ([`~reflection_trl.generation.GenerationArguments`], *optional*):
            Backend of the model; by default on this machine.
        generate ([`~reflection_trl.generation.Generate`], *optional*):
            Generates completions, in place of `generation`.
        execute ([`~reflection_trl.languages.execution.Execute`], *optional*):
            Runs programs; by default an [`~reflection_trl.languages.Executor`].
        decontaminate_against (`Sequence[str]`, *optional*, defaults to `("humaneval", "mbpp")`):
            Benchmarks for decontamination: problems and rollouts that overlap with their tasks are removed. Use `()` for
            none.
        output_dir (`str` or `Path`, *optional*):
            Folder of the run; by default a folder in the Hub's cache whose name is derived from the arguments.
        in_flight (`int`, *optional*, defaults to `128`):
            Maximum number of concurrent rollouts.
        progress (`bool`, *optional*, defaults to `True`):
            Whether to show a progress bar.

    Returns:
        [`~datasets.Dataset`]: The accepted rows, in the order of the problems, with the columns of [`sequence_features`].

    Raises:
        ValueError: If an argument or a problem is wrong.
        [`RunError`]: If the folder contains another run, or cannot be written.
        [`~reflection_trl.generation.GenerationError`]: If the model is not available.
        [`~reflection_trl.sandbox.SandboxUnavailableError`]: If programs cannot run safely on this machine.
    """
    if settings is not None and (rounds, seed) != (RolloutSettings.rounds, RolloutSettings.seed):
        raise ValueError("`rounds` and `seed` are also in `settings`: pass them there only.")
    settings = settings or RolloutSettings(rounds=rounds, seed=seed)
    if generate is None:
        generation = _generation(model, generation)
        name = model_name(generation)
    elif generation is None:
        name = model or getattr(generate, "model", None) or "unnamed"
    else:
        raise ValueError("`generation` and `generate` both generate completions: pass one of them.")
    found, report = prepare_problems(load_problems(problems), decontaminate_against=decontaminate_against)
    build = Build(
        found,
        name,
        settings,
        samples_per_problem,
        min_repaired_share,
        report,
        give_up_after=give_up_after,
        chat_template_kwargs=generation.template_variables if generation else None,
        by_difficulty=by_difficulty,
        decontaminate_against=decontaminate_against,
    )
    if output_dir is None:
        from huggingface_hub.constants import HF_HOME

        output_dir = Path(HF_HOME) / "reflection_trl" / "builds" / _digest(build.fingerprint())
    run_coroutine(
        run_build(build, output_dir, generation, generate=generate, execute=execute, in_flight=in_flight, bar=progress)
    )
    return read_rows(output_dir)


def _generation(model: str | None, generation: GenerationArguments | None) -> GenerationArguments:
    """Returns the backend of a model, with the model's name."""
    if model is None and generation is None:
        raise ValueError("No model specified: pass `model`, `generation` or `generate`.")
    if generation is None:
        return GenerationArguments(model_name_or_path=model)
    if model is None:
        return with_served_name(generation)
    if generation.model_name_or_path not in (None, model):
        raise ValueError(
            f"`model` is {model!r}, but `generation` has the model {generation.model_name_or_path!r}: pass one of them."
        )
    return dataclasses.replace(generation, model_name_or_path=model)


async def run_build(
    build: Build,
    output_dir: str | os.PathLike[str],
    generation: GenerationArguments | None = None,
    *,
    generate: Generate | None = None,
    execute: Execute | None = None,
    in_flight: int = 128,
    bar: bool = True,
    price: float | None = None,
    process: int = 0,
    processes: int = 1,
    outcome_only: bool = False,
) -> BuildStatistics | None:
    """
    Makes the missing rollouts, and writes the results.

    Args:
        build ([`Build`]):
            Description of the run.
        output_dir (`str` or `Path`):
            Folder of the run.
        generation ([`~reflection_trl.generation.GenerationArguments`], *optional*):
            Opens the generator, unless `generate` is given.
        generate, execute (*optional*):
            Replacements for the model and the sandbox.
        in_flight (`int`, *optional*, defaults to `128`):
            Maximum number of concurrent rollouts.
        bar (`bool`, *optional*, defaults to `True`):
            Whether to show a progress bar.
        price (`float`, *optional*):
            Price per million tokens, for the progress bar.
        process (`int`, *optional*, defaults to `0`):
            Index of this process. Process 0 waits for the others and writes the results.
        processes (`int`, *optional*, defaults to `1`):
            Number of processes.
        outcome_only (`bool`, *optional*, defaults to `False`):
            Whether to make no rollouts, and write the results of the existing ones.

    Returns:
        [`BuildStatistics`], *optional*: Statistics of the whole run; `None` in processes other than the first.

    Raises:
        ValueError: If `in_flight` is not positive.
        [`RunError`]: If the folder contains another run, or cannot be written.
        [`~reflection_trl.generation.GenerationError`]: If the model is not available.
        [`~reflection_trl.sandbox.SandboxError`]: If programs cannot run safely on this machine.
    """
    if in_flight < 1:
        raise ValueError(f"`in_flight` must be at least 1, got {in_flight}.")
    if outcome_only and not (Path(output_dir) / "run.json").exists():
        raise RunError(f"{output_dir} contains no run: run the same command without --outcome_only first.")
    with RunFolder(output_dir, build.fingerprint(), process) as folder:
        tasks = build.open_tasks(folder)
        if tasks and process == 0 and build.untested:
            logger.warning(build.untested)
        if tasks and not outcome_only:
            early_stopping, session = build.early_stopping(folder), SessionUsage(process)
            queue = WorkQueue(
                [(problem.id, sample) for problem, sample in tasks],
                folder,
                processes,
                ready=lambda key: early_stopping.is_decided(*key),
                learn=early_stopping.note,
            )
            async with AsyncExitStack() as stack:
                if execute is None:
                    execute = await stack.enter_async_context(build.open_executor())
                references = References(folder.path / "references.json")
                if process == 0:
                    await _check_references(build, references, tasks, CountedRuns(execute, session), in_flight, bar)
                if generate is None:
                    if generation is None:
                        raise ValueError("No model specified: pass `generation` or `generate`.")
                    folder.check_weights(generation.model, generation.weights)
                    generate = await stack.enter_async_context(open_generator(generation))
                retries = functools.partial(describe_retries, generate)
                show = Progress(folder, build.keys, session, price, retries) if bar and process == 0 else None
                await stack.enter_async_context(_watched(folder, session, show))
                settings, made = build.settings, False
                while not made:
                    await make_rollouts(
                        tasks,
                        generate,
                        execute,
                        settings,
                        folder,
                        session,
                        in_flight,
                        early_stopping,
                        queue,
                        references,
                    )
                    made = process != 0 or await _all_made(queue, folder, processes)
        return write_outcome(build, folder) if process == 0 else None


async def _check_references(
    build: Build, references: References, tasks: Sequence[Task], execute: Execute, in_flight: int, bar: bool
) -> None:
    """Runs the references of the problems of all tasks before the model is loaded, and reports those that fail."""
    problems = list({problem.id: problem for problem, _ in tasks}.values())
    await references.check_all(problems, execute, in_flight, bar)
    if len(problems) == len(build.problems) and (failure := references.common_failure(problems)):
        raise RunError(
            "There are no problems to build from, because the reference of each one fails the problem's own tests "
            f"({failure}): correct the tests or the references, or leave the references out."
        )
    for sentence in references.describe(problems):
        logger.warning(sentence)


@contextlib.asynccontextmanager
async def _watched(folder: RunFolder, session: SessionUsage, progress: Progress | None) -> AsyncIterator[None]:
    """Updates the counts of the session and the progress bar, periodically and at the end."""

    async def watch() -> None:
        while True:
            folder.keep_session(session)
            if progress is not None:
                progress.update()
            await asyncio.sleep(_WATCH_SECONDS)

    with progress or contextlib.nullcontext():
        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()
            folder.keep_session(session)


async def _all_made(queue: WorkQueue, folder: RunFolder, processes: int) -> bool:
    """
    Waits for the other processes. Returns `False` if one ended without its rollouts, which are in the queue again.
    """
    while not queue.is_done():
        if not queue.is_empty():
            return False
        await asyncio.sleep(_POLL_SECONDS)
    # They still have to write their counts
    while any(folder.is_locked(other) for other in range(1, processes)):
        await asyncio.sleep(_POLL_SECONDS)
    return True


def write_outcome(build: Build, folder: RunFolder) -> BuildStatistics:
    """
    Writes rows, statistics and plot of a run after all rollouts.

    Args:
        build ([`Build`]):
            Description of the run.
        folder ([`RunFolder`]):
            Folder of the run.

    Raises:
        RunError: If the folder has no rollouts, or the results cannot be written.
    """
    by_id = {problem.id: problem for problem in build.problems}
    records = latest_records(folder)
    # The folder may contain a run with more samples, whose surplus does not belong to this one
    made = [records[key] for key in build.keys if key in records]
    ordered = _decontaminated(
        [record for record in made if record["rejection"] != Rejection.GIVEN_UP], build.decontaminate_against
    )
    if not ordered:
        raise RunError(f"{folder.path} contains no rollouts yet: run the same command without --outcome_only first.")
    rates = _solve_rates(ordered)
    quotas = difficulty_quotas(rates, build.samples) if build.by_difficulty else None
    accepted_records = [record for record in ordered if record["rejection"] is None]
    kept, aside = select(accepted_records, build.min_repaired_share, quotas)
    rejected = [record for record in ordered if record["rejection"] is not None]
    sampling = json.dumps(build.sampling())

    def rows(chosen: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        ids = [record["problem_id"] for record in chosen]
        return [
            to_row(record, by_id[name], build.model, sampling, rates[name])
            for record, name in zip(chosen, ids, strict=True)
        ]

    accepted = rows(kept)
    statistics = measure(
        ordered,
        accepted,
        folder.sessions(),
        models=[build.model],
        problems=_sources(build.problems),
        sampling=build.sampling(),
        prompts=build.prompts,
        contamination=_preparation(build),
        untested=build.untested,
        spared=len(made) - len(ordered),
        solve_rates=[rate for rate in rates.values() if rate is not None],
    )
    try:
        for kind, chosen in (("accepted", accepted), ("set_aside", rows(aside)), ("rejected", rows(rejected))):
            folder.write_rows(kind, chosen)
        if build.held_out:
            write_problems(build.held_out, folder.path / HELD_OUT_FILE)
        write_json(folder.path / "statistics.json", statistics.to_dict())
        plot_build(statistics, folder.path / "build.png")
    except OSError as error:
        raise RunError(
            f"The results cannot be written to {folder.path} ({error.strerror or error}): free disk space and rerun the same command."
        ) from error
    return statistics


def read_rows(output_dir: str | os.PathLike[str]) -> "Dataset":
    """
    Reads the accepted rows of a finished run.

    Args:
        output_dir (`str` or `Path`):
            Folder of the run.

    Raises:
        [`RunError`]: If the run is not finished, or accepted no rollout.
    """
    from datasets.exceptions import DatasetGenerationError
    from datasets.utils import disable_progress_bars, enable_progress_bars, is_progress_bar_enabled

    from .reflection_sequences import ReflectionSequences

    rows = Path(output_dir) / "rows"
    if rows.is_dir() and not [*rows.glob("accepted-*.jsonl")]:
        if [*rows.glob("set_aside-*.jsonl")]:
            raise RunError(
                f"Every accepted rollout of {output_dir} was set aside (the first program passed, or the model solves the problem "
                "without a sequence): lower `min_repaired_share`, set `by_difficulty` to false, or use harder problems."
            )
        statistics = json.loads((Path(output_dir) / "statistics.json").read_text(encoding="utf-8"))
        reason, count = next(iter(statistics["rejections"].items()))
        fixes = {
            "truncated": "raise `max_tokens`, with another `output_dir`.",
            "reference_failed": "correct the references or the tests of these problems.",
        }
        fix = fixes.get(reason, "a larger model, easier problems, more samples or more rounds may help.")
        raise RunError(
            f"No rollout of {output_dir} was accepted ({count:,} of {statistics['rollouts']:,}: {reason}): read them with "
            f"`reflection-trl browse {output_dir}`; {fix}"
        )
    cache = Path(output_dir) / ".cache"
    shutil.rmtree(cache, ignore_errors=True)
    builder = ReflectionSequences(data_dir=str(output_dir), cache_dir=str(cache))
    shows_bars = is_progress_bar_enabled()
    disable_progress_bars()  # it takes only a second
    try:
        builder.download_and_prepare()
    except (DatasetGenerationError, OSError) as error:
        reason = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(reason, OSError):
            raise
        raise RunError(
            f"The dataset of {output_dir} cannot be written ({reason.strerror or reason}): free disk space and rerun the same command."
        ) from error
    finally:
        if shows_bars:
            enable_progress_bars()
    return builder.as_dataset(split="train")


def model_name(generation: GenerationArguments) -> str:
    """
    Returns the name of the model for rows and cards.

    Args:
        generation ([`~reflection_trl.generation.GenerationArguments`]):
            Backend of the model.
    """
    return f"{generation.model}@{generation.model_revision}" if generation.model_revision else generation.model


def model_of_run(output_dir: str | os.PathLike[str]) -> str | None:
    """
    Returns the name of the model in a finished or unfinished run; `None` if there is no run.

    Args:
        output_dir (`str` or `os.PathLike`):
            Folder of the run.
    """
    try:
        settings = json.loads((Path(output_dir) / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return settings.get("model") if isinstance(settings, dict) else None


def _decontaminated(records: Sequence[dict[str, Any]], benchmarks: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the records of all rollouts, with accepted ones rejected if they overlap with a task of a benchmark."""
    if not benchmarks:
        return [*records]
    index = NgramIndex.from_texts(benchmark_texts(benchmarks))

    def compared(record: dict[str, Any]) -> dict[str, Any]:
        if record["rejection"] is not None:
            return record
        overlaps = row_overlaps({"messages": record["messages"], "type": "reflection"}, index)
        for task, ngram in overlaps.items():
            detail = f"It shares {index.n} words in a row with {task}: {ngram!r}."
            return {**record, "rejection": Rejection.CONTAMINATED.value, "detail": detail}
        return record

    return [compared(record) for record in records]


def _solve_rates(records: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Returns the share of passing answers to the request alone, by problem id."""
    of_problem: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        of_problem[record["problem_id"]].append(record)
    return {name: share_solved(of, "solved") for name, of in of_problem.items()}


def _sources(problems: Sequence[Problem]) -> list[str]:
    counts = Counter(problem.source or "unnamed" for problem in problems)
    return [f"{name} ({count:,} problem{'s' if count > 1 else ''})" for name, count in counts.items()]


def _preparation(build: Build) -> str:
    """Describes for the card how the problems were prepared."""
    parts = [_contamination(build.report)] if build.report else []
    if build.decontaminate_against:
        parts.append("Rollouts that share such words with a task were rejected.")
    if build.held_out:
        parts.append(f"{len(build.held_out):,} problems were held out: no row comes from them.")
    return " ".join(parts)


def _contamination(report: ProblemReport) -> str:
    count = report.count
    text = f"Of {report.total:,} problems, {count('duplicate'):,} duplicates"
    if report.near_duplicate_threshold is not None:
        text += f" and {count('near_duplicate'):,} near duplicates (from a similarity of {report.near_duplicate_threshold:g} on)"
    if not report.benchmarks:
        return f"{text} were removed. They were not compared with benchmarks."
    return (
        f"{text} were removed, and {count('contaminated'):,} that share {report.ngram_size} words in a row with a task of "
        f"{', '.join(report.benchmarks)}, or repeat a problem that does."
    )


def _content(problem: Problem) -> dict[str, Any]:
    content = dataclasses.asdict(problem)
    if content["tolerance"] is None:  # so that runs from before this field can be resumed
        del content["tolerance"]
    if content["answer"] is None:
        for field in ("answer", "checker", "choices"):
            del content[field]
    return content


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
