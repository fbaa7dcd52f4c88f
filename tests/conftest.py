"""Tiny models, a tokenizer with a real chat template, and rows of every shape."""

import copy
import importlib.resources
import os
from pathlib import Path


# Before any Hugging Face import: no test may wait for a network
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# accelerate loads DeepSpeed where it is installed, which would say on stdout that it found no GPU
os.environ.setdefault("DS_ACCELERATOR", "cpu")
# Tiny models gain nothing from threads, and test workers and the processes that tests start would fight for them
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config


torch.set_num_threads(1)

# `quick` tries the same examples everywhere, so that what fails is what was changed; `--hypothesis-profile thorough` looks
# for new ones
hypothesis.settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True)
hypothesis.settings.register_profile("fast", max_examples=10, deadline=None, derandomize=True)
hypothesis.settings.register_profile("thorough", max_examples=1000, deadline=None)
hypothesis.settings.load_profile("quick")

# Reasons for which a test may skip on a machine that has all that Debian and PyPI offer: see `--only-known-skips`
KNOWN_SKIPS = (
    "needs a CUDA device",
    "MULTIPL_E_DIR names no folder",  # the files' license keeps them out of the repository
    "Swift needs `swiftc`",  # in no Debian package
    "HumanEvalPlus is not on this machine",  # it has to be downloaded
    "the time limit of the job ends it",  # a case of a table that one language does not have
)
EVALPLUS = Path(__file__).parent / "data" / "evalplus"
CORPUS = """def add(a, b):
    return a + b

Traceback (most recent call last):
  File "main.py", line 3, in <module>
AssertionError: expected 3, got 4
Write a Python function that solves the problem. Let me try, then run the asserts and repair the code.
for i in range(10): print(i, i * i); assert add(1, 2) == 3
user assistant system tool_response You are a helpful assistant.
"""


def pytest_make_parametrize_id(val, argname):
    # Compressed bytes hold the time: pytest-xdist refuses to run when its workers disagree on the names of the tests
    return argname if isinstance(val, bytes) else None


def pytest_addoption(parser):
    parser.addoption(
        "--only-known-skips", action="store_true", help="Fail when a test skips for a reason that KNOWN_SKIPS lacks."
    )


def unknown_skips(config):
    """Reasons and tests of the skips that `--only-known-skips` forbids."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or not config.getoption("--only-known-skips"):
        return []
    skipped = [
        (str(report.longrepr[2]).removeprefix("Skipped: "), report.nodeid)
        for report in reporter.stats.get("skipped", [])
    ]
    return [(reason, test) for reason, test in skipped if not reason.startswith(KNOWN_SKIPS)]


def pytest_sessionfinish(session, exitstatus):
    if exitstatus == 0 and unknown_skips(session.config):
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter, config):
    for reason, test in unknown_skips(config):
        terminalreporter.write_line(f"ERROR {test} must not skip here: {reason}", red=True)


def make_tokenizer(special_tokens, chat_template, **kwargs):
    """A byte-level BPE tokenizer, trained on a few lines, with a model family's special tokens and chat template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS.splitlines(keepends=True), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **kwargs)
    fast.chat_template = chat_template
    return fast


def trl_template(name):
    """A chat template as published with its model, from the installed TRL."""
    return importlib.resources.files("trl").joinpath(f"chat_templates/{name}.jinja").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def tokenizer():
    return make_tokenizer(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        trl_template("qwen2_5"),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )


def tiny_config(**overrides):
    settings = {
        "vocab_size": 512,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": 0.2,  # predictions that differ from each other, unlike those of the usual initialization
    }
    return Qwen2Config(**(settings | overrides))


@pytest.fixture(scope="session")
def make_model():
    def make(config=None, seed=0, **kwargs):
        torch.manual_seed(seed)
        config = copy.deepcopy(config or tiny_config())  # the model keeps it, and TRL changes it
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32, **kwargs)

    return make


def reflection_row(number=0, rounds=2):
    """A reflection row with `rounds` attempts; contents differ by `number`."""
    messages = [{"role": "user", "content": f"Solve problem {number}, run the asserts and repair the code."}]
    for attempt in range(rounds):
        code = f"def f{number}(a):\n    return a + {attempt}\n\nassert f{number}(1) == {rounds}"
        messages.append({"role": "assistant", "content": f"Let me try {attempt}.\n```python\n{code}\n```"})
        failed = attempt < rounds - 1
        messages.append({"role": "tool", "content": f"AssertionError: got {attempt + 1}" if failed else "(no output)"})
    messages += [
        {"role": "assistant", "content": "The asserts pass."},
        {"role": "user", "content": f"Write a function f{number} for problem {number}."},
        {"role": "assistant", "content": f"```python\ndef f{number}(a):\n    return a + {rounds - 1}\n```"},
    ]
    return {"messages": messages, "type": "reflection"}


def generation_row(number=0):
    """A plain instruction row."""
    return {
        "messages": [
            {"role": "user", "content": f"Print the numbers up to {number}."},
            {"role": "assistant", "content": f"```python\nfor i in range({number}): print(i)\n```"},
        ],
        "type": "generation",
    }


def rows_of_both_types():
    """Rows of both types and several lengths."""
    rows = [reflection_row(i, rounds=1 + i % 3) for i in range(6)]
    return [*rows[:3], generation_row(3), *rows[3:], generation_row(11)]


@pytest.fixture
def mixed_rows():
    return rows_of_both_types()


@pytest.fixture(scope="session")
def evalplus_cache(tmp_path_factory):
    """One folder for all workers of a session: expected outputs are made once."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "evalplus"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def small_benchmarks(monkeypatch, evalplus_cache):
    """HumanEval+ and MBPP+ with eight tasks each, and evalplus's cache in a folder of the tests' own."""
    evalplus = pytest.importorskip("evalplus.data")
    monkeypatch.setattr(evalplus.humaneval, "HUMANEVAL_OVERRIDE_PATH", str(EVALPLUS / "humaneval.jsonl"))
    monkeypatch.setattr(evalplus.mbpp, "MBPP_OVERRIDE_PATH", str(EVALPLUS / "mbpp.jsonl"))
    monkeypatch.setattr(evalplus.utils, "CACHE_DIR", str(evalplus_cache))
    return evalplus
