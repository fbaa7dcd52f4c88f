"""Build a dataset of reflection sequences on many machines with datatrove: on Slurm, on a Ray cluster, or locally.

    reflection-trl build-distributed --config FILE --executor slurm --tasks 16 --partition gpu --gpus_per_task 1
    reflection-trl build-distributed --config FILE --executor ray --tasks 16 --gpus_per_task 1
    reflection-trl build-distributed --config FILE --base_url http://HOST:8000/v1 --tasks 4

Takes the options of `reflection-trl build`, in YAML or on the command line, except the budget, and makes the same rows in the
same folder, which all machines must see. Each task makes its share of the rollouts, with its own vLLM or SGLang server or with
the server at --base_url. Rerun the same command to resume: it starts tasks with open rollouts, and writes (and publishes) the
dataset when there are none. On Slurm, run it again when the jobs have ended.

  --executor        local, ray or slurm [local]
  --tasks           number of tasks that share the work [1]
  --workers         number of concurrent tasks [-1: all]
  --server          server of each task without --base_url: vllm or sglang [vllm]
  --in_flight       concurrent rollouts of a task [128]
  --cpus_per_task --gpus_per_task --mem_per_cpu_gb     resources on Ray or Slurm [8, 0, 2]
  --partition --time --env_command                     for Slurm: partition, time limit of a task [20:00:00], and a shell
                                                       command that activates the Python environment

datatrove starts vLLM with --trust-remote-code, so code in the model's repository may run. Model-written programs run only in the
sandbox on the machine of their task, so the sandbox must work there. See docs/distributed.md.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .build_dataset import BuildArguments, check_sources, read_build, show_outcome
from .command_line import check_token, make_parser, parse_options, run_command


if TYPE_CHECKING:
    from datatrove.executor.base import PipelineExecutor

    from ..builder.distributed import RolloutRunner
    from ..generation import GenerationArguments

EXECUTORS = ("local", "ray", "slurm")


@dataclass
class DistributedArguments:
    executor: str = "local"
    tasks: int = 1
    workers: int = -1
    server: str = "vllm"
    cpus_per_task: int = 8
    gpus_per_task: int = 0
    mem_per_cpu_gb: int = 2
    partition: str | None = None
    time: str = "20:00:00"
    env_command: str | None = None

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise ValueError(f"--executor {self.executor!r}: use one of {', '.join(EXECUTORS)}.")
        if self.executor == "slurm" and not self.partition:
            raise ValueError("--executor slurm needs the name of a --partition.")
        if self.tasks < 1:
            raise ValueError(f"--tasks must be at least 1, got {self.tasks}.")
        if self.workers != -1 and self.workers < 1:
            raise ValueError(f"--workers must be at least 1, or -1 for all tasks at a time, got {self.workers}.")


def make_executor(arguments: DistributedArguments, step: "RolloutRunner", logging_dir: str) -> "PipelineExecutor":
    shared = {"tasks": arguments.tasks, "workers": arguments.workers, "logging_dir": logging_dir}
    if arguments.executor == "local":
        from datatrove.executor import LocalPipelineExecutor

        return LocalPipelineExecutor([step], **shared)
    machine = {
        "cpus_per_task": arguments.cpus_per_task,
        "gpus_per_task": arguments.gpus_per_task,
        "mem_per_cpu_gb": arguments.mem_per_cpu_gb,
    }
    if arguments.executor == "ray":
        from datatrove.executor import RayPipelineExecutor

        return RayPipelineExecutor([step], **shared, **machine)
    from datatrove.executor import SlurmPipelineExecutor

    return SlurmPipelineExecutor(
        [step],
        **shared,
        **machine,
        time=arguments.time,
        partition=arguments.partition,
        env_command=arguments.env_command,
        job_name="reflection-rollouts",
        mail_type="NONE",
    )


def parse(argv: list[str]) -> "tuple[BuildArguments, GenerationArguments, DistributedArguments]":
    from ..generation import GenerationArguments

    parser = make_parser(
        (BuildArguments, GenerationArguments, DistributedArguments), "reflection-trl build-distributed"
    )
    arguments, generation, distributed = parse_options(parser, argv)
    check_sources(arguments.problems)
    return arguments, generation, distributed


def run(argv: list[str]) -> None:
    arguments, generation, distributed = parse(argv)
    if arguments.push_to_hub:
        check_token("push_to_hub")

    from ..builder.build import RunError, model_of_run
    from ..builder.distributed import RolloutRunner, inference_config, prepare_folder, write_finished
    from ..generation import with_served_name

    if arguments.outcome_only:  # the server may have stopped
        generation.model_name_or_path = generation.model_name_or_path or model_of_run(arguments.output_dir)
    else:
        generation = with_served_name(generation)
    config = inference_config(generation, distributed.server, arguments.in_flight)
    build = read_build(arguments, generation)
    if build.report is not None:
        print(build.report.summary(), flush=True)
    logging_dir, missing = prepare_folder(build, arguments.output_dir, distributed.tasks)
    if missing and not arguments.outcome_only:
        step = RolloutRunner(build, arguments.output_dir, generation, config)
        make_executor(distributed, step, logging_dir).run()
        if distributed.executor == "slurm":
            print(f"{missing:,} rollouts remain. Rerun the same command when the jobs have ended.")
            return
        _, missing = prepare_folder(build, arguments.output_dir, distributed.tasks)
        if missing:
            raise RunError(f"{missing:,} rollouts remain: see {logging_dir}, and rerun the same command.")
    show_outcome(arguments, write_finished(build, arguments.output_dir))


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
