"""Coroutines from code that is not asynchronous, with an event loop running and without."""

import asyncio

import pytest

from reflection_trl.coroutines import run_coroutine


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
