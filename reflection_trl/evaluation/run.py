"""Runs a complete evaluation: generates answers, scores them, and saves both."""

import importlib.metadata
import logging
import os
import platform
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..coroutines import run_coroutine
from ..files.model_folder import is_path
from ..files.run_folder import RunFolder, take_lock
from ..files.work_queue import WorkQueue
from ..generation import GenerationArguments, Sampling, open_generator, with_served_name
from ..generation.retries import show_retries
from ..generation.types import Generate
from ..languages import Executor
from ..languages.execution import Execute
from ..sandbox import Limits, Sandbox
from .benchmarks import Judging, OpenExecutor, get_benchmark, make_prompt, parse_benchmarks
from .generate import check_requests, missing_samples, read_answers, sample_answers
from .prompts import MAX_TOKENS, check_style, needs_chat_template
from .results import EvaluationRun, Score
from .samples import benchmark_of, read_samples, write_samples
from .tasks import Sample, Task


if TYPE_CHECKING:
    from tqdm import tqdm


logger = logging.getLogger(__name__)

_POLL_SECONDS = 2.0
_FENCE = re.compile(r"^```", re.MULTILINE)


@dataclass(frozen=True)
class EvaluationSettings:
    """
    Settings of an evaluation: prompts, sampling and scoring.

    Args:
        prompt (`str`, *optional*, defaults to `"request"`):
            Style of the prompts, see [`make_prompt`].
        samples (`int`, *optional*, defaults to `1`):
            Number of answers to each problem.
        temperature (`float`, *optional*, defaults to `0.0`):
            0 selects the most probable token at each step (greedy).
        top_p (`float`, *optional*, defaults to `0.95`):
            Nucleus sampling, at a temperature above 0.
        max_tokens (`int`, *optional*):
            Maximum number of tokens of an answer; by default that of the style.
        seed (`int`, *optional*, defaults to `0`):
            Seed of all samples.
        limit (`int`, *optional*):
            Evaluates only the first N problems of each benchmark (smoke test).
        benchmark_files (`dict[str, str]`, *optional*, defaults to `{}`):
            File, folder or Hub id with the problems of a benchmark, by its name before the colon, such as
            `"multipl-e"`. By default the benchmark's own.
        workers (`int`, *optional*):
            Number of answers to score concurrently; by default the number of CPU cores.
        unsandboxed (`bool`, *optional*, defaults to `False`):
            Whether to run answers with **no isolation at all**. Root must not use it.

    Raises:
        ValueError: If a value is out of range, the style is unknown, or several samples are greedy.
    """

    prompt: str = "request"
    samples: int = 1
    temperature: float = 0.0
    top_p: float = 0.95
    max_tokens: int | None = None
    seed: int = 0
    limit: int | None = None
    benchmark_files: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    unsandboxed: bool = False

    def __post_init__(self) -> None:
        check_style(self.prompt)
        for name in ("samples", "max_tokens", "limit", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be at least 1, got {value}.")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError(
                f"`temperature` must be 0 or more and `top_p` above 0 and at most 1, got {self.temperature} and {self.top_p}."
            )
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"{self.samples} answers at temperature 0 are all the same: set `temperature`, such as 0.8."
            )

    @property
    def sampling(self) -> Sampling:
        """Returns the sampling settings of each answer."""
        return Sampling(self.temperature, self.top_p, self.max_tokens or MAX_TOKENS[self.prompt], seed=self.seed)


