"""
Implements the part of the sandbox that runs inside it.

The sandbox mounts these modules as plain files and runs them with any Python that it finds, so they import only the
standard library and each other.

- `warmup`: runs a small program before the first job;
- `zygote`: waits for jobs and forks one warden for each of them;
- `job`: the warden (clock, output) and the init (namespaces, limits, verdict) of one job;
- `program`: runs the program, and answers the checks;
- `checks`: runs the checks in a process that the program cannot reach;
- `remote`: the protocol between the two.
"""
