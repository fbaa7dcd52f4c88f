"""Whole evaluations, on a few tasks."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from reflection_trl.cli import evaluate
from reflection_trl.evaluation import EvaluationRun
from reflection_trl.evaluation.contamination import contamination_sentence, find_contamination
from reflection_trl.evaluation.evalplus_data import EVALPLUS
from reflection_trl.evaluation.results import Outcome, Score
from reflection_trl.evaluation.run import EvaluationSettings, evaluate_model, evaluate_samples, generate_model_answers
from reflection_trl.evaluation.table import comparison_table, results_table
from reflection_trl.files import run_folder
from reflection_trl.files.run_folder import RunError
from reflection_trl.generation import GenerationArguments, GenerationError
from reflection_trl.generation.types import Completion
from reflection_trl.generation.usage import Usage
from reflection_trl.languages.swift import Swift

from .conftest import DATA, canonical


ROOT = Path(__file__).parents[2]


async def knows_all(prompt, sampling):
    """Answers every request with the right code, found by the name in it."""
    request = prompt[-1]["content"]
    for benchmark in EVALPLUS:
        rows = map(json.loads, (DATA / f"{benchmark}.jsonl").read_text().splitlines())
        for row in rows:
            if re.search(rf"\b{row['entry_point']}\b", request):
                return Completion(f"Here:\n\n```python\n{row['prompt']}{row['canonical_solution']}\n```")
    raise AssertionError(request)


@pytest.mark.usefixtures("small_benchmarks", "isolation")
def test_an_evaluation_from_prompt_to_record(tmp_path):
    arguments = GenerationArguments(base_url="http://localhost:1/v1", model_name_or_path="m")
    run = evaluate_model(
        arguments, ["humaneval", "mbpp"], tmp_path, generate=knows_all, progress=False, command="evaluate"
    )
    passed = {
        score.benchmark: [outcome.task_id for outcome in score.outcomes if outcome.passed] for score in run.scores
    }
    right = {name: [task for task in canonical(name) if task != "HumanEval/32"] for name in EVALPLUS}
    assert passed == {
        "humaneval": right["humaneval"], "humaneval+": right["humaneval"], "mbpp": right["mbpp"], "mbpp+": right["mbpp"],
    }  # fmt: skip
    assert EvaluationRun.load(tmp_path / "results.json") == run
    assert run.command == "evaluate"
    assert run.settings["prompt"] == "request"
    assert (
        json.loads((tmp_path / "mbpp" / "samples_eval_results.json").read_text())["eval"].keys()
        == canonical("mbpp").keys()
    )
    assert "87.5 [52.9, 97.8]" in results_table(run)

    async def never(prompt, sampling):
        raise AssertionError("all answers are there")

    again = evaluate_model(arguments, ["humaneval"], tmp_path, generate=never, progress=False)
    assert again.scores == run.scores[:2]


def write_problems(file):
    rows = [
        {
            "id": "double",
            "instruction": "Write `double(x)`.",
            "tests": "assert double(2) == 4",
            "entry_point": "double",
        },
        {"id": "half", "instruction": "Write `half(x)`.", "tests": "assert half(4) == 2", "entry_point": "half"},
        {"id": "echo", "instruction": "Print the input.", "examples": [{"stdin": "a\nb", "stdout": "a\nb"}]},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


@pytest.mark.usefixtures("isolation")
def test_problems_of_ones_own_are_judged_by_their_tests(tmp_path):
    """Answers are drawn first and judged later, as one does where the GPU's machine has no isolation."""
    write_problems(tmp_path / "held-out.jsonl")
    answers = {
        "Write `double(x)`.": "```python\ndef double(x):\n    return 2 * x\n\nassert double(1) == 3\n```",
        "Write `half(x)`.": "```python\ndef half(x):\n    return x\n```",
        "Print the input.": "```python\nimport sys\nprint(sys.stdin.read())\n```",
    }

    async def generate(prompt, sampling):
        return Completion(answers[prompt[-1]["content"]])

    async def never(prompt, sampling):
        raise AssertionError("all answers are there")

    arguments = GenerationArguments(base_url="http://localhost:1/v1", model_name_or_path="m")
    benchmark = f"problems:{tmp_path / 'held-out.jsonl'}"
    asyncio.run(generate_model_answers(arguments, [benchmark], tmp_path / "out", generate=generate))
    run = evaluate_model(arguments, [benchmark], tmp_path / "out", generate=never, progress=False)
    (score,) = run.scores
    assert score.benchmark == benchmark
    assert {outcome.task_id: outcome.passed for outcome in score.outcomes} == {
        "double": True, "half": False, "echo": True,
    }  # fmt: skip
    assert (score.outcomes[1].kind, "half(4) == 2" in score.outcomes[1].detail) == ("wrong_answer", True)
    assert "no benchmark" not in results_table(run)


