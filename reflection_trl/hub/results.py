"""Converts results of an evaluation to the two forms that the Hub reads, and merges them with existing ones.

`.eval_results/*.yaml` feeds the pages of the benchmarks, with one value per benchmark. `model-index` in the card's
metadata contains all metrics. The functions are pure and work on plain data: this module does not access the Hub.
"""

import copy
from dataclasses import dataclass
from typing import Any

from ..evaluation import EvaluationRun, Score
from ..evaluation.benchmarks import BENCHMARKS, HubDataset, OwnProblems, find_benchmark
from ..evaluation.statistics import answers_per_task, pass_rates, right_answers
from ..markdown import cell, code_cell, fenced, merge_sections, section


SOURCE_NAME = "reflection_trl"


def hub_dataset(score: str) -> HubDataset:
    """
    Returns the dataset of a benchmark on the Hub.

    Args:
        score (`str`):
            Name of a score, as in [`~reflection_trl.evaluation.Score`].

    Raises:
        ValueError: If no dataset on the Hub is known for it.
    """
    benchmark = find_benchmark(score)
    found = benchmark.hub_dataset(score) if benchmark else None
    if found is None:
        raise ValueError(
            f"The run has results of {score!r}, which is not a benchmark that can be published; known are "
            f"{', '.join(one.usage for one in BENCHMARKS if one is not OwnProblems)}."
        )
    return found


def is_published(score: str) -> bool:
    """Returns whether a score can be published: scores on the user's own problems cannot."""
    benchmark = find_benchmark(score)
    return benchmark is None or benchmark.hub_dataset(score) is not None


def file_name(benchmark: str) -> str:
    """Converts a benchmark's name to a valid name of a file, a configuration or a URL."""
    return benchmark.replace("+", "-plus").replace(":", "-").replace("#", "sharp")


@dataclass(frozen=True)
class Result:
    """Holds one metric of one benchmark. Values are percentages."""

    benchmark: str
    k: int
    value: float
    interval: tuple[float, float]
    tasks: int
    samples: int


def results_of(run: EvaluationRun) -> list[Result]:
    """
    Returns pass@k of every benchmark, for k = 1, 10 and 100 if each problem has that many answers.

    Raises:
        ValueError: If there is nothing to publish, or a benchmark is unknown.
    """
    scores = [score for score in run.scores if score.outcomes]
    for score in scores:
        hub_dataset(score.benchmark)
    if not scores:
        raise ValueError(f"The run of {run.model} has no results, so there is nothing to publish; evaluate it first.")
    return [result for score in scores for result in _results_of_score(score)]


