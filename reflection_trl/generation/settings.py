"""Defines the arguments that select a model and a backend, shared by all commands."""

import contextlib
import importlib.util
import json
import os
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..coroutines import run_coroutine
from ..files.model_folder import check_model_folder, weights_digest
from .types import Generate, GenerationError
from .usage import Usage


BACKENDS = ("auto", "endpoint", "vllm", "transformers")
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass
class GenerationArguments:
    """
    Arguments of [`open_generator`] and of the commands that generate.

    Raises:
        ValueError: If no model is specified, or a value is out of range.
    """

    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Model id on the Hub, folder, or name of the model on the server."}
    )
    model_revision: str | None = field(
        default=None, metadata={"help": "Commit, branch or tag of the model on the Hub."}
    )
    backend: str = field(
        default="auto",
        metadata={
            "help": f"One of {', '.join(BACKENDS)}. 'auto' is the endpoint if --base_url is given, else vLLM if it is "
            "installed and there is a GPU, else transformers."
        },
    )
    base_url: str | None = field(
        default=None,
        metadata={
            "help": "OpenAI-compatible server, such as http://localhost:8000/v1. With --backend endpoint and no base URL, "
            "requests go to an Inference Provider, with the Hub's token."
        },
    )
    api_key_variable: str | None = field(
        default=None,
        metadata={"help": "Environment variable with the API key of the server. No option accepts the key itself."},
    )
    max_concurrency: int = field(default=64, metadata={"help": "Maximum number of concurrent requests to a server."})
    requests_per_minute: float | None = field(default=None, metadata={"help": "Rate limit for a server."})
    max_requests: int | None = field(default=None, metadata={"help": "Budget: stop after this number of requests."})
    max_total_tokens: int | None = field(
        default=None, metadata={"help": "Budget: stop after this number of tokens, prompts and completions together."}
    )
    max_context: int | None = field(
        default=None,
        metadata={"help": "Maximum tokens of prompt and completion together; by default the model's context length."},
    )
    chat_template_kwargs: dict[str, Any] | str | None = field(
        default=None,
        metadata={
            "help": "Variables for the chat template, such as '{\"enable_thinking\": false}'; use those of the training."
        },
    )
    dtype: str = field(
        default="auto", metadata={"help": f"Data type of a local model's weights, one of {', '.join(DTYPES)}."}
    )
    gpu_memory_utilization: float = field(default=0.9, metadata={"help": "Share of the GPU memory that vLLM uses."})
    kv_cache_memory_bytes: int | None = field(
        default=None,
        metadata={
            "help": "Memory in bytes for vLLM's KV cache, instead of the profiled size. Set it if several processes share a "
            "GPU, since each would otherwise count the memory of the others."
        },
    )
    tensor_parallel_size: int = field(
        default=1, metadata={"help": "Number of GPUs that share one copy of the model, with vLLM."}
    )

    def __post_init__(self) -> None:
        if isinstance(self.model_name_or_path, os.PathLike):
            self.model_name_or_path = os.fspath(self.model_name_or_path)
        if not isinstance(self.model_name_or_path, str | None):
            raise ValueError(
                f"The model must be given by its Hub id or folder, not as {type(self.model_name_or_path).__name__}: pass its name, "
                "or save it with `save_pretrained` and pass the folder."
            )
        if self.backend not in BACKENDS:
            raise ValueError(f"--backend {self.backend!r}: use one of {', '.join(BACKENDS)}.")
        if self.model_name_or_path is None and self.base_url is None:
            raise ValueError("No model specified: pass --model_name_or_path, or --base_url of a server.")
        if self.backend in ("vllm", "transformers") and self.base_url is not None:
            raise ValueError(f"--backend {self.backend} runs the model on this machine: remove --base_url.")
        if self.base_url is not None:
            address = urlsplit(self.base_url)
            if "@" in address.netloc:
                raise ValueError(
                    "--base_url contains a password: put the key into an environment variable and pass its name as --api_key_variable."
                )
            if address.scheme not in ("http", "https") or not address.netloc:
                raise ValueError(
                    f"--base_url {self.base_url!r} is not an address: use the form http://localhost:8000/v1."
                )
        if isinstance(self.chat_template_kwargs, str):
            with contextlib.suppress(ValueError):  # text that is not JSON is not an object either
                self.chat_template_kwargs = json.loads(self.chat_template_kwargs)
        if not isinstance(self.chat_template_kwargs, dict | None):
            raise ValueError(
                f"--chat_template_kwargs {self.chat_template_kwargs!r} is not a JSON object; give one such as "
                "'{\"enable_thinking\": false}'."
            )
        if self.dtype not in DTYPES:
            raise ValueError(f"--dtype {self.dtype!r}: use one of {', '.join(DTYPES)}.")
        for name in (
            "max_concurrency",
            "tensor_parallel_size",
            "kv_cache_memory_bytes",
            "max_requests",
            "max_total_tokens",
            "max_context",
        ):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"--{name} must be at least 1, got {value}.")
        if self.requests_per_minute is not None and not 0 < self.requests_per_minute < float("inf"):
            raise ValueError(f"--requests_per_minute must be above 0, got {self.requests_per_minute}.")
        if not 0 < self.gpu_memory_utilization <= 1:
            raise ValueError(
                f"--gpu_memory_utilization must be above 0 and at most 1, got {self.gpu_memory_utilization}."
            )

    @property
    def model(self) -> str:
        """Returns the name of the model, or the address of the server if no name is given."""
        return self.model_name_or_path or str(self.base_url)

    @property
    def template_variables(self) -> dict[str, Any]:
        """Returns the parsed `chat_template_kwargs`."""
        return self.chat_template_kwargs if isinstance(self.chat_template_kwargs, dict) else {}

    @property
    def weights(self) -> str | None:
        """Returns a digest of the weights in a folder, see [`~reflection_trl.files.model_folder.weights_digest`]."""
        return None if self.chosen_backend == "endpoint" else weights_digest(self.model)

    @property
    def chosen_backend(self) -> str:
        """Returns the backend that `"auto"` selects on this machine."""
        if self.backend != "auto":
            return self.backend
        if self.base_url is not None:
            return "endpoint"
        if importlib.util.find_spec("vllm") is not None:
            import torch

            if torch.cuda.is_available():
                return "vllm"
        return "transformers"


