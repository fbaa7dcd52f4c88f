"""Samples the answers to a benchmark, and saves each immediately. A second run resumes where the first stopped."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from ..coroutines import run_workers
from ..files.run_folder import RunError, RunFolder
from ..files.work_queue import WorkQueue
from ..generation.types import Generate, GenerationError, RequestRefusedError, Sampling
from .benchmarks import make_prompt, read_solution
from .prompts import Prompt
from .tasks import Sample, Task


def missing_samples(tasks: Sequence[Task], samples: int, folder: RunFolder) -> list[tuple[Task, int]]:
    """
    Returns the answers that are still missing: task and index of the answer.

    Args:
        tasks (`Sequence[Task]`):
            All tasks.
        samples (`int`):
            Number of answers to each task.
        folder ([`~reflection_trl.files.run_folder.RunFolder`]):
            Folder with the existing answers.
    """
    done = {(record["task_id"], record["sample"]) for record in folder.records()}
    return [(task, sample) for sample in range(samples) for task in tasks if (task.id, sample) not in done]


def check_requests(tasks: Sequence[Task], folder: RunFolder) -> None:
    """
    Rejects answers to other requests than those of the tasks, such as those of a file of problems that was edited:
    answers are found by the ids of the tasks.

    Args:
        tasks (`Sequence[Task]`):
            All tasks.
        folder ([`~reflection_trl.files.run_folder.RunFolder`]):
            Folder with the existing answers.

    Raises:
        [`~reflection_trl.files.run_folder.RunError`]: If a task has answers to another request.
    """
    requests = {task.id: _request_digest(task) for task in tasks}
    for record in folder.records():
        wanted = requests.get(record["task_id"])
        if wanted is not None and record.get("request", wanted) != wanted:
            raise RunError(
                f"{folder.path} contains answers to another request of {record['task_id']!r}, from before the tasks changed: give another "
                f"`output_dir`, or remove that folder."
            )


async def sample_answers(
    samples: Sequence[tuple[Task, int]],
    generate: Generate,
    style: str,
    sampling: Sampling,
    folder: RunFolder,
    in_flight: int = 128,
    report: Callable[[], None] = lambda: None,
    queue: WorkQueue | None = None,
) -> None:
    """
    Samples answers, and saves each one unchanged.

    Args:
        samples (`Sequence`):
            Output of [`missing_samples`].
        generate ([`~reflection_trl.generation.Generate`]):
            Generates completions.
        style (`str`):
            Style of the prompt, as in [`make_prompt`].
        sampling ([`~reflection_trl.generation.Sampling`]):
            Sampling settings. The seed of each sample is derived from its seed, the task and the index of the answer.
        folder ([`~reflection_trl.files.run_folder.RunFolder`]):
            Folder for the answers.
        in_flight (`int`, *optional*, defaults to `128`):
            Maximum number of concurrent requests.
        report (`Callable`, *optional*):
            Called after each answer.
        queue ([`~reflection_trl.files.work_queue.WorkQueue`], *optional*):
            Distributes the samples, also to other processes.

    Raises:
        [`~reflection_trl.generation.GenerationError`]: If the model is not available, or rejects every request.
    """
    by_key = {(task.id, sample): task for task, sample in samples}
    queue = queue or WorkQueue([*by_key])
    refused: list[tuple[dict[str, Any], RequestRefusedError]] = []
    answered = 0

    async def work() -> None:
        nonlocal answered
        while (key := await queue.take()) is not None:
            task, sample = by_key[key], key[1]
            record = {
                "task_id": task.id,
                "sample": sample,
                "request": _request_digest(task),
                "text": "",
                "finish_reason": "refused",
            }
            prompt = make_prompt(task, style)
            try:
                completion = await generate(prompt.content, _sampling(sampling, prompt, task, sample))
            except RequestRefusedError as error:
                refused.append((record, error))
                queue.finish(key)
                continue
            folder.append(record | {"text": completion.text, "finish_reason": completion.finish_reason})
            answered += 1
            queue.finish(key)
            report()

    await run_workers(work, min(in_flight, len(samples)))
    # If no request of any process is answered, the tasks are not the cause
    if refused and not answered and all(record["finish_reason"] == "refused" for record in folder.records()):
        raise GenerationError(str(refused[0][1]))
    for record, _ in refused:
        folder.append(record)
        report()


def read_answers(tasks: Sequence[Task], samples: int, style: str, folder: RunFolder) -> list[Sample]:
    """
    Reads the sampled answers and their code, in the order of the tasks.

    Args:
        tasks (`Sequence[Task]`):
            The tasks.
        samples (`int`):
            Number of answers to each task; a folder may contain more.
        style (`str`):
            Style of the prompts.
        folder ([`~reflection_trl.files.run_folder.RunFolder`]):
            Folder of the answers.
    """
    records = {(record["task_id"], record["sample"]): record for record in folder.records()}
    found = []
    for task in tasks:
        for sample in range(samples):
            record = records[task.id, sample]
            solution = read_solution(task, record["text"], style) if record["text"] else ""
            found.append(Sample(task.id, sample, solution, record["text"], record["finish_reason"]))
    return found


def _request_digest(task: Task) -> str:
    # The style of the prompt is a setting of the run
    return hashlib.sha256(f"{task.request}\0{task.prompt}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _sampling(sampling: Sampling, prompt: Prompt, task: Task, sample: int) -> Sampling:
    seed = None
    if sampling.temperature > 0:
        digest = hashlib.sha256(f"{sampling.seed or 0} {task.id} {sample}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big") >> 1  # servers accept 31 bits
    return Sampling(sampling.temperature, sampling.top_p, sampling.max_tokens, prompt.stop, seed)
