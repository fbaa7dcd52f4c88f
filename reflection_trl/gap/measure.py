"""Measures the gap of a dataset and a model: answers, scores, predictions and the report."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from ..coroutines import run_coroutine
from ..files.rows import read_rows
from ..files.run_folder import RunFolder, write_json
from ..generation import Generate, GenerationArguments, open_generator, with_served_name
from ..generation.retries import show_retries
from ..languages import Executor
from ..languages.execution import Execute, refuse_to_run
from ..sequences import normalize_row
from .answers import Task, choose_rows, make_tasks, row_problem, sample_all
from .report import Gap, summarize
from .settings import GapSettings
from .tokens import measure_tokens


GAP_FILE = "gap.json"


def measure_gap(
    dataset: Any,
    model: str | None = None,
    settings: GapSettings | None = None,
    *,
    generation: GenerationArguments | None = None,
    generate: Generate | None = None,
    execute: Execute | None = None,
    output_dir: str | os.PathLike[str] = "out/gap",
    in_flight: int = 256,
    progress: bool = True,
) -> Gap:
    """
    Measures how much more a model solves after it has seen a row's sequence than from the request alone. A second call
    with the same arguments resumes where the first stopped.

    Args:
        dataset (`Any`):
            Rows in the form of [`reflection_trl.sequences`], such as a [`~datasets.Dataset`], or a source for
            [`~reflection_trl.files.rows.read_rows`].
        model (`str`, *optional*):
            Model id on the Hub, or a folder. Required unless `generation` or `generate` is given.
        settings ([`GapSettings`], *optional*):
            Number of rows and samples.
        generation ([`~reflection_trl.generation.GenerationArguments`], *optional*):
            Backend of the model; by default on this machine. With a server, the predictions of single tokens are not
            compared.
        generate ([`~reflection_trl.generation.Generate`], *optional*):
            Generates answers in place of `generation`.
        execute ([`~reflection_trl.languages.execution.Execute`], *optional*):
            Runs programs; by default an [`~reflection_trl.languages.Executor`].
        output_dir (`str` or `Path`, *optional*, defaults to `"out/gap"`):
            Folder of the answers and of `gap.json`.
        in_flight (`int`, *optional*, defaults to `256`):
            Maximum number of concurrent requests.
        progress (`bool`, *optional*, defaults to `True`):
            Whether to show a progress bar.

    Returns:
        [`Gap`]

    Raises:
        ValueError: If an argument is wrong, or no row is a reflection row.
        [`~reflection_trl.files.run_folder.RunError`]: If the folder contains another gap, or cannot be written.
        [`~reflection_trl.generation.GenerationError`]: If the model is not available.
        [`~reflection_trl.sandbox.SandboxUnavailableError`]: If programs cannot run safely on this machine.

    Example:

    ```python
    >>> from reflection_trl.gap import measure_gap

    >>> gap = measure_gap("out/build/train.parquet", "Qwen/Qwen2.5-Coder-1.5B-Instruct")
    >>> print(gap.table())
    ```
    """
    settings = settings or GapSettings()
    if in_flight < 1:
        raise ValueError(f"`in_flight` must be at least 1, got {in_flight}.")
    if generation is None:
        if model is None and generate is None:
            raise ValueError("No model specified: pass `model`, `generation` or `generate`.")
        generation = GenerationArguments(model_name_or_path=model) if model else None
    elif model is not None:
        raise ValueError(f"`model` is {model!r}, but `generation` names the model too; pass one of them.")
    if generation is not None and generate is None:
        generation = with_served_name(generation)
    found = read_rows(str(dataset)) if isinstance(dataset, str | os.PathLike) else dataset
    rows = choose_rows([normalize_row(dict(row), f"row {number}") for number, row in enumerate(found)], settings)
    tasks = make_tasks(rows, settings)
    name = generation.model if generation else getattr(generate, "model", None) or "unnamed"
    with RunFolder(output_dir, _fingerprint(rows, name, generation, settings), records="answers") as folder:
        run_coroutine(_sample(tasks, folder, generation, generate, execute, settings, in_flight, progress))
        tokens = None
        if settings.token_rows and generation is not None and generation.chosen_backend != "endpoint":
            tokens = measure_tokens([row for _, row in rows[: settings.token_rows]], generation)
        gap = summarize(rows, [*folder.records()], tokens)
        write_json(folder.path / GAP_FILE, gap.to_dict())
    return gap


async def _sample(
    tasks: Sequence[Task],
    folder: RunFolder,
    generation: GenerationArguments | None,
    generate: Generate | None,
    execute: Execute | None,
    settings: GapSettings,
    in_flight: int,
    progress: bool,
) -> None:
    made = sum(1 for _ in folder.records())
    if made >= len(tasks):
        return
    from tqdm import tqdm

    async with AsyncExitStack() as stack:
        if generate is None:
            assert generation is not None  # checked above
            folder.check_weights(generation.model, generation.weights)
            generate = await stack.enter_async_context(open_generator(generation))
        if execute is None:
            problems = [row_problem(task.row) for task in tasks]
            languages = {problem.language for problem in problems if problem.runs_programs}
            execute = await stack.enter_async_context(Executor(languages=languages)) if languages else refuse_to_run
        with tqdm(total=len(tasks), initial=made, unit="answer", disable=not progress) as bar:
            async with show_retries(bar, generate):
                await sample_all(tasks, generate, execute, settings, folder, in_flight, bar.update)


def _judged_by(row: dict[str, Any]) -> list[Any]:
    """Returns the columns of a row that decide whether an answer is correct: see [`~reflection_trl.gap.answers.row_problem`]."""
    columns = ("tests", "examples", "entry_point", "language", "answer", "checker", "choices")
    return [row.get(column) for column in columns]


def _fingerprint(
    rows: Sequence[tuple[int, dict[str, Any]]],
    model: str,
    generation: GenerationArguments | None,
    settings: GapSettings,
) -> dict[str, Any]:
    """Returns the content of `run.json`, which distinguishes this gap from others."""
    content = json.dumps([[number, row["messages"], *_judged_by(row)] for number, row in rows], sort_keys=True)
    wanted = dataclasses.asdict(settings)
    del wanted["token_rows"]  # these are compared again in each run
    return {
        "model": model,
        "revision": generation.model_revision if generation else None,
        "dataset": f"{len(rows)} rows, {hashlib.sha256(content.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}",
        "chat_template_kwargs": generation.template_variables if generation else {},
        **wanted,
    }
