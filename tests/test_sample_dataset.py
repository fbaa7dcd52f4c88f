"""The sample dataset is what its card says: every program of every row runs again, and ends as it is recorded.

A model wrote the programs, so they run in the sandbox alone. The rows were made under Python 3.12: what is compared is what
other versions say alike, which leaves out the marks and the frames of tracebacks.
"""

import asyncio
import collections
import itertools
import json
import re
from pathlib import Path

import pytest
import yaml
from datasets import Dataset, load_dataset
from huggingface_hub import DatasetCard
from pyarrow.parquet import read_table

from reflection_trl.answers import foreign_script, read_answer
from reflection_trl.builder.acceptance import check_standalone, echoed_words
from reflection_trl.builder.asserts import contradicted, split_asserts
from reflection_trl.builder.features import sequence_features
from reflection_trl.evaluation.benchmark_texts import benchmark_texts
from reflection_trl.evaluation.contamination import row_overlaps
from reflection_trl.hub.dataset_card import describe_rows, make_dataset_card
from reflection_trl.languages import Executor
from reflection_trl.markdown import merge_sections
from reflection_trl.problems import Problem, load_problems
from reflection_trl.problems.contamination import NgramIndex, find_contamination
from reflection_trl.problems.judge import judge
from reflection_trl.sandbox import Sandbox, SandboxUnavailableError
from reflection_trl.sequences import normalize_row


ROOT = Path(__file__).parents[1]
DATA = ROOT / "recipes" / "data" / "reflection-sample.parquet"
STATISTICS = json.loads((ROOT / "recipes" / "data" / "reflection-sample-statistics.json").read_text(encoding="utf-8"))
PROBLEMS = ROOT / "recipes" / "study" / "problems.parquet"
HELD_OUT = ROOT / "recipes" / "study" / "held-out.jsonl"
CARD = ROOT / "dataset_cards" / "reflection-sample.md"

ROWS = read_table(DATA).to_pylist()
LICENSES = {"mbpp": "CC-BY-4.0", "python-programming-puzzles": "MIT", "exercism": "MIT"}

# What an outcome says alike in every Python version; messages, columns and marks of tracebacks differ
OUTCOME = ("kind", "error_type", "file", "line", "source_line", "assertion", "actual", "expected")


def name(row):
    return f"{row['problem_id']}-{row['sample']}"


def turns(row):
    """The assistant's turns with a program, and what each printed."""
    between = row["messages"][1:-3]
    return list(zip(between[::2], between[1::2], strict=True))


def code_of(message):
    return read_answer(message["content"], "python").code


def runs(row):
    """The code of each run, and whether it has tests: a solution that ends well is followed by its tests."""
    solution, codes = None, []
    for (message, _), recorded in zip(turns(row), row["feedback"], strict=True):
        code = code_of(message)
        codes.append((code, False) if solution is None else (f"{solution}\n\n{code}", True))
        solution = code if solution is None and recorded["kind"] == "none" else None
    return codes


def programs(row):
    """The code of each attempt: the solution with its tests, or the solution alone if it failed."""
    codes = runs(row)
    return [code for number, (code, _) in enumerate(codes) if not codes[number + 1 :] or not codes[number + 1][1]]


def problem_of(row):
    request = row["messages"][-2]["content"]
    return Problem(row["problem_id"], request, row["language"], row["tests"], entry_point=row["entry_point"])


def source_of(row):
    return row["source"].partition("/")[0]


async def outcome(code, tested, problem, execute):
    """As the builder has it: of the program by itself, and with the problem's tests behind its own if those end well."""
    feedback = (await execute("python", code)).feedback
    text = feedback.text.strip() or "(no output)"
    if tested and feedback.passed and not (judged := await judge(problem, code, execute)).passed:
        return judged, f"The program runs to its end. Further tests:\n{judged.text}"
    return feedback, text


def printed(text):
    """What stands before a traceback."""
    return text.partition("Traceback (most recent call last):")[0]


def differences(recorded, feedback, text, key):
    """What of a recorded run is not so, in words."""
    found = feedback.to_dict()
    wrong = [
        f"{key}: {field} is {found[field]!r}, recorded {recorded[field]!r}"
        for field in OUTCOME
        if found[field] != recorded[field]
    ]
    if printed(text) != printed(recorded["text"]):
        wrong.append(f"{key}: printed {text!r}, recorded {recorded['text']!r}")
    return wrong


def in_sandbox(work):
    """Runs `work(row, execute)` for all rows, and joins what it returns."""

    async def run():
        async with Executor(sandbox) as execute:
            return list(itertools.chain(*await asyncio.gather(*(work(row, execute) for row in ROWS))))

    try:
        with Sandbox() as sandbox:
            return asyncio.run(run())
    except SandboxUnavailableError as error:
        pytest.skip(str(error))


