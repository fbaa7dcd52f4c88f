"""Time and measure whole training steps of this trainer beside those of its alternatives, on the same rows and weights.

    reflection-trl benchmark                                   a tiny model on the CPU, in a minute
    reflection-trl benchmark --shape 1.5b --batch_size 8 --arms ours ours-compiled published sft
    accelerate launch --config_file recipes/accelerate/fsdp2.yaml --num_processes 2 recipes/benchmark.py --shape 1.5b --arms ours

Arms:

    ours            ReflectionDistillTrainer: hidden tokens dropped, packed, losses taken in chunks
    ours-compiled   the same with `torch_compile`, layer by layer
    ours-fp8        the same as that, its linear layers in float8 (torchao, through accelerate; scales of whole tensors)
    published       a stand-in for the trainer published with ReflectionCoder, written for this comparison: teacher and student
                    in one padded batch, hidden tokens masked, full float32 logits, gradient checkpointing
    sft             TRL's SFTTrainer, packed, on the teacher's sample only: what one would run without the method. It is given
                    this package's attention over packed sequences, since its own needs flash-attn
    sft-compiled    the same, compiled layer by layer as `ours-compiled` is: the arm to compare that one with
    sdft            the loss of TRL's SDFTTrainer, its nearest relative, on the same rows: the divergence alone, over the answer
                    alone, in padded batches; the answers that it would generate are given

All arms see the same rows in the same order and draw the same masks, while the mask rate grows over the whole schedule; the
optimizer is fused AdamW everywhere. `published` and `ours` must agree in their losses; the table says by how much they differ
(`ours-fp8` does not agree so closely: that is its price).
Weights are random, of the shape of Qwen2.5-Coder, unless --model_name_or_path gives a model.

With --profiled_steps N, so many steps in the middle are traced on each GPU and left out of the table above; a second one says how
long they compute, exchange and wait. The traces (OUTPUT_DIR/ARM/trace-RANK.json) open in a browser, at ui.perfetto.dev.

Options:

    --shape                   tiny, 0.5b, 1.5b or 7b: random weights of that shape [tiny]
    --model_name_or_path      a real model instead
    --arms                    [ours published sft]
    --batch_size              rows per optimizer step, over all processes [8]
    --micro_batch_size        rows per forward pass of one process [batch_size]; halved for an arm that runs out of memory
    --row_tokens              mean length of a row, in tokens [1600]
    --steps --warmup_steps    optimizer steps that are timed, and those before them [12, 2]
    --profiled_steps          further steps in the middle, traced on each GPU [0]
    --ddp_bucket_cap_mb       gradients that data parallel training exchanges at a time, in MB [25]
    --gradient_checkpointing --use_peft --use_liger_kernel --optim --dtype --seed    for all arms
    --output_dir              where JSON, table and plot go [out/benchmark]
"""

import gc
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .command_line import make_parser, parse_options, run_command


if TYPE_CHECKING:
    import torch
    from transformers import (
        PreTrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerFast,
        TrainerControl,
        TrainerState,
        TrainingArguments,
    )

    from .. import ReflectionDistillTrainer
    from ..training.packing import Sequence as TokenSequence
    from .gpu_time import GpuTime

# Qwen2.5-Coder
SHAPES = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
    "0.5b": {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14},
    "1.5b": {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12},
    "7b": {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28},
}
KEY_VALUE_HEADS = {"tiny": 2, "0.5b": 2, "1.5b": 2, "7b": 4}
VOCABULARY = {"tiny": 1024, "0.5b": 151936, "1.5b": 151936, "7b": 152064}
TIED = {"tiny": True, "0.5b": True, "1.5b": True, "7b": False}
ARMS = ("ours", "ours-compiled", "ours-fp8", "published", "sft", "sft-compiled", "sdft")
SFT = ("sft", "sft-compiled")
COMPILED = ("ours-compiled", "ours-fp8")
FP8 = {"ACCELERATE_MIXED_PRECISION": "fp8", "ACCELERATE_FP8_BACKEND": "AO"}  # as `accelerate launch` would set them
PADDED = ("published", "sdft")
MATRIX = 8192


