"""
A world in which the right behavior is known: one letter of eight passes, and the feedback names it.

The model is a tiny one that has learned two things beforehand: to answer a request with any of the letters, and to answer it with
the letter that feedback names, where there is any. What online training has to add is the right letter without feedback.
"""

import copy
import dataclasses

import torch

from reflection_trl import OnlineReflectionDistillConfig, OnlineReflectionDistillTrainer, load_problems_for_rl
from reflection_trl.online.judging import Outcome
from reflection_trl.online.rewards import ExecutionReward
from reflection_trl.online.teacher_context import Rollout, TeacherContext
from reflection_trl.problems import Problem


LETTERS = "abcdefgh"
PROBLEMS = [Problem("first", "Which letter is it?", tests="c"), Problem("second", "And which is it here?", tests="f")]

AGAIN = [dataclasses.replace(problem, id=f"{problem.id} again") for problem in PROBLEMS]
SETTINGS = {
    "per_device_train_batch_size": 16,
    "num_generations": 8,
    "max_completion_length": 2,
    "report_to": "none",
    "use_cpu": True,
    "bf16": False,
    "activation_checkpointing": False,
    "disable_tqdm": True,
    "save_strategy": "no",
    "learning_rate": 5e-3,
    "lr_scheduler_type": "constant",
}


class ScriptedJudge:
    """Says which letter was expected, without running anything."""

    def __init__(self):
        self.calls = 0

    def open(self):
        pass

    def judge(self, problems, texts):
        self.calls += 1
        return [outcome(problem.tests, text) for problem, text in zip(problems, texts, strict=True)]


def outcome(expected, text):
    said = text.strip()[:1]
    if said == expected:
        return Outcome("none", 1.0, code=text, well_formed=True)
    return Outcome("assertion", 0.0, f"Expected: {expected}", text, True)


def scripted_reward():
    return ExecutionReward(ScriptedJudge())


def pretrain(model, tokenizer, steps=400):
    """Teaches a model the two things that it has to know."""
    generator = torch.Generator().manual_seed(0)
    context = TeacherContext(show_peer=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    eos = tokenizer.eos_token_id
    letter_ids = {letter: tokenizer(letter)["input_ids"][0] for letter in LETTERS}
    for _ in range(steps):
        rows = []
        for _ in range(16):
            problem = PROBLEMS[torch.randint(2, (1,), generator=generator).item()]
            named, said = (LETTERS[i] for i in torch.randint(8, (2,), generator=generator).tolist())
            prompt = problem.instruction
            if torch.rand(1, generator=generator).item() < 0.6:
                prompt, said = context.build(Rollout(prompt, "-", outcome(named, "-")), []), named
            rows.append((tokenizer(prompt)["input_ids"], [letter_ids[said], eos]))
        length = max(len(prompt) + len(answer) for prompt, answer in rows)
        ids = torch.zeros(len(rows), length, dtype=torch.long)
        labels = torch.full_like(ids, -100)
        for number, (prompt, answer) in enumerate(rows):
            end = len(prompt) + len(answer)
            ids[number, :end] = torch.tensor(prompt + answer)
            labels[number, len(prompt) : end] = torch.tensor(answer)
        mask = (torch.arange(length) < torch.tensor([[len(p) + len(a)] for p, a in rows])).long()
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return loss.item()


@torch.no_grad()
def solve_rates(model, tokenizer):
    """The probability of the right letter, for each problem."""
    rates = []
    for problem in PROBLEMS:
        logits = model(input_ids=torch.tensor([tokenizer(problem.instruction)["input_ids"]])).logits[0, -1]
        rates.append(logits.softmax(-1)[tokenizer(problem.tests)["input_ids"][0]].item())
    return rates


def make_trainer(guesser, tokenizer, folder, reward=None, eval_dataset=None, is_stream=False, **settings):
    rows = load_problems_for_rl([*PROBLEMS, *AGAIN], conversational=False)
    return OnlineReflectionDistillTrainer(
        copy.deepcopy(guesser),
        reward_funcs=reward or scripted_reward(),
        args=OnlineReflectionDistillConfig(str(folder), **(SETTINGS | settings)),
        train_dataset=rows.to_iterable_dataset() if is_stream else rows,
        eval_dataset=eval_dataset,
        processing_class=tokenizer,
    )
