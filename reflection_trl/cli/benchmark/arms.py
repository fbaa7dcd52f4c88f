"""Defines the arms of the benchmark: each creates the trainer that it times, with the same rows, model and settings."""

from typing import Any

import torch
from datasets import Dataset
from peft import PeftConfig
from transformers import DataCollator, PreTrainedModel, TrainerCallback
from trl import SFTConfig, SFTTrainer

from ... import ReflectionDistillConfig, ReflectionDistillTrainer
from ...training.attention import prepare_attention
from ...training.modeling import compile_layers
from .models import benchmark_tokenizer
from .padded import PublishedTrainer, SDFTLossTrainer


class Arm:
    """
    Defines an arm. The base class is the trainer of this package, uncompiled.

    Attributes:
        name (`str`):
            Name in tables and folders.
        environment (`dict[str, str]`):
            Variables that hold while the arm trains, as `accelerate launch` would set them.
        has_student (`bool`):
            Whether students are trained beside the whole sequences.
        frozen_teacher (`bool`):
            Whether the teacher's pass is forward only, over the answer's logits.
    """

    trainer_class: type[ReflectionDistillTrainer] = ReflectionDistillTrainer
    has_student = True
    frozen_teacher = False

    def __init__(self, name: str):
        self.name = name
        self.environment: dict[str, str] = {}

    def settings(self) -> dict[str, Any]:
        """Returns the settings of this arm, in addition to those that all arms share."""
        return {
            "mask_strategy": ["block-type"],
            "mask_order": ["execution", "text", "code"],
            "mask_schedule": "linear",
        }

    def make_trainer(
        self,
        model: PreTrainedModel,
        rows: list[dict[str, Any]],
        common: dict[str, Any],
        callbacks: list[TrainerCallback],
        peft_config: PeftConfig | None,
    ) -> SFTTrainer:
        """
        Returns a trainer that trains on the rows in order.

        Args:
            model (`PreTrainedModel`):
                Model to train.
            rows (`list[dict[str, Any]]`):
                Tokenized rows, in the order of training.
            common (`dict[str, Any]`):
                Fields of `TrainingArguments` that all arms share.
            callbacks (`list[TrainerCallback]`):
                Callbacks that measure the steps.
            peft_config (`PeftConfig` or `None`):
                Adapter to train instead of all weights.
        """
        return self.trainer_class(
            model=model,
            args=ReflectionDistillConfig(**common | self.settings()),
            train_dataset=Dataset.from_list(rows),
            processing_class=benchmark_tokenizer(),
            callbacks=callbacks,
            peft_config=peft_config,
        )


class CompiledArm(Arm):
    """Defines the trainer of this package, compiled layer by layer."""

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"torch_compile": True}


class Float8Arm(CompiledArm):
    """Defines the same trainer with linear layers in float8."""

    def __init__(self, name: str):
        super().__init__(name)
        self.environment = {"ACCELERATE_MIXED_PRECISION": "fp8", "ACCELERATE_FP8_BACKEND": "AO"}

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"bf16": False}


class PublishedArm(Arm):
    """Defines the stand-in for the trainer published with ReflectionCoder, which always checkpoints gradients."""

    trainer_class = PublishedTrainer

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"activation_checkpointing": True}


class SDFTArm(Arm):
    """Defines the loss of TRL's SDFTTrainer."""

    trainer_class = SDFTLossTrainer
    frozen_teacher = True


class SFTArm(Arm):
    """Defines TRL's SFTTrainer on the teacher's samples, with this package's attention over packed sequences."""

    has_student = False

    def __init__(self, name: str, compiled: bool = False, liger: bool = False):
        super().__init__(name)
        self.compiled, self.liger = compiled, liger

    def settings(self) -> dict[str, Any]:
        return {"padding_free": True, "shuffle_dataset": False} | ({"use_liger_kernel": True} if self.liger else {})

    def make_trainer(
        self,
        model: PreTrainedModel,
        rows: list[dict[str, Any]],
        common: dict[str, Any],
        callbacks: list[TrainerCallback],
        peft_config: PeftConfig | None,
    ) -> SFTTrainer:
        prepare_attention(model)
        if self.compiled:
            compile_layers(model, "inductor", None)
        labeled = [
            {
                "input_ids": row["input_ids"],
                "labels": [
                    token if trained else -100
                    for token, trained in zip(row["input_ids"], row["loss_mask"], strict=True)
                ],
            }
            for row in rows
        ]
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(**common | self.settings()),
            train_dataset=Dataset.from_list(labeled),
            processing_class=benchmark_tokenizer(),
            callbacks=callbacks,
            peft_config=peft_config,
        )
        trainer.data_collator = WithoutMask(trainer.data_collator)
        return trainer


class WithoutMask:
    """Adds an empty attention mask to batches, which spares the model a mask of all positions by all."""

    def __init__(self, collate: DataCollator):
        self.collate = collate

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = self.collate(examples)
        return batch | {"attention_mask": torch.empty((1, 1, 0, 0), dtype=torch.bool)}


ARMS = {
    arm.name: arm
    for arm in (
        Arm("ours"),
        CompiledArm("ours-compiled"),
        Float8Arm("ours-fp8"),
        PublishedArm("published"),
        SFTArm("sft"),
        SFTArm("sft-compiled", compiled=True),
        SFTArm("sft-liger", liger=True),
        SDFTArm("sdft"),
    )
}
