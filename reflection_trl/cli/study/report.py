"""Writes the tables and figures of `reflection-trl study`."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ...evaluation import EvaluationRun, Score
from ...evaluation.statistics import (
    Comparison,
    Rate,
    compare,
    compare_means,
    failure_kinds,
    pool,
    rate,
)
from .arguments import BASE, StudyArguments
from .runs import Run, best_rate, read_results


PLANS = {"greedy": "One greedy answer to each problem", "sampled": "Answers sampled at a temperature above 0"}


def write_report(study: StudyArguments, searched: Sequence[Run], runs: Sequence[Run]) -> str:
    """
    Writes `study.json`, `study.md`, `greedy.png` and `sampled.png` into the study's folder.

    Args:
        study (`StudyArguments`):
            Arguments of `reflection-trl study`.
        searched (`Sequence[Run]`):
            Runs of the search for learning rates.
        runs (`Sequence[Run]`):
            The base model, and each arm with each seed. Runs without scores are omitted.

    Returns:
        `str`: The text of `study.md`.
    """
    arms = [BASE, *(arm.name for arm in study.checked_arms)]
    parts = [f"# {study.model_name_or_path}: {' - '.join(arms)}"]
    record: dict[str, Any] = {"model": study.model_name_or_path, "dataset": study.dataset_name, "plans": {}}
    for plan, title in PLANS.items():
        by_arm = {arm: results_of(arm, runs, plan) for arm in arms}
        by_arm = {arm: found for arm, found in by_arm.items() if found}
        if not by_arm:
            continue
        parts += [f"## {title}", rates_table(by_arm)]
        record["plans"][plan] = {arm: record_of(found) for arm, found in by_arm.items()}
        if study.reference in by_arm:
            against = {arm: comparisons(found, by_arm[study.reference]) for arm, found in by_arm.items()}
            del against[study.reference]
            if against:
                parts += [f"Against `{study.reference}`:", comparison_table(against)]
            for arm, found in against.items():
                record["plans"][plan][arm]["against_reference"] = {name: vars(one) for name, one in found.items()}
        parts += ["Of 100 answers, those that fail under the extended tests:", failures_table(by_arm)]
        draw_figure(Path(study.output_dir, f"{plan}.png"), by_arm, title)
    if searched:
        parts += ["## Learning rates, by held-out problems", search_table(searched)]
    text = "\n\n".join(parts) + "\n"
    folder = Path(study.output_dir)
    (folder / "study.md").write_text(text, encoding="utf-8")
    (folder / "study.json").write_text(json.dumps(record, indent=1) + "\n")
    return text


def results_of(arm: str, runs: Sequence[Run], plan: str) -> list[EvaluationRun]:
    """Returns one result per seed."""
    mine = [run for run in runs if run.arm_name == arm]
    return [found for run in mine if (found := read_results(run, plan)) is not None]


def extended(scores: Sequence[Score]) -> list[Score]:
    """Returns the primary scores: those of the extended tests if a benchmark has them."""
    names = {score.benchmark for score in scores}
    return [score for score in scores if f"{score.benchmark}+" not in names]


def score_of(found: EvaluationRun, benchmark: str) -> Score:
    """Returns the score of a benchmark that other runs have."""
    score = found.score(benchmark)
    if score is None:
        reason = found.skipped.get(benchmark, "It is not in its results.json.")
        raise ValueError(
            f"{found.model} has no score of {benchmark}, which other runs have. {reason} Remove its results.json, and run the "
            f"stages `judge` and `report` again."
        )
    return score


def pooled(found: Sequence[EvaluationRun]) -> list[Score]:
    """Returns one score per benchmark, with the answers of all seeds together."""
    return [pool([score_of(one, score.benchmark) for one in found]) for score in found[0].scores]


def rates_table(by_arm: dict[str, list[EvaluationRun]]) -> str:
    benchmarks = [score.benchmark for score in next(iter(by_arm.values()))[0].scores]
    rows = [["", "seeds", *benchmarks, "mean of the extended"]]
    for arm, found in by_arm.items():
        cells = [over_seeds([rate(score_of(one, benchmark)).value for one in found]) for benchmark in benchmarks]
        rows.append([f"`{arm}`", str(len(found)), *cells, over_seeds(means(found))])
    return table(rows)


def means(found: Sequence[EvaluationRun]) -> list[float]:
    """Returns, for each seed, the unweighted mean of the benchmarks."""
    return [fmean(rate(score).value for score in extended(one.scores)) for one in found]


def over_seeds(values: Sequence[float]) -> str:
    """Returns mean and standard deviation over seeds, in percent."""
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * fmean(values):.1f}{spread}"


def comparisons(found: Sequence[EvaluationRun], reference: Sequence[EvaluationRun]) -> dict[str, Comparison]:
    """Returns each benchmark, and their mean, with the answers of all seeds together."""
    mine, theirs = pooled(found), pooled(reference)
    by_benchmark = {score.benchmark: compare(score, other) for score, other in zip(mine, theirs, strict=True)}
    return by_benchmark | {"mean of the extended": compare_means(extended(mine), extended(theirs))}


def comparison_table(against: dict[str, dict[str, Comparison]]) -> str:
    names = list(next(iter(against.values())))
    rows = [["", *names]]
    for arm, found in against.items():
        rows.append([f"`{arm}`", *(_difference(found[name]) for name in names)])
    return table(rows)


def failures_table(by_arm: dict[str, list[EvaluationRun]]) -> str:
    counts = {}
    for arm, found in by_arm.items():
        scores = extended(pooled(found))
        answers = sum(len(score.outcomes) for score in scores)
        kinds: dict[str, float] = {}
        for score in scores:
            for kind, count in failure_kinds(score).items():
                kinds[kind] = kinds.get(kind, 0) + 100 * count / answers
        counts[arm] = kinds
    totals: dict[str, float] = {}
    for kinds in counts.values():
        for kind, share in kinds.items():
            totals[kind] = totals.get(kind, 0) + share
    order = sorted(totals, key=lambda kind: -totals[kind])
    rows = [["", *(kind.replace("_", " ") for kind in order), "all"]]
    for arm, kinds in counts.items():
        rows.append([f"`{arm}`", *(f"{kinds.get(kind, 0):.1f}" for kind in order), f"{sum(kinds.values()):.1f}"])
    return table(rows)


def search_table(searched: Sequence[Run]) -> str:
    """
    Returns the solve rates on the held-out problems. The base model has no learning rate, so its rate is in each
    column.
    """
    rates = sorted({run.learning_rate for run in searched if run.arm is not None})
    rows = [["", *(f"{one:g}" for one in rates)]]
    base = next(run for run in searched if run.arm is None)
    if (found := read_results(base, "held_out")) is not None:
        rows.append([f"`{BASE}`", *[_interval(rate(found.scores[0]))] * len(rates)])
    for arm in dict.fromkeys(run.arm_name for run in searched if run.arm is not None):
        by_rate = {run.learning_rate: read_results(run, "held_out") for run in searched if run.arm_name == arm}
        shares = {one: rate(found.scores[0]) for one, found in by_rate.items() if found is not None}
        best = best_rate({one: share.value for one, share in shares.items()}) if shares else None
        cells = []
        for one in rates:
            share = shares.get(one)
            text = "" if share is None else _interval(share)
            cells.append(f"**{text}**" if one == best else text)
        rows.append([f"`{arm}`", *cells])
    return table(rows)


def record_of(found: Sequence[EvaluationRun]) -> dict[str, Any]:
    return {
        "pass@1": {
            score.benchmark: [rate(score_of(one, score.benchmark)).value for one in found] for score in found[0].scores
        },
        "mean_of_the_extended": means(found),
        "failures": {score.benchmark: failure_kinds(score) for score in pooled(found)},
    }


def draw_figure(file: Path, by_arm: dict[str, list[EvaluationRun]], title: str) -> None:
    """Plots each arm on each benchmark: pass@1 with its 95 % interval over problems, and a ring for each seed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    arms = list(by_arm)
    benchmarks = [score.benchmark for score in extended(by_arm[arms[0]][0].scores)]
    figure, axes = plt.subplots(
        1, len(benchmarks), figsize=(4.2 * len(benchmarks), 0.8 + 0.45 * len(arms)), sharey=True, squeeze=False
    )
    for axis, benchmark in zip(axes[0], benchmarks, strict=True):
        for place, arm in enumerate(reversed(arms)):
            together = rate(pool([score_of(one, benchmark) for one in by_arm[arm]]))
            color = "#2f7fd6" if place == 0 else "#5a6272"
            axis.plot([100 * together.low, 100 * together.high], [place, place], color=color, linewidth=2)
            axis.plot(100 * together.value, place, "o", color=color)
            seeds = [100 * rate(score_of(one, benchmark)).value for one in by_arm[arm]]
            axis.plot(seeds, [place] * len(seeds), "o", mfc="none", color=color, markersize=9, alpha=0.6)
        axis.set_title(benchmark, fontsize=10)
        axis.set_xlabel("pass@1, %")
        axis.grid(axis="x", alpha=0.3)
        axis.set_yticks(range(len(arms)), list(reversed(arms)))
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    figure.savefig(file, dpi=150)
    plt.close(figure)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, f"|{'---|' * len(rows[0])}", *body])


def _interval(share: Rate) -> str:
    return f"{100 * share.value:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _difference(one: Comparison) -> str:
    p = f"p = {one.p_value:.3f}" if one.p_value >= 0.001 else "p < 0.001"
    return f"{100 * one.difference:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}], {p}"