@dataclass
class BenchmarkArguments:
    shape: str = field(default="tiny", metadata={"help": f"Shape of the model, random weights: {', '.join(SHAPES)}."})
    model_name_or_path: str | None = field(default=None, metadata={"help": "A real model instead of a shape."})
    arms: list[str] = field(default_factory=lambda: ["ours", "published", "sft"], metadata={"help": f"Of {ARMS}."})
    batch_size: int = field(default=8, metadata={"help": "Rows per optimizer step, over all processes."})
    micro_batch_size: int | None = field(
        default=None,
        metadata={
            "help": "Rows per forward pass of one process, the rest being accumulated; `batch_size` by default. Halved for an "
            "arm that runs out of memory in a single process."
        },
    )
    row_tokens: int = field(default=1600, metadata={"help": "Mean length of a row, in tokens."})
    steps: int = field(default=12, metadata={"help": "Optimizer steps, over which the mask rate grows from 0 to 1."})
    warmup_steps: int = field(default=2, metadata={"help": "Further steps before them, not counted."})
    profiled_steps: int = field(default=0, metadata={"help": "Further steps in their middle, traced on each GPU."})
    ddp_bucket_cap_mb: int | None = field(
        default=None, metadata={"help": "Gradients that data parallel training exchanges at a time [25]."}
    )
    gradient_checkpointing: bool = field(default=False, metadata={"help": "For all arms; `published` always does."})
    use_peft: bool = field(default=False, metadata={"help": "LoRA of rank 16 on all linear layers."})
    use_liger_kernel: bool = field(default=False, metadata={"help": "Liger's norm, rope and swiglu, for all arms."})
    optim: str = field(default="adamw_torch_fused", metadata={"help": "Optimizer, for all arms."})
    dtype: str = field(default="auto", metadata={"help": "Of the weights: bfloat16 on a GPU, float32 elsewhere."})
    seed: int = field(default=0, metadata={"help": "Of rows, weights and masks."})
    output_dir: str = field(default="out/benchmark", metadata={"help": "Where JSON, table and plot go."})


@dataclass
class Result:
    """What one arm did, step by step."""

    arm: str
    micro_batch_size: int
    seconds: list[float]
    source_tokens: list[int]
    useful_flop: list[float]
    losses: list[float]
    peak_bytes: int
    state_bytes: int
    gpu_time: "list[GpuTime]" = field(default_factory=list)  # of each process, where steps were traced

    @property
    def tokens_per_second(self) -> float:
        return sum(self.source_tokens) / sum(self.seconds)

    @property
    def flop_per_second(self) -> float:
        return sum(self.useful_flop) / sum(self.seconds)


def synthetic_rows(number: int, mean_tokens: int, vocabulary: int, seed: int) -> list[dict[str, Any]]:
    """
    Tokenized reflection rows of random tokens, shaped as real ones are: an instruction, three to five rounds of text, code and
    execution output, the request and the answer. Lengths vary by a quarter around the mean.
    """
    import numpy as np

    from ..rendering import INSTRUCTION, VISIBLE
    from ..sequences import BLOCK_TYPES

    rng = np.random.default_rng(seed)
    types: dict[str, int] = {name: number for number, name in enumerate(BLOCK_TYPES)}
    rows = []
    for row_id in range(number):
        length = int(mean_tokens * rng.uniform(0.75, 1.25))
        rounds = int(rng.integers(3, 6))
        instruction, request, answer = (max(2, int(length * share)) for share in (0.1, 0.08, 0.2))
        blocks = [("text", 0.2), ("code", 0.55), ("execution", 0.25)] * rounds
        rest = length - instruction - request - answer
        block_ids, block_types, trained = [INSTRUCTION] * instruction, [], [0] * instruction
        for kind, share in blocks:
            size = max(1, int(rest * share / rounds))
            block_types.append(types[kind])
            block_ids += [len(block_types)] * size
            trained += [kind != "execution"] * size
        block_ids += [VISIBLE] * (request + answer)
        answer_start = len(trained) + request
        trained += [0] * request + [1] * answer
        rows.append(
            {
                "input_ids": rng.integers(0, vocabulary, len(trained)).tolist(),
                "loss_mask": [int(value) for value in trained],
                "block_ids": block_ids,
                "block_types": block_types,
                "answer_start": answer_start,
                "row_id": row_id,
            }
        )
    return rows