def evaluate_model(
    model: str | GenerationArguments,
    benchmarks: str | Sequence[str] = ("humaneval", "mbpp"),
    output_dir: str | os.PathLike[str] = "out/evaluate",
    settings: EvaluationSettings | None = None,
    *,
    generate: Generate | None = None,
    in_flight: int = 128,
    process: int = 0,
    processes: int = 1,
    progress: bool = True,
    name: str | None = None,
    command: str = "",
) -> EvaluationRun | None:
    """
    Generates answers with a model and scores them. A second call with the same arguments resumes where the first
    stopped.

    `output_dir` contains a folder for each benchmark: `answers/` (unchanged completions), `samples.jsonl` (their code)
    and, from evalplus, `samples_eval_results.json`. The run is saved in `results.json`.

    Args:
        model (`str` or [`~reflection_trl.generation.GenerationArguments`]):
            Model id on the Hub, or a folder; or a model with its backend, such as a server.
        benchmarks (`str` or `Sequence[str]`, *optional*, defaults to `("humaneval", "mbpp")`):
            Names as in `reflection-trl evaluate`, such as `"problems:my/problems.jsonl"`; see [`parse_benchmarks`].
        output_dir (`str` or `Path`, *optional*, defaults to `"out/evaluate"`):
            Folder of the evaluation.
        settings ([`EvaluationSettings`], *optional*):
            Settings of the evaluation.
        generate ([`~reflection_trl.generation.Generate`], *optional*):
            Generates completions, in place of `model`.
        in_flight (`int`, *optional*, defaults to `128`):
            Maximum number of concurrent requests.
        process (`int`, *optional*, defaults to `0`):
            Index of this process. Process 0 waits for the others, scores the answers and writes the results.
        processes (`int`, *optional*, defaults to `1`):
            Number of processes.
        progress (`bool`, *optional*, defaults to `True`):
            Whether to show a progress bar.
        name (`str`, *optional*):
            Name of the model in the results; its own name by default.
        command (`str`, *optional*, defaults to `""`):
            Command line, for the record.

    Returns:
        [`EvaluationRun`], *optional*: The results; `None` in processes other than the first.

    Raises:
        ValueError: If a benchmark cannot be read, or the model has no chat template.
        [`~reflection_trl.files.run_folder.RunError`]: If the folder contains answers with other settings, or another evaluation
            uses it.
        [`~reflection_trl.generation.GenerationError`]: If the model is not available.
        [`~reflection_trl.sandbox.SandboxError`]: If answers cannot run safely on this machine.
    """
    settings = settings or EvaluationSettings()
    benchmarks = parse_benchmarks([benchmarks] if isinstance(benchmarks, str) else benchmarks)
    generation = model if isinstance(model, GenerationArguments) else GenerationArguments(model)
    if generate is None:
        generation = with_served_name(generation)
    judge_here = process == 0
    tasks, skipped, _ = _possible_tasks(benchmarks, settings)
    if judge_here:
        _require_isolation(tasks, settings)
    tasks = {benchmark: some[: settings.limit] for benchmark, some in tasks.items()}
    _check_prompts(tasks, generation, generate, settings)
    with ExitStack() as stack:
        if judge_here:
            stack.enter_context(_results_folder(output_dir))
        folders = stack.enter_context(_folders(output_dir, tasks, generation, settings, process))
        run_coroutine(
            _sample_all(tasks, folders, generation, generate, settings, in_flight, processes, progress and judge_here)
        )
        if not judge_here:
            return None
        while processes > 1 and any(missing_samples(tasks[name], settings.samples, folders[name]) for name in tasks):
            time.sleep(_POLL_SECONDS)
        samples = {name: read_answers(tasks[name], settings.samples, settings.prompt, folders[name]) for name in tasks}
        scores = _judge_all(tasks, samples, Path(output_dir), settings, progress)
        details = {
            "backend": generation.chosen_backend,
            "base_url": generation.base_url,
            "dtype": generation.dtype,
            "chat_template_kwargs": generation.template_variables or None,
        }
        return _finished(
            name or generation.model,
            tasks,
            scores,
            skipped,
            settings,
            details,
            output_dir,
            command,
            _commit(generation),
        )


async def generate_model_answers(
    generation: GenerationArguments,
    benchmarks: Sequence[str],
    output_dir: str | os.PathLike[str],
    settings: EvaluationSettings | None = None,
    *,
    generate: Generate | None = None,
    in_flight: int = 128,
) -> None:
    """
    Generates answers with a model without scoring them. [`evaluate_model`] with the same arguments scores them, here
    or on a machine with isolation and compilers, and then needs no model. It describes the arguments and errors.
    """
    settings = settings or EvaluationSettings()
    if generate is None:
        generation = with_served_name(generation)
    tasks = {name: _load_tasks(name, settings)[: settings.limit] for name in benchmarks}
    _check_prompts(tasks, generation, generate, settings)
    with _folders(output_dir, tasks, generation, settings, process=0) as folders:
        await _sample_all(tasks, folders, generation, generate, settings, in_flight, processes=1, progress=True)


