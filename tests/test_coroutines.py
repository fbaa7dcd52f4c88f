"""Coroutines from code that is not asynchronous, with an event loop running and without, and workers."""

import asyncio

import pytest

from reflection_trl.coroutines import run_coroutine, run_workers


async def twice(number):
    await asyncio.sleep(0)
    if number < 0:
        raise ValueError("negative")
    return 2 * number


def test_without_a_loop():
    assert run_coroutine(twice(4)) == 8
    with pytest.raises(ValueError, match="negative"):
        run_coroutine(twice(-1))


def test_in_a_running_loop_as_in_a_notebook():
    async def cell():
        with pytest.raises(ValueError, match="negative"):
            run_coroutine(twice(-1))
        return run_coroutine(twice(4))

    assert asyncio.run(cell()) == 8


def test_workers_share_the_work():
    left, done = iter(range(5)), []

    async def work():
        done.extend([await twice(number) for number in left])

    asyncio.run(run_workers(work, 3))
    assert sorted(done) == [0, 2, 4, 6, 8]


def test_a_failing_worker_ends_the_others_first():
    left, ended = iter([3, -1]), []

    async def work():
        number = next(left)
        try:
            await twice(number)
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append(number)

    async def run():
        with pytest.raises(ValueError, match="negative"):
            await run_workers(work, 2)
        return list(ended)

    assert asyncio.run(run()) == [-1, 3]
