"""
Run under `torch.distributed.run` by `test_trajectories.py`: the usual training, shared by two processes.

    two_processes.py FOLDER [kill | resume]

`kill`: the second process dies in the fifth step, and leaves the checkpoint of the fourth. `resume`: goes on from there.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerFast, TrainerCallback

from reflection_trl import ReflectionDistillConfig, ReflectionDistillTrainer


class Die(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 4 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)


folder, fate = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
torch.set_num_threads(1)
rows = Dataset.from_json(str(folder / "rows.jsonl"), cache_dir=str(folder / "cache"))
evaluation = rows.select([*range(len(rows)), 0])
trainer = ReflectionDistillTrainer(
    model=str(folder / "model"),
    args=ReflectionDistillConfig(
        output_dir=str(folder / "ddp"),
        max_steps=6,
        logging_steps=1,
        save_strategy="steps" if fate else "no",
        save_steps=2,
        learning_rate=0.05,
        data_seed=7,
        optim="sgd",
        lr_scheduler_type="constant",
        mask_strategy=["random-block", "random-token", "block-type"],
        bf16=False,
        use_cpu=True,
        report_to="none",
        activation_checkpointing=False,
        per_device_train_batch_size=4,
        per_device_eval_batch_size=4,
        disable_tqdm=True,
    ),
    train_dataset=rows,
    eval_dataset=evaluation,
    # Not AutoTokenizer's class for Qwen2, which has splitting rules of its own
    processing_class=PreTrainedTokenizerFast.from_pretrained(folder / "model"),
)
if fate == "kill":
    trainer.add_callback(Die())
trainer.train(resume_from_checkpoint=True if fate == "resume" else None)
trainer.evaluate()
# Streams: of shards of unequal length, one a process, and of one shard, which both read; with equal rows in either
repeated = Dataset.from_list([rows[0], *rows.select(range(5)), rows[0], rows[0]])
expected = trainer.evaluate(repeated, metric_key_prefix="dataset")["dataset_loss"]
streams = [repeated.to_iterable_dataset(num_shards=shards) for shards in (3, 1)]
found = [trainer.evaluate(stream, metric_key_prefix="stream")["stream_loss"] for stream in streams]
if trainer.is_world_process_zero():
    (folder / "streams.json").write_text(json.dumps({"expected": expected, "found": found}))
    (folder / "logs.json").write_text(json.dumps(trainer.state.log_history))
    trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder / "trained")
    # The same evaluation row by row, each once, outside the trainer's evaluation loop
    trainer.model.eval()
    total = tokens = 0.0
    batches = trainer.data_collator([trainer.eval_dataset[i] for i in range(len(evaluation))])["rows"]
    with torch.no_grad():
        for row in batches:
            loss = trainer._one_off_loss(trainer.accelerator.unwrap_model(trainer.model), [row])
            total, tokens = total + loss.item() * row.num_answer, tokens + row.num_answer
    (folder / "alone.json").write_text(json.dumps({"eval_loss": total / tokens}))
# Else one process may end while the other still talks to it, which at times aborts
trainer.accelerator.wait_for_everyone()
trainer.end()
# All that is tested is done. A process was once seen to abort on its way out from here ("terminate called without an active
# exception", which C++ says of a thread that nobody has joined)
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
