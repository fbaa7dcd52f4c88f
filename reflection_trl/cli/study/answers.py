"""Generates the answers of a study's models: the benchmarks and sampling settings of each stage."""

import json
import time
from contextlib import AsyncExitStack
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ...files.run_folder import write_json
from ...generation import GenerationArguments
from .arguments import StudyArguments
from .runs import ANSWERED, Run
from .training import digest_of


if TYPE_CHECKING:
    from ...evaluation.run import EvaluationSettings


def plans_of(study: StudyArguments, stage: str) -> "dict[str, tuple[list[str], EvaluationSettings]]":
    """Returns the evaluations of a stage's runs: benchmarks and settings, by the name of their folder."""
    from ...evaluation.benchmarks import parse_benchmarks
    from ...evaluation.run import EvaluationSettings

    sampling: dict[str, Any] = {"temperature": study.temperature, "max_tokens": study.max_tokens}
    if stage == "search":
        held_out = EvaluationSettings(samples=study.held_out_samples, **sampling)
        return {"held_out": ([f"problems:{study.held_out}"], held_out)}
    benchmarks = parse_benchmarks(study.benchmarks)
    return {
        "greedy": (benchmarks, EvaluationSettings(max_tokens=study.max_tokens)),
        "sampled": (benchmarks, EvaluationSettings(samples=study.samples_per_task, **sampling)),
    }


def answer_settings(
    study: StudyArguments, plan: str, benchmarks: list[str], settings: "EvaluationSettings"
) -> dict[str, str]:
    """Returns the settings that determine the answers of a plan, except the model."""
    wanted = {
        "benchmarks": " ".join(benchmarks),
        "samples": str(settings.samples),
        "temperature": f"{settings.temperature:g}",
        "max_tokens": str(settings.sampling.max_tokens),
    }
    if study.template_variables:
        wanted["chat_template_kwargs"] = json.dumps(study.template_variables, sort_keys=True)
    return wanted | ({"held_out": digest_of(study.held_out)} if plan == "held_out" else {})


def generation_of(study: StudyArguments, run: Run) -> GenerationArguments:
    values = {field.name: getattr(study, field.name) for field in fields(GenerationArguments)}
    if run.arm is not None:
        values["model_name_or_path"] = str(run.folder / "model")
    return GenerationArguments(**values)


async def generate_answers(study: StudyArguments, stage: str, runs: list[Run]) -> int:
    """
    Generates the answers of models that are trained and not locked by another process, one model after another.
    Reuses vLLM's engine while the models have the same shape, since starting one takes longer than the answers.
    Returns the number of models.
    """
    from ...evaluation.run import generate_model_answers
    from ...generation import open_generator

    generate: Any = None
    count = 0
    async with AsyncExitStack() as stack:
        for run in runs:
            with run.claimed() as ours:
                missing = {name: plan for name, plan in plans_of(study, stage).items() if not run.has_answers(name)}
                if not (ours and run.is_trained and missing):
                    continue
                print(f"== answers of {run.folder}: {', '.join(missing)}", flush=True)
                count += 1
                generation = generation_of(study, run)
                if hasattr(generate, "load_weights") and generate.can_load(generation.model):
                    await generate.load_weights(generation.model)
                else:
                    await stack.aclose()  # frees the memory of the previous model
                    generate = await stack.enter_async_context(open_generator(generation))
                for name, (benchmarks, settings) in missing.items():
                    start = time.monotonic()
                    await generate_model_answers(
                        generation,
                        benchmarks,
                        run.folder / name,
                        settings,
                        generate=generate,
                        in_flight=study.in_flight,
                    )
                    record = {
                        "seconds": round(time.monotonic() - start, 1),
                        "settings": answer_settings(study, name, benchmarks, settings),
                    }
                    write_json(run.folder / name / ANSWERED, record)
    return count
