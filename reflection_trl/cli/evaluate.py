"""Evaluate one-off answers on benchmarks, from HumanEval(+) to LiveCodeBench and GSM8K: generate, score, and report confidence intervals.

    reflection-trl evaluate --config smollm2-135m/evaluate
    reflection-trl evaluate --model Qwen/Qwen2.5-Coder-0.5B-Instruct --benchmarks humaneval mbpp multipl-e:java,js
    reflection-trl evaluate --model out/tuned --compare out/evaluate/base/results.json --output_dir out/evaluate/tuned
    reflection-trl evaluate --base_url http://localhost:8000/v1 --benchmarks humaneval --samples_per_task 20 --temperature 0.8
    reflection-trl evaluate --samples humaneval.jsonl mbpp.jsonl                 score existing answers; no model needed
    accelerate launch --num_processes 8 recipes/evaluate.py --config FILE           one model per GPU, with shared answers

The YAML file sets fields; the command line overrides them. Rerun the same command to resume. Answers are always
scored again.

  benchmarks
    --benchmarks            humaneval, mbpp [both]; the + is always scored too
                            multipl-e:LANGUAGES      a language without its compiler is reported and skipped
                            livecodebench:FROM:TO    contests from one month or day to another, such as 2024-08:2025-02
                            bigcodebench:SPLITS      complete, instruct, hard-complete, hard-instruct [the first two]
                            ds1000, humanevalfix     data science to complete; HumanEval's functions to repair
                            gsm8k                    mathematics with final answers; needs math-verify but no sandbox
                            problems:FILE            your own problems, with tests or final answers
    --livecodebench         FROM:TO, adds livecodebench:FROM:TO to the --benchmarks
    --samples               files of answers, JSON Lines with `task_id` and `solution` or `completion`, one per benchmark (for
                            MultiPL-E name it: --benchmarks multipl-e:java)
    --name                  name of the model or the answers in the results [the model's name]
    --limit                 evaluate the first N problems of each benchmark only (smoke test); not for publishing
    --benchmark_files       source of a benchmark's problems, such as multipl-e=FOLDER: file, folder or Hub id [its own on the Hub]
  model
    --model                 model id on the Hub, or a folder (in YAML: model_name_or_path)
    --model_revision --backend (auto, endpoint, vllm, transformers) --dtype --max_context
    --chat_template_kwargs  variables for the chat template, such as '{"enable_thinking": false}'; use those of the training
    --base_url --api_key_variable --max_concurrency --requests_per_minute     for a server
    --max_requests --max_total_tokens     budget of this command
    --gpu_memory_utilization --kv_cache_memory_bytes --tensor_parallel_size    for vLLM
  answers
    --prompt                request: as a user would write it, the prompt at the end of a training row; evalplus: EvalPlus's own chat
                            prompt; published: ReflectionCoder's; completion: the code to continue, for base models [request]
    --samples_per_task      answers to each problem [1]; pass@k for k = 1, 10 and 100 up to this number
    --temperature --top_p   [0, 0.95]
    --max_tokens            maximum tokens of an answer [depends on --prompt: 1024 or 768]
    --seed --in_flight      vLLM in this process ignores the seed at a temperature above 0
  output
    --output_dir            folder [out/evaluate]: results.json, report.html, and a folder with the answers to each benchmark
    --compare               results.json of runs to compare with: won, lost, exact p, interval of the difference
    --decontaminate_against training dataset whose rows are compared with the benchmarks
    --publish_to_hub        the model's repository, USER/NAME: .eval_results and model-index; --samples_repo for the answers
    --hub_revision --create_pr --hub_private
    --workers               answers to score concurrently [number of CPU cores]
    --unsandboxed           run answers with NO isolation; rejected for root

With no network, set HUMANEVAL_OVERRIDE_PATH and MBPP_OVERRIDE_PATH to the files of evalplus. Invalid input prints a
one-line error and exits with status 1; set REFLECTION_TRL_DEBUG=1 for the traceback. Answers run only in isolation: `reflection_trl.sandbox`.
"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .command_line import (
    check_model,
    check_name,
    check_token,
    log_to_terminal,
    make_parser,
    parse_options,
    run_command,
)


if TYPE_CHECKING:
    from ..evaluation import EvaluationRun


def parse(argv: list[str]) -> Any:
    from dataclasses import dataclass, field, fields

    from ..generation import GenerationArguments

    @dataclass
    class EvaluateArguments(GenerationArguments):
        model_name_or_path: str | None = field(default=None, metadata={"aliases": ["--model"]})
        benchmarks: list[str] | None = None
        samples: list[str] = field(default_factory=list)
        name: str | None = None
        limit: int | None = None
        benchmark_files: list[str] = field(default_factory=list)
        livecodebench: str | None = None
        prompt: str = "request"
        samples_per_task: int = 1
        temperature: float = 0.0
        top_p: float = 0.95
        max_tokens: int | None = None
        seed: int = 0
        in_flight: int = 128
        output_dir: str = "out/evaluate"
        compare: list[str] = field(default_factory=list)
        decontaminate_against: str | None = None
        publish_to_hub: str | None = None
        samples_repo: str | None = None
        hub_revision: str | None = None
        hub_private: bool = False
        create_pr: bool = False
        workers: int | None = None
        unsandboxed: bool = False

        def __post_init__(self) -> None:
            if not self.samples:
                super().__post_init__()
            elif self.model_name_or_path or self.base_url:
                raise ValueError("Give either --samples or a model, not both: --samples scores existing answers.")
            else:
                sampling = ["prompt", "samples_per_task", "temperature", "top_p", "max_tokens", "seed", "in_flight"]
                for one in [*fields(GenerationArguments), *(one for one in fields(self) if one.name in sampling)]:
                    if getattr(self, one.name) != one.default:
                        raise ValueError(
                            f"--{one.name} has no effect on --samples, which are existing answers: remove it."
                        )

    (arguments,) = parse_options(make_parser(EvaluateArguments, "reflection-trl evaluate"), argv)
    return arguments


def run(argv: list[str]) -> None:
    from ..files.processes import place_among_processes

    process, processes = place_among_processes()
    arguments = parse(argv)
    if arguments.publish_to_hub:
        if arguments.limit is not None:
            raise ValueError(
                f"--limit {arguments.limit} scores only the first problems, so its pass@1 is not that of the benchmark: remove --limit, or "
                f"--publish_to_hub {arguments.publish_to_hub}."
            )
        check_token("publish_to_hub")
    if not arguments.samples:
        check_model(arguments, arguments.output_dir)
    log_to_terminal(process)

    from ..evaluation.benchmarks import parse_benchmarks

    # Files of answers determine their benchmarks
    names = list(arguments.benchmarks or [])
    if arguments.livecodebench:
        names.append(f"livecodebench:{arguments.livecodebench}")
    names = names or ([] if arguments.samples else ["humaneval", "mbpp"])
    benchmarks = parse_benchmarks(names) if names else []
    others = load_comparisons(arguments, benchmarks)
    found = evaluate(arguments, benchmarks, shlex.join(["reflection-trl", "evaluate", *argv]), process, processes)
    if found is not None:
        report(arguments, found, others)


def load_comparisons(arguments: Any, benchmarks: list[str]) -> "list[EvaluationRun]":
    """Returns the runs to compare with. Rejects incomparable runs before the work, not after it."""
    from ..evaluation import EvaluationRun
    from ..evaluation.benchmarks import get_benchmark

    others = [EvaluationRun.load(file) for file in arguments.compare]
    ours = {score for name in benchmarks for score in get_benchmark(name).score_names}
    for file, other in zip(arguments.compare, others, strict=True):
        if ours and ours.isdisjoint(score.benchmark for score in other.scores):
            raise ValueError(f"--compare {file}: this run has no results of {', '.join(benchmarks)}.")
    if arguments.decontaminate_against:
        from ..files.rows import open_rows

        open_rows(arguments.decontaminate_against)
    return others


def evaluate(
    arguments: Any, benchmarks: list[str], command: str, process: int, processes: int
) -> "EvaluationRun | None":
    """Scores the answers of a model, or those in files; returns `None` in all processes but the first."""
    from ..evaluation.run import EvaluationSettings, evaluate_model, evaluate_samples

    settings = EvaluationSettings(
        prompt=arguments.prompt,
        samples=arguments.samples_per_task,
        temperature=arguments.temperature,
        top_p=arguments.top_p,
        max_tokens=arguments.max_tokens,
        seed=arguments.seed,
        limit=arguments.limit,
        benchmark_files=benchmark_files(arguments.benchmark_files),
        workers=arguments.workers,
        unsandboxed=arguments.unsandboxed,
    )
    output_dir, common = Path(arguments.output_dir), {"name": arguments.name, "command": command}
    if not arguments.samples:
        place = {"in_flight": arguments.in_flight, "process": process, "processes": processes}
        return evaluate_model(arguments, benchmarks, output_dir, settings, **place, **common)
    if process > 0:
        return None
    return evaluate_samples(arguments.samples, output_dir, settings, benchmarks=benchmarks, **common)


def benchmark_files(given: list[str]) -> dict[str, str]:
    """Parses repeated `NAME=FILE` arguments to a mapping."""
    from ..evaluation.benchmarks import BENCHMARKS

    files = dict(one.partition("=")[::2] for one in given)
    for name, file in files.items():
        check_name("benchmark in --benchmark_files", name, [benchmark.key for benchmark in BENCHMARKS])
        if not file:
            raise ValueError(f"--benchmark_files {name}: give its file, as in {name}=FILE.")
    return files


def report(arguments: Any, found: "EvaluationRun", others: "list[EvaluationRun]") -> None:
    """Prints the tables, writes the report, and publishes the results."""
    from ..evaluation.report import write_report
    from ..evaluation.table import comparison_table, results_table

    output_dir = Path(arguments.output_dir)
    tables = [results_table(found), *[comparison_table(found, other) for other in others]]
    if arguments.decontaminate_against:
        tables.append(add_contamination(found, arguments))
        found.save(output_dir / "results.json")
    page = write_report([found, *others], output_dir)
    print("\n\n".join(["", *tables, ""]))
    print(f"Results:    {output_dir / 'results.json'}")
    print(f"Report:     {page}")
    if arguments.publish_to_hub:
        from ..hub import publish_evaluation

        commit = publish_evaluation(
            found,
            arguments.publish_to_hub,
            samples_repo=arguments.samples_repo,
            private=arguments.hub_private or None,
            revision=arguments.hub_revision,
            create_pr=arguments.create_pr,
            staging_dir=str(output_dir / "upload"),
        )
        print(f"Hub:        {commit}")


def add_contamination(found: "EvaluationRun", arguments: Any) -> str:
    """Compares a training set with the benchmarks of a run, stores the result in its settings and returns a summary."""
    from ..evaluation.benchmarks import get_benchmark
    from ..evaluation.contamination import contamination_sentence, find_contamination

    names = {get_benchmark(score.benchmark).name for score in found.scores}
    files = benchmark_files(arguments.benchmark_files)
    contamination = find_contamination(arguments.decontaminate_against, names, files)
    sentence = contamination_sentence(contamination)
    found.settings["contamination"] = {"summary": sentence, **contamination}
    return sentence


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
