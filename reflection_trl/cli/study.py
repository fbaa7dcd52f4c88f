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

Wrong input ends with one sentence and exit code 1; set REFLECTION_TRL_DEBUG=1 for the traceback.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..generation import GenerationArguments
from .command_line import check_options, make_parser, parse_options, read_config_file, run_command


if TYPE_CHECKING:
    from ..evaluation import EvaluationRun
    from ..evaluation.run import EvaluationSettings

STAGES = ("search", "train", "judge", "report")
DATA = ("rows", "answers")
BASE = "base"
DRAWN = "drawn"  # marks a plan whose answers are all there
POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Arm:
    """A way to train: a file of `reflection-trl train`, fields that differ from it, and which part of the rows it takes, or a file of its own."""

    name: str
    config: str
    data: str = "rows"
    train: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Run:
    """One model of the study; the base model is a run without an arm."""

    folder: Path
    arm: Arm | None = None
    learning_rate: float = 0.0
    seed: int = 0

    @property
    def arm_name(self) -> str:
        """What tables call the way it was trained."""
        return self.arm.name if self.arm else BASE

    @property
    def is_trained(self) -> bool:
        """Whether its weights are there."""
        return self.arm is None or ((self.folder / "run.json").exists() and bool(self.weights))

    @property
    def weights(self) -> list[Path]:
        """The files that they are in."""
        return [*(self.folder / "model").glob("*.safetensors")]

    def is_drawn(self, plan: str) -> bool:
        """Whether all answers of a plan are there."""
        return (self.folder / plan / DRAWN).exists()

    def is_judged(self, plan: str) -> bool:
        """Whether they have been judged."""
        return (self.folder / plan / "results.json").exists()

    @contextlib.contextmanager
    def claimed(self) -> Iterator[TextIO | None]:
        """
        The lock by which this process may work on it; `None` where another does. A process that ends, however it does, leaves its runs to
        others, but for a training that it has left behind, which has the lock too.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / ".lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield lock


@dataclass
class StudyArguments(GenerationArguments):
    dataset_name: str = ""
    held_out: str = ""
    arms: dict[str, Any] | str | None = None
    reference: str | None = None
    train: dict[str, Any] | str = field(default_factory=dict)
    learning_rates: list[float] = field(default_factory=lambda: [1e-5])
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    benchmarks: list[str] = field(default_factory=lambda: ["humaneval", "mbpp"])
    samples_per_task: int = 10
    temperature: float = 0.8
    held_out_samples: int = 4
    max_tokens: int | None = None
    stages: list[str] = field(default_factory=lambda: list(STAGES))
    launch: str = "python"
    keep_models: bool = False
    in_flight: int = 256
    output_dir: str = "out/study"
    ways: list[Arm] = field(init=False)  # `arms`, checked

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("model_name_or_path", "dataset_name", "held_out", "arms"):
            if not getattr(self, name):
                raise ValueError(f"`{name}` is not set; see `--help`.")
        for name in ("dataset_name", "held_out"):
            if not Path(getattr(self, name)).exists():
                raise ValueError(f"`{name}`: the file {getattr(self, name)!r} does not exist.")
        if not isinstance(self.train, dict):
            raise ValueError(f"`train` is set in the YAML file, as fields and their values; it is {self.train!r}.")
        self.ways = read_arms(self.arms)
        self.reference = self.reference or self.ways[0].name
        if self.reference not in (arm.name for arm in self.ways):
            raise ValueError(f"`reference` is {self.reference!r}, which is none of the arms.")
        for stage in self.stages:
            if stage not in STAGES:
                raise ValueError(f"unknown stage {stage!r}; there are {', '.join(STAGES)}.")
        for name in ("learning_rates", "seeds", "benchmarks"):
            values = getattr(self, name)
            if not values:
                raise ValueError(f"`{name}` is empty: give at least one.")
            if twice := [value for value in values if values.count(value) > 1]:
                raise ValueError(f"`{name}` holds {twice[0]} twice, which would count as two: leave one out.")


def parse(argv: list[str]) -> StudyArguments:
    (arguments,) = parse_options(make_parser(StudyArguments, "study.py"), argv)
    return arguments


def read_arms(arms: Any) -> list[Arm]:
    """The arms of a YAML file: `{name: {config: FILE, data: rows, train: {FIELD: VALUE}}}`."""
    if not isinstance(arms, dict):
        raise ValueError("`arms` are set in the YAML file: a name, and under it `config`, `data` and `train`.")
    found = []
    for name, entry in arms.items():
        if not isinstance(entry, dict) or not {"config"} <= entry.keys() <= {"config", "data", "train"}:
            raise ValueError(f"the arm {name!r} needs `config`, and may have `data` and `train`; it is {entry!r}.")
        if not isinstance(entry.get("train", {}), dict):
            raise ValueError(f"the arm {name!r}: `train` holds fields and their values; it is {entry['train']!r}.")
        if name == BASE:
            raise ValueError(
                f"an arm is called {BASE!r}, as the model is that has not been trained: choose another name."
            )
        arm = Arm(name, **entry)
        if arm.data not in DATA and not Path(arm.data).exists():
            raise ValueError(
                f"the arm {name!r} has `data: {arm.data}`; there are {' and '.join(DATA)}, and no such file."
            )
        if not Path(arm.config).exists():
            raise ValueError(f"the arm {name!r}: the file {arm.config!r} does not exist.")
        found.append(arm)
    return found


# The runs


def base_run(study: StudyArguments) -> Run:
    return Run(Path(study.output_dir, BASE))


def run_of(study: StudyArguments, arm: Arm, rate: float, seed: int) -> Run:
    return Run(Path(study.output_dir, "runs", arm.name, f"{rate:g}", str(seed)), arm, rate, seed)


def search_runs(study: StudyArguments) -> list[Run]:
    """The base model, and each arm with each learning rate; with a single rate there is nothing to find."""
    if len(study.learning_rates) == 1:
        return []
    trained = [run_of(study, arm, rate, study.seeds[0]) for rate in study.learning_rates for arm in study.ways]
    return [base_run(study), *trained]


def final_runs(study: StudyArguments) -> list[Run]:
    """The base model, and each arm with each seed at the rate that was found for it."""
    rates = best_rates(study)
    trained = [run_of(study, arm, rates[arm.name], seed) for seed in study.seeds for arm in study.ways]
    return [base_run(study), *trained]


def best_rates(study: StudyArguments) -> dict[str, float]:
    """For each arm the rate whose model solves most held-out problems."""
    from ..evaluation.statistics import rate

    runs = [run for run in search_runs(study) if run.arm is not None]
    if not runs:
        return {arm.name: study.learning_rates[0] for arm in study.ways}
    shares: dict[str, dict[float, float]] = {}
    for run in runs:
        found = read_results(run, "held_out")
        if found is None:
            raise ValueError(
                f"the search of learning rates is not done: {run.folder} has no results; run the stage `search` first."
            )
        shares.setdefault(run.arm_name, {})[run.learning_rate] = rate(found.scores[0]).value
    return {arm: best_rate(by_rate) for arm, by_rate in shares.items()}


def best_rate(shares: dict[float, float]) -> float:
    """The learning rate with the largest share; of several the lowest, which changes least of what held-out problems do not show."""
    return max(shares, key=lambda one: (shares[one], -one))


def read_results(run: Run, plan: str) -> "EvaluationRun | None":
    """What came out of one plan of a run; `None` where it has not been judged."""
    from ..evaluation import EvaluationRun

    file = run.folder / plan / "results.json"
    return EvaluationRun.load(file) if file.exists() else None


# Training and answers


def data_file(study: StudyArguments, arm: Arm) -> str:
    """The rows as they are, or their requests and final answers as plain rows, made here, or the arm's own."""
    if arm.data not in DATA:
        return arm.data
    if arm.data == "rows":
        return study.dataset_name
    from datasets import load_dataset

    file = Path(study.output_dir, "answers.jsonl")
    form = "parquet" if study.dataset_name.endswith(".parquet") else "json"
    rows = load_dataset(form, data_files=study.dataset_name, split="train")
    lines = []
    for messages in rows["messages"]:
        messages = json.loads(messages) if isinstance(messages, str) else messages
        lines.append(json.dumps({"messages": messages[-2:], "type": "generation"}) + "\n")
    text = "".join(lines)
    # One that is there may be of other rows
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    return str(file)


