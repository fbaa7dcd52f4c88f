"""Writes the results of the benchmark as a table, a plot and files."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import PartialState

from .arguments import BenchmarkArguments
from .gpu_time import time_table
from .measure import Result


def table(results: Sequence[Result], rate: float) -> str:
    """Returns the results as a Markdown table."""
    base = next((result for result in results if result.arm == "published"), None)
    lines = [
        "| arm | rows per pass | source tokens/s | step, median (min - max) | useful TFLOP/s | of matmul peak | peak memory "
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
    """Draws throughput over the mask rate, and peak memory; prints a note if matplotlib is missing."""
    try:
        import matplotlib
    except ImportError:
        print("No plot was made: run `pip install matplotlib`.")
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


def write_results(results: Sequence[Result], arguments: BenchmarkArguments, device: str, rate: float) -> str:
    """
    Writes `benchmark.json`, `benchmark.md` and `benchmark.png` into the output folder.

    Args:
        results (`Sequence[Result]`):
            One result for each arm.
        arguments (`BenchmarkArguments`):
            Arguments of the command.
        device (`str`):
            Type of the device, such as `"cuda"`.
        rate (`float`):
            FLOP/s of one process's device in a matrix product.

    Returns:
        `str`: The text of `benchmark.md`.
    """
    state, folder = PartialState(), Path(arguments.output_dir)
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    if state.num_processes > 1:
        name = f"{state.num_processes} x {name}, {state.distributed_type.value}"
    size = arguments.model_name_or_path or arguments.shape
    head = (
        f"{size}, rows of {arguments.row_tokens} tokens, {arguments.batch_size} a step, {name}, torch {torch.__version__}; "
        f"matmul peak of one {rate / 1e12:.3g} TFLOP/s"
    )
    text = f"{head}\n\n{table(results, rate * state.num_processes)}\n"
    if arguments.profiled_steps:
        times = {result.arm: result.gpu_time for result in results}
        text += f"\nMilliseconds of a step, the mean of {arguments.profiled_steps}:\n\n{time_table(times)}\n"
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
    return text
