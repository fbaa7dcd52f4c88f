"""Which model answers, and by what: the arguments that recipes share."""

import contextlib
import importlib.util
import json
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
    Arguments of [`open_generator`], as recipes take them.

    Raises:
        ValueError: If they do not say which model answers, or a value is out of its range.
    """

    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Model: a name on the Hub, a directory, or a name that the endpoint knows."}
    )
    model_revision: str | None = field(
        default=None, metadata={"help": "Commit, branch or tag of the model on the Hub."}
    )
    backend: str = field(
        default="auto",
        metadata={
            "help": f"Of {', '.join(BACKENDS)}. 'auto' takes the endpoint where --base_url is given, else vLLM where it is "
            "installed and there is a GPU, else transformers."
        },
    )
    base_url: str | None = field(
        default=None,
        metadata={
            "help": "OpenAI-compatible server, such as http://localhost:8000/v1. For --backend endpoint without it, the "
            "model is asked of an Inference Provider, with the Hub's token."
        },
    )
    api_key_variable: str | None = field(
        default=None,
        metadata={"help": "Environment variable that holds the server's key. Keys are taken no other way."},
    )
    max_concurrency: int = field(default=64, metadata={"help": "Requests in flight at an endpoint."})
    requests_per_minute: float | None = field(default=None, metadata={"help": "Rate limit of an endpoint."})
    max_requests: int | None = field(default=None, metadata={"help": "Budget: stop after so many requests."})
    max_total_tokens: int | None = field(
        default=None, metadata={"help": "Budget: stop after so many tokens, prompts and answers together."}
    )
    max_context: int | None = field(
        default=None, metadata={"help": "Longest prompt and answer together, in tokens; the model's own by default."}
    )
    chat_template_kwargs: dict[str, Any] | str | None = field(
        default=None,
        metadata={
            "help": "Further variables for the chat template, such as '{\"enable_thinking\": false}': those that the model was trained with."
        },
    )
    dtype: str = field(default="auto", metadata={"help": f"Of a local model's weights, one of {', '.join(DTYPES)}."})
    gpu_memory_utilization: float = field(default=0.9, metadata={"help": "Share of the GPU's memory that vLLM takes."})
    kv_cache_memory_bytes: int | None = field(
        default=None,
        metadata={
            "help": "Memory for vLLM's cache of keys and values, which it otherwise finds out; for several processes on one GPU, "
            "which would count each other's."
        },
    )
    tensor_parallel_size: int = field(
        default=1, metadata={"help": "GPUs that share one copy of the model, with vLLM."}
    )

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f"--backend {self.backend!r}: use one of {', '.join(BACKENDS)}.")
        if self.model_name_or_path is None and self.base_url is None:
            raise ValueError("Which model should answer? Give --model_name_or_path, or --base_url of a server.")
        if self.backend in ("vllm", "transformers") and self.base_url is not None:
            raise ValueError(f"--backend {self.backend} runs the model here, so it takes no --base_url.")
        if self.base_url is not None:
            address = urlsplit(self.base_url)
            if "@" in address.netloc:
                raise ValueError(
                    "--base_url holds a password: put the key into a variable and name it as --api_key_variable."
                )
            if address.scheme not in ("http", "https") or not address.netloc:
                raise ValueError(
                    f"--base_url {self.base_url!r} is no address: it looks like http://localhost:8000/v1."
                )
        if isinstance(self.chat_template_kwargs, str):
            with contextlib.suppress(ValueError):  # what is no JSON is no object either
                self.chat_template_kwargs = json.loads(self.chat_template_kwargs)
        if not isinstance(self.chat_template_kwargs, dict | None):
            raise ValueError(
                f"--chat_template_kwargs {self.chat_template_kwargs!r} is no JSON object; give one such as "
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
        """What answers: the model's name, or the server's address where none is given."""
        return self.model_name_or_path or str(self.base_url)

    @property
    def template_variables(self) -> dict[str, Any]:
        """`chat_template_kwargs`, read."""
        return self.chat_template_kwargs if isinstance(self.chat_template_kwargs, dict) else {}

    @property
    def weights(self) -> str | None:
        """Tells the weights of a model in a folder from others, as [`~reflection_trl.files.model_folder.weights_digest`] does."""
        return None if self.chosen_backend == "endpoint" else weights_digest(self.model)

    @property
    def chosen_backend(self) -> str:
        """Returns the backend that `"auto"` stands for on this machine."""
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
    Returns the arguments with the model's name, asked of the server where only its address is given.

    Rows, cards and results then name the model, and a run can be resumed when the server has moved.

    Args:
        arguments ([`GenerationArguments`]):
            Which model, and by what.

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
    Returns the generator that the arguments ask for: an asynchronous context manager, with `model` and `usage`.

    Args:
        arguments ([`GenerationArguments`]):
            Which model, and by what.

    Raises:
        [`GenerationError`]: If the model cannot be had; the sentence says why.
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