def training_of(study: StudyArguments, arm: Arm) -> dict[str, str]:
    """What the models of an arm depend on beside rate and seed: settings by their text, files of rows by what they hold."""
    assert isinstance(study.train, dict)  # it has been checked
    settings = read_config_file(["--config", arm.config]) | study.train | arm.train
    rows = study.dataset_name if arm.data in DATA else arm.data
    return {
        "model": str(study.model_name_or_path),
        "data": f"{arm.data}: {digest_of(rows)}" if arm.data in DATA else digest_of(rows),
        **{name: json.dumps(value, default=str) for name, value in settings.items()},
    }


def digest_of(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]


def asked_of(
    study: StudyArguments, plan: str, benchmarks: list[str], settings: "EvaluationSettings"
) -> dict[str, str]:
    """What the answers of a plan depend on beside the model."""
    asked = {
        "benchmarks": " ".join(benchmarks),
        "samples": str(settings.samples),
        "temperature": f"{settings.temperature:g}",
        "max_tokens": str(settings.sampling.max_tokens),
    }
    if study.template_variables:
        asked["chat_template_kwargs"] = json.dumps(study.template_variables, sort_keys=True)
    return asked | ({"held_out": digest_of(study.held_out)} if plan == "held_out" else {})


def check_unchanged(study: StudyArguments, stage: str, runs: list[Run]) -> None:
    """Refuses a folder with models that were trained, or answers that were drawn, in another way: they would pass for those of this study."""
    for run in runs:
        if run.arm is not None:
            check_record(run.folder / "run.json", "training", training_of(study, run.arm), run.folder)
        for plan, (benchmarks, settings) in plans_of(study, stage).items():
            asked = asked_of(study, plan, benchmarks, settings)
            check_record(run.folder / plan / DRAWN, "asked", asked, run.folder / plan)


