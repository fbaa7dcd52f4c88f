"""The method, written slowly and obviously from its definition: the reference that the trainer must agree with.

A padded batch of teacher samples, student samples (the same tokens, hidden ones with attention mask 0) and plain rows goes
through the model's ordinary forward pass with full float32 logits; the losses are loops over rows. Nothing of the package's
packing, losses or attention is used, only its tokenized rows and its hidden tokens.
"""

import torch
import torch.nn.functional as F
from datasets import Dataset

from reflection_trl import DataCollatorForReflectionDistillation, ReflectionDistillConfig, ReflectionDistillTrainer
from reflection_trl.training.masking import hidden_tokens, row_generator


def reference_terms(model, rows, hidden_of, *, beta=0.0, temperature=1.0, teacher_logits_of=None):
    """Sums of each loss term over rows: (sequence nll, sequence tokens, student nll, divergence, answer tokens)."""
    terms = [0.0] * 5
    for row in rows:
        ids = torch.tensor(row.input_ids, device=model.device)[None]
        positions = torch.arange(ids.shape[1], device=model.device)[None]
        full = torch.ones_like(ids)
        teacher = model(input_ids=ids, attention_mask=full, position_ids=positions).logits[0].float()
        for token in range(1, ids.shape[1]):
            if row.loss_mask[token]:
                terms[0] = terms[0] - F.log_softmax(teacher[token - 1], -1)[ids[0, token]]
                terms[1] += 1
        if not row.is_reflection:
            continue
        mask = torch.tensor(~hidden_of(row), device=model.device).long()[None]
        student = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits[0].float()
        if teacher_logits_of is not None:
            teacher = teacher_logits_of(row).float()
        for token in range(row.answer_start, ids.shape[1]):
            if not row.loss_mask[token]:
                continue
            log_q = F.log_softmax(student[token - 1], -1)
            terms[2] = terms[2] - log_q[ids[0, token]]
            q = F.softmax(student[token - 1] / temperature, -1)
            p = F.softmax(teacher[token - 1] / temperature, -1).detach()
            if beta == 0:
                terms[3] = terms[3] + (p * (p.log() - q.log())).sum()
            elif beta == 1:
                terms[3] = terms[3] + (q * (q.log() - p.log())).sum()
            else:
                m = beta * p + (1 - beta) * q
                terms[3] = terms[3] + beta * (p * (p.log() - m.log())).sum()
                terms[3] = terms[3] + (1 - beta) * (q * (q.log() - m.log())).sum()
            terms[4] += 1
    return terms


def reference_loss(model, rows, hidden_of, *, weights=(1.0, 1.0, 1.0), normalization="per-term", **kwargs):
    """The scalar loss of one optimizer step over all of `rows`."""
    sequence, sequence_tokens, student, divergence, answer_tokens = reference_terms(model, rows, hidden_of, **kwargs)
    if normalization == "joint":
        both = sequence_tokens + answer_tokens
        cross_entropy = (weights[0] * sequence + weights[1] * student) / both
        return cross_entropy + weights[2] * divergence / max(answer_tokens, 1)
    return (
        weights[0] * sequence / sequence_tokens
        + weights[1] * student / max(answer_tokens, 1)
        + weights[2] * divergence / max(answer_tokens, 1)
    )


def gradients(model):
    """Gradients by parameter name, zeros where there is none."""
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in model.named_parameters()
        if p.requires_grad
    }


def assert_same_gradients(actual, expected, relative=1e-4):
    """Each parameter's gradient, relative to the largest entry of that parameter's."""
    assert actual.keys() == expected.keys()
    for name, gradient in expected.items():
        scale = gradient.abs().max().item()
        error = (actual[name] - gradient).abs().max().item()
        assert error <= relative * max(scale, 1e-6), f"{name}: error {error:.2e} at scale {scale:.2e}"


# What the trainer does in one step, for comparison

MAX_STEPS = 10


def make_trainer(model, tokenizer, rows, tmp_path, peft_config=None, **settings):
    defaults = {
        "output_dir": str(tmp_path),
        "max_steps": MAX_STEPS,
        "bf16": False,
        "use_cpu": not torch.cuda.is_available(),
        "report_to": "none",
        "activation_checkpointing": False,
        "per_device_train_batch_size": len(rows),
        "disable_tqdm": True,
    }
    return ReflectionDistillTrainer(
        model=model,
        args=ReflectionDistillConfig(**(defaults | settings)),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=peft_config,
    )


def prepared_rows(trainer):
    return DataCollatorForReflectionDistillation()(
        [trainer.train_dataset[i] for i in range(len(trainer.train_dataset))]
    )["rows"]


def hidden_by_definition(trainer, rate, step):
    args = trainer.args

    def hidden(row):
        rng = row_generator(args.seed, step, row.row_id)
        strategy = args.mask_strategy[rng.integers(len(args.mask_strategy))]
        return hidden_tokens(row.block_ids, row.block_types, rate, strategy, tuple(args.mask_order), rng)

    return hidden


def step_loss(trainer, rows, step):
    """The trainer's own loss and gradients of one micro-batch that is a whole optimizer step."""
    trainer.state.global_step, trainer.state.max_steps = step, MAX_STEPS
    trainer.model.train()
    trainer.model.zero_grad()
    inputs = {"rows": rows}
    num_items = trainer._get_num_items_in_batch([inputs], trainer.accelerator.device)
    loss = trainer.compute_loss(trainer.model, inputs, num_items_in_batch=num_items)
    loss.backward()
    return loss.item(), gradients(trainer.model)