def evaluate_samples(
    files: Sequence[str | os.PathLike[str]],
    output_dir: str | os.PathLike[str],
    settings: EvaluationSettings | None = None,
    *,
    benchmarks: Sequence[str] = (),
    name: str | None = None,
    progress: bool = True,
    command: str = "",
) -> EvaluationRun:
    """
    Scores existing answers.

    Args:
        files (`Sequence[str]`):
            JSON Lines, one file per benchmark; see [`read_samples`].
        output_dir (`str` or `Path`):
            Folder for the results.
        settings ([`EvaluationSettings`], *optional*):
            Only `limit`, `benchmark_files`, `workers` and `unsandboxed` are used.
        benchmarks (`Sequence[str]`, *optional*, defaults to `()`):
            Benchmark of each file; required for MultiPL-E, whose task names do not contain the language.
        name (`str`, *optional*):
            Name of the run; by default the first file.
        progress (`bool`, *optional*, defaults to `True`):
            Whether to show a progress bar.
        command (`str`, *optional*, defaults to `""`):
            Command line, for the record.

    Returns:
        [`EvaluationRun`]: The results, which are also saved in `results.json`.

    Raises:
        ValueError: If a file is invalid. The message names the place.
        [`~reflection_trl.files.run_folder.RunError`]: If another evaluation uses the folder.
        [`~reflection_trl.sandbox.SandboxError`]: If answers cannot run safely on this machine.
    """
    settings = settings or EvaluationSettings()
    if benchmarks and len(benchmarks) != len(files):
        raise ValueError(
            f"There are {len(files)} files of answers and {len(benchmarks)} benchmarks: give one benchmark per file."
        )
    by_benchmark = dict(zip(benchmarks or map(_benchmark_of, files), files, strict=True))
    if len(by_benchmark) < len(files):
        raise ValueError("Two files contain answers to the same benchmark: join them, or score them separately.")
    tasks, skipped, known = _possible_tasks(by_benchmark, settings)
    _require_isolation(tasks, settings)
    tasks = {benchmark: some[: settings.limit] for benchmark, some in tasks.items()}
    samples = {name: read_samples(by_benchmark[name], tasks[name], known[name]) for name in tasks}
    for benchmark, answers in samples.items():
        _warn_of_fences(by_benchmark[benchmark], tasks[benchmark], answers)
    details = {"files": {benchmark: str(file) for benchmark, file in by_benchmark.items()}}
    with _results_folder(output_dir):
        scores = _judge_all(tasks, samples, Path(output_dir), settings, progress)
        return _finished(name or str(files[0]), tasks, scores, skipped, settings, details, output_dir, command, None)


# Answers


async def _sample_all(
    tasks: dict[str, list[Task]],
    folders: dict[str, RunFolder],
    generation: GenerationArguments,
    generate: Generate | None,
    settings: EvaluationSettings,
    in_flight: int,
    processes: int,
    progress: bool,
) -> None:
    left = {name: missing_samples(tasks[name], settings.samples, folders[name]) for name in tasks}
    if not any(left.values()):
        return
    async with AsyncExitStack() as stack:
        opened = generate if generate is not None else await stack.enter_async_context(open_generator(generation))
        for name, missing in left.items():
            total, keys = len(tasks[name]) * settings.samples, [(task.id, sample) for task, sample in missing]
            with _bar(f"{name}: answers", total, total - len(missing), progress) as shown:
                report = _advance(shown)
                queue = WorkQueue(keys, folders[name], processes, learn=report)
                async with show_retries(shown, opened):
                    await sample_answers(
                        missing, opened, settings.prompt, settings.sampling, folders[name], in_flight, report, queue
                    )


@contextmanager
def _folders(
    output_dir: str | os.PathLike[str],
    tasks: dict[str, list[Task]],
    generation: GenerationArguments,
    settings: EvaluationSettings,
    process: int,
) -> Iterator[dict[str, RunFolder]]:
    """Yields a folder for the answers to each benchmark, and rejects folders with answers of other settings."""
    model, revision = generation.model, generation.model_revision
    weights = generation.weights
    with ExitStack() as stack:
        folders = {}
        for benchmark in tasks:
            fingerprint: dict[str, Any] = {
                "benchmark": benchmark,
                "model": model,
                "revision": revision,
                "prompt": settings.prompt,
            }
            fingerprint |= {"sampling": {k: v for k, v in asdict(settings.sampling).items() if k != "stop"}}
            if generation.template_variables:
                fingerprint["chat_template_kwargs"] = generation.template_variables
            place = Path(output_dir) / _folder_name(benchmark)
            folders[benchmark] = stack.enter_context(RunFolder(place, fingerprint, process, records="answers"))
            folders[benchmark].check_weights(model, weights)
            check_requests(tasks[benchmark], folders[benchmark])
        yield folders


