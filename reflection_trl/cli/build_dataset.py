"""Build a dataset of reflection sequences: a model writes programs, sees how they fail, repairs them, and answers.

    reflection-trl build --config smollm2-135m/build
    reflection-trl build --model_name_or_path Qwen/Qwen2.5-Coder-1.5B-Instruct --problems my/problems.jsonl
    reflection-trl build --base_url http://localhost:8000/v1 --problems my/problems.jsonl --push_to_hub me/rows
    accelerate launch --num_processes 8 recipes/build_dataset.py --config FILE    one model per GPU, with shared rollouts

The YAML file sets fields; the command line overrides them. All results are saved in --output_dir immediately: rerun the same
command to resume after any interruption. With more --samples_per_problem, another --min_repaired_share or --by_difficulty,
or another --decontaminate_against that keeps the same problems, the command reuses existing rollouts. For a finished run it
only writes the dataset again (--push_to_hub publishes it).

  problems
    --problems              files (JSON, JSON Lines, Parquet, CSV; patterns too) or Hub ids; in YAML also with `mapping`,
                            `columns`, `split`, `name`, `revision`, `language`, `license`, `limit`, `skip_invalid`, as in
                            reflection_trl.problems.load_problems
    --decontaminate_against benchmarks whose tasks no problem or row repeats [humaneval mbpp]; `none` to disable
    --near_duplicates       similarity from which two problems are duplicates [0.8]; above 1 keeps all
    --held_out_share        share of held-out problems, chosen by id, without rows [0]; they are saved in held_out.jsonl in
                            --output_dir, for choosing settings: `evaluate --benchmarks problems:FILE`
  model
    --model_name_or_path --model_revision --backend (auto, endpoint, vllm, transformers) --dtype --max_context
    --chat_template_kwargs  variables for the chat template, such as '{"enable_thinking": false}'
    --base_url --api_key_variable --max_concurrency --requests_per_minute       an OpenAI-compatible server
    --max_requests --max_total_tokens                                           budget of this command
    --gpu_memory_utilization --kv_cache_memory_bytes --tensor_parallel_size     for vLLM
  rollouts
    --rounds                maximum number of programs in a sequence [4]
    --samples_per_problem   number of rollouts per problem [1]
    --give_up_after         stop sampling a problem after its first N rollouts were all rejected [never]
    --temperature --repair_temperature --answer_temperature                     [0.8, 0.6, 0.2]
    --max_tokens            maximum tokens of an answer; 1.5 times as many for a repair [1024]
    --templates             folder with your own prompts: reflection_trl.builder.prompts
    --repair_candidates     repairs to sample in each round, of which one that passes is used [1]; 8 helps models that rarely
                            repair
    --answer_context        context of the final answer [sequence]: `sequence`, the conversation of the row, as the teacher
                            sees it; `program`, with the program that passed; `request`, the request alone
    --answer_samples        answers to sample in a sequence or from a request, of which one usable answer is kept [4]
    --answer_choice         the `first` usable answer, or a `random` one [first]
    --solve_rate_samples    answers to sample from the request alone per problem, to measure its difficulty [4]
    --answer_first          start from an answer to the request alone, to which asserts are added; if it passes, it is also
                            the final answer, unless that is sampled in the sequence [false]
    --max_resamples         resample unusable answers up to N times [2]
    --tell_answer           show the expected answer of a problem with a final answer when the model's is wrong
    --compute               allow programs in solutions of such problems; they run in the sandbox
    --voters                number of answers that vote on the model's asserts if a problem has no tests [0]
    --tell_tests            show the model how it fails the problem's own tests [true]
    --seed                  [0]; vLLM in this process ignores it, and samples differently each time
    --in_flight             concurrent rollouts [128]
  output
    --output_dir            folder of the run [out/build]
    --min_repaired_share    minimum share of rows with a failed attempt; surplus rows without one are set aside [0]
    --by_difficulty         set rows aside in proportion to how often the model solves their problem without a sequence: all
                            rows of a problem that it always solves [false]
    --outcome_only          make no rollouts; write the dataset of the existing ones
    --price                 price per million tokens, to show the cost
    --push_to_hub           dataset repository, USER/NAME; also --hub_private --hub_revision --create_pr

Invalid input prints a one-line error and exits with status 1; set REFLECTION_TRL_DEBUG=1 for the traceback. Model-written
code runs only in the sandbox: reflection_trl.sandbox.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..builder.settings import RolloutOptions
from .command_line import (
    check_model,
    check_token,
    log_to_terminal,
    make_parser,
    parse_options,
    read_benchmarks,
    run_command,
)
from .problem_sources import read_problems, source_paths


if TYPE_CHECKING:
    from ..builder.build import Build
    from ..builder.statistics import BuildStatistics
    from ..generation import GenerationArguments


@dataclass(frozen=True)
class BuildArguments(RolloutOptions):
    problems: list[str] = field(default_factory=list)
    decontaminate_against: list[str] = field(default_factory=lambda: ["humaneval", "mbpp"])
    near_duplicates: float = 0.8
    held_out_share: float = 0.0
    samples_per_problem: int = 1
    give_up_after: int | None = None
    temperature: float = 0.8
    repair_temperature: float = 0.6
    answer_temperature: float = 0.2
    max_tokens: int = 1024
    templates: str | None = None
    in_flight: int = 128
    output_dir: str = "out/build"
    min_repaired_share: float = 0.0
    by_difficulty: bool = False
    outcome_only: bool = False
    price: float | None = None
    push_to_hub: str | None = None
    hub_private: bool = False
    hub_revision: str | None = None
    create_pr: bool = False


def parse(argv: list[str]) -> "tuple[BuildArguments, GenerationArguments]":
    from ..generation import GenerationArguments

    parser = make_parser((BuildArguments, GenerationArguments), "reflection-trl build")
    arguments, generation = parse_options(parser, argv)
    check_sources(arguments.problems)
    return arguments, generation


def check_sources(sources: Sequence[str | dict[str, Any]]) -> None:
    if not sources:
        raise ValueError("No problems specified: pass --problems, or set `problems` in the YAML file.")
    source_paths(sources)


def read_build(arguments: BuildArguments, generation: "GenerationArguments") -> "Build":
    """Parses the arguments, and returns the build that they describe."""
    from ..builder import RolloutSettings, prepare_problems
    from ..builder.build import Build, model_name
    from ..generation import Sampling
    from ..problems import hold_out

    settings = RolloutSettings(
        **{option.name: getattr(arguments, option.name) for option in fields(RolloutOptions)},
        first=Sampling(arguments.temperature, 0.95, arguments.max_tokens),
        repair=Sampling(arguments.repair_temperature, 0.95, arguments.max_tokens * 3 // 2),
        answer=Sampling(arguments.answer_temperature, 0.95, arguments.max_tokens),
        templates=arguments.templates,
    )
    benchmarks = read_benchmarks(arguments.decontaminate_against)
    problems, report = prepare_problems(
        read_problems(arguments.problems),
        decontaminate_against=benchmarks,
        near_duplicate_threshold=arguments.near_duplicates if arguments.near_duplicates <= 1 else None,
    )
    problems, held_out = hold_out(problems, arguments.held_out_share)
    if not problems and held_out:
        raise ValueError(
            f"--held_out_share {arguments.held_out_share:g} holds out all {len(held_out)} problems: give a smaller share or more problems."
        )
    return Build(
        problems,
        model_name(generation),
        settings,
        arguments.samples_per_problem,
        arguments.min_repaired_share,
        report,
        held_out,
        arguments.give_up_after,
        generation.template_variables,
        arguments.by_difficulty,
        benchmarks,
    )


def show_outcome(arguments: BuildArguments, statistics: "BuildStatistics") -> None:
    """Prints the results of a run, and publishes them with `--push_to_hub`."""
    from ..builder.build import HELD_OUT_FILE, read_rows

    output_dir = Path(arguments.output_dir)
    print(f"\n{statistics.table(arguments.price)}\n", flush=True)
    file, partial = output_dir / "train.parquet", output_dir / ".train.parquet.partial"
    file.unlink(missing_ok=True)  # if no row is left, it would hold those of an earlier selection
    dataset = read_rows(output_dir)
    dataset.to_parquet(str(partial))
    partial.replace(file)
    print(f"Rows:  {file} ({len(dataset):,})")
    if (output_dir / HELD_OUT_FILE).exists():
        print(f"Aside: {output_dir / HELD_OUT_FILE} (no row comes from these problems)")
    print(f"Plot:  {output_dir / 'build.png'}")
    print(f"Read:  reflection-trl browse {output_dir}    (rejected rollouts too)")
    if arguments.push_to_hub:
        from ..hub import publish_dataset

        commit = publish_dataset(
            dataset,
            arguments.push_to_hub,
            statistics=statistics,
            private=arguments.hub_private or None,
            revision=arguments.hub_revision,
            create_pr=arguments.create_pr,
            staging_dir=str(output_dir / "upload"),
        )
        print(f"Hub:   {commit}")


def run(argv: list[str]) -> None:
    from ..files.processes import place_among_processes

    process, processes = place_among_processes()
    arguments, generation = parse(argv)
    if arguments.push_to_hub:
        check_token("push_to_hub")
    if not arguments.outcome_only:
        check_model(generation, arguments.output_dir)

    from datasets.utils import disable_progress_bars

    from ..builder.build import model_of_run, run_build
    from ..generation import with_served_name

    if arguments.outcome_only:  # the server may have stopped
        generation.model_name_or_path = generation.model_name_or_path or model_of_run(arguments.output_dir)
    else:
        generation = with_served_name(generation)
    disable_progress_bars()  # the run has its own format
    log_to_terminal(process)
    build = read_build(arguments, generation)
    if process == 0 and build.report is not None:
        print(build.report.summary(), flush=True)
    statistics = asyncio.run(
        run_build(
            build,
            arguments.output_dir,
            generation,
            in_flight=arguments.in_flight,
            price=arguments.price,
            process=process,
            processes=processes,
            outcome_only=arguments.outcome_only,
        )
    )
    if statistics is not None:
        show_outcome(arguments, statistics)


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
