"""Measure speed, memory and loss of training steps of this trainer and its alternatives, on the same rows and weights.

    reflection-trl benchmark                                   a tiny model on the CPU, in a minute
    reflection-trl benchmark --shape 1.5b --arms all           under five minutes on one GPU
    accelerate launch --config_file recipes/accelerate/fsdp2.yaml --num_processes 2 recipes/benchmark.py --shape 1.5b --arms ours

  arms
    ours            ReflectionDistillTrainer: hidden tokens dropped, rows packed, loss computed in chunks
    ours-compiled   the same with `torch_compile`, layer by layer
    ours-fp8        `ours-compiled` with linear layers in float8 (torchao through accelerate, tensorwise scaling)
    published       a stand-in for the trainer published with ReflectionCoder, written for this comparison: teacher and student
                    in one padded batch, hidden tokens masked, full float32 logits, gradient checkpointing
    sft             TRL's SFTTrainer on the teacher's sequences only, packed: the baseline without distillation. It uses this
                    package's attention for packed sequences, because its own needs flash-attn
    sft-compiled    the same, compiled layer by layer; compare it with `ours-compiled`
    sft-liger       `sft` with Liger kernels (norm, rope, swiglu and fused loss)
    sdft            the loss of TRL's SDFTTrainer on the same rows: only the divergence on the answer, in padded batches. Answers
                    are given, so generation is not measured

All arms have the same rows and masks in the same order, a mask rate that rises from 0 to 1, and fused AdamW. The losses of `ours`
and `published` must agree; the table shows the difference. `ours-fp8` differs more, because of its precision. Weights are
random, in a shape of Qwen2.5-Coder, unless --model_name_or_path is set.

  options
    --shape                   shape of the model: tiny, 0.5b, 1.5b, 7b or 32b [tiny]
    --model_name_or_path      model folder or Hub id, in place of random weights
    --arms                    arms to run, or `all` for those that this machine can run [ours published sft]
    --batch_size              rows per optimizer step, over all processes [8]
    --micro_batch_size        rows per forward pass of one process [batch_size / processes]; halved for an arm that runs out of
                              memory
    --row_tokens              mean length of a row, in tokens [1600]
    --steps --warmup_steps    optimizer steps to time, and steps before them [12, 2]
    --profiled_steps          additional steps to trace on each GPU [0]; a second table shows computation, communication and idle
                              time. Open the traces (OUTPUT_DIR/ARM/trace-RANK.json) at ui.perfetto.dev
    --ddp_bucket_cap_mb       size of DDP's gradient buckets, in MB [25]
    --gradient_checkpointing --use_peft --use_liger_kernel --optim --dtype --seed    for all arms
    --output_dir              folder of the JSON file, the table and the plot [out/benchmark]

Invalid input prints a one-line error and exits with status 1; set REFLECTION_TRL_DEBUG=1 for the traceback.
"""

from pathlib import Path

from ..command_line import check_model_name, keep_compiled_code, make_parser, parse_options, run_command
from .arguments import ARM_NAMES, DTYPES, SHAPE_NAMES, BenchmarkArguments


def check_arguments(arguments: BenchmarkArguments) -> None:
    """Rejects unknown names before torch is loaded."""
    unknown = [arm for arm in arguments.arms if arm not in (*ARM_NAMES, "all")]
    if unknown:
        raise ValueError(f"--arms {' '.join(unknown)}: use some of {' '.join(ARM_NAMES)}, or all.")
    if arguments.shape not in SHAPE_NAMES:
        raise ValueError(f"--shape {arguments.shape}: use one of {', '.join(SHAPE_NAMES)}.")
    if arguments.dtype not in DTYPES:
        raise ValueError(f"--dtype {arguments.dtype}: use one of {', '.join(DTYPES)}.")
    if arguments.model_name_or_path:
        check_model_name(arguments.model_name_or_path)
    for name, least in {"steps": 1, "warmup_steps": 0, "profiled_steps": 0, "batch_size": 1, "row_tokens": 1}.items():
        if (value := getattr(arguments, name)) < least:
            raise ValueError(f"--{name} must be at least {least}, got {value}.")
    if arguments.micro_batch_size is not None and arguments.micro_batch_size < 1:
        raise ValueError(f"--micro_batch_size must be at least 1, got {arguments.micro_batch_size}.")


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
    """Returns the arms to run. `all` skips and reports those that cannot run here; if named, such an arm is an error."""
    missing = missing_packages(device)
    if "all" not in arguments.arms:
        for arm in arguments.arms:
            if arm in missing:
                raise ValueError(f"--arms {arm} {missing[arm]}.")
        return arguments.arms
    for arm, reason in missing.items():
        print(f"Skipping {arm}: it {reason}.", flush=True)
    return [arm for arm in ARM_NAMES if arm not in missing]


def check_machine(arguments: BenchmarkArguments, device: str, num_processes: int) -> None:
    """Rejects arguments that do not fit this machine."""
    if arguments.profiled_steps and device == "cpu":
        raise ValueError(
            f"--profiled_steps {arguments.profiled_steps} traces the kernels of a GPU, and this machine has none: set it to 0."
        )
    if arguments.batch_size % ((arguments.micro_batch_size or 1) * num_processes):
        raise ValueError(
            f"--micro_batch_size {arguments.micro_batch_size or 1} times {num_processes} process(es) must divide "
            f"--batch_size {arguments.batch_size}: change one of the two."
        )


def run(argv: list[str]) -> None:
    keep_compiled_code()
    (arguments,) = parse_options(make_parser(BenchmarkArguments, "reflection-trl benchmark"), argv)
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
            state.print(f"{name}: out of memory with one row per pass. Use shorter rows (--row_tokens).")
            continue
        results.append(result)
        state.print(table([result], rate * state.num_processes), flush=True)
    if state.is_main_process:
        print(f"\n{write_results(results, arguments, device, rate)}\nWritten to {folder}.")


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