def make_model(arguments: BenchmarkArguments, device: str, dtype: "torch.dtype") -> "PreTrainedModel":
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(arguments.seed)
    if arguments.model_name_or_path:
        model = AutoModelForCausalLM.from_pretrained(arguments.model_name_or_path, dtype=dtype)
        return model.to(device)  # type: ignore[arg-type] # `to` is wrapped
    shape = arguments.shape
    settings: dict[str, Any] = {
        **SHAPES[shape],
        "num_key_value_heads": KEY_VALUE_HEADS[shape],
        "vocab_size": VOCABULARY[shape],
        "tie_word_embeddings": TIED[shape],
        "max_position_embeddings": 32768,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        "attn_implementation": "sdpa",
    }
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # a 7B model in float32 would not fit beside itself
    try:
        with torch.device(device):
            return Qwen2ForCausalLM(Qwen2Config(**settings))
    finally:
        torch.set_default_dtype(default)


def useful_flop(lengths: Sequence[int], predictions: int, config: "PreTrainedConfig", products: int) -> float:
    """
    Arithmetic that a step needs when nothing is padded, hidden or recomputed.

    Args:
        lengths (`list[int]`): tokens of each sequence that is attended to by itself.
        predictions (`int`): positions at which logits are needed.
        config: the model's.
        products (`int`): operations for each weight and token: 6 forward and backward, 4 where the weights themselves need no
            gradient (LoRA), 2 forward alone.
    """
    head_dim = config.hidden_size // config.num_attention_heads
    key_values = config.num_key_value_heads * head_dim
    hidden = config.hidden_size
    layer = hidden * (hidden + 2 * key_values) + hidden * hidden + 3 * hidden * config.intermediate_size
    body = products * layer * config.num_hidden_layers * sum(lengths)
    head = products * hidden * config.vocab_size * predictions
    # Two products of half a square each forward, and twice that backward
    attention = (2 if products == 2 else 6) * config.num_hidden_layers * hidden * sum(length**2 for length in lengths)
    return float(body + head + attention)


def published_trainer() -> "type[ReflectionDistillTrainer]":
    import torch
    import torch.nn.functional as F
    from torch import nn

    from .. import ReflectionDistillTrainer
    from ..training.packing import full_sequence, pad

    class PublishedTrainer(ReflectionDistillTrainer):
        """One padded batch of teacher and student samples through the ordinary forward pass, logits of all positions."""

        def compute_loss(
            self,
            model: nn.Module,
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: torch.Tensor | int | None = None,
        ) -> torch.Tensor:
            assert isinstance(num_items_in_batch, torch.Tensor)  # of sequences and of students
            rows, rate = inputs["rows"], self.current_mask_rate
            sequences = []
            for row in rows:
                sequences += [full_sequence(row), self._draw_student(row, rate)]
            batch = pad(sequences)
            device = self.accelerator.device
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
            sequence_tokens, student_tokens = num_items_in_batch
            loss = (nll.sum() - student_nll) / sequence_tokens + (student_nll + divergence) / student_tokens
            return loss

    return PublishedTrainer


