"""Tasks that several processes share: each is done once, by whoever is free, whatever ends a process."""

import asyncio
import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflection_trl.files import work_queue
from reflection_trl.files.run_folder import RunError, RunFolder
from reflection_trl.files.work_queue import WorkQueue


def keys_of(count):
    return [(f"p{number}", 0) for number in range(count)]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(work_queue, "_POLL_SECONDS", 0.01)


@pytest.fixture
def open_queue(tmp_path):
    """Opens the queue of one of two processes, and its folder, which is how a process holds its lock."""
    folders = []

    def open_one(process, keys, **options):
        folders.append(RunFolder(tmp_path, {}, process))
        return WorkQueue(keys, folders[-1], **{"processes": 2} | options), folders[-1]

    yield open_one
    for folder in folders:
        folder.__exit__()


def take(queue):
    return asyncio.run(queue.take())


def take_all(queue):
    taken = []
    while (key := take(queue)) is not None:
        taken.append(key)
        queue.finish(key)
    return taken


def test_one_process_gets_all_tasks_in_their_order():
    queue = WorkQueue(keys_of(5))
    assert take_all(queue) == keys_of(5) and queue.is_done()


def test_a_process_that_is_busy_leaves_its_share_to_others(open_queue):
    slow, _ = open_queue(0, keys_of(20))
    fast, _ = open_queue(1, keys_of(20))
    held = take(slow)
    assert held == ("p0", 0)
    assert take_all(fast) == keys_of(20)[1:]
    assert take(slow) is None and not slow.is_done()
    slow.finish(held)
    assert slow.is_done() and fast.is_done()


def test_the_first_process_does_not_take_more_than_its_share_at_a_time(open_queue):
    first, _ = open_queue(0, keys_of(9))
    held = [take(first) for _ in range(5)]
    assert None not in held and take(first) is None  # half of nine, rounded up
    second, _ = open_queue(1, keys_of(9))
    others = [take(second) for _ in range(4)]
    assert sorted(held + others) == keys_of(9) and take(second) is None


def test_tasks_of_a_process_that_has_ended_are_handed_out_again(open_queue):
    first, _ = open_queue(0, keys_of(6))
    second, folder = open_queue(1, keys_of(6))
    done, lost = take(second), take(second)
    second.finish(done)
    folder.__exit__()  # as the kernel does when it is killed
    assert take_all(first) == [key for key in keys_of(6) if key not in (done, lost)] + [lost]
    assert first.is_done()


def test_a_process_that_is_started_again_drops_its_claims(open_queue):
    first, _ = open_queue(0, keys_of(6))
    second, folder = open_queue(1, keys_of(6))
    lost = take(second)
    assert take(first) != lost
    folder.__exit__()
    again, _ = open_queue(1, keys_of(6))
    assert take(again) == lost


def test_what_a_killed_process_has_half_written_is_passed_over(open_queue, tmp_path):
    first, _ = open_queue(0, keys_of(4))
    second, folder = open_queue(1, keys_of(4))
    second.finish(take(second))
    with open(tmp_path / "queue" / "00001.jsonl", "a") as file:
        file.write('{"claim": ["p1')
    folder.__exit__()
    again, _ = open_queue(1, keys_of(4)[1:])
    assert take(again) == ("p1", 0)
    assert take(first) == ("p2", 0)


def test_a_new_session_knows_nothing_of_the_last_one(open_queue):
    """A rollout for which the model gave no answer is finished in its session, and made again in the next one."""
    (first, folder), (second, other) = open_queue(0, keys_of(4)), open_queue(1, keys_of(4))
    take_all(first)
    second.finish(("p0", 0))
    assert second.is_done()
    folder.__exit__()
    other.__exit__()
    open_queue(1, [])  # it has begun again, so that what it had finished before counts no longer
    again, _ = open_queue(0, keys_of(4))
    assert take_all(again) == keys_of(4)


def test_tasks_that_cannot_begin_are_passed_over_until_they_can(open_queue):
    known = {}
    keys = [("a", 0), ("a", 1), ("b", 0), ("c", 0)]
    first, _ = open_queue(0, keys)
    second, _ = open_queue(
        1,
        keys,
        ready=lambda key: key[1] == 0 or key[0] in known,
        learn=lambda key, result: known.update({key[0]: result}),
    )
    assert take(first) == ("a", 0)
    assert take(second) == ("b", 0) and take(second) == ("c", 0)

    async def wait_for_the_other():
        second.finish(("b", 0))
        second.finish(("c", 0))
        waiting = asyncio.create_task(second.take())
        await asyncio.sleep(0.03)
        assert not waiting.done()
        first.finish(("a", 0), "why")
        return await waiting

    assert asyncio.run(wait_for_the_other()) == ("a", 1)
    assert known == {"a": "why"}


def test_a_task_whose_first_one_died_with_its_process_is_not_waited_for_in_vain(open_queue):
    keys = [("a", 0), ("a", 1)]
    first, folder = open_queue(0, keys)
    known = set()
    second, _ = open_queue(1, keys, ready=lambda key: key[1] == 0 or "a" in known)
    take(first)
    folder.__exit__()
    assert take(second) == ("a", 0)


def test_a_full_disk_is_one_sentence(open_queue, tmp_path):
    queue, _ = open_queue(0, keys_of(2))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The largest size of a file, which is how a full disk looks
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "queue" / "00000.jsonl").stat().st_size, before[1]))
    try:
        with pytest.raises(RunError, match=r"cannot be written .*: free disk space and rerun the same command"):
            take(queue)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert take(queue) == ("p0", 0)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 12),
    processes=st.integers(2, 4),
    steps=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["take", "take", "finish", "die"])), max_size=60),
)
def test_whatever_order_each_task_is_finished_and_none_is_held_twice(tmp_path_factory, count, processes, steps):
    path = tmp_path_factory.mktemp("run")
    alive, held, finished = {}, {}, []

    def start(process):
        folder = RunFolder(path, {}, process)
        left = [key for key in keys_of(count) if key not in finished]
        alive[process], held[process] = (WorkQueue(left, folder, processes), folder), []

    def die(process):
        _, folder = alive.pop(process)
        folder.__exit__()
        held.pop(process)

    for process, what in steps:
        if process >= processes:
            continue
        if process not in alive:
            start(process)
        queue, _ = alive[process]
        if what == "die":
            die(process)
        elif what == "finish" and held[process]:
            finished.append(held[process].pop())
            queue.finish(finished[-1])
        elif what == "take" and (key := take(queue)) is not None:
            assert all(key not in some for some in held.values()) and key not in finished
            held[process].append(key)
    for process in [*alive]:
        if process != 0:
            die(process)
    if 0 not in alive:
        start(0)
    queue = alive[0][0]
    for key in held[0]:
        queue.finish(key)
        finished.append(key)
    finished += take_all(queue)
    assert sorted(finished) == sorted(keys_of(count)) and queue.is_done()
    die(0)
