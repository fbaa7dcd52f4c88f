"""Does it work? Train in several ways on the same rows, and compare the models on real benchmarks.

    reflection-trl study --config study/qwen2.5-coder-1.5b
    reflection-trl study --config FILE --stages report          the tables and figures of what there is so far

An *arm* is a way to train: a file of `reflection-trl train` and the rows that it takes. All arms see the same problems for as many
steps. Each finds its learning rate on held-out problems, never on a benchmark, and is then trained with several seeds.

The stages, each of which leaves out what is done; the same command resumes where it stopped. Arms, seeds and learning rates may
be added to a study; what was trained or asked in another way is refused:

    search    each arm with each learning rate and the first seed, answers to the held-out problems, the best rate
    train     each arm at its best rate with each seed, and answers to the benchmarks; the base model's too
    judge     the answers (as all model-written code, in the sandbox)
    report    study.json, study.md, greedy.png, sampled.png

On several GPUs, start the same command once on each (CUDA_VISIBLE_DEVICES=0, 1, ...): each takes the runs that no other is at.

  what
    --model_name_or_path    the base model
    --dataset_name          accepted reflection sequences: a file
    --held_out              problems with tests that no row comes from: a file
    --arms                  in YAML: name, and `config`, and `data`: `rows`, `answers` for the final answers alone, or a file
                            with other rows; and `train`: fields of `reflection-trl train` in which the arm differs from its config
    --reference             arm that the others are compared with [the first]
    --train                 in YAML: fields of `reflection-trl train` for all arms
    --learning_rates --seeds
    --benchmarks            [humaneval mbpp]
    --samples_per_task --temperature --held_out_samples     [10, 0.8, 4]; besides, one greedy answer to each task
    --max_tokens            longest answer [1024]
  how
    --stages                [search train judge report]
    --launch                what starts the training [python], such as "accelerate launch --num_processes 2"
    --keep_models           whether weights stay when they are no longer needed [false]; all runs of a stage are trained before
                            any is asked, so that there must be room for their weights
    --chat_template_kwargs  further variables of the chat template for the model that answers; training has its own
    --dtype --max_context --gpu_memory_utilization --kv_cache_memory_bytes --in_flight     of the model that answers
    --output_dir            [out/study]

Invalid input prints a one-line error and exits with status 1; set REFLECTION_TRL_DEBUG=1 for the traceback.
"""

import logging

from ..command_line import run_command
from .arguments import parse
from .runs import final_runs, search_runs
from .stages import judge, make, remove_weights
from .training import check_arms
from .unchanged import check_unchanged


def run(argv: list[str]) -> None:
    study = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if {"search", "train"} & set(study.stages):
        check_arms(study)
    searched = search_runs(study)
    check_unchanged(study, "search", searched)
    if "search" in study.stages:
        make(study, "search", searched)
        judge(study, "search", searched)
    if study.stages == ["search"]:
        return
    runs = final_runs(study)
    check_unchanged(study, "train", runs)
    if "train" in study.stages:
        remove_weights(study, [run for run in searched if run not in runs])
        make(study, "train", runs)
        remove_weights(study, runs)
    if "judge" in study.stages:
        judge(study, "train", runs)
    if "report" in study.stages:
        from .report import write_report

        print(write_report(study, searched, runs))


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
