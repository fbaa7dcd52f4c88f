"""Defines the arguments of the benchmark, and the names of its arms and model shapes."""

from dataclasses import dataclass, field


ARM_NAMES = ("ours", "ours-compiled", "ours-fp8", "published", "sft", "sft-compiled", "sft-liger", "sdft")
SHAPE_NAMES = ("tiny", "0.5b", "1.5b", "7b", "32b")
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass
class BenchmarkArguments:
    shape: str = field(
        default="tiny", metadata={"help": f"Shape of the model, which has random weights: {', '.join(SHAPE_NAMES)}."}
    )
    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Model folder or Hub id, in place of random weights."}
    )
    arms: list[str] = field(
        default_factory=lambda: ["ours", "published", "sft"],
        metadata={"help": f"Arms to run: {', '.join(ARM_NAMES)}; or `all` for those that this machine can run."},
    )
    batch_size: int = field(default=8, metadata={"help": "Rows per optimizer step, over all processes."})
    micro_batch_size: int | None = field(
        default=None,
        metadata={
            "help": "Rows per forward pass of one process, with gradient accumulation; `batch_size / processes` by default. "
            "Halved for an arm that runs out of memory in a single process."
        },
    )
    row_tokens: int = field(default=1600, metadata={"help": "Mean length of a row, in tokens."})
    steps: int = field(default=12, metadata={"help": "Optimizer steps to time."})
    warmup_steps: int = field(default=2, metadata={"help": "Optimizer steps before them, which are not timed."})
    profiled_steps: int = field(
        default=0, metadata={"help": "Additional steps in their middle, which are traced on each GPU."}
    )
    ddp_bucket_cap_mb: int | None = field(
        default=None, metadata={"help": "Size of DDP's gradient buckets, in MB [25]."}
    )
    gradient_checkpointing: bool = field(
        default=False, metadata={"help": "Whether all arms use gradient checkpointing; `published` always does."}
    )
    use_peft: bool = field(
        default=False, metadata={"help": "Whether all arms train LoRA of rank 16 on all linear layers."}
    )
    use_liger_kernel: bool = field(
        default=False, metadata={"help": "Whether all arms use Liger's norm, rope and swiglu."}
    )
    optim: str = field(default="adamw_torch_fused", metadata={"help": "Optimizer of all arms."})
    dtype: str = field(
        default="auto", metadata={"help": "Data type of the weights: `auto` is bfloat16 on a GPU, float32 elsewhere."}
    )
    seed: int = field(default=0, metadata={"help": "Seed of rows, weights and masks."})
    output_dir: str = field(
        default="out/benchmark", metadata={"help": "Folder of the JSON file, the table and the plot."}
    )

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
        """Returns the steps from which the results are computed."""
        return [step for step in range(self.warmup_steps, self.total_steps) if step not in self.traced_steps]
