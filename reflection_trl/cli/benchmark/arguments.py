"""Arguments of the benchmark, and the names of its arms and model shapes."""

from dataclasses import dataclass, field


ARM_NAMES = ("ours", "ours-compiled", "ours-fp8", "published", "sft", "sft-compiled", "sft-liger", "sdft")
SHAPE_NAMES = ("tiny", "0.5b", "1.5b", "7b")


@dataclass
class BenchmarkArguments:
    shape: str = field(
        default="tiny", metadata={"help": f"Shape of the model, random weights: {', '.join(SHAPE_NAMES)}."}
    )
    model_name_or_path: str | None = field(default=None, metadata={"help": "A real model instead of a shape."})
    arms: list[str] = field(
        default_factory=lambda: ["ours", "published", "sft"], metadata={"help": f"Of {ARM_NAMES}, or `all`."}
    )
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

    @property
    def total_steps(self) -> int:
        """Returns the number of optimizer steps that each arm takes."""
        return self.warmup_steps + self.steps + self.profiled_steps

    @property
    def traced_steps(self) -> range:
        """Returns the steps in the middle that are traced instead of timed."""
        first = self.warmup_steps + self.steps // 2
        return range(first, first + self.profiled_steps)

    @property
    def timed_steps(self) -> list[int]:
        """Returns the steps that the results are made of."""
        return [step for step in range(self.warmup_steps, self.total_steps) if step not in self.traced_steps]