# Scores


@contextmanager
def _results_folder(output_dir: str | os.PathLike[str]) -> Iterator[None]:
    """Reserves the folder of an evaluation, whose results another one would replace."""
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with take_lock(folder / ".lock"):
        yield


def _judge_all(
    tasks: dict[str, list[Task]],
    samples: dict[str, list[Sample]],
    output_dir: Path,
    settings: EvaluationSettings,
    progress: bool,
) -> list[Score]:
    scores = []
    for benchmark, answers in samples.items():
        folder = output_dir / _folder_name(benchmark)
        folder.mkdir(parents=True, exist_ok=True)
        write_samples(folder / "samples.jsonl", answers)
        with _bar(f"{benchmark}: judged", len(answers), 0, progress) as shown:
            judging = Judging(folder, _executors(settings), settings.workers, settings.unsandboxed, _advance(shown))
            scores += get_benchmark(benchmark).judge(tasks[benchmark], answers, judging)
    return scores


def _executors(settings: EvaluationSettings) -> OpenExecutor:
    """Opens the executor of programs, isolated according to the settings."""

    @asynccontextmanager
    async def open_executor(
        languages: Iterable[str], limits: Limits | None = None, packages: bool = False
    ) -> AsyncIterator[Execute]:
        async with AsyncExitStack() as stack:
            if packages or settings.unsandboxed:
                python = sys.executable if packages else None
                sandbox = stack.enter_context(Sandbox(settings.workers, python, unsandboxed=settings.unsandboxed))
                executor = Executor(sandbox, limits=limits)
            else:
                executor = Executor(languages=languages, workers=settings.workers, limits=limits)
            yield await stack.enter_async_context(executor)

    return open_executor


def _load_tasks(name: str, settings: EvaluationSettings) -> list[Task]:
    benchmark = get_benchmark(name)
    return benchmark.load_tasks(settings.benchmark_files.get(benchmark.key))


def _possible_tasks(
    benchmarks: Iterable[str], settings: EvaluationSettings
) -> tuple[dict[str, list[Task]], dict[str, str], dict[str, list[str]]]:
    """Returns the tasks that this machine can score, the reasons for the others, and the ids of all."""
    benchmarks = [*benchmarks]
    for key in settings.benchmark_files:
        if key not in {name.partition(":")[0] for name in benchmarks}:
            raise ValueError(
                f"`benchmark_files` has a file for {key!r}, but the benchmarks are {', '.join(benchmarks)}: add {key!r} to them, or "
                "remove the file."
            )
    tasks: dict[str, list[Task]] = {}
    skipped: dict[str, str] = {}
    known: dict[str, list[str]] = {}
    for name in benchmarks:
        benchmark = get_benchmark(name)
        found: list[Task] = []
        missing = benchmark.missing_toolchain()
        if missing is None:
            loaded = _load_tasks(name, settings)
            known[name] = [task.id for task in loaded]
            found, missing = benchmark.runnable(loaded)
        if missing is not None:
            skipped[name] = missing
        if found:
            tasks[name] = found
    if not tasks:
        raise ValueError(f"There is nothing to score: {' '.join(skipped.values())}")
    return tasks, skipped, known


def _check_prompts(
    tasks: dict[str, list[Task]],
    generation: GenerationArguments,
    generate: Generate | None,
    settings: EvaluationSettings,
) -> None:
    """Rejects a prompt style that does not fit a benchmark or the model."""
    for some in tasks.values():
        make_prompt(some[0], settings.prompt)
    if generate is None and needs_chat_template(settings.prompt) and generation.chosen_backend != "endpoint":
        _require_chat_template(generation.model, generation.model_revision)


def _folder_name(benchmark: str) -> str:
    return re.sub(r"[:/\\]+", "-", benchmark)