def sdft_trainer() -> "type[ReflectionDistillTrainer]":
    import torch
    from torch import nn
    from trl.experimental.sdft.loss_utils import compute_full_logit_self_distillation_loss
    from trl.trainer.utils import pad

    from .. import ReflectionDistillTrainer
    from ..training.packing import full_sequence

    class SDFTLossTrainer(ReflectionDistillTrainer):
        """The student's and the teacher's logits of the answer from two forward passes, prompts padded on the left."""

        def compute_loss(
            self,
            model: nn.Module,
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: torch.Tensor | int | None = None,
        ) -> torch.Tensor:
            assert isinstance(num_items_in_batch, torch.Tensor)  # of sequences and of students
            rows, device = inputs["rows"], self.accelerator.device
            rate = self.current_mask_rate
            answers = [row.input_ids[row.answer_start :] for row in rows]
            completion_mask = pad([torch.ones(len(answer)) for answer in answers]).to(device)

            def logits(sequences: "list[TokenSequence]") -> torch.Tensor:
                parts = []
                for value, name in ((0, "ids"), (0, "mask")):
                    prompts, completions = [], []
                    for sequence, answer in zip(sequences, answers, strict=True):
                        tokens = torch.from_numpy(sequence.row.input_ids[sequence.tokens])
                        tokens = tokens if name == "ids" else torch.ones_like(tokens)
                        prompts.append(tokens[: -len(answer)])
                        completions.append(tokens[-len(answer) :])
                    prompt = pad(prompts, padding_value=value, padding_side="left")
                    parts.append(torch.cat([prompt, pad(completions, padding_value=value)], dim=1).to(device))
                keep = completion_mask.shape[1]
                output = model(input_ids=parts[0], attention_mask=parts[1], use_cache=False, logits_to_keep=keep + 1)
                return output.logits[:, :-1]

            student = logits([self._draw_student(row, rate) for row in rows])
            with torch.no_grad():
                teacher = logits([full_sequence(row) for row in rows])
            token_loss = compute_full_logit_self_distillation_loss(student, teacher, distillation_alpha=0.0)
            loss = (token_loss * completion_mask).sum() / num_items_in_batch[1]
            return loss

    return SDFTLossTrainer


def step_counters(
    rows: list[dict[str, Any]],
    seed: int,
    steps: Sequence[Sequence[int]],
    total: int,
    arm: str,
    config: "PreTrainedConfig",
    products: int,
) -> tuple[list[int], list[float]]:
    """Source tokens and useful arithmetic of each step: what the arm has to do, drawn exactly as the trainer draws it."""
    import numpy as np

    from ..training.collator import DataCollatorForReflectionDistillation
    from ..training.masking import hidden_tokens, mask_rate, row_generator
    from ..training.packing import student_sequence

    collate = DataCollatorForReflectionDistillation()
    tokens, flop = [], []
    for step, batch in enumerate(steps):
        useful = 0.0
        for row in collate([rows[index] for index in batch])["rows"]:
            forward = arm == "sdft"  # the teacher's pass is not differentiated, and sees the answer's logits alone
            predictions = row.num_answer if forward else row.num_loss_tokens
            useful += useful_flop([len(row.input_ids)], predictions, config, 2 if forward else products)
            if arm in SFT:
                continue
            rng = row_generator(seed, step, row.row_id)
            rng.integers(1)  # the trainer draws the strategy first
            rate = mask_rate(step, total, "linear", 0.0, 1.0)
            hidden = hidden_tokens(
                row.block_ids, row.block_types, rate, "block-type", ("execution", "text", "code"), rng
            )
            length = len(student_sequence(row, hidden).tokens)
            useful += useful_flop([length], row.num_answer, config, products)
        tokens.append(int(np.sum([len(rows[index]["input_ids"]) for index in batch])))
        flop.append(useful)
    return tokens, flop


def run_arm(
    arm: str,
    arguments: BenchmarkArguments,
    rows: list[dict[str, Any]],
    device: str,
    dtype: "torch.dtype",
    folder: Path,
) -> Result | None:
    """The arm with as many rows per pass as fit; `None` if one row does not fit."""
    import torch
    from accelerate import PartialState
    from accelerate.utils import patch_environment

    world = PartialState().num_processes
    micro = arguments.micro_batch_size or arguments.batch_size // world
    while micro:
        try:
            with patch_environment(**(FP8 if arm == "ours-fp8" else {})):
                return run_steps(arm, micro, arguments, rows, device, dtype, folder)
        except torch.OutOfMemoryError:
            if world > 1:
                raise  # the others would wait for this process
            print(f"Out of memory with {micro} rows per pass.", flush=True)
            micro //= 2
        finally:
            gc.collect()
            if device == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            torch.compiler.reset()
    return None


