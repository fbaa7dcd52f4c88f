"""The registry: a benchmark is one class, and all that there is to know of it stands there."""

from pathlib import Path

import pytest

from reflection_trl.cli import evaluate
from reflection_trl.evaluation import benchmarks
from reflection_trl.evaluation.benchmark_texts import benchmark_texts
from reflection_trl.evaluation.benchmarks import (
    BENCHMARKS,
    Benchmark,
    HubDataset,
    benchmark_of_task,
    find_benchmark,
    get_benchmark,
    parse_benchmarks,
)
from reflection_trl.evaluation.contamination import find_contamination
from reflection_trl.evaluation.run import EvaluationSettings, evaluate_model, evaluate_samples
from reflection_trl.evaluation.table import results_table
from reflection_trl.evaluation.tasks import Task
from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.generation import GenerationArguments
from reflection_trl.generation.types import Completion
from reflection_trl.hub.results import hub_dataset


class Toy(Benchmark):
    """Judged without any program: an answer is right where it is the task's own."""

    key = "toy"
    usage = "toy"
    STATEMENT = "Write `weigh(basket)`, which adds the kilograms of every ripe tomato in it."

    @classmethod
    def owns(cls, task_id):
        return task_id.startswith("Toy/")

    def load_tasks(self, source=None):
        names = source or "ab"
        return [Task(f"Toy/{name}", self.name, f"{self.STATEMENT} {name}", tests=name) for name in names]

    def runnable(self, tasks):
        kept = [task for task in tasks if task.tests != "c"]
        return kept, None if kept == tasks else "1 of 3 tasks needs a thing that is not here."

    def texts(self, source=None):
        return {task.id: [task.request] for task in self.load_tasks(source)}

    async def run_tests(self, task, solution, execute):
        right = solution == f"{task.tests} = 1"
        return Feedback(FeedbackKind.NONE if right else FeedbackKind.ASSERTION, "as it is")

    def hub_dataset(self, score):
        return HubDataset("me/toy", "toy", "Toy")


@pytest.fixture
def toy(monkeypatch):
    get_benchmark.cache_clear()
    monkeypatch.setattr(benchmarks, "BENCHMARKS", (*BENCHMARKS, Toy))
    yield
    get_benchmark.cache_clear()


async def answer_a(prompt, sampling):
    return Completion("```python\na = 1\n```")


@pytest.mark.usefixtures("toy", "isolation")
def test_the_next_benchmark_is_one_class(tmp_path):
    arguments = GenerationArguments(base_url="http://localhost:1/v1", model_name_or_path="m")
    settings = EvaluationSettings(benchmark_files={"toy": "abc"})
    run = evaluate_model(arguments, parse_benchmarks(["Toy"]), tmp_path, settings, generate=answer_a, progress=False)
    (score,) = run.scores
    assert [(one.task_id, one.passed, one.kind) for one in score.outcomes] == [
        ("Toy/a", True, "none"),
        ("Toy/b", False, "wrong_answer"),
    ]
    assert results_table(run).endswith("toy: 1 of 3 tasks needs a thing that is not here.")
    (tmp_path / "answers.jsonl").write_text(
        '{"task_id": "Toy/a", "completion": "b = 1"}\n{"task_id": "Toy/b", "completion": "b = 1"}\n'
    )
    run = evaluate_samples([tmp_path / "answers.jsonl"], tmp_path, progress=False)
    assert [one.passed for one in run.score("toy").outcomes] == [False, True]
    assert hub_dataset("toy").dataset == "me/toy"
    row = {"messages": [{"role": "user", "content": Toy.STATEMENT}, {"role": "assistant", "content": "x"}]}
    assert find_contamination([{"type": "generation", **row}], ["toy"])["tasks"] == 2
    assert benchmark_texts(["toy"]) == {f"Toy/{name}": [f"{Toy.STATEMENT} {name}"] for name in "ab"}
    assert find_contamination([{"type": "generation", **row}], ["toy"], {"toy": "abc"})["tasks"] == 3


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.key)
def test_the_help_and_the_guide_name_every_benchmark(benchmark):
    guide = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    assert benchmark.usage in evaluate.__doc__
    assert f"`{benchmark.key}" in guide


def test_names_of_scores_lead_to_their_benchmark():
    for name in ("humaneval", "mbpp", "multipl-e:java", "problems:my/file.jsonl"):
        benchmark = get_benchmark(name)
        assert benchmark.name == name
        assert all(get_benchmark(score).name == name for score in benchmark.score_names)
    assert find_benchmark("my/file.jsonl") is find_benchmark("nuprl/MultiPL-E:humaneval-rs") is None
    with pytest.raises(ValueError, match="Unknown language 'cobol'"):
        find_benchmark("multipl-e:cobol")
    with pytest.raises(ValueError, match="means 2 benchmarks: use one of multipl-e:java, multipl-e:rust"):
        get_benchmark("multipl-e:java,rs")
    assert benchmark_of_task("Mbpp/2").name == "mbpp"
    assert benchmark_of_task("HumanEval_2_x") is None
