"""Train several arms on the same rows with several seeds, and compare the models on benchmarks.

    reflection-trl study --config study/qwen2.5-coder-1.5b
    reflection-trl study --config FILE --stages report          write the tables and figures of the existing results

An *arm* is a method of training: a config of `reflection-trl train` and the rows that it uses. All arms train on the same
problems for the same number of steps. Each arm selects its learning rate on held-out problems, never on a benchmark, and is
then trained with every seed.

The command runs these stages and skips finished work. Rerun the same command to resume. You can add arms, seeds and learning
rates to a study; if other settings change, the command stops with an error:

    search    train each arm with each learning rate and the first seed, and select the rate that solves most held-out problems
    train     train each arm at its best rate with each seed; generate answers to the benchmarks, also with the base model
    judge     score the answers (as all model-written code, in the sandbox)
    report    write study.json, study.md, greedy.png and sampled.png

To use several GPUs, start the same command once per GPU (CUDA_VISIBLE_DEVICES=0, 1, ...). The processes share the runs.

  study
    --model_name_or_path    base model: folder or Hub id
    --dataset_name          file of accepted reflection rows
    --held_out              file of held-out problems with tests, from which no row was built; needed for a search
    --arms                  in YAML, for each name: `config`, the file of the training; `data`, which is `rows` (default),
                            `answers` for the final answers only, or a file of other rows; `train`, fields that override `config`
    --reference             arm that the others are compared with [the first arm]
    --train                 in YAML: fields of `reflection-trl train` for all arms
    --learning_rates        learning rates of the search [1e-5]; a single one needs no search
    --seeds                 seeds of the final trainings [0 1 2]
    --benchmarks            benchmarks, as in `reflection-trl evaluate` [humaneval mbpp]
    --samples_per_task --temperature    answers to each problem, in addition to a greedy one [10, 0.8]
    --held_out_samples      answers to each held-out problem in the search [4]
    --max_tokens            maximum tokens of an answer [1024]
  execution
    --stages                stages to run [search train judge report]
    --launch                command that starts each training [python], such as "accelerate launch --num_processes 2"
    --keep_models           keep weights that are no longer needed [false]; a stage trains all of its runs before it removes
                            weights, so the disk must have room for them
    --chat_template_kwargs  variables for the chat template when answers are generated; set those of the training in `train`
    --dtype --max_context --gpu_memory_utilization --kv_cache_memory_bytes --in_flight     generation of answers
    --output_dir            folder of the runs and the report [out/study]

Invalid input prints a one-line error and exits with status 1; set REFLECTION_TRL_DEBUG=1 for the traceback.
"""

from ..command_line import log_to_terminal, run_command
from .arguments import parse
from .runs import final_runs, search_runs
from .stages import judge, make, remove_weights
from .training import check_arms
from .unchanged import check_unchanged


def run(argv: list[str]) -> None:
    study = parse(argv)
    log_to_terminal()
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
