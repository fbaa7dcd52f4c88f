"""The online loss and its gradients against a slow obvious reference that holds all logits."""

import math

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional as F
from trl import GRPOTrainer

from reflection_trl import (
    OnlineReflectionDistillConfig,
    OnlineReflectionDistillTrainer,
    execution_reward,
    load_problems_for_rl,
)
from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.languages.execution import Run

from .conftest import ADD, SAT


LORA = LoraConfig(r=4, target_modules=["q_proj", "up_proj", "down_proj"], init_lora_weights=False)


async def never(*args, **kwargs):
    return Run(Feedback(FeedbackKind.NONE, ""))


def make_trainer(make_model, tokenizer, tmp_path, peft_config=None, **settings):
    settings = {
        "per_device_train_batch_size": 4,
        "num_generations": 2,
        "max_completion_length": 8,
        "max_steps": 4,
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
        "disable_tqdm": True,
        "save_strategy": "no",
        "learning_rate": 1e-2,
        **settings,
    }
    trainer = OnlineReflectionDistillTrainer(
        make_model(),
        reward_funcs=execution_reward(execute=never),
        args=OnlineReflectionDistillConfig(str(tmp_path), **settings),
        train_dataset=load_problems_for_rl([ADD, SAT]),
        processing_class=tokenizer,
        peft_config=peft_config,
    )
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    trainer.model.train()
    return trainer


# Two prompts, answers of different lengths, of which the first and the last are taught
PROMPTS = [[5, 6, 7, 8], [5, 6, 7, 8], [9, 10], [9, 10]]
ANSWERS = [[20, 21, 22, 2], [30, 31, 2], [40, 41, 42, 43, 44], [50, 51]]
CONTEXTS = [[5, 6, 7, 8, 100, 101, 102], [], [], [9, 10, 110]]
ADVANTAGES = [-1.0, 1.0, 0.5, -0.25]


def make_inputs(contexts=CONTEXTS, tool_mask=None, masked=()):
    longest = max(map(len, PROMPTS)), max(map(len, ANSWERS))
    left = [[0] * (longest[0] - len(p)) + p for p in PROMPTS]
    right = [a + [0] * (longest[1] - len(a)) for a in ANSWERS]
    inputs = {
        "prompt_ids": torch.tensor(left),
        "prompt_mask": torch.tensor([[int(x > 0) for x in row] for row in left]),
        "completion_ids": torch.tensor(right),
        "completion_mask": torch.tensor(
            [[int(x > 0 and number not in masked) for x in row] for number, row in enumerate(right)]
        ),
        "advantages": torch.tensor(ADVANTAGES),
        "teacher_prompt_ids": contexts,
    }
    if tool_mask is not None:
        inputs["tool_mask"] = tool_mask
    loss_mask = inputs["completion_mask"] * (tool_mask if tool_mask is not None else 1)
    inputs["num_items_in_batch"] = loss_mask.sum().float()
    return inputs


def log_probs_of(model, prompt, answer, temperature=1.0):
    """Log-probabilities over the vocabulary where each token of the answer is predicted, from whole logits."""
    logits = model(input_ids=torch.tensor([prompt + answer])).logits[0]
    return F.log_softmax(logits[len(prompt) - 1 : len(prompt) + len(answer) - 1] / temperature, dim=-1)


def divergence(teacher, student, beta):
    p, q = teacher.exp(), student.exp()
    if beta == 0:
        return (p * (teacher - student)).sum(-1)
    if beta == 1:
        return (q * (student - teacher)).sum(-1)
    m = (beta * p + (1 - beta) * q).log()
    return beta * (p * (teacher - m)).sum(-1) + (1 - beta) * (q * (student - m)).sum(-1)


def reference_loss(student, teacher, inputs, weight, beta, temperature=1.0):
    """`student(prompt, answer)` and `teacher(...)` give log-probabilities; answers are drawn by this very policy."""
    policy, distilled, tokens = 0.0, 0.0, 0.0
    for number, (prompt, answer) in enumerate(zip(PROMPTS, ANSWERS, strict=True)):
        for place, token in enumerate(answer):
            if not inputs["completion_mask"][number, place] or (
                "tool_mask" in inputs and not inputs["tool_mask"][number, place]
            ):
                continue
            tokens += 1
            own = student(prompt, answer)[place, token]
            policy -= (own - own.detach()).exp() * ADVANTAGES[number]
            if inputs["teacher_prompt_ids"][number]:
                with torch.no_grad():
                    other = teacher(inputs["teacher_prompt_ids"][number], answer, temperature)[place]
                distilled += divergence(other, student(prompt, answer, temperature)[place], beta)
    return (1 - weight) * policy / tokens + weight * distilled / tokens


