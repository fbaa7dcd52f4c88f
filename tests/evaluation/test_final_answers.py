"""Problems with a final answer as a benchmark: asked, judged without a sandbox, and voted on."""

import itertools
import json
import random
from collections import Counter

import pytest

from reflection_trl.checking import process
from reflection_trl.evaluation import run as evaluation_run
from reflection_trl.evaluation.benchmarks import get_benchmark
from reflection_trl.evaluation.report import write_report
from reflection_trl.evaluation.results import EvaluationRun, Outcome, Score
from reflection_trl.evaluation.run import EvaluationSettings, evaluate_model, evaluate_samples
from reflection_trl.evaluation.statistics import majority, wilson_interval
from reflection_trl.evaluation.table import results_table
from reflection_trl.generation import GenerationArguments
from reflection_trl.generation.types import Completion


# In GSM8K's form
ROWS = [
    {"question": "Ann has 3 baskets of 12 pears. How many pears are that?", "answer": "3*12 = <<3*12=36>>36 pears.\n#### 36"},
    {"question": "A bus carries 1,100 people a day. How many in two days?", "answer": "2*1100 = <<2*1100=2200>>2,200.\n#### 2,200"},
    {"question": "Bo spends half of $9. How much is left?", "answer": "9/2 = $<<9/2=4.5>>4.5.\n#### 4.5"},
]  # fmt: skip


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.fixture
def no_sandbox(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("no sandbox is needed")

    monkeypatch.setattr(evaluation_run, "Sandbox", fail)


class Scripted:
    """Says the next of its texts on each question."""

    model = "scripted"

    def __init__(self, texts):
        self.texts = {question: iter(said) for question, said in texts.items()}
        self.prompts = []

    async def __call__(self, prompt, sampling):
        (turn,) = prompt
        self.prompts.append(turn["content"])
        text = next(said for question, said in self.texts.items() if question in turn["content"])
        return Completion(next(text), "stop", 10, 5)


def evaluate(file, tmp_path, texts, **settings):
    generate = Scripted(texts)
    arguments = GenerationArguments(model_name_or_path="scripted", base_url="http://localhost:1/v1")
    found = evaluate_model(
        arguments,
        ["gsm8k"],
        tmp_path / "out",
        EvaluationSettings(benchmark_files={"gsm8k": str(file)}, **settings),
        generate=generate,
        progress=False,
    )
    return found, generate


def test_gsm8k_is_asked_and_judged_without_a_sandbox(file, tmp_path, no_sandbox):
    texts = {"Ann": [r"\boxed{36}"], "A bus": [r"<think>\boxed{1}</think> \boxed{2200}"], "Bo": ["It is 4.5."]}
    found, generate = evaluate(file, tmp_path, texts)
    assert (
        generate.prompts[0]
        == f"{ROWS[0]['question']}\n\nReason step by step, and put the final answer in \\boxed{{}}."
    )
    (score,) = found.scores
    assert [(one.task_id, one.passed, one.kind, one.answer) for one in score.outcomes] == [
        ("gsm8k-test/0", True, "none", "36"),
        ("gsm8k-test/1", True, "none", "2200"),
        ("gsm8k-test/2", False, "no_answer", ""),
    ]
    assert results_table(found).splitlines()[1].startswith("gsm8k  3         66.7 [20.8, 93.9]  no answer 1")
    assert EvaluationRun.load(tmp_path / "out" / "results.json").scores == found.scores
    assert "gsm8k" in write_report([found], tmp_path / "out").read_text()


def test_the_detail_of_a_failure_has_the_expected_answer(file, tmp_path, no_sandbox):
    texts = {"Ann": [r"\boxed{35}"], "A bus": [r"\boxed{many}"], "Bo": [r"\boxed{4.5} or \boxed{5}"]}
    found, _ = evaluate(file, tmp_path, texts)
    assert [(one.kind, one.detail) for one in found.scores[0].outcomes] == [
        ("wrong_answer", "The final answer `35` is wrong. Expected: `36`."),
        ("wrong_form", "The final answer `many` has the wrong form. The answer must be a number. Expected: `2,200`."),
        ("contradictory", r"The text gives different final answers, such as `4.5` and `5`: write one \boxed{...}."),
    ]


def test_several_answers_vote(file, tmp_path, no_sandbox):
    texts = {
        "Ann": [r"\boxed{36}", r"\boxed{36.0}", r"\boxed{35}", r"\boxed{34}"],
        "A bus": [r"\boxed{2,200}", r"\boxed{1,100}", r"\boxed{1100}", "I do not know."],
        "Bo": [r"\boxed{4.5}", r"\boxed{5}", r"\boxed{9/2}", r"\boxed{5.0}"],
    }
    found, _ = evaluate(file, tmp_path, texts, samples=4, temperature=0.8)
    assert majority(found.scores[0]).value == pytest.approx((1 + 0 + 1 / 2) / 3)
    head, line = results_table(found).splitlines()[:2]
    assert "pass@1 [95 %]" in head and "maj@4 [95 %]" in head and "50.0" in line
    page = write_report([found], tmp_path / "out")
    assert "gsm8k maj@4" in page.read_text()


def slow_majority(votes):
    """The share of problems whose most frequent answer is right, by drawing one of the most frequent ones many times over."""
    total = 0.0
    for answers in votes:
        counts = Counter(answers)
        best = [answer for answer in counts if counts[answer] == max(counts.values())]
        total += sum(answer == "right" for answer in best) / len(best)
    return total / len(votes)


def test_majority_against_a_slow_reference():
    generator = random.Random(0)
    for _ in range(50):
        votes = [[generator.choice(["right", "a", "b"]) for _ in range(5)] for _ in range(4)]
        outcomes = [
            Outcome(f"t{task}", number, answer == "right", answer="9" if answer == "right" else answer)
            for task, answers in enumerate(votes)
            for number, answer in enumerate(answers)
        ]
        assert majority(Score("gsm8k", outcomes)).value == pytest.approx(slow_majority(votes))


def test_a_majority_on_which_all_problems_agree_has_an_interval_with_a_width():
    ties = [
        Outcome(task, number, not number, answer=str(number)) for task in ("t", "u", "v", "w") for number in range(2)
    ]
    found = majority(Score("gsm8k", ties))
    assert (found.value, found.low, found.high) == (0.5, *wilson_interval(0.5, 4))


def test_a_majority_without_ties_has_the_interval_of_single_answers():
    right = {"t": True, "u": False, "v": True, "w": True}
    outcomes = [Outcome(task, number, passed, answer="1") for task, passed in right.items() for number in range(2)]
    found = majority(Score("gsm8k", outcomes))
    assert (found.value, found.low, found.high) == (0.75, *wilson_interval(0.75, 4))


def test_there_is_no_majority_of_one_answer_or_of_code():
    assert majority(Score("gsm8k", [Outcome("t", 0, True, answer="1")])) is None
    assert majority(Score("humaneval", [Outcome("t", number, True) for number in range(3)])) is None
    nobody = [
        Outcome("t", 0, False, "no_answer"),
        Outcome("t", 1, False, "no_answer"),
        Outcome("u", 0, False, answer="1"),
    ]
    assert majority(Score("gsm8k", [*nobody, Outcome("u", 1, False, answer="1")])).value == 0


def test_answers_made_elsewhere_are_judged(file, tmp_path, no_sandbox):
    samples = tmp_path / "samples.jsonl"
    answers = [r"\boxed{36}", r"\boxed{2200}", "#### 4.50"]
    samples.write_text(
        "".join(
            json.dumps({"task_id": f"gsm8k-test/{n}", "completion": said}) + "\n" for n, said in enumerate(answers)
        )
    )
    settings = EvaluationSettings(benchmark_files={"gsm8k": str(file)})
    found = evaluate_samples([samples], tmp_path / "out", settings, benchmarks=["gsm8k"], progress=False)
    assert all(outcome.passed for outcome in found.scores[0].outcomes)


def test_own_problems_may_have_final_answers(tmp_path, no_sandbox):
    path = tmp_path / "mine.jsonl"
    rows = [{"instruction": "2 + 2?", "answer": 4}, {"instruction": "Which?", "choices": ["x", "y"], "answer": "y"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = GenerationArguments(model_name_or_path="scripted", base_url="http://localhost:1/v1")
    generate = Scripted({"2 + 2?": [r"\boxed{4}"], "Which?": [r"\boxed{A}"]})
    found = evaluate_model(arguments, [f"problems:{path}"], tmp_path / "out", generate=generate, progress=False)
    assert [outcome.passed for outcome in found.scores[0].outcomes] == [True, False]


def test_votes_for_one_choice_count_together_in_any_notation(tmp_path, no_sandbox):
    """Otherwise the correct choice, whose votes always count together, would win more often."""
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"instruction": "Which?", "choices": ["x", "y"], "answer": "y"}) + "\n")
    arguments = GenerationArguments(model_name_or_path="scripted", base_url="http://localhost:1/v1")
    generate = Scripted({"Which?": [r"\boxed{A}", r"\boxed{(a)}", r"\boxed{A) x}", r"\boxed{B}", r"\boxed{y}"]})
    settings = EvaluationSettings(samples=5, temperature=0.8)
    found = evaluate_model(
        arguments, [f"problems:{path}"], tmp_path / "out", settings, generate=generate, progress=False
    )
    assert [outcome.passed for outcome in found.scores[0].outcomes] == [False, False, False, True, True]
    assert majority(found.scores[0]).value == 0


