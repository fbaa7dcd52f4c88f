"""
What the online teacher knows before training: for answers of the initial model, the mean over tokens of

    log p_teacher(token) - log p_student(token) + KL(student, teacher)

in nats. For samples of the student its expectation is 0 over all answers to a prompt. On failed answers it is below 0, and on passing answers
above 0, if what the teacher reads tells it which tokens are wrong.

```
python tests/online/teacher_knowledge.py out/qwen2.5-coder-1.5b-online/rollouts/step-000000.jsonl --model Qwen/Qwen2.5-Coder-1.5B-Instruct
```
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from reflection_trl.online.judging import Outcome
from reflection_trl.online.teacher_context import Rollout, TeacherContext, passing_peers


CONTEXTS = {
    "a passing answer": {"show_feedback": False},
    "its feedback": {"show_peer": False},
    "both": {},
    "its feedback and the answer itself": {"show_peer": False, "show_attempt": True},
    "all three": {"show_attempt": True},
}


def read_groups(paths: list[Path]) -> Iterator[list[Rollout]]:
    """Yields the answers to one prompt of each group in the files of first batches."""
    for path in paths:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for _, group in groupby(rows, key=lambda row: row["group"]):
            yield [_read_rollout(row) for row in group]


def _read_rollout(row: dict[str, Any]) -> Rollout:
    *prompt, answer, output = row["messages"]
    passed = row["outcome"] == "passed"
    outcome = Outcome("none", text="") if passed else Outcome(row["outcome"], text=output["content"])
    return Rollout(prompt, answer["content"], outcome, row["problem_id"])


class Model:
    def __init__(self, name: str):
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer = AutoTokenizer.from_pretrained(name)
        self.model = AutoModelForCausalLM.from_pretrained(
            name, dtype=torch.float32 if device == "cpu" else torch.bfloat16
        )
        self.model.to(device).eval()

    @torch.no_grad()
    def log_probs(self, prompt: Any, answer: str, max_tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns log-probabilities `[tokens, vocabulary]` for the tokens of an answer, and the tokens."""
        text = self.tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        before = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        tokens = self.tokenizer(answer, add_special_tokens=False)["input_ids"][:max_tokens]
        ids = torch.tensor([before + tokens], device=self.model.device)
        logits = self.model(ids, logits_to_keep=len(tokens) + 1).logits[0, :-1]
        return torch.log_softmax(logits.float(), -1), ids[0, len(before) :]


def compare(student: torch.Tensor, teacher: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the teacher's log-probability minus the student's, and KL(student, teacher), for each token."""
    gap = (teacher - student).gather(1, tokens[:, None])[:, 0]
    return gap, (student.exp() * (student - teacher)).sum(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("rollouts", type=Path, nargs="+", help="files of first batches, sampled from MODEL")
    parser.add_argument("--model", required=True)
    parser.add_argument("--max_tokens", type=int, default=511, help="longer answers are truncated, and left out")
    arguments = parser.parse_args()
    model = Model(arguments.model)
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for group in read_groups(arguments.rollouts):
        for rollout, peers in zip(group, passing_peers(group, len(group)), strict=True):
            student, tokens = model.log_probs(rollout.prompt, rollout.completion, arguments.max_tokens + 1)
            if not 0 < len(tokens) <= arguments.max_tokens:
                continue
            if rollout.outcome.passed:
                states = ["passed"]
            else:
                states = ["failed" if peers else "failed, as did the whole group", f"failed: {rollout.outcome.kind}"]
            for name, settings in CONTEXTS.items():
                prompt = TeacherContext(**{"teach_passed": True, **settings}).build(rollout, peers)
                if prompt is None:
                    continue
                teacher, _ = model.log_probs(prompt, rollout.completion, arguments.max_tokens)
                gap, divergence = compare(student, teacher, tokens)
                for state in states:
                    found[name, state].append((gap.mean().item(), divergence.mean().item()))
    print("the teacher reads | answers | number | gap + KL, mean and standard error | gap | KL")
    for (name, state), values in sorted(found.items()):
        gaps, divergences = zip(*values, strict=True)
        sums = [sum(pair) for pair in values]
        error = stdev(sums) / len(sums) ** 0.5 if len(sums) > 1 else float("nan")
        print(
            f"{name} | {state} | {len(sums)} | {mean(sums):+.4f} ± {error:.4f} | {mean(gaps):+.4f} | {mean(divergences):.4f}"
        )


if __name__ == "__main__":
    main()