Arguments = TypeVar("Arguments", bound=GenerationArguments)


def with_served_name(arguments: Arguments) -> Arguments:
    """
    Adds the name of the model to the arguments, queried from the server if only an address is given.

    Rows, cards and results then name the model, and a run can be resumed on another server.

    Args:
        arguments ([`GenerationArguments`]):
            Model and backend.

    Raises:
        [`GenerationError`]:
            If the server cannot be reached, or serves several models.
    """
    if arguments.model_name_or_path is not None or arguments.base_url is None:
        return arguments

    async def served_name() -> str:
        from .endpoint import EndpointGenerator

        server = EndpointGenerator(base_url=arguments.base_url, api_key_variable=arguments.api_key_variable)
        async with server as generate:
            return generate.model

    return replace(arguments, model_name_or_path=run_coroutine(served_name()))


def open_generator(arguments: GenerationArguments) -> AbstractAsyncContextManager[Generate]:
    """
    Creates the generator for the arguments: an asynchronous context manager with `model` and `usage`.

    Args:
        arguments ([`GenerationArguments`]):
            Model and backend.

    Raises:
        [`GenerationError`]: If the model is not available; the message gives the reason.
    """
    usage = Usage(max_requests=arguments.max_requests, max_tokens=arguments.max_total_tokens)
    backend = arguments.chosen_backend
    if backend == "endpoint":
        from .endpoint import EndpointGenerator

        return EndpointGenerator(
            arguments.model_name_or_path,
            base_url=arguments.base_url,
            api_key_variable=arguments.api_key_variable,
            max_concurrency=arguments.max_concurrency,
            requests_per_minute=arguments.requests_per_minute,
            chat_template_kwargs=arguments.template_variables,
            usage=usage,
        )
    try:
        check_model_folder(arguments.model)
    except ValueError as error:
        raise GenerationError(f"The model cannot be loaded: {error}") from error
    local: dict[str, Any] = {
        "revision": arguments.model_revision,
        "dtype": arguments.dtype,
        "max_context": arguments.max_context,
        "chat_template_kwargs": arguments.template_variables,
        "usage": usage,
    }
    if backend == "vllm":
        from .vllm import VLLMGenerator

        return VLLMGenerator(
            arguments.model,
            gpu_memory_utilization=arguments.gpu_memory_utilization,
            kv_cache_memory_bytes=arguments.kv_cache_memory_bytes,
            tensor_parallel_size=arguments.tensor_parallel_size,
            **local,
        )
    from .local import TransformersGenerator

    return TransformersGenerator(arguments.model, **local)