# ----------------------------------------------------------------------------------------------------------------
# Execution
# ----------------------------------------------------------------------------------------------------------------


def test_every_run_ends_as_recorded():
    async def work(row, execute):
        wrong = []
        for number, ((code, tested), recorded) in enumerate(zip(runs(row), row["feedback"], strict=True)):
            feedback, text = await outcome(code, tested, problem_of(row), execute)
            wrong += differences(recorded, feedback, text, (row["problem_id"], row["sample"], number))
        return wrong

    assert in_sandbox(work) == []


def test_final_answers_pass_the_tests_and_the_last_asserts():
    async def work(row, execute):
        answer, last = code_of(row["messages"][-1]), programs(row)[-1]
        tested = await judge(problem_of(row), answer, execute)
        asserts = [one for one in split_asserts(last, "python").asserts if one.source]
        failed = await contradicted(asserts, answer, execute, entry_point=row["entry_point"])
        return [
            f"{name(row)}: {one}" for one in ([] if tested.passed else [tested.text]) + [one.source for one in failed]
        ]

    assert all(row["tests"] and not row["examples"] for row in ROWS)
    assert in_sandbox(work) == []


def test_outputs_that_answers_state_are_right():
    stated = re.compile(r"^print\(.*\) +# Output: (.*)$", re.MULTILINE)

    async def work(row, execute):
        code = code_of(row["messages"][-1])
        prints = [line for line in code.splitlines() if line.startswith("print(")]
        said = {number: match[1] for number, line in enumerate(prints) if (match := stated.match(line))}
        lines = (await execute("python", code)).feedback.text.strip().splitlines() if said else []
        return [(lines[number], output.strip("'")) for number, output in said.items()]

    compared = in_sandbox(work)
    assert len(compared) > 20 and [(is_, said) for is_, said in compared if is_ != said] == []


# ----------------------------------------------------------------------------------------------------------------
# Structure
# ----------------------------------------------------------------------------------------------------------------


def test_file(tmp_path):
    assert DATA.stat().st_size < 300_000
    rows = load_dataset("parquet", data_files=str(DATA), split="train", cache_dir=str(tmp_path))
    assert rows.features == sequence_features()
    assert rows.to_list() == ROWS
    assert len({name(row) for row in ROWS}) == len(ROWS) == 48


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_row(row):
    assert normalize_row(row)["messages"] == row["messages"]
    kinds = [record["kind"] for record in row["feedback"]]
    assert row["type"] == "reflection" and row["language"] == "python"
    tested = [kind for kind, (_, tested) in zip(kinds, runs(row), strict=True) if tested]
    assert kinds[-1] == "none" and tested.count("none") == 1, "only the last program passes its tests"
    assert row["rounds"] == len(programs(row)) <= 2 and row["repaired"] == (row["rounds"] > 1)
    assert row["repaired"] or row["solve_rate"] < 1
    roles = [message["role"] for message in row["messages"]]
    assert roles == ["user", *["assistant", "tool"] * len(kinds), "assistant", "user", "assistant"]
    assert [tool["content"] for _, tool in turns(row)] == [record["text"] for record in row["feedback"]]
    assert all(message["content"].strip() for message in row["messages"])
    request, answer = row["messages"][-2:]
    assert request["content"] in row["messages"][0]["content"]
    assert split_asserts(programs(row)[-1], "python").asserts, "the program that passes tests itself"
    check_standalone(answer["content"], code_of(answer), programs(row), problem_of(row))
    assert not echoed_words(answer["content"], row["messages"][0]["content"].replace(request["content"], ""))
    assert not any(foreign_script(message["content"], row["messages"][0]["content"]) for message in row["messages"])
    assert all(0 <= row[rate] <= 1 and row[rate] * 4 % 1 == 0 for rate in ("solve_rate", "teacher_solve_rate"))
    assert row["license"] == LICENSES[source_of(row)]


def test_rows_are_in_the_order_of_the_problems():
    known = {problem.id: number for number, problem in enumerate(load_problems(PROBLEMS))}
    order = [(known[row["problem_id"]], row["sample"]) for row in ROWS]
    assert order == sorted(order)


# ----------------------------------------------------------------------------------------------------------------
# What is held out
# ----------------------------------------------------------------------------------------------------------------


def test_no_row_is_of_a_held_out_problem():
    held_out = list(load_problems(HELD_OUT))
    assert len(held_out) == len({problem.id for problem in held_out}) == 108
    assert {problem.license for problem in held_out} == {"MIT", "CC-BY-4.0"}
    assert not {problem.id for problem in held_out} & {row["problem_id"] for row in ROWS}
    requests = {row["messages"][-2]["content"].strip() for row in ROWS}
    assert not requests & {problem.instruction.strip() for problem in held_out}
    assert all(problem.tests and problem.language == "python" for problem in held_out)


