"""Validates model names and local folders before anything is loaded or downloaded."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


# Training changes weights everywhere, so a sample of them suffices; all of them can be a hundred gigabytes
_PIECES, _PIECE_BYTES = 64, 4096


def check_model_folder(name: str | os.PathLike[str]) -> None:
    """
    Rejects a local folder that contains no model. Names that may be Hub ids pass.

    Args:
        name (`str` or `PathLike`):
            Folder or Hub id.

    Raises:
        ValueError: If the folder does not exist, or contains neither a model nor an adapter with its base model.
    """
    name = os.fspath(name)
    folder = Path(name)
    if folder.is_file():
        raise ValueError(f"The model {name!r} is a file; give the folder that contains it, or a Hub id.")
    if not folder.is_dir():
        check_exists("model folder", name)
        return
    adapter = folder / "adapter_config.json"
    if adapter.is_file():
        try:
            base = json.loads(adapter.read_text(encoding="utf-8"))["base_model_name_or_path"]
        except (ValueError, LookupError, TypeError):
            return
        if base is not None and is_path(base) and not Path(base).exists():
            raise ValueError(
                f"The adapter in {name!r} was trained on {base!r}, which does not exist here; put that model back, or write "
                f"its location into `base_model_name_or_path` of {adapter}."
            )
    elif not (folder / "config.json").is_file():
        checkpoints = sorted(folder.glob("checkpoint-*[0-9]"), key=lambda one: int(one.name.rpartition("-")[2]))
        fix = (
            f"did you mean {str(checkpoints[-1])!r}?"
            if checkpoints
            else "give the folder that contains a config.json."
        )
        raise ValueError(f"There is no model in the folder {name!r}; {fix}")


def needs_peft(adapter: Mapping[str, Any]) -> bool:
    """
    Returns whether an adapter must be loaded with PEFT.

    `AutoModelForCausalLM` loads the magnitudes of DoRA under a name that PEFT does not use, so they stay at their initial values. It rejects
    some other adapters.

    Args:
        adapter (`Mapping[str, Any]`):
            Settings in its adapter_config.json.
    """
    return adapter.get("peft_type") != "LORA" or bool(adapter.get("use_dora"))


def weights_digest(name: str | os.PathLike[str]) -> str | None:
    """
    Returns a digest that distinguishes the weights of a folder from others, computed from samples of them.

    Args:
        name (`str` or `PathLike`):
            Folder or Hub id.

    Returns:
        `str`, *optional*: `None` if there are no weights on this machine.
    """
    # Not training_args.bin, which remains when weights are deleted
    files = sorted(Path(name).glob("*.safetensors")) or sorted(Path(name).glob("*model*.bin"))
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with open(path, "rb") as file:
            for piece in range(_PIECES):
                file.seek(max(0, size - _PIECE_BYTES) * piece // (_PIECES - 1))
                digest.update(file.read(_PIECE_BYTES))
    return digest.hexdigest()[:16] if files else None


def check_exists(what: str, name: str) -> None:
    """
    Rejects a path that does not exist. Names that may be Hub ids pass.

    Args:
        what (`str`):
            The word for it in the error message.
        name (`str`):
            Path or Hub id.
    """
    if is_path(name) and not Path(name).exists():
        where = "" if Path(name).is_absolute() else f"; paths start from {os.getcwd()}"
        where = "; `~` is not resolved here, so write the path in full" if name.startswith("~") else where
        raise ValueError(f"The {what} {name!r} does not exist{where}.")


def is_path(name: str) -> bool:
    """
    Returns whether a name can only be a path. A Hub id has at most one slash, and no namespace is called `models` or
    `out`.
    """
    path = Path(name)
    looks_local = path.is_absolute() or name.startswith((".", "~", "models/", "out/")) or name.count("/") > 1
    return looks_local or (name.count("/") == 1 and path.parent.is_dir())