def test_a_model_that_is_trained_again_is_asked_again(tmp_path, monkeypatch):
    """`--model out/mine`, trained twice: answers of the first one would be scored as the second one's."""
    write_problems(tmp_path / "held-out.jsonl")
    monkeypatch.setattr("reflection_trl.evaluation.run._require_chat_template", lambda *_: None)
    weights = tmp_path / "mine" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(bytes(100_000))
    arguments = GenerationArguments(model_name_or_path=str(weights.parent), backend="transformers")
    asked = []

    async def generate(prompt, sampling):
        asked.append(prompt)
        return Completion("x")

    def draw(place="out", **settings):
        benchmark = f"problems:{tmp_path / 'held-out.jsonl'}"
        options = {"settings": EvaluationSettings(**settings), "generate": generate}
        asyncio.run(generate_model_answers(arguments, [benchmark], tmp_path / place, **options))
        return len(asked)

    assert draw(limit=1) == 1
    weights.with_name("training_args.bin").write_bytes(b"not of the model")
    assert draw() == 3  # the same model goes on
    weights.write_bytes(bytes(50_000) + b"\1" * 50_000)
    with pytest.raises(RunError, match="from before its weights changed"):
        draw()
    assert draw("again") == 6
    weights.unlink()
    assert draw() == 6  # what is there can be judged without them


def test_answers_to_problems_that_were_edited_are_not_scored(tmp_path):
    file = tmp_path / "held-out.jsonl"
    write_problems(file)
    arguments = GenerationArguments("m", base_url="http://localhost:1/v1")
    asked = []

    async def generate(prompt, sampling):
        asked.append(prompt)
        return Completion("x")

    def run(**settings):
        options = {"settings": EvaluationSettings(**settings), "generate": generate, "progress": False}
        return evaluate_model(arguments, [f"problems:{file}"], tmp_path / "out", **options)

    run(limit=2)
    file.write_text(file.read_text().replace("Print the input.", "Print the input twice."))
    run()
    assert len(asked) == 3  # the third had no answer yet
    file.write_text(file.read_text().replace("Write `half(x)`.", "Write `half(x)`, rounded."))
    with pytest.raises(RunError, match="contains answers to another request of 'half', from before the tasks changed"):
        run()
    assert len(asked) == 3


def test_the_bar_says_which_requests_are_repeated(tmp_path, monkeypatch, capsys):
    write_problems(tmp_path / "held-out.jsonl")
    monkeypatch.setattr("reflection_trl.generation.retries._SHOW_SECONDS", 0.01)
    asked = []

    class Generator:
        usage = Usage()

        async def __call__(self, prompt, sampling):
            if not asked:
                asked.append(prompt)
                self.usage.repeated.note("first", "says 503: loading the model", 60)
                await asyncio.sleep(0.3)
                self.usage.repeated.forget("first")
            return Completion("x")

    arguments = GenerationArguments(base_url="http://localhost:1/v1", model_name_or_path="m")
    benchmark = f"problems:{tmp_path / 'held-out.jsonl'}"
    asyncio.run(generate_model_answers(arguments, [benchmark], tmp_path / "out", generate=Generator()))
    assert re.search(r"retrying 1 request until \S+ \(says 503", capsys.readouterr().err)


def test_answers_with_and_without_thinking_are_not_mixed(tmp_path):
    write_problems(tmp_path / "held-out.jsonl")

    async def generate(prompt, sampling):
        return Completion("x")

    def draw(**variables):
        arguments = GenerationArguments("m", base_url="http://localhost:1/v1", chat_template_kwargs=variables or None)
        benchmark = f"problems:{tmp_path / 'held-out.jsonl'}"
        asyncio.run(generate_model_answers(arguments, [benchmark], tmp_path / "out", generate=generate))

    draw(enable_thinking=False)
    with pytest.raises(RunError, match="chat_template_kwargs"):
        draw()