def gradients(model):
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return found


def check(trainer, inputs, expected, model=None):
    """Loss and gradients of the trainer are those of the reference."""
    model = trainer.model
    loss = trainer._compute_loss(model, inputs)
    loss.backward()
    got = gradients(model)
    reference = expected()
    reference.backward()
    wanted = gradients(model)
    assert loss.item() == pytest.approx(reference.item(), rel=1e-4, abs=1e-6)
    assert set(got) == set(wanted)
    for name in wanted:
        torch.testing.assert_close(got[name], wanted[name], rtol=1e-3, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")
    assert max(g.abs().max() for g in wanted.values()) > 1e-4


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("peft_config", [None, LORA], ids=["full", "lora"])
def test_loss_and_gradients_are_those_of_the_reference(make_model, tokenizer, tmp_path, weight, beta, peft_config):
    trainer = make_trainer(
        make_model, tokenizer, tmp_path, peft_config, distillation_weight=weight, distillation_beta=beta, teacher="live",
        distillation_temperature=1.5,
    )  # fmt: skip

    def student(prompt, answer, temperature=1.0):
        return log_probs_of(trainer.model, prompt, answer, temperature)

    inputs = make_inputs()
    check(trainer, inputs, lambda: reference_loss(student, student, inputs, weight, beta, 1.5))


@pytest.mark.parametrize("kind", ["tools", "truncated"])
def test_masked_tokens_count_for_nothing(make_model, tokenizer, tmp_path, kind):
    trainer = make_trainer(make_model, tokenizer, tmp_path, distillation_weight=0.5, teacher="live")
    tool_mask = None
    if kind == "tools":
        tool_mask = torch.ones(4, 5, dtype=torch.long)
        tool_mask[0, 0] = tool_mask[0, 1] = tool_mask[2, 0] = 0
    inputs = make_inputs(tool_mask=tool_mask, masked=(3,) if kind == "truncated" else ())

    def student(prompt, answer, temperature=1.0):
        return log_probs_of(trainer.model, prompt, answer, temperature)

    check(trainer, inputs, lambda: reference_loss(student, student, inputs, 0.5, 1.0))


def moved(model, amount=0.05):
    """Moves the trained weights, so that the model is no longer its teacher."""
    with torch.no_grad():
        for number, parameter in enumerate(p for p in model.parameters() if p.requires_grad):
            torch.manual_seed(number)
            parameter.add_(amount * torch.randn_like(parameter))


@pytest.mark.parametrize("peft_config", [None, LORA], ids=["full", "lora"])
@pytest.mark.parametrize("kind", ["base", "ema", "trust-region"])
def test_teachers_other_than_the_live_model(make_model, tokenizer, tmp_path, kind, peft_config):
    trainer = make_trainer(
        make_model, tokenizer, tmp_path, peft_config, distillation_weight=0.5, teacher=kind, teacher_update_rate=0.25,
        trust_region_weight=0.3,
    )  # fmt: skip
    start = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    moved(trainer.model)
    live = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    if kind == "ema":
        (callback,) = (c for c in trainer.callback_handler.callbacks if type(c).__name__ == "UpdateTeacher")
        callback.on_step_end(None, None, None)

    def with_values(values, prompt, answer, temperature):
        for name, parameter in trainer.model.named_parameters():
            parameter.data = values[name]
        try:
            return log_probs_of(trainer.model, prompt, answer, temperature)
        finally:
            for name, parameter in trainer.model.named_parameters():
                parameter.data = live[name]

    def base(prompt, answer, temperature=1.0):
        if peft_config is not None:
            with trainer.model.disable_adapter():
                return log_probs_of(trainer.model, prompt, answer, temperature)
        return with_values(start, prompt, answer, temperature)

    def student(prompt, answer, temperature=1.0):
        return log_probs_of(trainer.model, prompt, answer, temperature)

    def teacher(prompt, answer, temperature=1.0):
        if kind == "base":
            return base(prompt, answer, temperature)
        if kind == "ema":
            mean = {name: 0.75 * start[name] + 0.25 * live[name] for name in live}
            return with_values(mean, prompt, answer, temperature)
        # Logits are log-probabilities but for a constant, which the softmax takes away
        mixture = 0.7 * student(prompt, answer, temperature) + 0.3 * base(prompt, answer, temperature)
        return F.log_softmax(mixture, -1)

    inputs = make_inputs()
    for parameter in trainer.model.parameters():
        parameter.data = parameter.data.clone()
    live = {name: p.detach() for name, p in trainer.model.named_parameters()}
    check(trainer, inputs, lambda: reference_loss(student, teacher, inputs, 0.5, 1.0))


@pytest.mark.parametrize("kind", ["base", "trust-region"])
def test_a_model_with_a_trained_adapter_is_the_model_before_training(make_model, tokenizer, tmp_path, kind):
    trainer = make_trainer(
        lambda: get_peft_model(make_model(), LORA), tokenizer, tmp_path, distillation_weight=1.0, teacher=kind,
        trust_region_weight=0.3,
    )  # fmt: skip
    start = get_peft_model(make_model(), LORA)
    start.load_state_dict(trainer.model.state_dict())
    moved(trainer.model)

    def student(prompt, answer, temperature=1.0):
        return log_probs_of(trainer.model, prompt, answer, temperature)

    def teacher(prompt, answer, temperature=1.0):
        before = log_probs_of(start, prompt, answer, temperature)
        return before if kind == "base" else (0.7 * student(prompt, answer) + 0.3 * before).log_softmax(-1)

    inputs = make_inputs()
    check(trainer, inputs, lambda: reference_loss(student, teacher, inputs, 1.0, 1.0))


LOSS_TYPES = ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo")


@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_the_policy_term_is_trls_of_any_kind(make_model, tokenizer, tmp_path, loss_type, weight):
    """With answers of an older policy, some of them clipped, and a reference model."""
    trainer = make_trainer(
        make_model, tokenizer, tmp_path, distillation_weight=weight, teacher="live", loss_type=loss_type,
        epsilon=0.1, epsilon_high=0.3,
    )  # fmt: skip
    trainer.args.steps_per_generation, trainer.current_gradient_accumulation_steps = 4, 2
    trainer.beta = 0.05  # a setting above 0 would load a reference model, whose log-probabilities are given here
    inputs = make_inputs()
    logprobs = torch.zeros(4, 5)
    with torch.no_grad():
        for number, (prompt, answer) in enumerate(zip(PROMPTS, ANSWERS, strict=True)):
            own = log_probs_of(trainer.model, prompt, answer).gather(1, torch.tensor(answer)[:, None])
            logprobs[number, : len(answer)] = own[:, 0]
    noise = torch.Generator().manual_seed(0)
    for name in ("old_per_token_logps", "ref_per_token_logps"):
        inputs[name] = logprobs + 0.3 * torch.randn(logprobs.shape, generator=noise)
    policy = GRPOTrainer._compute_loss(trainer, trainer.model, inputs)
    policy.backward()
    wanted = gradients(trainer.model)
    assert 0 < trainer._metrics["train"].get("clip_ratio/region_mean", [0.5])[0] < 1

    loss = trainer._compute_loss(trainer.model, inputs)
    loss.backward()
    got = gradients(trainer.model)
    if weight:

        def student(prompt, answer, temperature=1.0):
            return log_probs_of(trainer.model, prompt, answer, temperature)

        # Half of the generation batch is a step's
        distilled = 2 * reference_loss(student, student, inputs, 1.0, 1.0)
        distilled.backward()
        other = gradients(trainer.model)
        policy = (1 - weight) * policy + weight * distilled
        wanted = {name: (1 - weight) * value + weight * other[name] for name, value in wanted.items()}
    assert loss.item() == pytest.approx(policy.item(), rel=1e-5, abs=1e-5)
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, rtol=1e-3, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


def test_where_nothing_is_taught_the_policy_alone_counts(make_model, tokenizer, tmp_path):
    trainer = make_trainer(make_model, tokenizer, tmp_path, distillation_weight=0.5, teacher="live")
    inputs = make_inputs(contexts=[[], [], [], []])

    def student(prompt, answer, temperature=1.0):
        return log_probs_of(trainer.model, prompt, answer, temperature)

    check(trainer, inputs, lambda: reference_loss(student, student, inputs, 0.5, 1.0))
    assert math.isnan(trainer._metrics["train"]["distillation/divergence"][0])


def test_the_divergence_has_the_mean_of_the_accumulation_window(make_model, tokenizer, tmp_path):
    """Four micro-batches of one answer give the gradients of one batch of four."""
    trainer = make_trainer(make_model, tokenizer, tmp_path, distillation_weight=0.5, teacher="live")
    whole = make_inputs()
    trainer._compute_loss(trainer.model, whole).backward()
    wanted = gradients(trainer.model)
    trainer.args.steps_per_generation = trainer.current_gradient_accumulation_steps = 4
    for number in range(4):
        part = {
            name: value if name == "num_items_in_batch" else value[number : number + 1]
            for name, value in whole.items()
        }
        trainer._compute_loss(trainer.model, part).backward()
    for name, gradient in gradients(trainer.model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-7)


def test_a_generation_batch_may_serve_several_steps(make_model, tokenizer, tmp_path):
    """Half of the generation batch is a step's: its tokens are half of the batch's, and the divergence counts twice."""
    trainer = make_trainer(make_model, tokenizer, tmp_path, distillation_weight=1.0, teacher="live")
    whole = make_inputs()
    trainer._compute_loss(trainer.model, whole).backward()
    wanted = gradients(trainer.model)
    trainer.args.steps_per_generation, trainer.current_gradient_accumulation_steps = 2, 1
    trainer._compute_loss(trainer.model, whole).backward()
    for name, gradient in gradients(trainer.model).items():
        torch.testing.assert_close(gradient, 2 * wanted[name], rtol=1e-4, atol=1e-7)


def test_what_is_logged_of_the_divergence(make_model, tokenizer, tmp_path):
    trainer = make_trainer(make_model, tokenizer, tmp_path, distillation_weight=0.5, teacher="live")
    trainer._compute_loss(trainer.model, make_inputs())
    taught = [number for number, context in enumerate(CONTEXTS) if context]
    with torch.no_grad():
        students = [log_probs_of(trainer.model, PROMPTS[i], ANSWERS[i]) for i in taught]
        teachers = [log_probs_of(trainer.model, CONTEXTS[i], ANSWERS[i]) for i in taught]
    apart = torch.cat([divergence(t, s, 1.0) for t, s in zip(teachers, students, strict=True)])
    gaps = torch.cat(
        [
            (t - s).gather(1, torch.tensor(ANSWERS[i])[:, None])
            for i, t, s in zip(taught, teachers, students, strict=True)
        ]
    )
    agree = torch.cat([t.argmax(-1) == s.argmax(-1) for t, s in zip(teachers, students, strict=True)]).float()
    metrics = trainer._metrics["train"]
    assert metrics["distillation/divergence"] == [pytest.approx(apart.mean().item(), rel=1e-4)]
    assert metrics["distillation/log_prob_gap"] == [pytest.approx(gaps.mean().item(), rel=1e-4)]
    assert metrics["distillation/agreement"] == [pytest.approx(agree.mean().item())]


def test_no_logits_of_the_whole_batch_are_held(make_model, tokenizer, tmp_path, monkeypatch):
    """The divergence is taken in chunks of positions; the model's own head is never run."""
    trainer = make_trainer(make_model, tokenizer, tmp_path, distillation_weight=0.5, teacher="live")
    monkeypatch.setattr(
        trainer.model.lm_head, "forward", lambda *args: pytest.fail("the head was run on all positions")
    )
    monkeypatch.setattr("reflection_trl.training.losses.CHUNK_ELEMENTS", 2 * 512)
    trainer._compute_loss(trainer.model, make_inputs()).backward()


def test_evaluation_has_no_teacher(make_model, tokenizer, tmp_path):
    trainer = make_trainer(make_model, tokenizer, tmp_path, distillation_weight=0.5, teacher="live")
    trainer.model.eval()
    inputs = make_inputs()
    del inputs["teacher_prompt_ids"]
    with torch.no_grad():
        assert torch.isfinite(trainer._compute_loss(trainer.model, inputs))
