"""Time and measure whole training steps of this trainer beside those of its alternatives, on the same rows and weights.

    reflection-trl benchmark                                   a tiny model on the CPU, in a minute
    reflection-trl benchmark --shape 1.5b --arms all           under five minutes on one GPU
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
    sft-liger       the same with Liger's kernels (norm, rope, swiglu and the fused loss) in place of compilation
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
    --arms                    `all`, or some of them [ours published sft]
    --batch_size              rows per optimizer step, over all processes [8]
    --micro_batch_size        rows per forward pass of one process [batch_size]; halved for an arm that runs out of memory
    --row_tokens              mean length of a row, in tokens [1600]
    --steps --warmup_steps    optimizer steps that are timed, and those before them [12, 2]
    --profiled_steps          further steps in the middle, traced on each GPU [0]
    --ddp_bucket_cap_mb       gradients that data parallel training exchanges at a time, in MB [25]
    --gradient_checkpointing --use_peft --use_liger_kernel --optim --dtype --seed    for all arms
    --output_dir              where JSON, table and plot go [out/benchmark]
"""

from pathlib import Path

from ..command_line import keep_compiled_code, make_parser, parse_options, run_command
from .arguments import ARM_NAMES, SHAPE_NAMES, BenchmarkArguments


def check_arguments(arguments: BenchmarkArguments) -> None:
    """Rejects names that are unknown, before torch is loaded."""
    unknown = [arm for arm in arguments.arms if arm not in (*ARM_NAMES, "all")]
    if unknown:
        raise ValueError(f"--arms {' '.join(unknown)}: use some of {' '.join(ARM_NAMES)}, or all.")
    if arguments.shape not in SHAPE_NAMES:
        raise ValueError(f"--shape {arguments.shape}: use one of {', '.join(SHAPE_NAMES)}.")


def missing_packages(device: str) -> dict[str, str]:
    """Returns why arms cannot run on this machine."""
    from accelerate.utils import is_torchao_available
    from transformers.utils import is_liger_kernel_available

    missing = {}
    if not is_torchao_available():
        missing["ours-fp8"] = "needs torchao: pip install torchao"
    if not is_liger_kernel_available():
        missing["sft-liger"] = "needs Liger: pip install liger-kernel"
    elif device == "cpu":
        missing["sft-liger"] = "needs a GPU"
    return missing


def chosen_arms(arguments: BenchmarkArguments, device: str) -> list[str]:
    """Returns the arms to run. `all` leaves out, and names, those that cannot run here; asked for by name, they are refused."""
    missing = missing_packages(device)
    if "all" not in arguments.arms:
        for arm in arguments.arms:
            if arm in missing:
                raise ValueError(f"--arms {arm} {missing[arm]}.")
        return arguments.arms
    for arm, reason in missing.items():
        print(f"{arm} is left out: it {reason}.", flush=True)
    return [arm for arm in ARM_NAMES if arm not in missing]


def check_machine(arguments: BenchmarkArguments, device: str, num_processes: int) -> None:
    """Rejects what this machine cannot run."""
    if arguments.profiled_steps and device == "cpu":
        raise ValueError(
            f"--profiled_steps {arguments.profiled_steps} needs a GPU, whose kernels it traces; there is none."
        )
    if arguments.batch_size % ((arguments.micro_batch_size or 1) * num_processes):
        raise ValueError(
            f"--micro_batch_size {arguments.micro_batch_size or 1} times {num_processes} process(es) must divide "
            f"--batch_size {arguments.batch_size}."
        )


def run(argv: list[str]) -> None:
    keep_compiled_code()
    (arguments,) = parse_options(make_parser(BenchmarkArguments, "benchmark"), argv)
    check_arguments(arguments)
    import torch
    from accelerate import PartialState
    from transformers.utils import logging

    device = "cuda" if torch.cuda.is_available() else "cpu"
    state = PartialState(cpu=device == "cpu")
    check_machine(arguments, device, state.num_processes)
    arms = chosen_arms(arguments, device)

    from .arms import ARMS
    from .flop import matrix_rate
    from .measure import Workload, run_arm
    from .models import vocabulary_size
    from .report import table, write_results
    from .rows import synthetic_rows

    logging.set_verbosity_error()
    folder = Path(arguments.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    precision = arguments.dtype
    if precision == "auto":
        precision = "bfloat16" if device == "cuda" else "float32"
    dtype: torch.dtype = getattr(torch, precision)
    number = arguments.total_steps * arguments.batch_size
    rows = synthetic_rows(number, arguments.row_tokens, vocabulary_size(arguments), arguments.seed)
    rate = matrix_rate(device, dtype)
    results = []
    for name in arms:
        state.print(f"== {name}", flush=True)
        result = run_arm(ARMS[name], Workload(arguments, rows, device, dtype))
        if result is None:
            state.print(f"{name}: out of memory with one row per pass.")
            continue
        results.append(result)
        state.print(table([result], rate * state.num_processes), flush=True)
    if state.is_main_process:
        print(f"\n{write_results(results, arguments, device, rate)}\nWritten to {folder}.")


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