def run_steps(
    arm: str,
    micro: int,
    arguments: BenchmarkArguments,
    rows: list[dict[str, Any]],
    device: str,
    dtype: "torch.dtype",
    folder: Path,
) -> Result:
    import torch
    from accelerate import PartialState
    from accelerate.utils import gather_object
    from datasets import Dataset
    from transformers import TrainerCallback

    from .gpu_time import read_trace

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.ends: list[float] = []
            self.losses: list[float] = []

        def now(self) -> float:
            if device == "cuda":
                torch.cuda.synchronize()
            return time.perf_counter()

        def on_train_begin(
            self, args: "TrainingArguments", state: "TrainerState", control: "TrainerControl", **kwargs: Any
        ) -> None:
            self.ends.append(self.now())

        def on_step_end(
            self, args: "TrainingArguments", state: "TrainerState", control: "TrainerControl", **kwargs: Any
        ) -> None:
            self.ends.append(self.now())
            if device == "cuda" and state.global_step == arguments.warmup_steps:
                torch.cuda.reset_peak_memory_stats()

        def on_log(
            self,
            args: "TrainingArguments",
            state: "TrainerState",
            control: "TrainerControl",
            logs: dict[str, float] | None = None,
            **kwargs: Any,
        ) -> None:
            if logs is not None and "loss" in logs:
                self.losses.append(logs["loss"])

    class Tracer(TrainerCallback):
        """Traces the steps after the first `begin`."""

        def on_step_begin(
            self, args: "TrainingArguments", state: "TrainerState", control: "TrainerControl", **kwargs: Any
        ) -> None:
            if state.global_step == begin:
                activity = (
                    torch.profiler.ProfilerActivity.CUDA if device == "cuda" else torch.profiler.ProfilerActivity.CPU
                )
                self.profile = torch.profiler.profile(activities=[activity])
                self.profile.start()

        def on_step_end(
            self, args: "TrainingArguments", state: "TrainerState", control: "TrainerControl", **kwargs: Any
        ) -> None:
            if state.global_step == begin + arguments.profiled_steps:
                self.profile.stop()
                trace.parent.mkdir(parents=True, exist_ok=True)
                self.profile.export_chrome_trace(str(trace))

    model = make_model(
        arguments, device, dtype
    )  # before the settings, at whose sight ZeRO-3 would take its weights apart
    config = model.config
    total = arguments.steps + arguments.warmup_steps + arguments.profiled_steps
    begin = arguments.warmup_steps + arguments.steps // 2
    trace = folder / arm / f"trace-{PartialState().process_index}.json"
    common: dict[str, Any] = {
        "output_dir": str(folder / arm),
        "max_steps": total,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": arguments.batch_size // (micro * PartialState().num_processes),
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "bf16": device == "cuda" and arm != "ours-fp8",
        "use_cpu": device == "cpu",
        "optim": arguments.optim,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": arguments.seed,
        "gradient_checkpointing": arguments.gradient_checkpointing or arm == "published",
        "use_liger_kernel": arguments.use_liger_kernel,
        "ddp_bucket_cap_mb": arguments.ddp_bucket_cap_mb,
        "max_length": None,
    }
    peft_config = None
    if arguments.use_peft:
        from peft import LoraConfig

        peft_config = LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM")
    # Rows in the order of training, so that each arm has the same ones in the same step
    dataset = Dataset.from_list(rows)
    clock = Clock()
    callbacks: list[TrainerCallback] = [clock, *([Tracer()] if arguments.profiled_steps else [])]
    if arm in SFT:
        from trl import SFTConfig, SFTTrainer

        from ..training.attention import prepare_attention
        from ..training.modeling import compile_layers

        prepare_attention(model)
        if arm == "sft-compiled":
            compile_layers(model, "inductor", None)
        packs = [
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
            args=SFTConfig(**(common | {"padding_free": True, "shuffle_dataset": False})),
            train_dataset=Dataset.from_list(packs),
            processing_class=benchmark_tokenizer(),
            callbacks=callbacks,
            peft_config=peft_config,
        )
        collate = trainer.data_collator
        nothing = torch.empty((1, 1, 0, 0), dtype=torch.bool)  # spares it a mask of all positions by all
        trainer.data_collator = lambda examples: collate(examples) | {"attention_mask": nothing}
    else:
        from .. import ReflectionDistillConfig, ReflectionDistillTrainer

        trainer_class = ReflectionDistillTrainer
        if arm in PADDED:
            trainer_class = published_trainer() if arm == "published" else sdft_trainer()
        settings: dict[str, Any] = {
            "mask_strategy": "block-type",
            "mask_order": ["execution", "text", "code"],
            "mask_schedule": "linear",
        }
        if arm in COMPILED:
            settings["torch_compile"] = True
        trainer = trainer_class(
            model=model,
            args=ReflectionDistillConfig(**common, **settings),
            train_dataset=dataset,
            processing_class=benchmark_tokenizer(),
            callbacks=callbacks,
            peft_config=peft_config,
        )
    prepared: Dataset = trainer.train_dataset
    trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(prepared)  # type: ignore[method-assign] # for this run
    trainer.train()
    traced = range(begin, begin + arguments.profiled_steps)
    counted = [step for step in range(arguments.warmup_steps, total) if step not in traced]
    batches = [range(step * arguments.batch_size, (step + 1) * arguments.batch_size) for step in range(total)]
    tokens, flop = step_counters(rows, arguments.seed, batches, total, arm, config, 4 if arguments.use_peft else 6)
    assert trainer.optimizer is not None  # it has trained
    optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
    state_bytes = sum(
        value.numel() * value.element_size()
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    )
    peak = max(gather_object([torch.cuda.max_memory_allocated() if device == "cuda" else 0]))
    seconds = [after - before for before, after in zip(clock.ends, clock.ends[1:], strict=False)]
    return Result(
        arm,
        micro,
        seconds=[seconds[step] for step in counted],
        source_tokens=[tokens[step] for step in counted],
        useful_flop=[flop[step] for step in counted],
        losses=[clock.losses[step] for step in counted],
        peak_bytes=peak,
        state_bytes=state_bytes,
        gpu_time=gather_object([read_trace(trace, len(traced))]) if traced else [],
    )


