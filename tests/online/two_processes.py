"""
Run under `torch.distributed.run` by `test_two_processes.py`: the scripted world, shared by two processes.

    two_processes.py FOLDER TEACHER
"""

import json
import os
import sys
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from online.scripted import PROBLEMS, scripted_reward
from reflection_trl import OnlineReflectionDistillConfig, OnlineReflectionDistillTrainer, load_problems_for_rl


folder, teacher = Path(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
trainer = OnlineReflectionDistillTrainer(
    str(folder / "model"),
    reward_funcs=scripted_reward(),
    args=OnlineReflectionDistillConfig(
        str(folder / teacher),
        max_steps=4,
        # A group of eight is spread over both
        per_device_train_batch_size=4,
        num_generations=8,
        max_completion_length=2,
        distillation_weight=0.5,
        teacher=teacher,
        learning_rate=5e-3,
        report_to="none",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="no",
        disable_tqdm=True,
    ),
    train_dataset=load_problems_for_rl(PROBLEMS, conversational=False),
    processing_class=PreTrainedTokenizerFast.from_pretrained(folder / "model"),
)
contexts = []
build = trainer._context.build


def record(rollout, peers):
    contexts.append((rollout.problem_id, rollout.completion, list(peers)))
    return build(rollout, peers)


object.__setattr__(trainer._context, "build", record)
trainer.train()
weights = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
everywhere = trainer.accelerator.gather(weights[None])
(folder / f"{teacher}-{os.environ['RANK']}.json").write_text(
    json.dumps(
        {
            "same": bool(torch.equal(everywhere[0], everywhere[1])),
            "logs": trainer.state.log_history,
            "contexts": contexts,
        }
    )
)
trainer.accelerator.wait_for_everyone()
trainer.end()
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