def _require_isolation(tasks: dict[str, list[Task]], settings: EvaluationSettings) -> None:
    """Fails immediately, not after hours of generation, if answers cannot run here."""
    if not any(get_benchmark(name).runs_programs(some) for name, some in tasks.items()):
        return
    with Sandbox(
        workers=1, mechanism=None if settings.unsandboxed else "bubblewrap", unsandboxed=settings.unsandboxed
    ):
        pass


# The record


def _finished(
    model: str,
    tasks: dict[str, list[Task]],
    scores: list[Score],
    skipped: dict[str, str],
    settings: EvaluationSettings,
    details: dict[str, Any],
    output_dir: str | os.PathLike[str],
    command: str,
    revision: str | None,
) -> EvaluationRun:
    kept = ("limit",) if "files" in details else ("prompt", "samples", "temperature", "top_p", "seed", "limit")
    record: dict[str, Any] = {name: value for name in kept if (value := getattr(settings, name)) is not None}
    if settings.benchmark_files:
        record["benchmark_files"] = dict(settings.benchmark_files)
    if "files" not in details:
        record["max_tokens"] = settings.sampling.max_tokens
    record |= {name: value for name, value in details.items() if value is not None}
    record["versions"] = _versions()
    run = EvaluationRun(
        model=model,
        scores=scores,
        skipped=skipped,
        settings=record,
        date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        command=command,
        revision=revision,
        problems={benchmark: {task.id: task.request for task in some} for benchmark, some in tasks.items()},
    )
    run.save(Path(output_dir) / "results.json")
    return run


def _benchmark_of(file: str | os.PathLike[str]) -> str:
    benchmark = benchmark_of(file)
    if benchmark is None:
        raise ValueError(
            f"The problems of {file} do not identify its benchmark: name it, as in --benchmarks multipl-e:java."
        )
    return benchmark


def _warn_of_fences(file: str | os.PathLike[str], tasks: Sequence[Task], samples: Sequence[Sample]) -> None:
    """Warns if most answers of a file are not code alone, which would fail all of them without an apparent cause."""
    code = {task.id for task in tasks if not task.has_final_answer}
    fenced = sum(sample.task_id in code and _FENCE.search(sample.solution) is not None for sample in samples)
    if fenced > len(samples) / 2:
        logger.warning(
            "%s: %d of %d answers contain a line that begins with ```, a Markdown fence, which is not code. They are judged as they "
            "are: put only the code into `solution`.",
            file,
            fenced,
            len(samples),
        )


def _require_chat_template(model: str, revision: str | None) -> None:
    if is_path(model) and not Path(model).exists():
        return  # opening the model reports it, and the Hub, which is asked for names, does not have it
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model, revision=revision)
    except (OSError, ValueError):
        return  # opening the model reports it
    if not tokenizer.chat_template:
        raise ValueError(
            f"The tokenizer of {model!r} has no chat template, which this prompt style needs: use an instruct model, or let the "
            "model continue the benchmark's code with --prompt completion."
        )


def _commit(generation: GenerationArguments) -> str | None:
    """Returns the Hub commit of a model that runs here; `None` for a folder or a server."""
    if generation.chosen_backend == "endpoint" or Path(generation.model).exists() or is_path(generation.model):
        return generation.model_revision
    from huggingface_hub import hf_hub_download
    from transformers.utils.peft_utils import find_adapter_config_file

    name, revision = generation.model, generation.model_revision
    try:
        config = find_adapter_config_file(name, revision=revision) or hf_hub_download(
            name, "config.json", revision=revision
        )
    except OSError:
        return revision  # the Hub is unreachable and nothing is cached, which must not discard the scores
    return Path(config).parent.name  # the cache keeps each commit in a folder of its name


def _bar(title: str, total: int, done: int, shown: bool) -> "tqdm":
    """Returns a progress bar with rate and remaining time."""
    from tqdm.auto import tqdm

    return tqdm(desc=title, total=total, initial=done, unit="answer", dynamic_ncols=True, disable=not shown)


def _advance(bar: "tqdm") -> Callable[..., None]:
    """Returns a callback that advances a bar by one and ignores its arguments."""

    def advance(*_: Any) -> None:
        bar.update()

    return advance


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("reflection-trl", "evalplus", "transformers", "torch", "vllm"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
