"""What a trace of a GPU is summed up to."""

import pytest

from reflection_trl.cli.benchmark.gpu_time import OTHER, account, covered, time_table


def event(name, start, duration, category="kernel"):
    return {"ph": "X", "cat": category, "name": name, "ts": start, "dur": duration}


# Two steps of 10 ms: products until 4, an exchange from 3 to 6, nothing until 8, a copy until 9, nothing, and so again
STEP = [
    event("nvjet_sm90_tst_192x192", 0, 4000),
    event("ncclDevKernel_AllReduce_Sum_bf16_RING_LL", 3000, 3000),
    event("Memcpy DtoD", 8000, 1000, "gpu_memcpy"),
]
TRACE = [{**one, "ts": one["ts"] + start} for start in (0, 10_000) for one in STEP]


def test_a_step_is_computing_exchanging_alone_and_waiting():
    found = account(
        [*TRACE, event("flash_fwd_kernel<cutlass::bfloat16_t>", 19_000, 1000), event("aten::mm", 0, 99_000, "cpu_op")],
        steps=2,
    )
    assert (found.step, found.compute, found.communication, found.exposed, found.idle) == (10, 5.5, 3, 2, 2.5)
    assert found.kinds == {"attention": 0.5, "matrix products": 4, "optimizer": 0, OTHER: 1}
    assert found.step == found.compute + found.exposed + found.idle


def test_time_that_several_kernels_share_counts_once():
    assert covered([(5, 7), (0, 4), (1, 2), (3, 5)]) == 7
    assert covered([]) == 0


def test_a_trace_without_a_gpu_is_refused():
    with pytest.raises(ValueError, match="The trace contains no GPU kernels"):
        account([event("aten::mm", 0, 10, "cpu_op")], steps=1)


def test_each_gpu_has_its_row():
    found = account(TRACE, steps=2)
    head, _, first, second = time_table({"ours": [found, found]}).splitlines()
    assert head.count("|") == first.count("|")
    assert first.startswith("| ours | 0 | 9.5 | 5.0 | 3.0 | 2.0 | 2.5 | 0.0 | 4.0 |")
    assert second.startswith("| ours | 1 |")
