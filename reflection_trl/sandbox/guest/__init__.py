"""
Implements the part of the sandbox that runs inside it.

These modules are shipped into the sandbox as plain files and run there by whatever Python is found: they import the
standard library only, and nothing of the rest of the package.

- `zygote`: waits for jobs and forks one warden for each of them;
- `job`: the warden (clock, output) and the init (namespaces, limits, verdict) of one job;
- `program`: runs the program, and answers the checks;
- `checks`: runs the checks in a process that the program cannot reach;
- `remote`: how the two talk.
"""
