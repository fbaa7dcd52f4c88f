"""Let one or several models answer a prompt, greedily, in the terminal.

    python recipes/answer.py out/smollm2-135m --prompt "Write a Python function that ..."
    python recipes/answer.py models/smollm2-135m-instruct out/smollm2-135m     (before and after)

A model is a folder, with a whole model or an adapter, or a Hub id.
"""

import argparse
import json
import sys
import time
from pathlib import Path


PROMPT = "Write a Python function `unique(items)` that removes duplicates from a list and keeps the order."


def answer(name, prompt, max_new_tokens, chat_template_kwargs):
    """Print the model's answer as it comes, and return the number of new tokens."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, TextStreamer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForCausalLM.from_pretrained(name, dtype="auto").to(device).eval()
    inputs = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
        **chat_template_kwargs,
    ).to(device)
    with torch.no_grad():
        output = model.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            streamer=TextStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True),
        )
    return output.shape[1] - inputs["input_ids"].shape[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--prompt", default=PROMPT, help="default: %(default)s")
    parser.add_argument("--max_new_tokens", type=int, default=300, help="default: %(default)s")
    parser.add_argument(
        "--chat_template_kwargs", type=json.loads, default={}, help="such as '{\"enable_thinking\": false}'"
    )
    args = parser.parse_args()
    print(f"Prompt: {args.prompt}", flush=True)
    for name in args.models:
        print(f"\n=== {name}", flush=True)
        start = time.monotonic()
        try:
            if Path(name).is_absolute() and not Path(name).is_dir():
                raise OSError(f"the model folder {name!r} does not exist.")
            tokens = answer(name, args.prompt, args.max_new_tokens, args.chat_template_kwargs)
        except (OSError, ValueError) as error:
            print(f"error: {name!r} cannot answer: {' '.join(str(error).split())}", file=sys.stderr)
            return 1
        cut = ", cut here by --max_new_tokens" if tokens >= args.max_new_tokens else ""
        print(f"--- {tokens} tokens{cut}, {time.monotonic() - start:.0f} s with loading")
    return 0


if __name__ == "__main__":
    sys.exit(main())
