"""Trains an arm and measures its steps: seconds, tokens, arithmetic, memory and, on request, a trace of the GPU."""

import gc
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object, patch_environment
from peft import LoraConfig
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from .arguments import BenchmarkArguments
from .arms import Arm
from .flop import step_counters
from .gpu_time import GpuTime, read_trace
from .models import make_model


@dataclass
class Result:
    """
    Holds the measurements of one arm in each timed step.

    Attributes:
        arm (`str`):
            Name of the arm.
        micro_batch_size (`int`):
            Rows per forward pass of one process.
        seconds, source_tokens, useful_flop, losses (`list`):
            One value for each step.
        peak_bytes (`int`):
            Largest memory of a GPU; 0 on the CPU.
        state_bytes (`int`):
            Size of the optimizer's state.
        gpu_time (`list[GpuTime]`):
            Of each process, where steps were traced.
    """

    arm: str
    micro_batch_size: int
    seconds: list[float]
    source_tokens: list[int]
    useful_flop: list[float]
    losses: list[float]
    peak_bytes: int
    state_bytes: int
    gpu_time: list[GpuTime] = field(default_factory=list)

    @property
    def tokens_per_second(self) -> float:
        return sum(self.source_tokens) / sum(self.seconds)

    @property
    def flop_per_second(self) -> float:
        return sum(self.useful_flop) / sum(self.seconds)


@dataclass(frozen=True)
class Workload:
    """
    Holds the settings that all arms share.

    Args:
        arguments (`BenchmarkArguments`):
            Arguments of the command.
        rows (`list[dict[str, Any]]`):
            Tokenized rows, in the order of training.
        device (`str`):
            `"cuda"` or `"cpu"`.
        dtype (`torch.dtype`):
            Of the weights.
    """

    arguments: BenchmarkArguments
    rows: list[dict[str, Any]]
    device: str
    dtype: torch.dtype


class Clock(TrainerCallback):
    """Records the end and the loss of each step."""

    def __init__(self, workload: Workload):
        self.device, self.warmup_steps = workload.device, workload.arguments.warmup_steps
        self.ends: list[float] = []
        self.losses: list[float] = []

    def now(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.ends.append(self.now())

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.ends.append(self.now())
        if self.device == "cuda" and state.global_step == self.warmup_steps:
            torch.cuda.reset_peak_memory_stats()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs is not None and "loss" in logs:
            self.losses.append(logs["loss"])

    @property
    def seconds(self) -> list[float]:
        """Returns the duration of each step."""
        return [after - before for before, after in zip(self.ends, self.ends[1:], strict=False)]


class Tracer(TrainerCallback):
    """Traces some steps with torch.profiler and writes the trace to a file."""

    def __init__(self, steps: range, file: Path, device: str):
        self.steps, self.file = steps, file
        kind = torch.profiler.ProfilerActivity.CUDA if device == "cuda" else torch.profiler.ProfilerActivity.CPU
        self.profile = torch.profiler.profile(activities=[kind])

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step == self.steps.start:
            self.profile.start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step == self.steps.stop:
            self.profile.stop()
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.profile.export_chrome_trace(str(self.file))


def run_arm(arm: Arm, workload: Workload) -> Result | None:
    """Runs the arm with as many rows per pass as fit; returns `None` if one row does not fit."""
    world = PartialState().num_processes
    micro = workload.arguments.micro_batch_size or workload.arguments.batch_size // world
    while micro:
        try:
            with patch_environment(**arm.environment):
                return run_steps(arm, micro, workload)
        except torch.OutOfMemoryError:
            if world > 1:
                raise  # otherwise the other processes would wait for this one
            print(f"Out of memory with {micro} rows per pass.", flush=True)
            micro //= 2
        finally:
            gc.collect()
            if workload.device == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            torch.compiler.reset()
    return None


def run_steps(arm: Arm, micro: int, workload: Workload) -> Result:
    """Runs the arm with a number of rows per pass."""
    arguments = workload.arguments
    # Created before the settings, which would make ZeRO-3 partition its weights
    model = make_model(arguments, workload.device, workload.dtype)
    config = model.config
    clock = Clock(workload)
    callbacks: list[TrainerCallback] = [clock]
    trace = Path(arguments.output_dir, arm.name, f"trace-{PartialState().process_index}.json")
    if arguments.profiled_steps:
        callbacks.append(Tracer(arguments.traced_steps, trace, workload.device))
    peft_config = None
    if arguments.use_peft:
        peft_config = LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM")
    settings = shared_settings(arm.name, micro, workload)
    trainer = arm.make_trainer(model, workload.rows, settings, callbacks, peft_config)
    trainer.train()
    tokens, flop = step_counters(workload.rows, arguments, arm, config)
    peak = max(gather_object([torch.cuda.max_memory_allocated() if workload.device == "cuda" else 0]))
    return Result(
        arm.name,
        micro,
        seconds=[clock.seconds[step] for step in arguments.timed_steps],
        source_tokens=[tokens[step] for step in arguments.timed_steps],
        useful_flop=[flop[step] for step in arguments.timed_steps],
        losses=[clock.losses[step] for step in arguments.timed_steps],
        peak_bytes=peak,
        state_bytes=optimizer_bytes(trainer.optimizer),
        gpu_time=gather_object([read_trace(trace, arguments.profiled_steps)]) if arguments.profiled_steps else [],
    )


def shared_settings(arm: str, micro: int, workload: Workload) -> dict[str, Any]:
    """Returns the fields of `TrainingArguments` that are the same for all arms."""
    arguments = workload.arguments
    return {
        "output_dir": str(Path(arguments.output_dir, arm)),
        "max_steps": arguments.total_steps,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": arguments.batch_size // (micro * PartialState().num_processes),
        "train_sampling_strategy": "sequential",  # each arm has the same rows in the same step
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "bf16": workload.device == "cuda",
        "use_cpu": workload.device == "cpu",
        "optim": arguments.optim,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": arguments.seed,
        "activation_checkpointing": arguments.gradient_checkpointing,
        "use_liger_kernel": arguments.use_liger_kernel,
        "ddp_bucket_cap_mb": arguments.ddp_bucket_cap_mb,
        "max_length": None,
    }


def optimizer_bytes(optimizer: torch.optim.Optimizer | None) -> int:
    """Returns the size of the optimizer's state on this process."""
    assert optimizer is not None  # it has trained
    inner: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it
    return sum(
        value.numel() * value.element_size()
        for state in inner.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    )
