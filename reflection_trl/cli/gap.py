"""Estimate before training whether distillation will help: how much more a model solves after a row's sequence than without it.

    reflection-trl gap --model_name_or_path Qwen/Qwen2.5-Coder-1.5B-Instruct --dataset_name out/build/train.parquet
    reflection-trl gap --config FILE.yaml

The command samples answers to the rows' requests in two contexts: after the sequence, as the teacher, and from the request alone,
as the student. The rows' tests score both. It prints both solve rates, their difference, the styles of the answers, the
difference of the predictions of the rows' answers, and one sentence of advice.

  rows
    --dataset_name          file (.parquet, .jsonl, .json), folder or Hub id; also --dataset_config, --dataset_split [train]
    --rows                  number of reflection rows to evaluate, chosen at random [250]
    --token_rows            number of rows for which token predictions are compared, with the model in this process [64]
  model
    --model_name_or_path --model_revision --backend (auto, endpoint, vllm, transformers) --dtype --max_context
    --chat_template_kwargs  variables for the chat template, such as '{"enable_thinking": false}'
    --base_url --api_key_variable --max_concurrency --requests_per_minute       an OpenAI-compatible server
    --max_requests --max_total_tokens                                           budget of this command
    --gpu_memory_utilization --kv_cache_memory_bytes --tensor_parallel_size     for vLLM
  samples
    --samples               answers to each request in each context [4]
    --temperature --top_p --max_tokens                                          [0.7, 0.95, 1024]
    --seed --in_flight                                                          [0, 256]
  output
    --output_dir            folder of the answers and of gap.json [out/gap]; rerun the same command to resume

Invalid input prints a one-line error and exits with status 1; set REFLECTION_TRL_DEBUG=1 for the traceback. Model-written code
runs only in the sandbox: reflection_trl.sandbox.
"""

from dataclasses import dataclass
from pathlib import Path

from .command_line import check_model, make_parser, parse_options, run_command


@dataclass
class GapArguments:
    dataset_name: str | None = None
    dataset_config: str | None = None
    dataset_split: str = "train"
    rows: int = 250
    token_rows: int = 64
    samples: int = 4
    temperature: float = 0.7
    top_p: float = 0.95
    max_tokens: int = 1024
    seed: int = 0
    in_flight: int = 256
    output_dir: str = "out/gap"


def run(argv: list[str]) -> None:
    from ..generation import GenerationArguments, Sampling

    parser = make_parser((GapArguments, GenerationArguments), "reflection-trl gap")
    arguments, generation = parse_options(parser, argv)
    if not arguments.dataset_name:
        raise ValueError("No rows specified: pass --dataset_name with a file, a folder or a Hub id.")

    check_model(generation, arguments.output_dir)

    from ..files.rows import read_rows
    from ..gap import GapSettings, measure_gap

    settings = GapSettings(
        samples=arguments.samples,
        rows=arguments.rows,
        token_rows=arguments.token_rows,
        sampling=Sampling(arguments.temperature, arguments.top_p, arguments.max_tokens),
        seed=arguments.seed,
    )
    rows = read_rows(arguments.dataset_name, arguments.dataset_split, config=arguments.dataset_config)
    gap = measure_gap(
        rows, settings=settings, generation=generation, output_dir=arguments.output_dir, in_flight=arguments.in_flight
    )
    print(f"\n{gap.table()}\n\nFigures: {Path(arguments.output_dir) / 'gap.json'}")


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
