"""Check before training whether distillation will pay: how much more a model solves after a row's sequence than alone.

    reflection-trl gap --model_name_or_path Qwen/Qwen2.5-Coder-1.5B-Instruct --dataset_name out/build/train.parquet
    reflection-trl gap --config FILE.yaml

Answers are drawn to the rows' requests in two contexts: after the sequence, as the teacher of a distillation sees it, and to the
request alone, as the student does. Both are judged by the rows' tests. What is printed says how often each is right, how large the
difference is, in which style the answers are, where the predictions of the rows' own answers differ, and what to do.

  rows
    --dataset_name          file (.parquet, .jsonl, .json), folder or Hub id; also --dataset_config, --dataset_split [train]
    --rows                  reflection rows that are looked at, chosen at random [250]
    --token_rows            rows of which each token's predictions are compared, by the model in this process [64]
  model
    --model_name_or_path --model_revision --backend (auto, endpoint, vllm, transformers) --dtype --max_context
    --chat_template_kwargs  further variables of the chat template, such as '{"enable_thinking": false}'
    --base_url --api_key_variable --max_concurrency --requests_per_minute       an OpenAI-compatible server
    --max_requests --max_total_tokens                                           budget of this command
    --gpu_memory_utilization --kv_cache_memory_bytes --tensor_parallel_size     for vLLM
  draws
    --draws                 answers to each request in each context [4]
    --temperature --top_p --max_tokens                                          [0.7, 0.95, 1024]
    --seed --in_flight                                                          [0, 256]
  outcome
    --output_dir            folder of the answers and of gap.json [out/gap]; the same command resumes where it stopped

Wrong input ends with one sentence and exit code 1; set REFLECTION_TRL_DEBUG=1 for the traceback. Model-written code runs
only in the sandbox: reflection_trl.sandbox.
"""

from dataclasses import dataclass
from pathlib import Path

from .command_line import make_parser, parse_options, run_command


@dataclass
class GapArguments:
    dataset_name: str | None = None
    dataset_config: str | None = None
    dataset_split: str = "train"
    rows: int = 250
    token_rows: int = 64
    draws: int = 4
    temperature: float = 0.7
    top_p: float = 0.95
    max_tokens: int = 1024
    seed: int = 0
    in_flight: int = 256
    output_dir: str = "out/gap"


def run(argv: list[str]) -> None:
    from ..generation import GenerationArguments, Sampling

    parser = make_parser((GapArguments, GenerationArguments), prog="gap.py")
    arguments, generation = parse_options(parser, argv)
    if not arguments.dataset_name:
        raise ValueError("Which rows? Give --dataset_name: a file, a folder or a Hub id.")

    from ..files.rows import read_rows
    from ..gap import GapSettings, measure_gap

    settings = GapSettings(
        draws=arguments.draws,
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
