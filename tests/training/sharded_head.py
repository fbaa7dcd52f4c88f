"""
Run under `torch.distributed.run` by `test_sharded_head.py`: FSDP2 on two processes, with the head in this unit and that.

Prints one JSON object: for each case, the largest relative error of a parameter's gradient against the mean of both processes'
gradients on a model that is not sharded.
"""

import itertools
import json
import os
import sys
from types import SimpleNamespace

import torch
import torch.distributed as dist
from accelerate import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from peft import LoraConfig, get_peft_model
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import LlamaConfig, LlamaForCausalLM

from reflection_trl.training.forward import LossInputs, add_distillation_forward
from reflection_trl.training.teachers import teacher_in_place


# Where accelerate puts the head: with the last norm, or where the policy puts it; its policy by size shards the last norm twice
POLICIES = {
    "with-the-norm": {
        "auto_wrap_policy": "transformer_based_wrap",
        "transformer_cls_names_to_wrap": ["LlamaDecoderLayer"],
    },
    "by-class": {
        "auto_wrap_policy": "transformer_based_wrap",
        "transformer_cls_names_to_wrap": ["LlamaDecoderLayer", "Embedding", "Linear"],
    },
}
ADAPTERS = {
    "all-weights": None,
    "lora": LoraConfig(r=2, target_modules=["q_proj", "up_proj"], init_lora_weights=False),
    "lora-and-head": LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"], init_lora_weights=False),
    "lora-and-tokens": LoraConfig(
        r=2,
        target_modules=["q_proj"],
        trainable_token_indices={"embed_tokens": [3, 9], "lm_head": [3, 9]},
        init_lora_weights=False,
    ),
}
# Tied weights in units of their own, and new tokens whose embeddings are tied, are refused by torch
CASES = [
    *itertools.product(("all-weights", "lora", "lora-and-head"), (False,), (*POLICIES, "by-hand")),
    *itertools.product(("all-weights", "lora"), (True,), ("with-the-norm",)),
    ("lora-and-tokens", False, "with-the-norm"),
]


def build(adapter, tied):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, tie_word_embeddings=tied,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    if adapter is None:
        add_distillation_forward(model)
        return model
    model = get_peft_model(model, adapter)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    add_distillation_forward(model.get_base_model())
    return model


def step(model, rank, teacher):
    """The loss of a process: a teacher's and a student's sequence of the same tokens."""
    ids = torch.randint(0, 300, (1, 12), generator=torch.Generator().manual_seed(100 + rank))
    ids = torch.cat([ids, ids.flip(0)])
    ids[1, :4] = 5
    index = torch.arange(24).view(2, 12)[:, :-1].flatten()
    loss_inputs = LossInputs(
        loss_index=index,
        targets=ids.roll(-1, 1)[:, :-1].flatten(),
        nll_weight=torch.full((22,), 1 / 22),
        student_index=torch.arange(15, 22),
        teacher_index=torch.arange(4, 11),
    )
    if teacher == "base":
        with torch.no_grad(), teacher_in_place(model, None):
            predictions = model(input_ids=ids, teacher_index=index[4:11])
        loss_inputs.teacher_hidden, loss_inputs.teacher_head = predictions["hidden"], "base"
    return model(input_ids=ids, loss_inputs=loss_inputs)["loss"]


def shard(model, policy):
    if policy == "by-hand":
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        for module in (*inner.model.layers, inner.lm_head, inner.model.norm, model):
            fully_shard(module, reshard_after_forward=True)
        return model
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, reshard_after_forward=True, cpu_ram_efficient_loading=False, **POLICIES[policy]
    )
    state = SimpleNamespace(fsdp_plugin=plugin)
    accelerator = SimpleNamespace(state=state, mixed_precision="no", is_main_process=True, device=torch.device("cpu"))
    return fsdp2_prepare_model(accelerator, model)


def largest_error(model, expected):
    worst = 0.0
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        gradient = parameter.grad
        gradient = gradient.full_tensor() if isinstance(gradient, DTensor) else gradient
        if gradient is None:
            gradient = torch.zeros_like(expected[name])
        worst = max(worst, ((gradient - expected[name]).norm() / expected[name].norm().clamp(min=1e-9)).item())
    return worst


def main():
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    results = {}
    for name, tied, policy in CASES:
        adapter = ADAPTERS[name]
        teacher = "live" if adapter is None else "base"
        reference = build(adapter, tied)
        (sum(step(reference, r, teacher) for r in range(world)) / world).backward()
        expected = {n: p.grad for n, p in reference.named_parameters() if p.requires_grad}
        model = shard(build(adapter, tied), policy)
        step(model, rank, teacher).backward()
        results[f"{name}, {'tied' if tied else 'untied'}, {policy}"] = largest_error(model, expected)
    if rank == 0:
        print(json.dumps(results))
    dist.barrier()
    dist.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
