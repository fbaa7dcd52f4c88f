"""Computes the time of a GPU from a torch.profiler trace: computation, communication and idle time."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


KINDS = {  # the first match counts, since attention kernels contain "cutlass" too
    "attention": ("flash", "fmha", "attention"),
    "matrix products": ("gemm", "nvjet", "cutlass", "xmma"),
    "optimizer": ("multi_tensor_apply", "adam"),
}
OTHER = "elementwise and copies"
WORK = ("kernel", "gpu_memcpy", "gpu_memset")  # categories of events in which a GPU is busy


@dataclass(frozen=True)
class GpuTime:
    """
    Holds the times of a step in milliseconds, as means over the traced steps.

    Attributes:
        step (`float`):
            Duration of the whole step.
        compute (`float`):
            Time in which the GPU computes or copies, also while it communicates.
        communication (`float`):
            Time in which it exchanges data with other GPUs, also while it computes.
        exposed (`float`):
            Time in which it only communicates.
        idle (`float`):
            Time in which it neither computes nor communicates.
        kinds (`dict[str, float]`):
            Durations of the computing kernels, summed by their kind.
    """

    step: float
    compute: float
    communication: float
    exposed: float
    idle: float
    kinds: dict[str, float]


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Returns the total time that is covered by spans, which may overlap."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def kind_of(kernel: str) -> str:
    name = kernel.lower()
    return next((kind for kind, marks in KINDS.items() if any(mark in name for mark in marks)), OTHER)


def account(events: Sequence[dict[str, Any]], steps: int) -> GpuTime:
    """
    Sums up the events of one GPU.

    Args:
        events (`Sequence[dict[str, Any]]`):
            `traceEvents` of a trace in Chrome's format; times in microseconds.
        steps (`int`):
            Number of traced steps.

    Raises:
        ValueError: If the trace contains no GPU kernels.
    """
    busy = [event for event in events if event.get("cat") in WORK]
    if not busy:
        raise ValueError("The trace contains no GPU kernels: trace a run on a GPU.")
    spans: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    kinds: dict[str, float] = dict.fromkeys([*KINDS, OTHER], 0.0)
    for event in busy:
        exchanges = "nccl" in event["name"].lower()
        spans[exchanges].append((event["ts"], event["ts"] + event["dur"]))
        if not exchanges:
            kinds[kind_of(event["name"])] += event["dur"]
    everything = spans[True] + spans[False]
    whole = max(end for _, end in everything) - min(start for start, _ in everything)
    compute, communication, both = covered(spans[False]), covered(spans[True]), covered(everything)
    scale = 1e-3 / steps
    return GpuTime(
        step=whole * scale,
        compute=compute * scale,
        communication=communication * scale,
        exposed=(both - compute) * scale,
        idle=(whole - both) * scale,
        kinds={kind: duration * scale for kind, duration in kinds.items()},
    )


def read_trace(file: Path, steps: int) -> GpuTime:
    """Reads the GPU time from a trace of `torch.profiler.profile.export_chrome_trace`."""
    return account(json.loads(file.read_text())["traceEvents"], steps)


def time_table(times: dict[str, list[GpuTime]]) -> str:
    """Returns a Markdown table of GPU times, with a row for each GPU of each arm."""
    lines = [
        f"| arm | GPU | step | compute | communication | exposed | idle | {' | '.join([*KINDS, OTHER])} |",
        "|" + "---|" * (7 + len(KINDS) + 1),
    ]
    for arm, ranks in times.items():
        for rank, found in enumerate(ranks):
            cells = [
                found.step,
                found.compute,
                found.communication,
                found.exposed,
                found.idle,
                *found.kinds.values(),
            ]
            lines.append(f"| {arm} | {rank} | {' | '.join(f'{cell:.1f}' for cell in cells)} |")
    return "\n".join(lines)
