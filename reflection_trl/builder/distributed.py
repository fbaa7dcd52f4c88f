"""
Makes rollouts on many machines with datatrove. Its executors (local, Slurm, Ray) start tasks, and its
[`~datatrove.pipeline.inference.run_inference.InferenceRunner`] gives each task a server or an endpoint.

Each task appends its share of the rollouts to its own file in the run folder, as every process does. The folder
records what is done, and datatrove's marks of completed tasks are derived from it. However a task ends, the same
command resumes the run without losing or repeating a rollout, and `reflection-trl build` can also finish it. The
machines need a shared file system.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.inference.servers import InferenceServer
from datatrove.pipeline.inference.types import InferenceError, ServerError
from datatrove.pipeline.writers import JsonlWriter

from ..files.run_folder import RunFolder, SessionUsage
from ..generation import (
    Completion,
    GenerationArguments,
    GenerationError,
    RequestRefusedError,
    Sampling,
    open_generator,
)
from ..generation.endpoint import EndpointGenerator, read_completion, request_fields
from .build import Build, write_outcome
from .early_stopping import EarlyStopping
from .references import References
from .run import Task, make_rollouts
from .statistics import BuildStatistics


def inference_config(generation: GenerationArguments, server: str = "vllm", in_flight: int = 128) -> InferenceConfig:
    """
    Configures how each task reaches the model.

    Args:
        generation ([`~reflection_trl.generation.GenerationArguments`]):
            Model. With a `base_url`, all tasks use that server.
        server (`str`, *optional*, defaults to `"vllm"`):
            Server that each task starts without a `base_url`: `"vllm"` or `"sglang"`.
        in_flight (`int`, *optional*, defaults to `128`):
            Maximum number of concurrent rollouts of a task.

    Raises:
        ValueError: If a setting does not apply to several machines.
    """
    if generation.max_requests is not None or generation.max_total_tokens is not None:
        raise ValueError(
            "Tasks of several machines cannot share a budget: remove --max_requests and --max_total_tokens."
        )
    limits = {"max_concurrent_documents": in_flight, "max_concurrent_generations": generation.max_concurrency}
    if generation.chosen_backend == "endpoint":
        model = generation.model_name_or_path or ""
        return InferenceConfig("endpoint", model, endpoint_url=generation.base_url, **limits)
    if server not in ("vllm", "sglang"):
        raise ValueError(f"--server {server!r}: use vllm or sglang, or pass the --base_url of a server.")
    # vLLM would take settings that the request omits from the model's own sampling settings
    options: dict[str, Any] = {"generation-config": "vllm", "dtype": generation.dtype} if server == "vllm" else {}
    if generation.model_revision is not None:
        options["revision"] = generation.model_revision
    limits["max_concurrent_generations"] = in_flight
    return InferenceConfig(
        server,
        generation.model_name_or_path,
        model_max_context=generation.max_context or 8192,
        tp=generation.tensor_parallel_size,
        model_kwargs=options,
        **limits,
    )


def prepare_folder(build: Build, output_dir: str | os.PathLike[str], tasks: int) -> tuple[str, int]:
    """
    Creates the folder of a run, and removes the completion marks of tasks with open rollouts.

    Args:
        build ([`Build`]):
            Description of the run.
        output_dir (`str` or `Path`):
            Folder of the run.
        tasks (`int`):
            Number of tasks that share the run.

    Returns:
        `tuple`: The `logging_dir` for the executor, and the number of open rollouts.
    """
    logs = Path(output_dir).absolute() / "logs"
    with RunFolder(output_dir, build.fingerprint()) as folder:
        shares = [build.open_tasks(folder, task, tasks) for task in range(tasks)]
    for task, share in enumerate(shares):
        if share:
            (logs / "completions" / f"{task:05d}").unlink(missing_ok=True)
    return str(logs), sum(map(len, shares))


def write_finished(build: Build, output_dir: str | os.PathLike[str]) -> BuildStatistics:
    """Writes the results of the existing rollouts: see [`~reflection_trl.builder.build.write_outcome`]."""
    with RunFolder(output_dir, build.fingerprint()) as folder:
        return write_outcome(build, folder)


class RolloutRunner(InferenceRunner):
    """
    Implements the only step of the pipeline: it makes the rollouts of a task.

    Args:
        build ([`Build`]):
            Description of the run.
        output_dir (`str` or `Path`):
            Folder of the run, created by [`prepare_folder`].
        generation ([`~reflection_trl.generation.GenerationArguments`]):
            Model.
        config (`InferenceConfig`):
            Output of [`inference_config`].

    Example:

    ```python
    >>> logging_dir, missing = prepare_folder(build, "out/build", tasks=16)
    >>> runner = RolloutRunner(build, "out/build", generation, inference_config(generation))
    >>> LocalPipelineExecutor([runner], tasks=16, workers=4, logging_dir=logging_dir).run()
    ```
    """

    name = "Reflection rollouts"

    def __init__(
        self,
        build: Build,
        output_dir: str | os.PathLike[str],
        generation: GenerationArguments,
        config: InferenceConfig,
    ):
        output_dir = Path(output_dir).absolute()
        # datatrove writes nothing: it would only warn if a row could not be saved
        super().__init__(_make, config, JsonlWriter(str(output_dir / "logs")))
        self.build = build
        self.output_dir = output_dir
        self.generation = generation

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> None:
        with RunFolder(self.output_dir, self.build.fingerprint(), rank) as folder:
            if tasks := self.build.open_tasks(folder, rank, world_size):
                self.shared_context = {
                    "folder": folder,
                    "session": SessionUsage(rank),
                    "settings": self.build.settings,
                    "early_stopping": self.build.early_stopping(folder),
                    "references": References(),
                    "template_variables": self.generation.template_variables,
                }
                super().run(_documents(tasks), rank, world_size)

    async def run_async(self, data_gen: Iterator[Document], rank: int = 0) -> None:
        async with self.build.open_executor() as execute:
            self.shared_context["execute"] = execute
            await super().run_async(data_gen, rank)

    def _init_server(self, rank: int) -> InferenceServer:
        if self.config.server_type == "endpoint":
            return _Endpoint(self.config, rank, self.generation)
        return super()._init_server(rank)


def _documents(tasks: list[Task]) -> Iterator[Document]:
    for problem, sample in tasks:
        yield Document(problem.instruction, f"{problem.id} {sample}", metadata={"problem": problem, "sample": sample})


async def _make(
    document: Document,
    generate: Any,
    *,
    folder: RunFolder,
    session: SessionUsage,
    execute: Any,
    settings: Any,
    early_stopping: EarlyStopping,
    references: References,
    template_variables: dict[str, Any],
) -> None:
    """Makes one rollout, with the signature that datatrove expects."""
    task = document.metadata["problem"], document.metadata["sample"]
    try:
        served = _Served(generate, template_variables)
        await make_rollouts(
            [task], served, execute, settings, folder, session, early_stopping=early_stopping, references=references
        )
    finally:
        folder.keep_session(session)


class _Served:
    """Implements [`~reflection_trl.generation.Generate`] with datatrove's callback."""

    def __init__(self, generate: Any, template_variables: dict[str, Any]):
        self._generate = generate
        self._variables = template_variables

    async def __call__(self, prompt: list[dict[str, Any]] | str, sampling: Sampling) -> Completion:
        assert not isinstance(prompt, str)  # rollouts send conversations
        try:
            result = await self._generate(request_fields(prompt, sampling, self._variables))
        except ServerError as error:
            raise GenerationError(f"The model's server failed: {error}") from error
        except InferenceError as error:
            if isinstance(error.__cause__, GenerationError):
                raise error.__cause__ from None
            kind = RequestRefusedError if "BadRequestError" in str(error.error) else GenerationError
            raise kind(f"The model's server did not answer: {error.error}") from error
        choice = {"message": {"content": result.text}, "finish_reason": result.finish_reason}
        return read_completion(
            {"choices": [choice], "usage": result.usage}, "".join(turn["content"] for turn in prompt)
        )


