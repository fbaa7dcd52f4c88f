"""Formats the results of an evaluation for a terminal."""

from collections.abc import Sequence

from .results import DECEIVED, EvaluationRun, Score
from .statistics import Rate, answers_per_task, compare, failure_kinds, majority, pass_rates, right_answers


def results_table(run: EvaluationRun) -> str:
    """
    Returns one line per benchmark: pass@k in per cent with its 95 % interval, maj@k of final answers, and why answers failed.

    Args:
        run ([`EvaluationRun`]):
            The run.
    """
    rates = [pass_rates(score) for score in run.scores]
    ks = sorted({k for found in rates for k in found})
    votes = {score.benchmark: vote for score in run.scores if (vote := majority(score)) is not None}
    voters = dict.fromkeys(answers_per_task(score) for score in run.scores if score.benchmark in votes)
    heads = [f"pass@{k} [95 %]" for k in ks] + [f"maj@{k} [95 %]" for k in voters]
    rows = [["", "problems", *heads, "failed of"]]
    for score, found in zip(run.scores, rates, strict=True):
        answers = answers_per_task(score)
        cells = [_percent(found[k]) if k in found else "" for k in ks]
        cells += [
            _percent(votes[score.benchmark]) if score.benchmark in votes and k == answers else "" for k in voters
        ]
        kinds = ", ".join(f"{kind.replace('_', ' ')} {count}" for kind, count in failure_kinds(score).items())
        rows.append([score.benchmark, str(len(right_answers(score))), *cells, kinds or "-"])
    lines = [_aligned(rows), *filter(None, [run.trial_sentence()])]
    lines += [sentence for score in run.scores if (sentence := suspicion(score))]
    lines += [
        f"{benchmark}: {'' if run.score(benchmark) else 'not run. '}{reason}"
        for benchmark, reason in run.skipped.items()
    ]
    return "\n".join(lines)


def suspicion(score: Score) -> str:
    """
    Returns a sentence on suspicious answers, or `""` if there are none.

    Args:
        score ([`~reflection_trl.evaluation.results.Score`]):
            Of one benchmark.
    """
    found = [outcome for outcome in score.outcomes if outcome.suspicious]
    if not found:
        return ""
    passed, deceived = sum(one.passed for one in found), sum(DECEIVED in one.suspicious for one in found)
    sentence = (
        f"{score.benchmark}: {len(found)} of {len(score.outcomes)} answers are suspicious, {passed} of them passed."
    )
    return sentence + (f" evalplus itself would let {deceived} more pass." if deceived else "")


def comparison_table(run: EvaluationRun, other: EvaluationRun) -> str:
    """
    Returns one line per common benchmark, compared problem by problem.

    Args:
        run ([`EvaluationRun`]):
            The run.
        other ([`EvaluationRun`]):
            The run to compare with.

    Raises:
        ValueError: If they have no benchmark in common.
    """
    pairs = [(score, theirs) for score in run.scores if (theirs := other.score(score.benchmark)) is not None]
    if not pairs:
        raise ValueError(f"{run.model} and {other.model} have no benchmark in common.")
    rows = [[f"against {other.model}", "problems", "won", "lost", "difference [95 %]", "p"]]
    for score, theirs in pairs:
        found = compare(score, theirs)
        difference = f"{100 * found.difference:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
        counts = [str(found.tasks), str(found.won), str(found.lost)]
        rows.append(
            [score.benchmark, *counts, difference, f"{found.p_value:.3f}" if found.p_value >= 0.001 else "< 0.001"]
        )
    return _aligned(rows)


def _percent(found: Rate) -> str:
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