def check_record(file: Path, key: str, wanted: dict[str, str], folder: Path) -> None:
    try:
        before = json.loads(file.read_text())[key]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return  # not done yet, or from before this was recorded
    for name in {**wanted, **before}:
        if before.get(name) != wanted.get(name):
            raise ValueError(
                f"{folder} was made with `{name}` = {before.get(name)}, not {wanted.get(name)}: give another `output_dir`, or remove "
                "that folder."
            )


def training_command(study: StudyArguments, run: Run) -> list[str]:
    arm = run.arm
    assert arm is not None  # the base model is not trained
    assert isinstance(study.train, dict)  # it has been checked
    fields = {
        "model_name_or_path": study.model_name_or_path,
        "dataset_name": data_file(study, arm),
        "output_dir": str(run.folder / "model"),
        "learning_rate": run.learning_rate,
        "seed": run.seed,
        "report_to": "none",
        "save_strategy": "no",
        **study.train,
        **arm.train,
    }
    launch = [sys.executable] if study.launch == "python" else shlex.split(study.launch)
    return [*launch, "-m", "reflection_trl.cli", "train", "--config", arm.config, *as_options(fields)]


def as_options(fields: dict[str, Any]) -> list[str]:
    options = []
    for name, value in fields.items():
        options += [f"--{name}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    return options


def check_arms(study: StudyArguments) -> None:
    """Checks the fields of all arms before the first one is trained, which may take long."""
    from .train import train_parser

    assert isinstance(study.train, dict)
    parser = train_parser()
    for arm in study.ways:
        options = as_options(study.train | arm.train)
        try:
            check_options(parser, ["--config", arm.config, *options])
            parser.parse_known_args(options)
        except ValueError as error:
            raise ValueError(f"the arm {arm.name!r}: {error}") from error


def train(study: StudyArguments, run: Run, lock: TextIO) -> None:
    """One model, by `reflection-trl train` in a process of its own, whose output is kept in `train.log`."""
    arm = run.arm
    assert arm is not None
    training = training_of(study, arm)
    command = training_command(study, run)
    start = time.monotonic()
    with open(run.folder / "train.log", "w") as log:
        log.write(f"{shlex.join(command)}\n")
        log.flush()
        # With the lock: a training that outlives this process must not be begun once more beside it
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, pass_fds=[lock.fileno()])
    if done.returncode:
        said = (run.folder / "train.log").read_text(errors="replace").strip().splitlines()
        reason = said[-1].removeprefix("error: ")
        raise RuntimeError(f"training of {run.folder} failed: {reason} (all of it: {run.folder / 'train.log'})")
    record = {
        "model": study.model_name_or_path,
        "arm": arm.name,
        "learning_rate": run.learning_rate,
        "seed": run.seed,
        "seconds_of_training": round(time.monotonic() - start),
        "training": training,
    }
    (run.folder / "run.json").write_text(json.dumps(record, indent=1) + "\n")


