"""Loads a causal language model, or an adapter with its base model, to run it."""

import json
from pathlib import Path
from typing import Any

from ..files.model_folder import needs_peft


def load_causal_lm(name: str, **options: Any) -> Any:
    """
    Loads a model or an adapter.

    Args:
        name (`str`):
            Folder or Hub id of a complete model, or of an adapter, whose base model is loaded too.
        **options:
            Arguments of `from_pretrained`, such as `revision`, `dtype` and `device_map`.

    Returns:
        [`~transformers.PreTrainedModel`]: The model, in which the layers of an adapter are active.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import find_adapter_config_file

    adapter = find_adapter_config_file(name, revision=options.get("revision"))
    if adapter is None or not needs_peft(json.loads(Path(adapter).read_text(encoding="utf-8"))):
        return AutoModelForCausalLM.from_pretrained(name, **options)
    from peft import AutoPeftModelForCausalLM

    return AutoPeftModelForCausalLM.from_pretrained(name, **options).get_base_model()
