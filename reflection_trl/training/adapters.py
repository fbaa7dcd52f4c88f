"""An adapter and the model that it belongs to: what others need to load it, its settings, and both merged into one model."""

import re
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard
from peft import AutoPeftModelForCausalLM, PeftConfig, PeftModel
from transformers import AutoTokenizer, GenerationConfig


# The folder of a model in the Hub's cache: models--ORG--NAME/snapshots/COMMIT
_CACHED = re.compile(r"models--(?P<org>[^/\\]+?)--(?P<name>[^/\\]+)[/\\]snapshots[/\\](?P<commit>[0-9a-f]{40})[/\\]?$")
# Fields of a PEFT configuration that say where it is from, and not what was trained
_NO_SETTINGS = {"base_model_name_or_path", "revision", "task_type", "inference_mode", "auto_mapping", "peft_version"}
# Settings of LoRA that readers look for, also where they are the defaults
_ALWAYS = ("r", "lora_alpha", "lora_dropout", "target_modules")


def hub_id(name: str | None) -> str | None:
    """
    Returns the Hub id of a model.

    Args:
        name (`str`, *optional*):
            What the model was loaded by: a Hub id, or a folder.

    Returns:
        `str`, *optional*: The id; that of the Hub's cache for a folder in it. `None` for other folders.
    """
    if not name or not Path(name).is_dir():
        return name or None
    cached = _CACHED.search(str(Path(name)))
    return f"{cached['org']}/{cached['name']}" if cached else None


def origin_id(name: str | None) -> str | None:
    """
    Returns the Hub id of a model, or of the one that it was made from, where it is a folder whose model card names that.

    Args:
        name (`str`, *optional*):
            Hub id or folder.

    Returns:
        `str`, *optional*: The id; `None` where none is known.
    """
    known = hub_id(name)
    if known or not name:
        return known
    card = Path(name) / "README.md"
    try:
        base = ModelCard.load(card).data.get("base_model") if card.is_file() else None
    except (yaml.YAMLError, ValueError, OSError):  # a card without metadata, or with metadata that cannot be read
        return None
    base = base[0] if isinstance(base, list) and len(base) == 1 else base
    return base if isinstance(base, str) and not Path(base).is_dir() else None


def name_base_model(model: PeftModel, revision: str | None = None) -> None:
    """
    Writes into an adapter's configuration which model it belongs to, so that others can load it: the Hub id where the model was loaded from
    the Hub's cache, and the revision.

    Args:
        model ([`~peft.PeftModel`]):
            Model with an adapter.
        revision (`str`, *optional*):
            Revision that the base model was loaded from.
    """
    config = model.active_peft_config
    base = config.base_model_name_or_path
    if base and Path(base).is_dir() and hub_id(base) is not None:
        config.base_model_name_or_path = hub_id(base)
        cached = _CACHED.search(str(Path(base)))
        revision = revision or (cached["commit"] if cached else None)
    if revision is not None:
        config.revision = revision


def private_base_warning(model: PeftModel) -> str | None:
    """
    Says that nobody else can load an adapter whose base model is a folder of this machine.

    Args:
        model ([`~peft.PeftModel`]):
            Model with an adapter.

    Returns:
        `str`, *optional*: The warning; `None` where the base model has a Hub id.
    """
    base = model.active_peft_config.base_model_name_or_path
    if not base or hub_id(base) is not None:
        return None
    origin = origin_id(base)
    made_from = f" (made from {origin}, as its card says)" if origin else ""
    return (
        f"The adapter's base model is the folder {base!r}{made_from}, which nobody else has, so nobody else can load the adapter from the "
        f"Hub; train on {origin or 'a Hub id'}, or publish the base model and put its id into `base_model_name_or_path` of "
        f"adapter_config.json, or publish the merged model (`--merge`)."
    )


def adapter_settings(config: PeftConfig) -> dict[str, Any]:
    """
    Returns the settings of an adapter, as its model card lists them.

    Args:
        config ([`~peft.PeftConfig`]):
            Configuration of the adapter.

    Returns:
        `dict[str, Any]`: Its type, and all settings that differ from their defaults; of LoRA also rank, alpha, dropout and targets.
    """
    settings, defaults = config.to_dict(), type(config)().to_dict()
    kept = {
        name: value
        for name, value in settings.items()
        if name not in _NO_SETTINGS | {"peft_type"}
        and (name in _ALWAYS or (value != defaults.get(name) and value not in (None, {}, [], set())))
    }
    named = {"peft_type": settings["peft_type"], **{name: kept.pop(name) for name in _ALWAYS if name in kept}, **kept}
    return {name: sorted(value) if isinstance(value, set) else value for name, value in named.items()}


def merge_adapter(
    adapter: str,
    output_dir: str,
    generation_config: GenerationConfig | None = None,
    trust_remote_code: bool = False,
) -> None:
    """
    Adds an adapter to the weights of its base model, and saves the result as a model that needs no `peft`.

    The base model is read again, in the type that it was published in: an adapter that was trained on quantized weights is merged into
    whole ones. All of it is held in main memory.

    Args:
        adapter (`str`):
            Folder of the adapter, with its tokenizer.
        output_dir (`str`):
            Folder of the merged model.
        generation_config ([`~transformers.GenerationConfig`], *optional*):
            What ends an answer; that of the base model by default.
        trust_remote_code (`bool`, *optional*, defaults to `False`):
            Whether code that comes with the model is run.
    """
    model = AutoPeftModelForCausalLM.from_pretrained(adapter, dtype="auto", trust_remote_code=trust_remote_code)
    merged: Any = model.merge_and_unload()
    if generation_config is not None:
        merged.generation_config = generation_config
    merged.save_pretrained(output_dir)
    AutoTokenizer.from_pretrained(adapter, trust_remote_code=trust_remote_code).save_pretrained(output_dir)