@pytest.mark.usefixtures("isolation")
def test_what_was_judged_is_kept_though_the_hub_is_gone(tmp_path, monkeypatch):
    """The record names the model's commit, which the Hub knows."""

    def gone(*_, **__):
        raise LocalEntryNotFoundError("Name or service not known")

    async def answer(prompt, sampling):
        return Completion("```python\ndef double(x):\n    return 2 * x\n```")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", gone)
    monkeypatch.setattr("transformers.utils.peft_utils.find_adapter_config_file", lambda *_, **__: None)
    monkeypatch.setattr("reflection_trl.evaluation.run._require_chat_template", lambda *_: None)
    row = {"id": "double", "instruction": "Write `double(x)`.", "tests": "assert double(2) == 4"}
    (tmp_path / "problems.jsonl").write_text(json.dumps(row) + "\n")
    arguments = GenerationArguments(model_name_or_path="team/model", backend="transformers")
    benchmark = f"problems:{tmp_path / 'problems.jsonl'}"
    run = evaluate_model(arguments, [benchmark], tmp_path / "out", generate=answer, progress=False)
    assert run.revision is None and [outcome.passed for outcome in run.scores[0].outcomes] == [True]
    assert EvaluationRun.load(tmp_path / "out" / "results.json") == run


def test_problems_of_ones_own_need_tests_and_the_plain_request(tmp_path):
    arguments = GenerationArguments(base_url="http://localhost:1/v1", model_name_or_path="m")
    file = tmp_path / "held-out.jsonl"
    file.write_text(json.dumps({"id": "a", "instruction": "Do it."}) + "\n")
    with pytest.raises(ValueError, match=r"'a' of .*held-out.jsonl has neither tests nor a final answer"):
        evaluate_model(arguments, [f"problems:{file}"], tmp_path / "out", progress=False)
    write_problems(file)
    with pytest.raises(ValueError, match=r"problems:.* has no prompts in the style 'evalplus': use request"):
        evaluate_model(
            arguments, [f"problems:{file}"], tmp_path / "out", EvaluationSettings(prompt="evalplus"), progress=False
        )
    file.write_text(json.dumps({"id": "a", "instruction": "Do it.", "tests": "x", "language": "swift"}) + "\n")
    with pytest.raises(ValueError, match=r"There is nothing to score: .*[Ss]wift"):
        evaluate_model(arguments, [f"problems:{file}"], tmp_path / "out", progress=False)


@pytest.mark.usefixtures("isolation")
def test_a_model_is_given_by_its_name_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_problems(tmp_path / "problems.jsonl")
    asked = []

    async def answer(prompt, sampling):
        asked.append(prompt)
        return Completion("```python\ndef double(x):\n    return 2 * x\n```")

    run = evaluate_model("me/coder", "problems:problems.jsonl", generate=answer, progress=False)
    assert asked and run.model == "me/coder" and (tmp_path / "out" / "evaluate" / "results.json").is_file()
    evaluated = []

    def stop(names, settings):
        evaluated.extend(names)
        raise ValueError("stopped")

    monkeypatch.setattr("reflection_trl.evaluation.run._possible_tasks", stop)
    for benchmarks in ((), (["HumanEval+", "multipl-e:java,js"],)):
        with pytest.raises(ValueError, match="stopped"):
            evaluate_model("me/coder", *benchmarks, generate=answer)
    assert evaluated == ["humaneval", "mbpp", "humaneval", "multipl-e:java", "multipl-e:javascript"]


@pytest.mark.usefixtures("isolation")
def test_a_missing_folder_is_not_asked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", lambda *_, **__: pytest.fail("asked the Hub"))
    write_problems(tmp_path / "problems.jsonl")
    with pytest.raises(GenerationError, match="The model folder 'models/none' does not exist; paths start from"):
        evaluate_model("models/none", f"problems:{tmp_path / 'problems.jsonl'}", tmp_path / "out", progress=False)


@pytest.mark.usefixtures("small_benchmarks", "isolation")
def test_published_answers_need_no_model(tmp_path, monkeypatch):
    monkeypatch.setattr(Swift, "missing", lambda self: "swiftc is not installed.")
    files = [DATA / "humaneval_published.jsonl"]
    run = evaluate_samples(files, tmp_path, name="DS-6.7B", progress=False)
    failed = {outcome.task_id for outcome in run.score("humaneval+").outcomes if not outcome.passed}
    assert failed == {"HumanEval/26", "HumanEval/32", "HumanEval/67"}
    assert run.model == "DS-6.7B"
    assert sorted(path.name for path in DATA.iterdir()) == sorted(
        os.listdir(DATA)
    )  # nothing was left beside the samples
    assert (
        evaluate_samples(files, tmp_path, EvaluationSettings(limit=2), progress=False)
        .score("humaneval")
        .outcomes[1]
        .passed
    )
    with pytest.raises(ValueError, match=r"There is nothing to score: swiftc is not installed"):
        evaluate_samples(files, tmp_path, benchmarks=["multipl-e:swift"], progress=False)
    with pytest.raises(ValueError, match="2 files of answers and 1 benchmarks"):
        evaluate_samples([*files, *files], tmp_path, benchmarks=["humaneval"], progress=False)
    with pytest.raises(ValueError, match="Two files contain answers to the same benchmark"):
        evaluate_samples([*files, *files], tmp_path, progress=False)


