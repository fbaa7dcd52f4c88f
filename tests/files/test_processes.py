"""Processes of a distributed run divide the cores of their machine."""

import pytest

from reflection_trl.checking import CheckerProcesses
from reflection_trl.files.processes import cores_per_process


@pytest.mark.parametrize(("cores", "processes", "share"), [(8, None, 8), (8, "4", 2), (7, "2", 3), (2, "4", 1)])
def test_the_cores_of_a_machine_are_divided(monkeypatch, cores, processes, share):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(cores))
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if processes is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert cores_per_process() == share
    assert CheckerProcesses()._idle.qsize() == share
