"""Places processes that `accelerate launch` starts on the GPUs and CPU cores of their machine."""

import os


_LAUNCHER = frozenset(
    (
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
        "GROUP_RANK",
        "GROUP_WORLD_SIZE",
        "ROLE_RANK",
        "ROLE_NAME",
        "ROLE_WORLD_SIZE",
    )
)


def place_among_processes() -> tuple[int, int]:
    """
    Returns the index of this process and the number of processes, and assigns one GPU to the process. With more
    processes than GPUs in `CUDA_VISIBLE_DEVICES`, several processes share a GPU. Call it before anything initializes
    the GPUs.
    """
    process, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if processes > 1:
        visible = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
        local = int(os.environ.get("LOCAL_RANK", process))
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[local % len(visible)] if visible else str(local)
    # vLLM's engine would read these variables as its own, and wait for the launcher's store forever
    for name in [name for name in os.environ if name in _LAUNCHER or name.startswith("TORCHELASTIC_")]:
        del os.environ[name]
    return process, processes


def cores_per_process() -> int:
    """Returns the CPU cores of this machine, divided among the processes of a distributed run on it; at least 1."""
    return max(1, len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