def plans_of(study: StudyArguments, stage: str) -> "dict[str, tuple[list[str], EvaluationSettings]]":
    """What the runs of a stage are asked: benchmarks and settings, by the name of their folder."""
    from ..evaluation.benchmarks import parse_benchmarks
    from ..evaluation.run import EvaluationSettings

    drawn: dict[str, Any] = {"temperature": study.temperature, "max_tokens": study.max_tokens}
    if stage == "search":
        held_out = EvaluationSettings(samples=study.held_out_samples, **drawn)
        return {"held_out": ([f"problems:{study.held_out}"], held_out)}
    benchmarks = parse_benchmarks(study.benchmarks)
    return {
        "greedy": (benchmarks, EvaluationSettings(max_tokens=study.max_tokens)),
        "sampled": (benchmarks, EvaluationSettings(samples=study.samples_per_task, **drawn)),
    }


def generation_of(study: StudyArguments, run: Run) -> GenerationArguments:
    values = {field.name: getattr(study, field.name) for field in fields(GenerationArguments)}
    if run.arm is not None:
        values["model_name_or_path"] = str(run.folder / "model")
    return GenerationArguments(**values)


async def draw(study: StudyArguments, stage: str, runs: list[Run]) -> int:
    """
    The answers of those models that have been trained and that nobody else is asking, one after the other. vLLM's engine goes on from
    one to the next, as long as they have the same shape: to start one takes longer than it then answers. Returns how many.
    """
    from ..evaluation.run import draw_model_answers
    from ..generation import open_generator

    generate: Any = None
    count = 0
    async with AsyncExitStack() as stack:
        for run in runs:
            with run.claimed() as ours:
                missing = {name: plan for name, plan in plans_of(study, stage).items() if not run.is_drawn(name)}
                if not (ours and run.is_trained and missing):
                    continue
                say(f"answers of {run.folder}: {', '.join(missing)}")
                count += 1
                generation = generation_of(study, run)
                if hasattr(generate, "load_weights") and generate.can_load(generation.model):
                    await generate.load_weights(generation.model)
                else:
                    await stack.aclose()  # the one before needs the memory no longer
                    generate = await stack.enter_async_context(open_generator(generation))
                for name, (benchmarks, settings) in missing.items():
                    start = time.monotonic()
                    await draw_model_answers(
                        generation,
                        benchmarks,
                        run.folder / name,
                        settings,
                        generate=generate,
                        in_flight=study.in_flight,
                    )
                    record = {
                        "seconds": round(time.monotonic() - start, 1),
                        "asked": asked_of(study, name, benchmarks, settings),
                    }
                    (run.folder / name / DRAWN).write_text(json.dumps(record, indent=1) + "\n")
    return count


def make(study: StudyArguments, stage: str, runs: list[Run]) -> None:
    """
    Trains the models of some runs, and draws their answers, each by the first process that comes to it. Returns when all is done,
    by whichever process.
    """
    plans = plans_of(study, stage)
    while missing := [run for run in runs if not all(map(run.is_drawn, plans))]:
        done = 0
        for run in missing:
            with run.claimed() as lock:
                # Another process may have drawn all answers meanwhile, and removed the weights
                if lock and not run.is_trained and not all(map(run.is_drawn, plans)):
                    say(f"training of {run.folder}")
                    train(study, run, lock)
                    done += 1
        done += asyncio.run(draw(study, stage, missing))
        if not done:
            time.sleep(POLL_SECONDS)  # others are at the rest


def judge(study: StudyArguments, stage: str, runs: list[Run]) -> None:
    """Judges the answers that are there and have not been judged; returns when all of them have, by whichever process."""
    from ..evaluation.run import evaluate_model

    plans = plans_of(study, stage)
    for run in runs:
        if not all(map(run.is_drawn, plans)):
            say(f"{run.folder}: its answers have not been drawn yet")
    while missing := [(run, name) for name in plans for run in runs if run.is_drawn(name) and not run.is_judged(name)]:
        done = 0
        for run, name in missing:
            with run.claimed() as ours:
                if ours and not run.is_judged(name):
                    say(f"judging {run.folder / name}")
                    benchmarks, settings = plans[name]
                    evaluate_model(generation_of(study, run), benchmarks, run.folder / name, settings)
                    done += 1
        if not done:
            time.sleep(POLL_SECONDS)


def remove_weights(study: StudyArguments, runs: list[Run]) -> None:
    """Of models that nobody will ask any more."""
    if not study.keep_models:
        for run in runs:
            for weights in run.weights:
                weights.unlink(missing_ok=True)  # another process may do the same


def say(text: str) -> None:
    print(f"== {text}", flush=True)


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
        from .study_report import write_report

        print(write_report(study, searched, runs))


def main(argv: list[str] | None = None) -> int:
    return run_command(run, __doc__, argv)