def eval_result_entries(
    run: EvaluationRun, results: list[Result], version: str, source_url: str | None
) -> dict[str, dict[str, Any]]:
    """Returns one entry of `.eval_results/*.yaml` for each benchmark (pass@1)."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entries = {}
    for result in results:
        if result.k != 1:
            continue
        benchmark = hub_dataset(result.benchmark)
        entry = EvalResultEntry(
            dataset_id=benchmark.dataset,
            task_id=benchmark.task,
            value=result.value,
            date=run.date or None,
            source_url=source_url,
            source_name=source_url and SOURCE_NAME,
            notes=_notes(run, result, version),
        )
        entries[result.benchmark] = eval_result_entries_to_yaml([entry])[0]
    return entries


def merge_eval_results(
    files: dict[str, list[dict[str, Any]]], entries: dict[str, dict[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """
    Merges new entries into the files of `.eval_results`.

    An existing entry for the same task is replaced if this package wrote it or it names no source, in whichever file
    it is. Entries from other sources are kept.

    Args:
        files (`dict`):
            Path -> entries on the Hub.
        entries (`dict`):
            Benchmark -> new entry.

    Returns:
        `dict`: Path -> entries of the files that change.
    """
    merged = copy.deepcopy(files)
    for name, entry in entries.items():
        task = entry["dataset"]["id"], entry["dataset"]["task_id"]
        places = [
            (path, old)
            for path, known in merged.items()
            for old in known
            if (old["dataset"].get("id"), old["dataset"].get("task_id")) == task and _is_replaceable(old)
        ]
        if places:
            first, old = places[0]
            merged[first][next(i for i, known in enumerate(merged[first]) if known is old)] = entry
            for path, other in places[1:]:
                merged[path] = [known for known in merged[path] if known is not other]
        else:
            merged.setdefault(f".eval_results/{file_name(name)}.yaml", []).append(entry)
    return {path: known for path, known in merged.items() if known != files.get(path)}


def model_index_results(
    run: EvaluationRun, results: list[Result], version: str, source_url: str | None
) -> list[dict[str, Any]]:
    """Returns the results of a `model-index`: one per benchmark, with all its metrics."""
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    flat = []
    for result in results:
        benchmark = hub_dataset(result.benchmark)
        facts = {
            "unit": "%",
            "confidence_interval_95": list(result.interval),
            "tasks": result.tasks,
            "answers_per_task": result.samples,
            "date": run.date or None,
            "model_revision": run.revision,
            "command": run.command or None,
            "evaluated_with": version,
        }
        flat.append(
            EvalResult(
                task_type="text-generation",
                task_name=benchmark.kind,
                dataset_type=benchmark.dataset,
                dataset_name=benchmark.title,
                dataset_config=benchmark.config,
                dataset_split=benchmark.split,
                metric_type=f"pass@{result.k}",
                metric_name=f"pass@{result.k}",
                metric_value=result.value,
                metric_args={name: value for name, value in facts.items() if value is not None},
                source_url=source_url,
                source_name=source_url and SOURCE_NAME,
            )
        )
    return eval_results_to_model_index("", flat)[0]["results"]


def merge_model_index(
    index: list[dict[str, Any]] | None, model_name: str, results: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """
    Merges new results into a `model-index`.

    The same metric of the same dataset is replaced if this package wrote it or it names no source. Everything else is
    unchanged.

    Args:
        index (`list` or `None`):
            The `model-index` on the Hub.
        model_name (`str`):
            Name of the model for a new index.
        results (`list`):
            Output of [`model_index_results`].

    Returns:
        `list`: The complete index.

    Raises:
        ValueError: If the index on the Hub is invalid.
    """
    if index and not (isinstance(index, list) and isinstance(index[0], dict)):
        raise ValueError("`model-index` in the card on the Hub is not a list of models; fix it there first")
    index = copy.deepcopy(index) or [{"name": model_name, "results": []}]
    known = index[0]["results"] = index[0].get("results") or []
    for new in results:
        metrics, place = {metric["type"] for metric in new["metrics"]}, None
        for old in [old for old in known if _same_dataset(old, new) and _is_replaceable(old)]:
            number = next(i for i, result in enumerate(known) if result is old)
            place = number if place is None else place
            old["metrics"] = [metric for metric in old.get("metrics") or [] if metric.get("type") not in metrics]
            if not old["metrics"]:
                del known[number]
        known.insert(len(known) if place is None else place, new)
    return index


def with_section(text: str, index: list[dict[str, Any]]) -> str:
    """Adds the table of results to the text of a card: replaces an earlier one, or appends it."""
    new = section("evaluation", _table(index))
    return merge_sections(text, new) if text.strip() else new


def _table(index: list[dict[str, Any]]) -> str:
    """Returns a table of this package's results, and the commands that reproduce them."""
    rows, commands = [], {}
    for result in index[0]["results"]:
        url = (result.get("source") or {}).get("url")
        for metric in result.get("metrics") or []:
            facts = metric.get("args") or {}
            if not (isinstance(facts, dict) and str(facts.get("evaluated_with")).startswith(SOURCE_NAME)):
                continue
            interval, revision = facts.get("confidence_interval_95"), facts.get("model_revision")
            answers = cell(facts.get("answers_per_task", ""))
            cells = [
                cell(result["dataset"]["name"]),
                cell(metric["name"]),
                f"{metric['value']:.1f} %",
                "{:.1f} to {:.1f}".format(*interval) if interval else "",
                cell(facts.get("tasks", "")),
                f"[{answers}]({url})" if url else answers,
                code_cell(revision[:12]) if revision else "",
                cell(str(facts.get("date", ""))[:10]),
            ]
            rows.append("| " + " | ".join(cells) + " |")
            if facts.get("command"):
                commands[facts["command"]] = facts["evaluated_with"]
    head = "| benchmark | metric | value | 95 % interval | problems | answers a problem | model revision | date |"
    made = [f"\nWith {cell(versions)}:\n\n{fenced(command, 'bash')}" for command, versions in commands.items()]
    return "\n".join(["## Evaluation", "", head, "|---|---|--:|---|--:|--:|---|---|", *rows, *made])


def _is_replaceable(entry: dict[str, Any]) -> bool:
    source = entry.get("source")
    return not source or source.get("name") == SOURCE_NAME


def _same_dataset(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Returns whether two results belong to one dataset. A missing configuration or split matches any."""
    known, wanted = old.get("dataset") or {}, new["dataset"]
    if (old.get("task") or {}).get("type") != new["task"]["type"] or known.get("type") != wanted["type"]:
        return False
    return all(
        known.get(key) is None or wanted.get(key) is None or known[key] == wanted[key] for key in ("config", "split")
    )


def _notes(run: EvaluationRun, result: Result, version: str) -> str:
    interval = "95 % confidence interval {:.1f} to {:.1f}".format(*result.interval)
    answers = "answers" if result.samples > 1 else "answer"
    parts = [
        "pass@1 in %",
        interval,
        f"{result.tasks} problems, {result.samples} {answers} each",
        run.revision and f"model revision {run.revision}",
        version,
        run.command and f"command: {run.command}",
    ]
    return "; ".join(part for part in parts if part)


def _results_of_score(score: Score) -> list[Result]:
    tasks, samples = len(right_answers(score)), answers_per_task(score)
    return [
        Result(
            score.benchmark,
            k,
            round(100 * found.value, 2),
            (round(100 * found.low, 1), round(100 * found.high, 1)),
            tasks,
            samples,
        )
        for k, found in pass_rates(score).items()
    ]