def test_no_problem_and_no_row_repeats_a_task_of_a_benchmark():
    evalplus = pytest.importorskip("evalplus.data")
    cached = Path(evalplus.utils.CACHE_DIR)
    for benchmark, override in (
        ("HumanEvalPlus", evalplus.humaneval.HUMANEVAL_OVERRIDE_PATH),
        ("MbppPlus", evalplus.mbpp.MBPP_OVERRIDE_PATH),
    ):
        if not override and not list(cached.glob(f"{benchmark}-*.jsonl")):
            pytest.skip(f"{benchmark} is not on this machine")
    index = NgramIndex.from_texts(benchmark_texts(["humaneval", "mbpp"]))
    assert "mbpp/2" in index.tasks
    problems = [*map(problem_of, ROWS), *load_problems(HELD_OUT)]
    assert [problem.id for problem in problems if find_contamination(problem, index)] == []
    assert [(name(row), overlaps) for row in ROWS if (overlaps := row_overlaps(row, index))] == []


def test_the_quickstart_holds_out_whole_problems():
    settings = yaml.safe_load((ROOT / "recipes" / "smollm2-135m" / "distill.yaml").read_text(encoding="utf-8"))
    rows = Dataset.from_list([{"id": row["problem_id"], "repaired": row["repaired"]} for row in ROWS])
    parts = rows.train_test_split(test_size=settings["test_split_size"], seed=settings["seed"])
    assert not set(parts["test"]["id"]) & set(parts["train"]["id"])
    assert sum(parts["test"]["repaired"]) == 3


# ----------------------------------------------------------------------------------------------------------------
# The card
# ----------------------------------------------------------------------------------------------------------------


def test_sections_of_the_card_are_those_that_the_package_writes():
    card = DatasetCard.load(CARD)
    assert [file["path"] for file in card.data.configs[0]["data_files"]] == [DATA.name]
    rows = Dataset.from_list(ROWS, features=sequence_features())
    contents = [("default", "train", len(rows))]
    made = make_dataset_card(
        card.data, "reflection-sample", "default", describe_rows({"train": rows}), STATISTICS, contents
    )
    assert card.text.count("<!-- reflection_trl:") == 6
    assert merge_sections(card.text, made.text) == card.text


def test_statistics_are_those_of_the_rows():
    assert STATISTICS["rows"] == len(ROWS)
    assert STATISTICS["repaired"] == sum(row["repaired"] for row in ROWS)
    assert STATISTICS["accepted"] - STATISTICS["set_aside"] == len(ROWS)
    assert STATISTICS["rollouts"] == STATISTICS["accepted"] + sum(STATISTICS["rejections"].values())
    assert STATISTICS["rounds"] == {
        str(rounds): count for rounds, count in sorted(collections.Counter(row["rounds"] for row in ROWS).items())
    }
    assert STATISTICS["licenses"] == dict(collections.Counter(row["license"] for row in ROWS))
    assert STATISTICS["models"] == [*{row["model"] for row in ROWS}]


def runs_more_than_definitions(row):
    lines = code_of(row["messages"][-1]).splitlines()
    return any(re.match(r"(print\(|for |if )", line) for line in lines)


def test_counts_in_the_text_of_the_card():
    text = " ".join(CARD.read_text(encoding="utf-8").split())
    repaired = [row for row in ROWS if row["repaired"]]
    sources = collections.Counter(map(source_of, ROWS))
    asserts = [[len(split_asserts(code).asserts) for code in programs(row)] for row in repaired]
    solved, taught = (sum(row[rate] for row in ROWS) / len(ROWS) for rate in ("solve_rate", "teacher_solve_rate"))
    same = [code_of(row["messages"][-1]) == split_asserts(programs(row)[-1]).solution.strip() for row in ROWS]
    said = [
        f"{len(ROWS)} conversations",
        f"{len({row['problem_id'] for row in ROWS})} small Python problems",
        f"{sources['mbpp']} of the rows are for problems of MBPP, {sources['python-programming-puzzles']} for puzzles and "
        f"{sources['exercism']} for exercises. {len(repaired)} contain a repair",
        f"The other {STATISTICS['set_aside']} of the {STATISTICS['accepted']} accepted rollouts",
        f"{solved:.0%} of its answers to the request alone".replace("%", " %"),
        f"{taught:.0%} of its answers after the sequence".replace("%", " %"),
        f"{sum(counts[-1] < counts[0] for counts in asserts)} of the {len(repaired)} repaired rows end with fewer asserts",
        f"In {sum(same)} rows the code of the final answer is that of the last program",
        f"{sum(map(runs_more_than_definitions, ROWS))} answers print something or run more",
        f"{sum(row['messages'][-1]['content'].rstrip().endswith('```') for row in ROWS)} answers are code",
    ]
    assert [one for one in said if one not in text] == []
