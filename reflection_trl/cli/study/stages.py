"""Runs the stages of a study. Several processes can share them: each takes runs that no other process works on."""

import asyncio
import time

from .answers import generate_answers, generation_of, plans_of
from .arguments import StudyArguments
from .runs import Run
from .training import train


POLL_SECONDS = 2.0


def make(study: StudyArguments, stage: str, runs: list[Run]) -> None:
    """
    Trains the models of some runs, and generates their answers. The first free process takes each run, and all return
    when every run is done.
    """
    plans = plans_of(study, stage)
    while missing := [run for run in runs if not all(map(run.has_answers, plans))]:
        done = 0
        for run in missing:
            with run.claimed() as lock:
                # Another process may have generated all answers meanwhile, and removed the weights
                if lock and not run.is_trained and not all(map(run.has_answers, plans)):
                    print(f"== training of {run.folder}", flush=True)
                    train(study, run, lock)
                    done += 1
        done += asyncio.run(generate_answers(study, stage, missing))
        if not done:
            time.sleep(POLL_SECONDS)  # other processes work on the rest


def judge(study: StudyArguments, stage: str, runs: list[Run]) -> None:
    """Scores the answers that have no scores yet, and returns when this or other processes have scored all."""
    from ...evaluation.run import evaluate_model

    plans = plans_of(study, stage)
    for run in runs:
        if not all(map(run.has_answers, plans)):
            print(f"== {run.folder}: not all answers have been generated: run the stage `{stage}`", flush=True)
    while missing := [
        (run, name) for name in plans for run in runs if run.has_answers(name) and not run.is_judged(name)
    ]:
        done = 0
        for run, name in missing:
            with run.claimed() as ours:
                if ours and not run.is_judged(name):
                    print(f"== judging {run.folder / name}", flush=True)
                    benchmarks, settings = plans[name]
                    evaluate_model(generation_of(study, run), benchmarks, run.folder / name, settings)
                    done += 1
        if not done:
            time.sleep(POLL_SECONDS)


def remove_weights(study: StudyArguments, runs: list[Run]) -> None:
    """Removes the weights of models that are no longer needed."""
    if not study.keep_models:
        for run in runs:
            for weights in run.weights:
                weights.unlink(missing_ok=True)  # another process may remove them too
