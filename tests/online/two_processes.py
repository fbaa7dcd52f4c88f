"""
Run under `torch.distributed.run` by `test_two_processes.py`: the scripted world, shared by two processes.

    two_processes.py FOLDER CASE
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import deepspeed
import torch
from accelerate import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from peft import LoraConfig
from torch.distributed.tensor import DTensor
from transformers import PreTrainedTokenizerFast

from online.scripted import PROBLEMS, scripted_reward
from reflection_trl import OnlineReflectionDistillConfig, OnlineReflectionDistillTrainer, load_problems_for_rl


# With failures on one process and not on the other, both generate all the same
REPAIRS: dict[str, Any] = {"teacher": "live", "repair_failed": True}
POLICY: dict[str, Any] = {
    "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "transformer_cls_names_to_wrap": ["Qwen2DecoderLayer"],
}
LIVE: dict[str, Any] = {"teacher": "live", "optim": "sgd", "learning_rate": 0.05}
LORA: dict[str, Any] = {"teacher": "base", "optim": "sgd", "learning_rate": 0.05}
ZERO3: dict[str, Any] = {
    # As in a large model, no parameter stays gathered
    "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0},
    "zero_allow_untested_optimizer": True,
    **dict.fromkeys(("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping"), "auto"),
}
CASES: dict[str, dict[str, Any]] = {
    "ema": {"teacher": "ema"},
    "trust-region": {"teacher": "trust-region"},
    "all-weights": LIVE,
    "all-weights-zero3": {**LIVE, "deepspeed": ZERO3},
    "lora": LORA,
    "lora-zero3": {**LORA, "deepspeed": ZERO3},
    "ema-zero3": {"teacher": "ema", "deepspeed": ZERO3},
    # A group is replaced as a whole, wherever its answers are
    "dynamic": {"teacher": "live", "distillation_weight": 0.0, "dynamic_sampling_rounds": 3},
    "repairs": REPAIRS,
    "repairs-fsdp2": {
        **REPAIRS,
        "fsdp": True,
        "fsdp_config": {"version": 2, **POLICY},
    },
}


def by_letters(completions: list[str], **_: Any) -> list[float]:
    """A reward that varies in every group."""
    return [sum(map(ord, text)) % 7 / 7 for text in completions]


folder, case = Path(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
settings: dict[str, Any] = {
    "max_steps": 4,
    # A group of eight is spread over both
    "per_device_train_batch_size": 4,
    "num_generations": 8,
    "max_completion_length": 2,
    "distillation_weight": 0.5,
    "learning_rate": 5e-3,
    "report_to": "none",
    "use_cpu": "deepspeed" not in CASES[case],
    "bf16": False,
    "activation_checkpointing": False,
    "save_strategy": "no",
    "disable_tqdm": True,
}
if "deepspeed" in CASES[case]:
    # accelerate joins processes under DeepSpeed on accelerators only; DeepSpeed's own kernel for messages on one host,
    # which is compiled for minutes, is left out
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    PartialState._prepare_backend = lambda *args, **kwargs: ("gloo", DistributedType.MULTI_GPU)  # type: ignore[method-assign]
trainer = OnlineReflectionDistillTrainer(
    str(folder / "model"),
    reward_funcs=[scripted_reward(), by_letters] if "optim" in CASES[case] else scripted_reward(),
    args=OnlineReflectionDistillConfig(str(folder / case), **(settings | CASES[case])),
    train_dataset=load_problems_for_rl(PROBLEMS, conversational=False),
    processing_class=PreTrainedTokenizerFast.from_pretrained(folder / "model"),
    peft_config=LoraConfig(r=4, target_modules=["q_proj", "up_proj"], task_type="CAUSAL_LM")
    if case.startswith("lora")
    else None,
)
if "fsdp" in CASES[case]:
    # Accelerate chooses FSDP on accelerators only, although torch shards on processors as well
    state = trainer.accelerator.state
    state.distributed_type = DistributedType.FSDP
    state.fsdp_plugin = FullyShardedDataParallelPlugin(fsdp_version=2, **POLICY)
contexts = []
build = trainer._context.build


def record(rollout, peers):
    contexts.append((rollout.problem_id, rollout.completion, list(peers)))
    return build(rollout, peers)


object.__setattr__(trainer._context, "build", record)
calls = []
generate = trainer._generate_single_turn


def count(prompt_ids: list[list[int]], *args: Any, **kwargs: Any) -> Any:
    calls.append(len(prompt_ids))
    return generate(prompt_ids, *args, **kwargs)


trainer._generate_single_turn = count
trainer.train()
parameters = list(trainer.model.parameters())
sharded = any(isinstance(p, DTensor) or hasattr(p, "ds_id") for p in parameters)
with deepspeed.zero.GatheredParameters([p for p in parameters if hasattr(p, "ds_id")]):
    whole = [p.full_tensor() if isinstance(p, DTensor) else p for p in parameters]
    weights = torch.cat([p.detach().flatten() for p in whole])
everywhere = trainer.accelerator.gather(weights[None])
torch.save(weights, folder / f"{case}-{os.environ['RANK']}.pt")
(folder / f"{case}-{os.environ['RANK']}.json").write_text(
    json.dumps(
        {
            "same": bool(torch.equal(everywhere[0], everywhere[1])),
            "logs": trainer.state.log_history,
            "contexts": contexts,
            "calls": calls,
            "sharded": sharded,
        }
    )
)
trainer.accelerator.wait_for_everyone()
trainer.end()
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
