"""Defines trainers with padded batches and ordinary forward passes, with which the packed trainer is compared."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from trl.experimental.sdft.loss_utils import compute_full_logit_self_distillation_loss
from trl.trainer.utils import pad as pad_tensors

from ... import ReflectionDistillTrainer
from ...training.packing import Row, Sequence, full_sequence, pad


class PaddedTrainer(ReflectionDistillTrainer):
    """Replaces the packed step with `padded_loss`; rows, masks and normalization are unchanged."""

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        assert isinstance(num_items_in_batch, torch.Tensor)
        sequence_tokens, student_tokens = num_items_in_batch
        return self.padded_loss(model, inputs["rows"], sequence_tokens, student_tokens)

    def padded_loss(
        self, model: nn.Module, rows: list[Row], sequence_tokens: torch.Tensor, student_tokens: torch.Tensor
    ) -> torch.Tensor:
        """
        Returns the loss of some rows.

        Args:
            model (`nn.Module`):
                The model, wrapped for training.
            rows (`list[Row]`):
                Rows of one micro-batch.
            sequence_tokens (`torch.Tensor`, scalar):
                Number of trained tokens of all sequences, over the accumulation window and all processes.
            student_tokens (`torch.Tensor`, scalar):
                The same for the answers of the students.
        """
        raise NotImplementedError


class PublishedTrainer(PaddedTrainer):
    """Runs a padded batch of teacher and student samples in one ordinary forward pass, with logits at all positions."""

    def padded_loss(
        self, model: nn.Module, rows: list[Row], sequence_tokens: torch.Tensor, student_tokens: torch.Tensor
    ) -> torch.Tensor:
        rate, device = self.current_mask_rate, self.accelerator.device
        batch = pad([sequence for row in rows for sequence in (full_sequence(row), self._sample_student(row, rate))])
        logits = model(
            input_ids=torch.from_numpy(batch.input_ids).to(device),
            attention_mask=torch.from_numpy(batch.attention_mask).to(device),
            use_cache=False,
        ).logits.float()
        logits = logits.flatten(0, 1)
        labels = torch.full((len(logits),), -100, device=device)
        labels[torch.from_numpy(batch.loss_index).to(device)] = torch.from_numpy(batch.targets).to(device)
        nll = F.cross_entropy(logits, labels, reduction="none", ignore_index=-100)
        student = torch.from_numpy(batch.loss_index[batch.student_index]).to(device)
        teacher = torch.from_numpy(batch.loss_index[batch.teacher_index]).to(device)
        divergence = F.kl_div(
            F.log_softmax(logits[student], -1),
            F.log_softmax(logits[teacher].detach(), -1),
            reduction="sum",
            log_target=True,
        )
        student_nll = nll[student].sum()
        return (nll.sum() - student_nll) / sequence_tokens + (student_nll + divergence) / student_tokens


class SDFTLossTrainer(PaddedTrainer):
    """Computes the student's and the teacher's logits of the answer in two forward passes, with left-padded prompts."""

    def padded_loss(
        self, model: nn.Module, rows: list[Row], sequence_tokens: torch.Tensor, student_tokens: torch.Tensor
    ) -> torch.Tensor:
        rate, device = self.current_mask_rate, self.accelerator.device
        answers = [row.input_ids[row.answer_start :] for row in rows]
        completion_mask = pad_tensors([torch.ones(len(answer)) for answer in answers]).to(device)

        def logits(sequences: list[Sequence]) -> torch.Tensor:
            parts = []
            for value, name in ((0, "ids"), (0, "mask")):
                prompts, completions = [], []
                for sequence, answer in zip(sequences, answers, strict=True):
                    tokens = torch.from_numpy(sequence.row.input_ids[sequence.tokens])
                    tokens = tokens if name == "ids" else torch.ones_like(tokens)
                    prompts.append(tokens[: -len(answer)])
                    completions.append(tokens[-len(answer) :])
                prompt = pad_tensors(prompts, padding_value=value, padding_side="left")
                parts.append(torch.cat([prompt, pad_tensors(completions, padding_value=value)], dim=1).to(device))
            keep = completion_mask.shape[1]
            output = model(input_ids=parts[0], attention_mask=parts[1], use_cache=False, logits_to_keep=keep + 1)
            found: torch.Tensor = output.logits[:, :-1]
            return found

        student = logits([self._sample_student(row, rate) for row in rows])
        with torch.no_grad():
            teacher = logits([full_sequence(row) for row in rows])
        token_loss = compute_full_logit_self_distillation_loss(student, teacher, distillation_alpha=0.0)
        return (token_loss * completion_mask).sum() / student_tokens