def test_answers_that_are_markdown_are_reported(tmp_path, caplog):
    problem = {"id": "double", "problem": "Write `double`.", "tests": "assert double(2) == 4", "entry_point": "double"}
    (tmp_path / "own.jsonl").write_text(json.dumps(problem) + "\n")
    code = 'def double(x):\n    """\n    ```\n    double(2)\n    ```\n    """\n    return 2 * x\n'
    for answer, warnings in ((code, 0), (f"```python\n{code}```", 1)):  # indented fences are part of the code
        (tmp_path / "samples.jsonl").write_text(json.dumps({"task_id": "double", "solution": answer}) + "\n")
        own = [f"problems:{tmp_path}/own.jsonl"]
        evaluate_samples([tmp_path / "samples.jsonl"], tmp_path / "out", benchmarks=own, progress=False)
        assert caplog.text.count("1 of 1 answers contain a line that begins with ```") == warnings


def test_one_evaluation_at_a_time_writes_into_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "_LOCK_ATTEMPTS", 1)
    own, out = [f"problems:{tmp_path}/own.jsonl"], tmp_path / "out"
    problem = {"id": "seven", "problem": "Three plus four?", "final_answer": "7"}
    (tmp_path / "own.jsonl").write_text(json.dumps(problem) + "\n")
    (tmp_path / "samples.jsonl").write_text(json.dumps({"task_id": "seven", "solution": r"\boxed{7}"}) + "\n")
    arguments = GenerationArguments(base_url="http://localhost:1/v1", model_name_or_path="m")
    sentence = re.escape(f"Another process uses {out}: wait for it, or give another folder.")
    out.mkdir()
    with run_folder.take_lock(out / ".lock"):
        with pytest.raises(RunError, match=sentence):
            evaluate_samples([tmp_path / "samples.jsonl"], out, benchmarks=own, progress=False)
        with pytest.raises(RunError, match=sentence):
            evaluate_model(arguments, own, out, progress=False)
        assert [one.name for one in out.iterdir()] == [".lock"]
    assert (
        evaluate_samples([tmp_path / "samples.jsonl"], out, benchmarks=own, progress=False)
        .scores[0]
        .outcomes[0]
        .passed
    )


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"prompt": "chat"}, "Unknown prompt style 'chat'"),
        ({"samples": 0}, "`samples` must be at least 1"),
        ({"limit": -1}, "`limit` must be at least 1"),
        ({"samples": 10}, "10 answers at temperature 0 are all the same"),
        ({"temperature": -1.0}, "`temperature` must be 0 or more and .*, got -1.0 and"),
        ({"top_p": 0.0}, "`top_p` above 0 and at most 1, got 0.0 and 0.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        EvaluationSettings(**wrong)


# Tables


def run_of(model, **marks):
    scores = [
        Score(
            name, [Outcome(f"T/{i}", 0, mark == "1", "none" if mark == "1" else "name") for i, mark in enumerate(text)]
        )
        for name, text in marks.items()
    ]
    return EvaluationRun(model, scores, skipped={"multipl-e:swift": "swiftc is missing."})


def test_the_table_has_a_line_for_each_benchmark_and_names_what_was_skipped():
    lines = results_table(run_of("m", humaneval="1110", mbpp="11")).splitlines()
    assert [line.split()[0] for line in lines] == ["problems", "humaneval", "mbpp", "multipl-e:swift:"]
    assert re.search(r"humaneval +4 +75\.0 \[30\.1, 95\.4\] +name 1", lines[1])
    assert lines[3] == "multipl-e:swift: not run. swiftc is missing."


def test_the_comparison_has_what_both_were_run_on():
    table = comparison_table(run_of("a", humaneval="1110", mbpp="1"), run_of("b", humaneval="0011"))
    assert re.search(r"humaneval +4 +2 +1 +\+25\.0 \[.*\] +1\.000", table)
    assert "mbpp" not in table
    with pytest.raises(ValueError, match="a and b have no benchmark in common"):
        comparison_table(run_of("a", mbpp="1"), run_of("b", humaneval="1"))


# Contamination


@pytest.mark.usefixtures("small_benchmarks")
def test_rows_that_give_a_task_away_are_found():
    task = json.loads((DATA / "humaneval.jsonl").read_text().splitlines()[0])
    clean = {
        "type": "generation",
        "messages": [{"role": "user", "content": "Add."}, {"role": "assistant", "content": "No."}],
    }
    copied = {"type": "generation", "messages": [{"role": "user", "content": task["prompt"]}, clean["messages"][1]]}
    found = find_contamination([clean, copied], ["humaneval", "multipl-e:java"])
    assert (found["rows"], found["contaminated_rows"], found["tasks"]) == (2, 1, 1)
    assert (found["found"][0]["task"], found["found"][0]["row"]) == ("HumanEval/0", 1)
    assert "1 of the 2 rows" in contamination_sentence(found)
    assert contamination_sentence(find_contamination([clean], ["mbpp"])).startswith("None of the 1 rows")
    with pytest.raises(ValueError, match="row 1 of the given rows: `messages` and all its other forms are missing"):
        find_contamination([clean, {"text": "x"}], ["humaneval"])


@pytest.mark.usefixtures("small_benchmarks")
@pytest.mark.parametrize(
    "form",
    [
        lambda user, answer: {
            "messages": [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]
        },
        lambda user, answer: {"prompt": user, "completion": answer},
        lambda user, answer: {"conversations": [{"from": "human", "value": user}, {"from": "gpt", "value": answer}]},
        lambda user, answer: {
            "messages": json.dumps([{"role": "user", "content": user}, {"role": "assistant", "content": answer}]),
            "type": "generation",
        },
        lambda user, answer: {
            "messages": [
                {"role": "user", "content": [{"type": "text", "content": user}]},
                {"role": "assistant", "content": [{"type": "text", "content": answer}]},
            ]
        },
    ],
)
@pytest.mark.parametrize("place", ["prompt", "answer"])
def test_contamination_is_found_in_every_form_of_rows(form, place):
    task = json.loads((DATA / "humaneval.jsonl").read_text().splitlines()[0])["prompt"]
    row = form(task, "No.") if place == "prompt" else form("Add.", task)
    found = find_contamination([form("Add.", "No."), row], ["humaneval"])
    assert (found["contaminated_rows"], found["found"][0]["task"], found["found"][0]["row"]) == (1, "HumanEval/0", 1)


def test_rows_that_give_a_problem_of_ones_own_away_are_found(tmp_path):
    own = {"id": "own/1", "instruction": "Write `weigh(basket)`, which adds the kilograms of every ripe tomato in it."}
    (tmp_path / "own.jsonl").write_text(json.dumps(own) + "\n")
    rows = [
        {"type": "generation", "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "x"}]}
        for text in ("Say hello.", f"Please: {own['instruction']}")
    ]
    found = find_contamination(rows, [f"problems:{tmp_path / 'own.jsonl'}"])
    assert (found["contaminated_rows"], found["found"][0]["task"], found["found"][0]["row"]) == (1, "own/1", 1)


def test_what_cannot_be_compared_is_reported_before_the_work(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("reflection_trl.evaluation.run.evaluate_model", None)
    other = tmp_path / "other.json"
    EvaluationRun("other", [Score("mbpp+", [Outcome("Mbpp/2", 0, True)])]).save(other)
    asked = ["--base_url", "http://localhost:1/v1", "--benchmarks", "humaneval", "--output_dir", tmp_path / "out"]
    code, _, error = recipe(*asked, "--compare", other)
    assert code == 1 and f"--compare {other}: this run has no results of humaneval" in error
    code, _, error = recipe(*asked, "--decontaminate_against", tmp_path / "missing.jsonl")
    assert code == 1 and "missing.jsonl' cannot be read: there is no such file" in error


# The recipe


@pytest.fixture
def recipe(capsys, small_benchmarks):
    """Runs the recipe in this process; its exit code, and what it wrote to stdout and stderr, come back."""

    def run(*arguments):
        capsys.readouterr()
        code = evaluate.main(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return run


def test_help_loads_nothing():
    program = (
        f"import runpy, sys; sys.argv = ['evaluate.py', '--help']\n"
        f"try: runpy.run_path({str(ROOT / 'recipes' / 'evaluate.py')!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'transformers', 'trl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
    assert "--benchmarks" in done.stdout


@pytest.mark.usefixtures("isolation")
def test_the_recipe_judges_compares_and_reports(recipe, tmp_path):
    run_of("base", humaneval="1").save(tmp_path / "base.json")
    samples, out = DATA / "mbpp_published.jsonl", tmp_path / "out"
    # In a process of its own, with a cache that is empty
    paths = {f"{name.upper()}_OVERRIDE_PATH": str(DATA / f"{name}.jsonl") for name in EVALPLUS}
    command = [sys.executable, ROOT / "recipes" / "evaluate.py", "--samples", samples, "--output_dir", out]
    environment = {**os.environ, **paths, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [*command, "--name", "DS-6.7B"], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"mbpp\+ +8 ", done.stdout)
    assert (out / "report.html").exists()
    again = ["--samples", samples, "--output_dir", tmp_path / "again", "--compare"]
    code, printed, errors = recipe(*again, out / "results.json")
    assert code == 0, errors
    assert re.search(r"mbpp\+ +8 +0 +0 +\+0\.0 ", printed)
    code, _, errors = recipe(*again, tmp_path / "base.json", "--limit", 1)
    assert code == 1 and errors.strip().endswith("have no benchmark in common.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--benchmarks", "humaneval"], "No model specified:"),
        (["--model", "m", "--samples", "s.jsonl"], "Give either --samples or a model, not both"),
        (
            ["--samples", "s.jsonl", "--temperature", "0.8"],
            "--temperature has no effect on --samples, which are existing",
        ),
        (["--samples", "s.jsonl", "--backend", "vllm"], "--backend has no effect on --samples"),
        (
            ["--samples", "s.jsonl", "--benchmarks", "gsm8k", "--benchmark_files", "mbpp=x"],
            "`benchmark_files` has a file for 'mbpp', but the benchmarks are gsm8k: add 'mbpp' to them, or remove the file",
        ),
        (["--samples", "gone.jsonl"], "gone.jsonl cannot be read: No such file or directory."),
        (["--model", "m", "--benchmarks", "humaneval2"], "Unknown benchmark 'humaneval2'"),
        (
            ["--model", "m", "--benchmarks", "humaneval,mbpp"],
            "problems:FILE; several are given with spaces between, or",
        ),
        (["--model", "m", "--nonsense", "1"], "Unknown option: `nonsense`"),
        (["--model", "m", "--temperature", "hot"], "invalid float value: 'hot'"),
        (["--model", "m", "--compare", "gone.json"], "The results 'gone.json' do not exist; paths start from /"),
        (
            ["--model", "m", "--publish_to_hub", "me/m"],
            "`publish_to_hub` needs a Hub token; run `hf auth login`",
        ),
        (
            ["--model", "m", "--publish_to_hub", "me/m", "--limit", "5"],
            "--limit 5 scores only the first problems, so its pass@1 is not that of the benchmark: remove --limit, or --publish_to_hub me/m.",
        ),
        (["--model", "m", "--n_samples", "4"], "Unknown option: `n_samples`; did you mean `samples_per_task`?"),
        (["--config", "gone.yaml"], "gone.yaml"),
    ],
)
def test_wrong_input_ends_with_one_sentence(recipe, arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    code, _, errors = recipe(*arguments, "--output_dir", tmp_path)
    last = errors.strip().splitlines()[-1]
    assert code == 1
    assert last.startswith("error: ")
    assert sentence in last
    assert "Traceback" not in errors


def test_a_missing_model_is_reported_before_the_benchmarks_are_read(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("reflection_trl.cli.evaluate.evaluate", lambda *_: pytest.fail("read the benchmarks"))
    code, _, errors = recipe("--model", "models/smollm2-135m-instruct-", "--output_dir", tmp_path / "new")
    assert code == 1
    assert errors.startswith(
        "error: The model folder 'models/smollm2-135m-instruct-' does not exist; paths start from /"
    )
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("isolation")
def test_a_model_without_a_chat_template_is_reported_with_the_fix(recipe, make_model, tokenizer, tmp_path):
    import copy

    bare = copy.deepcopy(tokenizer)
    bare.chat_template = None
    bare.save_pretrained(tmp_path / "model")
    make_model().save_pretrained(tmp_path / "model")
    _, _, errors = recipe("--model", tmp_path / "model", "--benchmarks", "humaneval", "--output_dir", tmp_path / "out")
    assert "has no chat template" in errors
    assert errors.strip().endswith("--prompt completion.")
