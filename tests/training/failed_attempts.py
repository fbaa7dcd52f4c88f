"""
Whether a model should also be trained on the failed attempts of a row: trains SmolLM2-135M-Instruct with LoRA on rows with a
repair, and compares what it then expects as the answer to held-out requests.

```
reflection-trl embedded-model models/smollm2-135m-instruct
python tests/training/failed_attempts.py true failed-true.json
python tests/training/failed_attempts.py false failed-false.json
python tests/training/failed_attempts.py compare failed-true.json failed-false.json
```
"""

import json
import random
import statistics
import sys
import tempfile
from pathlib import Path

import torch
from datasets import Dataset, load_dataset
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reflection_trl import ReflectionDistillConfig, ReflectionDistillTrainer
from reflection_trl.answers import read_answer


MODEL = "models/smollm2-135m-instruct"
ROWS, HELD_OUT, LONGEST = 24, 50, 6000  # rows, problems, characters of a row
TEXTS = ("first_program", "last_program", "answer")


def program(text: str) -> str:
    """Returns the program of an attempt as an answer, without its tests."""
    lines = read_answer(text, "python").code.splitlines()
    end = next((i for i, line in enumerate(lines) if line.startswith(("assert", "print("))), len(lines))
    return "```python\n" + "\n".join(lines[:end]).strip() + "\n```"


def load() -> tuple[list[dict], list[dict[str, str]]]:
    """Returns rows for training, and the requests of other problems with what may be answered to them."""
    rows = load_dataset("parquet", data_files="recipes/study/rows.parquet", split="train")
    rows = [row for row in rows if row["repaired"] and sum(len(m["content"]) for m in row["messages"]) < LONGEST]
    problems = sorted({row["problem_id"] for row in rows})
    random.Random(0).shuffle(problems)
    held_out = {}
    for row in rows:
        if row["problem_id"] in problems[:HELD_OUT]:
            turns = [message["content"] for message in row["messages"] if message["role"] == "assistant"]
            attempts = [turn for turn in turns[:-1] if "```" in turn]
            texts = program(attempts[0]), program(attempts[-1]), turns[-1]
            held_out.setdefault(
                row["problem_id"], {"request": row["messages"][-2]["content"], **dict(zip(TEXTS, texts, strict=True))}
            )
    training = [row for row in rows if row["problem_id"] not in held_out]
    random.Random(0).shuffle(training)
    return training[:ROWS], [*held_out.values()]


@torch.no_grad()
def log_probability(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, request: str, text: str
) -> tuple[float, int]:
    """Returns the log-probability of a text as the answer to a request, and its number of tokens."""
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": request}], tokenize=False, add_generation_prompt=True
    )
    start = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    ids = torch.tensor([tokenizer(f"{prompt}{text}{tokenizer.eos_token}", add_special_tokens=False)["input_ids"]])
    log_probs = model(ids).logits[0, start - 1 : -1].log_softmax(-1)
    return log_probs.gather(-1, ids[0, start:, None]).sum().item(), ids.shape[1] - start


def train(on_failed: bool, file: str) -> None:
    rows, held_out = load()
    data = Dataset.from_list([{"type": "reflection", "messages": row["messages"]} for row in rows])
    with tempfile.TemporaryDirectory() as folder:
        args = ReflectionDistillConfig(
            folder,
            train_on_failed_attempts=on_failed,
            learning_rate=1e-3,
            lr_scheduler_type="cosine",
            num_train_epochs=1,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=4,
            max_length=2048,
            activation_checkpointing=False,
            save_strategy="no",
            report_to="none",
            bf16=False,
            use_cpu=True,
        )
        lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear")
        trainer = ReflectionDistillTrainer(MODEL, args, train_dataset=data, peft_config=lora)
        trainer.train()
        model = trainer.model.eval()
        found = [
            {name: log_probability(model, trainer.processing_class, one["request"], one[name]) for name in TEXTS}
            for one in held_out
        ]
    Path(file).write_text(json.dumps(found))


def compare(with_failed: str, without: str) -> None:
    """Prints the losses per token of both models, and the differences with 95 % intervals of a bootstrap over problems."""
    first, second = (json.loads(Path(file).read_text()) for file in (with_failed, without))
    values = {f"loss of {name}": lambda one, name=name: -one[name][0] / one[name][1] for name in TEXTS}
    values["log-probability of last_program less first_program"] = lambda one: (
        one["last_program"][0] - one["first_program"][0]
    )
    for name, value in values.items():
        pairs = [(value(one), value(other)) for one, other in zip(first, second, strict=True)]
        differences = [other - one for one, other in pairs]
        generator = random.Random(0)
        means = sorted(statistics.mean(generator.choices(differences, k=len(differences))) for _ in range(10_000))
        both = [statistics.mean(one) for one in zip(*pairs, strict=True)]
        print(
            f"{name}: true {both[0]:.4f}, false {both[1]:.4f}, difference {both[1] - both[0]:+.4f} [{means[250]:+.4f}, {means[9749]:+.4f}]"
        )


if __name__ == "__main__":
    command, *files = sys.argv[1:]
    if command == "compare":
        compare(*files)
    else:
        train(command == "true", files[0])
