"""Computes the trainer's metrics: sums over steps for the training log, and sums over rows for an evaluation."""

from collections.abc import Sequence

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from transformers.utils import logging

from .inputs import to_device
from .losses import DistillationLossOutput
from .packing import Batch, Row


logger = logging.get_logger(__name__)

# Share of hidden tokens from which teacher and student are compared
_HIDDEN = 0.9
# Summed over tokens and steps. The logged metrics are ratios of these sums
_QUANTITIES = (
    "steps",
    "mask_rate",
    "sequence_nll",
    "sequence_tokens",
    "student_nll",
    "teacher_nll",
    "student_tokens",
    "student_entropy",
    "student_correct",
    "divergence",
    "agree",
    "computed_tokens",
    "hidden_tokens",
    "block_tokens",
    "hidden_block_tokens",
)


class TrainingMetrics:
    """
    Accumulates sums over the steps since the last log.

    The sums stay on the device and are reduced over all processes only when they are read. No step waits for them, and
    every process takes part, whatever kinds of rows it has.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Resets all sums."""
        self._sums: torch.Tensor | None = None
        self._counted_tokens = 0

    @property
    def is_empty(self) -> bool:
        """Returns whether there was no step since the last reset."""
        return self._sums is None

    def add(
        self,
        outputs: DistillationLossOutput,
        batch: Batch,
        mask_rate: float,
        step_share: float,
    ) -> None:
        """
        Adds a micro-batch.

        Args:
            outputs ([`~reflection_trl.training.losses.DistillationLossOutput`]):
                Output of the forward pass.
            batch ([`~reflection_trl.training.packing.Batch`]):
                The batch.
            mask_rate (`float`):
                Mask rate of the step.
            step_share (`float`):
                1 / number of micro-batches of the step, so that each step has the same weight, including the last of
                an epoch, which may have fewer.
        """
        # MPS does not support float64
        dtype = torch.float32 if outputs.nll.device.type == "mps" else torch.float64
        is_student = to_device(batch.is_student, outputs.nll.device)
        student, full = is_student.to(dtype), (~is_student).to(dtype)
        nll = outputs.nll.to(dtype)
        num_students = len(batch.student_index)
        known = {
            "steps": step_share,
            "mask_rate": mask_rate * step_share,
            "sequence_tokens": len(batch.targets) - num_students,
            "student_tokens": num_students,
            "computed_tokens": batch.num_computed,
            "hidden_tokens": batch.num_hidden,
            "block_tokens": batch.num_block_tokens,
            "hidden_block_tokens": batch.num_hidden_block_tokens,
        }
        measured = {
            "sequence_nll": nll @ full,
            "student_nll": nll @ student,
            "teacher_nll": outputs.teacher_nll.to(dtype).sum(),
            "student_entropy": outputs.entropy.to(dtype) @ student,
            "student_correct": outputs.correct.to(dtype) @ student,
            "divergence": outputs.divergence.to(dtype).sum(),
            "agree": outputs.agree.to(dtype).sum(),
        }
        fixed = to_device(np.array([known.get(name, 0.0) for name in _QUANTITIES], dtype=np.float32), nll.device)
        zero = torch.zeros((), dtype=dtype, device=nll.device)
        sums = fixed.to(dtype) + torch.stack([measured.get(name, zero) for name in _QUANTITIES])
        self._sums = sums if self._sums is None else self._sums + sums

    def count_tokens(self, accelerator: Accelerator) -> int:
        """
        Returns the number of tokens computed since the last count, over all processes.

        Args:
            accelerator ([`~accelerate.Accelerator`]):
                Connects the processes, all of which must call this.
        """
        return 0 if self._sums is None else self._new_tokens(self._reduce(accelerator))

    def read(self, accelerator: Accelerator) -> tuple[dict[str, float], int]:
        """
        Returns the metrics of the steps since the last log and the uncounted tokens, and resets the sums.

        Args:
            accelerator ([`~accelerate.Accelerator`]):
                Connects the processes, all of which must call this.

        Returns:
            `tuple[dict[str, float], int]`: Metrics by name; number of tokens.
        """
        total = self._reduce(accelerator)
        new_tokens = self._new_tokens(total)
        self.reset()
        metrics = {"mask/rate": total["mask_rate"] / total["steps"]}
        if total["block_tokens"]:
            metrics["mask/hidden_share"] = total["hidden_block_tokens"] / total["block_tokens"]
        if total["sequence_tokens"]:
            metrics["loss/sequence"] = total["sequence_nll"] / total["sequence_tokens"]
        if pairs := total["student_tokens"]:
            metrics["loss/student"] = total["student_nll"] / pairs
            metrics["loss/teacher"] = total["teacher_nll"] / pairs
            metrics["loss/distillation"] = total["divergence"] / pairs
            metrics["student/teacher_agreement"] = total["agree"] / pairs
            metrics["student/entropy"] = total["student_entropy"] / pairs
            metrics["student/mean_token_accuracy"] = total["student_correct"] / pairs
        hidden = total["hidden_tokens"]
        metrics["mask/tokens_saved"] = hidden / (total["computed_tokens"] + hidden)
        return metrics, new_tokens

    def _reduce(self, accelerator: Accelerator) -> dict[str, float]:
        sums = accelerator.reduce(self._sums, reduction="sum").tolist()
        return dict(zip(_QUANTITIES, sums, strict=True))

    def _new_tokens(self, total: dict[str, float]) -> int:
        tokens = round(total["computed_tokens"])
        new, self._counted_tokens = tokens - self._counted_tokens, tokens
        return new