def test_without_math_verify_the_benchmark_is_skipped_and_says_why(file, tmp_path, monkeypatch):
    monkeypatch.setattr(process.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"There is nothing to score: .*`pip install math-verify`"):
        evaluate(file, tmp_path, {})


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"question": "?", "answer": "Five."}], r"Row 0 of '.*' is not a problem of GSM8K: `answer` has no line `#### ...`"),
        ([{"question": "?", "answer": "#### }{"}], r"Row 0 of .* the final answer must be a number, got '}{'"),
        ([{"question": "?", "answer": "#### 4 or 5"}], r"the final answer must be a number, got '4 or 5'"),
        ([{"question": " ", "answer": "#### 4"}], r"Row 0 of .*: `question` is empty"),
        ([ROWS[0], ROWS[1], ROWS[0]], r"Row 2 of .* has the question of Row 0 of .*; give one version of the file"),
    ],
)  # fmt: skip
def test_rows_that_are_no_gsm8k_are_one_sentence(tmp_path, rows, sentence):
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=sentence):
        get_benchmark("gsm8k").load_tasks(str(path))


def test_own_problems_without_an_answer_are_named(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"problem": "2 + 2?", "solution": "It is 4."}) + "\n")
    with pytest.raises(ValueError, match=r"'mine.jsonl/0' of .* has neither tests nor a final answer.*boxed"):
        get_benchmark(f"problems:{path}").load_tasks()


def test_training_rows_are_compared_with_the_questions_alone(file):
    texts = get_benchmark("gsm8k").texts(str(file))
    assert texts["gsm8k-test/0"] == [ROWS[0]["question"], "3*12 = 36 pears.\n#### 36"]
    assert not any("Reason step by step" in text for text in itertools.chain(*texts.values()))
