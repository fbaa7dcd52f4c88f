"""Names the base model of an adapter, lists the adapter's settings, and merges both into one model."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard
from peft import AutoPeftModelForCausalLM, PeftConfig, PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import AutoTokenizer, GenerationConfig


# The folder of a model in the Hub's cache: models--ORG--NAME/snapshots/COMMIT
_CACHED = re.compile(r"models--(?P<org>[^/\\]+?)--(?P<name>[^/\\]+)[/\\]snapshots[/\\](?P<commit>[0-9a-f]{40})[/\\]?$")
# Fields of a PEFT configuration that describe its origin, not the training
_NO_SETTINGS = {"base_model_name_or_path", "revision", "task_type", "inference_mode", "auto_mapping", "peft_version"}
# Fields that change neither the parameters of an adapter nor its function
_NO_SHAPE = _NO_SETTINGS | {"init_lora_weights", "init_weights", "lora_dropout", "module_dropout", "runtime_config"}
# LoRA settings that the card always lists, even with default values
_ALWAYS = ("r", "lora_alpha", "lora_dropout", "target_modules")


def hub_id(name: str | None) -> str | None:
    """
    Returns the Hub id of a model.

    Args:
        name (`str` or `None`):
            Name with which the model was loaded: a Hub id, or a folder.

    Returns:
        `str`, *optional*: The id. For a folder in the Hub's cache, the id of its repository; `None` for other folders.
    """
    if not name or not Path(name).is_dir():
        return name or None
    cached = _CACHED.search(str(Path(name)))
    return f"{cached['org']}/{cached['name']}" if cached else None


def origin_id(name: str | None) -> str | None:
    """
    Returns the Hub id of a model, or of the base model that the model card of a folder names.

    Args:
        name (`str` or `None`):
            Hub id or folder.

    Returns:
        `str`, *optional*: The id; `None` if it is unknown.
    """
    known = hub_id(name)
    if known or not name:
        return known
    card = Path(name) / "README.md"
    try:
        base = ModelCard.load(card).data.get("base_model") if card.is_file() else None
    except (yaml.YAMLError, ValueError, OSError):  # a card without metadata, or with unreadable metadata
        return None
    base = base[0] if isinstance(base, list) and len(base) == 1 else base
    return base if isinstance(base, str) and not Path(base).is_dir() else None


def name_base_model(model: PeftModel, revision: str | None = None) -> None:
    """
    Writes the base model into an adapter's configuration so that others can load it: the revision, and the Hub id if
    the model was loaded from the Hub's cache.

    Args:
        model ([`~peft.PeftModel`]):
            Model with an adapter.
        revision (`str`, *optional*):
            Revision of the base model.
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
    Returns a warning that nobody else can load an adapter whose base model is a local folder.

    Args:
        model ([`~peft.PeftModel`]):
            Model with an adapter.

    Returns:
        `str`, *optional*: The warning; `None` if the base model has a Hub id.
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
    Returns the settings of an adapter for its model card.

    Args:
        config ([`~peft.PeftConfig`]):
            Configuration of the adapter.

    Returns:
        `dict[str, Any]`: The type, and all settings that differ from their defaults. For LoRA also rank, alpha,
        dropout and targets.
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


def adapter_shape(config: PeftConfig) -> dict[str, Any]:
    """
    Returns the settings of an adapter that its saved parameters depend on.

    Args:
        config ([`~peft.PeftConfig`]):
            Configuration of the adapter.

    Returns:
        `dict[str, Any]`: Settings in the form of [`comparable`].
    """
    return {name: comparable(value) for name, value in config.to_dict().items() if name not in _NO_SHAPE}


def comparable(value: Any) -> Any:
    """
    Returns a setting of an adapter in a form that does not depend on whether it was read from a file.

    Args:
        value (`Any`):
            Setting.
    """
    value = json.loads(json.dumps(value, default=list))
    return sorted(value, key=str) if isinstance(value, list) else value


def merge_adapter(
    adapter: str,
    output_dir: str,
    generation_config: GenerationConfig | None = None,
    trust_remote_code: bool = False,
) -> None:
    """
    Merges an adapter into the weights of its base model, and saves a model that does not need `peft`.

    The base model is loaded again in its published data type, so an adapter that was trained on quantized weights is
    merged into unquantized ones. The complete model must fit into main memory.

    Args:
        adapter (`str`):
            Folder of the adapter, with its tokenizer.
        output_dir (`str`):
            Folder of the merged model.
        generation_config ([`~transformers.GenerationConfig`], *optional*):
            Defines the end of an answer; by default that of the base model.
        trust_remote_code (`bool`, *optional*, defaults to `False`):
            Whether to run code of the model's repository.
    """
    model = AutoPeftModelForCausalLM.from_pretrained(adapter, dtype="auto", trust_remote_code=trust_remote_code)
    _untie_adapted_embeddings(model.get_base_model())
    merged: Any = model.merge_and_unload()
    if generation_config is not None:
        merged.generation_config = generation_config
    merged.save_pretrained(output_dir)
    AutoTokenizer.from_pretrained(adapter, trust_remote_code=trust_remote_code).save_pretrained(output_dir)


def _untie_adapted_embeddings(model: Any) -> None:
    # An adapter of the input embeddings does not change a head that shares their weight, but merged, it would
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    if isinstance(embeddings, BaseTunerLayer) and head.weight is embeddings.weight:
        head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)
        model.config.get_text_config().tie_word_embeddings = model.config.tie_word_embeddings = False
