"""Processes that share nothing but a folder, as `accelerate launch` starts them."""

import os


def place_among_processes() -> tuple[int, int]:
    """
    Number of this process and how many there are. Each one is given a GPU of its own and forgets the others. To be called
    before anything looks at the GPUs.
    """
    process, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if processes > 1:
        visible = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
        local = int(os.environ.get("LOCAL_RANK", process))
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[local] if local < len(visible) else str(local)
    for name in (
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
        "GROUP_RANK",
        "ROLE_RANK",
    ):
        os.environ.pop(name, None)
    return process, processes