class EvaluationMetrics:
    """
    Accumulates sums over evaluated rows. Each row counts once and each token equally, however rows are batched and
    distributed.

    Args:
        accelerator ([`~accelerate.Accelerator`]):
            Connects the processes.
        has_duplicates (`bool`, *optional*, defaults to `True`):
            Whether the last batches of several processes may be padded with rows of other processes. Duplicates are
            identified by row number and, in a stream, by position, since a stream may contain equal rows.
    """

    def __init__(self, accelerator: Accelerator, has_duplicates: bool = True) -> None:
        self._process = accelerator.process_index
        self._has_duplicates = has_duplicates
        self._rows: dict[tuple[int, int | None], tuple[float, ...]] = {}

    def add(self, rows: Sequence[Row], batch: Batch, outputs: DistillationLossOutput) -> None:
        """
        Adds a batch with one sequence per row.

        Args:
            rows (`Sequence[Row]`):
                The rows.
            batch ([`~reflection_trl.training.packing.Batch`]):
                Their one-off sequences, in the same order.
            outputs ([`~reflection_trl.training.losses.DistillationLossOutput`]):
                Output of the forward pass.
        """
        scores = torch.stack([outputs.nll, outputs.entropy, outputs.correct.float()]).cpu().double().numpy()
        for number, row in enumerate(rows):
            mine = batch.sequence_index == number
            key = (row.row_id, row.stream_index) if self._has_duplicates else (self._process, len(self._rows))
            self._rows[key] = (float(mine.sum()), *scores[:, mine].sum(1).tolist())

    def means(self) -> dict[str, float]:
        """
        Returns the means over the tokens of all rows of all processes. All processes must call this.

        Returns:
            `dict[str, float]`: `loss` and `entropy` in nats per token, and `mean_token_accuracy`; empty if there was
            no row.
        """
        rows = dict(gather_object(list(self._rows.items())))
        if not rows:
            return {}
        tokens, nll, entropy, correct = np.sum(list(rows.values()), axis=0)
        means = {"loss": nll / tokens, "entropy": entropy / tokens, "mean_token_accuracy": correct / tokens}
        return {name: float(mean) for name, mean in means.items()}


def compare_teacher(metrics: dict[str, float]) -> bool:
    """
    Warns if the teacher predicts the answers no better than a student from which the sequences are hidden.

    A student that still sees the code of a sequence may well predict the answer better than the teacher.

    Args:
        metrics (`dict[str, float]`):
            Metrics of some steps.

    Returns:
        `bool`: Whether the sequences were hidden in these steps.
    """
    if metrics.get("mask/hidden_share", 0.0) < _HIDDEN or "loss/teacher" not in metrics:
        return False
    teacher, student = metrics["loss/teacher"], metrics["loss/student"]
    if teacher >= student:
        logger.warning(
            f"The teacher, which sees the sequences, predicts the answers no better than the student, which does not (loss/teacher "
            f"{teacher:.3f}, loss/student {student:.3f}), so there may be nothing to distill: `reflection-trl gap` measures it."
        )
    return True
