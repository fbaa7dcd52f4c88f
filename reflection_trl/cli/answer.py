"""Answer a prompt greedily with one or several models, in the terminal.

    reflection-trl answer out/smollm2-135m --prompt "Write a Python function that ..."
    reflection-trl answer models/smollm2-135m-instruct out/smollm2-135m     (before and after training)

A model is a folder with a complete model or an adapter, or a Hub id.

    --prompt                the request [a function that removes duplicates]
    --max_new_tokens        maximum tokens of the answer [300]
    --chat_template_kwargs  variables for the chat template, such as '{"enable_thinking": false}'

Invalid input prints a one-line error and exits with status 1; set REFLECTION_TRL_DEBUG=1 for the traceback.
"""

import json
import time
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from ..files.rows import hub_fix
from ..quoting import quote_error
from .command_line import Parser, check_model_name, run_command


PROMPT = "Write a Python function `unique(items)` that removes duplicates from a list and keeps the order."


def answer(name: str, prompt: str, max_new_tokens: int, chat_template_kwargs: dict[str, Any]) -> int:
    """Prints the model's answer as it is generated, and returns the number of new tokens."""
    import torch
    from transformers import AutoTokenizer, BatchEncoding, TextStreamer
    from transformers.utils import logging

    from ..generation.loading import load_causal_lm

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(name)
    if tokenizer.chat_template is None:
        raise ValueError("its tokenizer has no chat template: use an instruct model.")
    model = load_causal_lm(name, dtype="auto", device_map=device).eval()
    inputs = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
        **chat_template_kwargs,
    )
    assert isinstance(inputs, BatchEncoding)  # with `return_dict`
    inputs = inputs.to(device)
    with torch.no_grad():
        output = model.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            streamer=TextStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True),
        )
    return output.shape[1] - inputs["input_ids"].shape[1]


def json_object(value: str) -> dict[str, Any]:
    try:
        content = json.loads(value)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ArgumentTypeError(f"{value!r} is not a JSON object; pass one such as '{{\"enable_thinking\": false}}'.")
    return content


def positive(value: str) -> int:
    if not value.isdecimal() or int(value) == 0:
        raise ArgumentTypeError(f"{value!r} is not a number of tokens; give 1, 2, 3, ...")
    return int(value)


def run(argv: list[str]) -> None:
    parser = Parser()
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--prompt", default=PROMPT)
    parser.add_argument("--max_new_tokens", type=positive, default=300)
    parser.add_argument("--chat_template_kwargs", type=json_object, default={})
    args = parser.parse(argv)
    for name in args.models:
        check_model_name(name)
    print(f"Prompt: {args.prompt}", flush=True)
    for name in args.models:
        print(f"\n=== {name}", flush=True)
        start = time.monotonic()
        try:
            tokens = answer(name, args.prompt, args.max_new_tokens, args.chat_template_kwargs)
        except (OSError, ValueError) as error:
            fix = "" if Path(name).is_dir() else f" {hub_fix()}"
            raise ValueError(f"{name!r} cannot answer: {quote_error(error)}.{fix}") from error
        cut = ", cut here by --max_new_tokens" if tokens >= args.max_new_tokens else ""
        print(f"--- {tokens} tokens{cut}, {time.monotonic() - start:.0f} s with loading")


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