class _Endpoint(InferenceServer):
    """
    Replaces datatrove's client for endpoints, which queries `/v1/models` without the key and at another address than
    its requests, and ends the task at the first 429 or 503.
    """

    def __init__(self, config: InferenceConfig, rank: int, generation: GenerationArguments):
        super().__init__(config, rank)
        client = open_generator(generation)
        assert isinstance(client, EndpointGenerator)  # no other has an endpoint
        self._client = client

    async def start_server(self) -> None:
        pass  # it is running already

    async def monitor_health(self) -> None:
        await asyncio.Future()  # each request detects failures itself

    async def is_ready(self) -> bool:
        return True

    async def _make_request(self, payload: dict[str, Any]) -> dict[str, Any]:
        content = "".join(turn["content"] for turn in payload["messages"])

        def read(answer: Any) -> dict[str, Any]:
            found = read_completion(answer, content)
            reason = "content_filter" if found.finish_reason == "refused" else found.finish_reason
            usage = {"prompt_tokens": found.prompt_tokens, "completion_tokens": found.completion_tokens}
            return {"choices": [{"message": {"content": found.text}, "finish_reason": reason}], "usage": usage}

        body = {**payload, "model": self._client.model}
        return await self._client.request("POST", "/chat/completions", read, body)

    async def __aenter__(self) -> "_Endpoint":
        await self._client.__aenter__()
        return await super().__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        await super().__aexit__(*error)
        await self._client.__aexit__(*error)
