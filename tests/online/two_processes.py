"""
Run under `torch.distributed.run` by `test_two_processes.py`: the scripted world, shared by two processes.

    two_processes.py FOLDER CASE
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
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
CASES: dict[str, dict[str, Any]] = {
    "ema": {"teacher": "ema"},
    "trust-region": {"teacher": "trust-region"},
    "repairs": REPAIRS,
    "repairs-fsdp2": {
        **REPAIRS,
        "fsdp": True,
        "fsdp_config": {"version": 2, **POLICY},
    },
}
folder, case = Path(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
trainer = OnlineReflectionDistillTrainer(
    str(folder / "model"),
    reward_funcs=scripted_reward(),
    args=OnlineReflectionDistillConfig(
        str(folder / case),
        max_steps=4,
        # A group of eight is spread over both
        per_device_train_batch_size=4,
        num_generations=8,
        max_completion_length=2,
        distillation_weight=0.5,
        learning_rate=5e-3,
        report_to="none",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="no",
        disable_tqdm=True,
        **CASES[case],
    ),
    train_dataset=load_problems_for_rl(PROBLEMS, conversational=False),
    processing_class=PreTrainedTokenizerFast.from_pretrained(folder / "model"),
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
trainer.train()
whole = [p.full_tensor() if isinstance(p, DTensor) else p for p in trainer.model.parameters()]
weights = torch.cat([p.detach().flatten() for p in whole])
everywhere = trainer.accelerator.gather(weights[None])
torch.save(weights, folder / f"{case}-{os.environ['RANK']}.pt")
(folder / f"{case}-{os.environ['RANK']}.json").write_text(
    json.dumps(
        {
            "same": bool(torch.equal(everywhere[0], everywhere[1])),
            "logs": trainer.state.log_history,
            "contexts": contexts,
            "sharded": any(isinstance(p, DTensor) for p in trainer.model.parameters()),
        }
    )
)
trainer.accelerator.wait_for_everyone()
trainer.end()
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
