"""Make a dataset of reflection sequences: a model writes programs, sees how they fail, repairs them, and answers.

    reflection-trl build --config smollm2-135m/build
    reflection-trl build --model_name_or_path Qwen/Qwen2.5-Coder-1.5B-Instruct --problems my/problems.jsonl
    reflection-trl build --base_url http://localhost:8000/v1 --problems my/problems.jsonl --push_to_hub me/rows
    accelerate launch --num_processes 8 recipes/build_dataset.py --config FILE    a model on each GPU, sharing the rollouts

The YAML file sets fields; the command line overrides them. Everything is kept in --output_dir as it is made: whatever ends
a run, the same command resumes where it stopped. With more --samples_per_problem, another --min_repaired_share
or --by_difficulty, it builds on the rollouts that are there; a finished run only writes its outcome again (and publishes it,
with --push_to_hub).

  problems
    --problems              files (JSON, JSON Lines, Parquet, CSV; patterns too) or Hub ids; in YAML also with `mapping`,
                            `columns`, `split`, `name`, `revision`, `language`, `license`, `limit`, `skip_invalid`, as in
                            reflection_trl.problems.load_problems
    --decontaminate_against benchmarks whose tasks must not be among them [humaneval mbpp]; `none` for no comparison
    --near_duplicates       similarity from which two problems count as one [0.8]; above 1 keeps them all
    --held_out_share        share of the problems, chosen by their ids, that no row comes from [0]; held_out.jsonl in
                            --output_dir is then something to choose settings by: `evaluate.py --benchmarks problems:FILE`
  model
    --model_name_or_path --model_revision --backend (auto, endpoint, vllm, transformers) --dtype --max_context
    --chat_template_kwargs  further variables of the chat template, such as '{"enable_thinking": false}'
    --base_url --api_key_variable --max_concurrency --requests_per_minute       an OpenAI-compatible server
    --max_requests --max_total_tokens                                           budget of this command
    --gpu_memory_utilization --kv_cache_memory_bytes --tensor_parallel_size     for vLLM
  rollouts
    --rounds                most programs in a sequence [4]
    --samples_per_problem   rollouts of each problem [1]
    --give_up_after         no more rollouts of a problem of which the first so many were rejected [never]
    --temperature --repair_temperature --answer_temperature                     [0.8, 0.6, 0.2]
    --max_tokens            longest answer; half as much again for a repair [1024]
    --templates             folder with prompts of your own: reflection_trl.builder.prompts
    --repair_candidates     repairs drawn for each round, of which one that passes is taken [1]; 8 helps models that repair
                            seldom
    --answer_context        where the final answer is drawn [sequence]: `sequence`, in the conversation that the row holds,
                            as the teacher sees it; `program`, given the program that passed; `request`, to the request alone
    --answer_draws          answers drawn in a sequence or to a request, of which one that is good enough is taken [4]
    --answer_choice         `first` of the good ones, or one at `random` [first]
    --solve_rate_draws      answers to the request alone that are drawn for each problem, to learn how hard it is [4]
    --answer_first          start from an answer to the request alone, to which asserts are added; when it passes, it is the
                            final answer too, unless that is drawn in the sequence [false]
    --redraws               further draws where an answer cannot be used [2]
    --tell_answer           show the expected answer of a problem with a final answer when the model's is wrong
    --compute               solutions of such problems may contain programs, which are run in the sandbox
    --voters                answers that vote on the model's asserts where a problem has no tests [0]
    --tell_tests            whether the model sees how it fails the problem's own tests [true]
    --seed                  [0]; vLLM in this process ignores it, and samples differently each time
    --in_flight             rollouts at a time [128]
  outcome
    --output_dir            folder of the run [out/build]
    --min_repaired_share    least share of rows with a real failure; surplus successes at the first try are set aside [0]
    --by_difficulty         set rows aside in proportion to how often the model solves their problem without a sequence: all
                            rows of a problem that it always solves [false]
    --outcome_only          make no more rollouts: the dataset of those that there are
    --price                 of a million tokens: shows the cost
    --push_to_hub           dataset repository, USER/NAME; also --hub_private --hub_revision --create_pr

Wrong input ends with one sentence and exit code 1; set REFLECTION_TRL_DEBUG=1 for the traceback. Model-written code runs
only in the sandbox: reflection_trl.sandbox.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..builder.settings import RolloutOptions
from .command_line import check_name, check_token, make_parser, parse_options, run_command


if TYPE_CHECKING:
    from ..builder.build import Build
    from ..builder.statistics import BuildStatistics
    from ..generation import GenerationArguments
    from ..problems import Problem

SOURCE_KEYS = (
    *("path", "mapping", "columns", "split", "name", "revision"),
    *("streaming", "language", "license", "limit", "skip_invalid"),
)


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

    parser = make_parser((BuildArguments, GenerationArguments), prog="build_dataset.py")
    arguments, generation = parse_options(parser, argv)
    check_sources(arguments.problems)
    return arguments, generation


def check_sources(sources: Sequence[str | dict[str, Any]]) -> None:
    if not sources:
        raise ValueError("Which problems? Give --problems, or `problems:` in the YAML file.")
    for source in sources:
        if isinstance(source, dict):
            for key in source:
                check_name("key of a source of problems", key, SOURCE_KEYS)
        if not source or (isinstance(source, dict) and "path" not in source):
            raise ValueError(f"each of `problems` needs a `path`, but one is {source!r}.")


def read_problems(sources: Sequence[str | dict[str, Any]]) -> "list[Problem]":
    """
    Returns the problems of all sources. One that has the id of a problem of another source is called by its own source
    too.
    """
    from ..problems import load_problems

    problems, ids = [], set()
    for source in sources:
        options = dict(source) if isinstance(source, dict) else {"path": source}
        path = options.pop("path")
        found = list(load_problems(path, **options))
        problems += [replace(one, id=f"{path}:{one.id}") if one.id in ids else one for one in found]
        ids |= {one.id for one in found}
    return problems


def read_build(arguments: BuildArguments, generation: "GenerationArguments") -> "Build":
    """Reads the arguments, and returns the build that they describe."""
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
    benchmarks = [name for name in arguments.decontaminate_against if name != "none"]
    problems, report = prepare_problems(
        read_problems(arguments.problems),
        decontaminate_against=benchmarks,
        near_duplicate_threshold=arguments.near_duplicates if arguments.near_duplicates <= 1 else None,
    )
    problems, held_out = hold_out(problems, arguments.held_out_share)
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
    )


def show_outcome(arguments: BuildArguments, statistics: "BuildStatistics") -> None:
    """Prints what a run has made, and publishes it when asked to."""
    from ..builder.build import read_rows

    output_dir = Path(arguments.output_dir)
    print(f"\n{statistics.table(arguments.price)}\n", flush=True)
    dataset = read_rows(output_dir)
    dataset.to_parquet(str(output_dir / "train.parquet"))
    print(f"Rows:  {output_dir / 'train.parquet'} ({len(dataset):,})")
    if arguments.held_out_share:
        print(f"Aside: {output_dir / 'held_out.jsonl'} (no row comes from these problems)")
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

    from datasets.utils import disable_progress_bars

    from ..builder.build import model_of_run, run_build
    from ..generation import with_served_name

    if arguments.outcome_only:  # the server may be gone
        generation.model_name_or_path = generation.model_name_or_path or model_of_run(arguments.output_dir)
    else:
        generation = with_served_name(generation)
    disable_progress_bars()  # the run has its own
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("reflection_trl").setLevel(logging.INFO if process == 0 else logging.ERROR)
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
