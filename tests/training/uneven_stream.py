"""
Run under `torch.distributed.run` by `test_streams.py`: two processes over a stream of two shards, one with more rows than the other.

    uneven_stream.py FOLDER ACCUMULATION
"""

import json
import os
import sys
from pathlib import Path

import torch
from accelerate.utils import gather_object
from conftest import generation_row
from datasets import Dataset, IterableDataset
from transformers import PreTrainedTokenizerFast

from reflection_trl import ReflectionDistillConfig, ReflectionDistillTrainer


LONG = " x" * 2000  # dropped, for `max_length`


def rows(shards):
    for shard in shards:
        for number in range(2 if shard == 0 else 5):
            yield generation_row(10 * shard + number)
        if shard == 0:
            row = generation_row(9)
            row["messages"][1]["content"] += LONG
            yield row


folder, accumulation = Path(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(1)
stream = IterableDataset.from_generator(rows, gen_kwargs={"shards": [0, 1]})
trainer = ReflectionDistillTrainer(
    model=str(folder / "model"),
    args=ReflectionDistillConfig(
        output_dir=str(folder / "out"),
        max_steps=4,
        max_length=1000,
        per_device_train_batch_size=1,
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=accumulation,
        bf16=False,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        activation_checkpointing=False,
        ddp_timeout=60,
    ),
    train_dataset=stream,
    eval_dataset=stream,
    processing_class=PreTrainedTokenizerFast.from_pretrained(folder / "model"),
)
trainer.train()
passes = []
trainer.model.register_forward_hook(lambda *_: passes.append(1))
loss = trainer.evaluate()["eval_loss"]
assert gather_object([len(passes)]) == [5, 5], "sharded parameters are exchanged in each forward pass"
alone = trainer.evaluate(Dataset.from_list([row for shard in (0, 1) for row in rows([shard]) if LONG not in str(row)]))
steps = gather_object([trainer.state.global_step])
if trainer.is_world_process_zero():
    (folder / "outcome.json").write_text(
        json.dumps({"steps": steps, "eval_loss": loss, "eval_loss_alone": alone["eval_loss"]})
    )
trainer.accelerator.wait_for_everyone()
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