def benchmark_tokenizer() -> "PreTrainedTokenizerFast":
    """A tokenizer of bytes, asked for its padding token only: rows are token ids already."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens = ["<pad>", "<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    bytes_alone = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges=[]))
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_alone.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_alone,
        pad_token="<pad>",
        eos_token="<eos>",
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}<eos>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    return tokenizer


def matrix_rate(device: str, dtype: "torch.dtype") -> float:
    """FLOP/s of one large matrix product in the dtype of training, the median of twenty."""
    import torch

    size = MATRIX if device == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(25):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        a @ b
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(times[5:])


def table(results: Sequence[Result], rate: float) -> str:
    """The results as a Markdown table."""
    base = next((result for result in results if result.arm == "published"), None)
    lines = [
        "| arm | rows per pass | source tokens/s | step, median (min - max) | useful TFLOP/s | of matrix rate | peak memory "
        "| without optimizer state | tokens/s against published | largest difference of loss |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        times = result.seconds
        ratio = f"{result.tokens_per_second / base.tokens_per_second:.2f}x" if base else ""
        apart = ""
        memory = " | "  # it is that of the GPU
        if result.peak_bytes:
            memory = (
                f"{result.peak_bytes / 2**30:.1f} GiB | {(result.peak_bytes - result.state_bytes) / 2**30:.1f} GiB"
            )
        if base and result.arm.startswith("ours"):
            apart = f"{max(abs(a / b - 1) for a, b in zip(result.losses, base.losses, strict=True)):.1e}"
        lines.append(
            f"| {result.arm} | {result.micro_batch_size} | {result.tokens_per_second:,.0f} | {statistics.median(times):.3f} s ({min(times):.3f} - "
            f"{max(times):.3f}) | {result.flop_per_second / 1e12:.3g} | {result.flop_per_second / rate:.0%} | "
            f"{memory} | {ratio} | "
            f"{apart} |"
        )
    return "\n".join(lines)


def plot(results: Sequence[Result], path: Path) -> None:
    try:
        import matplotlib
    except ImportError:
        print("No plot was drawn: pip install matplotlib.")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for result in results:
        rates = [(step + 1) / len(result.seconds) for step in range(len(result.seconds))]
        left.plot(
            rates,
            [tokens / seconds for tokens, seconds in zip(result.source_tokens, result.seconds, strict=True)],
            marker=".",
            label=result.arm,
        )
        right.barh(result.arm, result.peak_bytes / 2**30)
    left.set(xlabel="share of the schedule (mask rate)", ylabel="source tokens per second", ylim=(0, None))
    right.invert_yaxis()
    right.set(xlabel="peak memory, GiB")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(results))
    figure.savefig(path, dpi=150)


def run(argv: list[str]) -> None:
    (arguments,) = parse_options(make_parser(BenchmarkArguments, "benchmark"), argv)
    unknown = [arm for arm in arguments.arms if arm not in ARMS]
    if unknown:
        raise ValueError(f"--arms {' '.join(unknown)}: use some of {' '.join(ARMS)}.")
    if arguments.shape not in SHAPES:
        raise ValueError(f"--shape {arguments.shape}: use one of {', '.join(SHAPES)}.")
    import torch
    from accelerate import PartialState
    from accelerate.utils import is_torchao_available

    from .gpu_time import time_table

    if "ours-fp8" in arguments.arms and not is_torchao_available():
        raise ValueError("--arms ours-fp8 needs torchao: pip install torchao.")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    state = PartialState(cpu=device == "cpu")
    if arguments.profiled_steps and device == "cpu":
        raise ValueError(
            f"--profiled_steps {arguments.profiled_steps} needs a GPU, whose kernels it traces; there is none."
        )
    if arguments.batch_size % ((arguments.micro_batch_size or 1) * state.num_processes):
        raise ValueError(
            f"--micro_batch_size {arguments.micro_batch_size or 1} times {state.num_processes} process(es) must divide "
            f"--batch_size {arguments.batch_size}."
        )

    from transformers import AutoConfig
    from transformers.utils import logging

    logging.set_verbosity_error()
    folder = Path(arguments.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    precision = arguments.dtype
    if precision == "auto":
        precision = "bfloat16" if device == "cuda" else "float32"
    dtype: torch.dtype = getattr(torch, precision)
    if arguments.model_name_or_path:
        vocabulary = AutoConfig.from_pretrained(arguments.model_name_or_path).vocab_size
    else:
        vocabulary = VOCABULARY[arguments.shape]
    total = arguments.steps + arguments.warmup_steps + arguments.profiled_steps
    rows = synthetic_rows(total * arguments.batch_size, arguments.row_tokens, vocabulary, arguments.seed)
    rate = matrix_rate(device, dtype)
    results = []
    for arm in arguments.arms:
        state.print(f"== {arm}", flush=True)
        result = run_arm(arm, arguments, rows, device, dtype, folder)
        if result is None:
            state.print(f"{arm}: out of memory with one row per pass.")
            continue
        results.append(result)
        state.print(table([result], rate * state.num_processes), flush=True)
    if not state.is_main_process:
        return
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    if state.num_processes > 1:
        name = f"{state.num_processes} x {name}, {state.distributed_type.value}"
    size = arguments.model_name_or_path or arguments.shape
    head = (
        f"{size}, rows of {arguments.row_tokens} tokens, {arguments.batch_size} a step, {name}, torch {torch.__version__}; "
        f"matrix rate of one {rate / 1e12:.3g} TFLOP/s"
    )
    text = f"{head}\n\n{table(results, rate * state.num_processes)}\n"
    if arguments.profiled_steps:
        times = {result.arm: result.gpu_time for result in results}
        text += f"\nMilliseconds of a step, the mean of {arguments.profiled_steps}:\n\n{time_table(times)}\n"
    print(f"\n{text}\nWritten to {folder}.")
    (folder / "benchmark.md").write_text(text)
    record = {
        "arguments": asdict(arguments),
        "device": name,
        "torch": torch.__version__,
        "processes": state.num_processes,
        "matrix_rate": rate,
        "arms": [asdict(result) for result in results],
    }
    (folder / "benchmark.json").write_text(json.dumps(record, indent=1) + "\n")
    plot(results, folder / "benchmark.png")


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
