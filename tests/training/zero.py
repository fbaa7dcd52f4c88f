"""
Run under `torch.distributed.run` by `test_zero.py`: the trainer under DeepSpeed ZeRO on two processes of the CPU, or on one without.

    zero.py FOLDER STAGE CASE

Prints the log of each step as JSON. accelerate joins processes under DeepSpeed on accelerators only, so this script names one,
and DeepSpeed's own kernel for messages on one host, which is compiled for minutes, is left out.
"""

import json
import os
import sys
from pathlib import Path

import deepspeed
import torch
from accelerate import DistributedType, PartialState
from conftest import rows_of_both_types
from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedTokenizerFast

from reflection_trl import ReflectionDistillConfig, ReflectionDistillTrainer


folder, stage, case = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
if stage:
    PartialState._prepare_backend = lambda *args, **kwargs: ("gloo", DistributedType.MULTI_GPU)

CASES = {
    "all-weights": {},
    "tied": {},
    "compiled": {},
    "lora": {"peft_config": LoraConfig(r=4, target_modules=["q_proj", "up_proj"], task_type="CAUSAL_LM")},
    "head": {
        "peft_config": LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["lm_head"], task_type="CAUSAL_LM")
    },
}
settings = {"zero_optimization": {"stage": stage}, "zero_allow_untested_optimizer": True}
settings |= dict.fromkeys(
    ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping"), "auto"
)
torch.set_num_threads(1)
trainer = ReflectionDistillTrainer(
    model=str(folder / ("tied" if case == "tied" else "model")),
    args=ReflectionDistillConfig(
        output_dir=str(folder / "out"),
        max_steps=3,
        logging_steps=1,
        save_strategy="no",
        learning_rate=0.05,
        data_seed=7,
        optim="sgd",
        lr_scheduler_type="constant",
        bf16=False,
        use_cpu=not stage,
        report_to="none",
        disable_tqdm=True,
        activation_checkpointing=False,
        per_device_train_batch_size=4 if stage else 8,
        teacher="base" if case in ("lora", "head") else "live",
        deepspeed=settings if stage else None,
        torch_compile=case == "compiled",
        torch_compile_backend="eager" if case == "compiled" else None,
    ),
    train_dataset=Dataset.from_list(rows_of_both_types() * 3),
    processing_class=PreTrainedTokenizerFast.from_pretrained(folder / "model"),
    **CASES[case],
)
trainer.train()
if stage == 3 and case == "compiled":  # no hook divides the compiled code of a layer
    assert not any(module._forward_pre_hooks for layer in trainer.model.model.layers for module in layer.children())
if trainer.is_world_process_zero():
    print(json.dumps([entry for entry in trainer.state.log_history if "grad_norm" in entry]))
sys.stdout.flush()
sys.stderr.flush()
if stage:
    torch.distributed.barrier()
os._exit(0)
