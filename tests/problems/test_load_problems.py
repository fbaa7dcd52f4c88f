"""Problems from every kind of source, and one clear sentence for whatever is wrong with it."""

import dataclasses
import gzip
import json
import logging
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from reflection_trl.problems import Example, Problem, load_problems
from reflection_trl.problems.mappings.plain import ALIASES


ROWS = [
    {"task": "Add two numbers.", "asserts": "assert add(1, 2) == 3", "key": "a"},
    {"task": "Subtract two numbers.", "asserts": "assert sub(1, 2) == -1", "key": "b"},
]
COLUMNS = {"instruction": "task", "tests": "asserts", "id": "key"}
EXPECTED = [
    Problem(id="a", instruction="Add two numbers.", tests="assert add(1, 2) == 3"),
    Problem(id="b", instruction="Subtract two numbers.", tests="assert sub(1, 2) == -1"),
]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


def load(source, **options):
    return list(load_problems(source, **{"columns": COLUMNS, **options}))


def without_source(problems):
    return [dataclasses.replace(problem, source="") for problem in problems]


def json_lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "kind", ["jsonl", "jsonl.gz", "json", "csv", "parquet", "pattern", "folder", "saved", "saved splits"]
)
def test_local_sources(tmp_path, kind, streaming):
    source = tmp_path / f"rows.{kind}"
    dataset = Dataset.from_list(ROWS)
    match kind:
        case "jsonl":
            source.write_text(json_lines(ROWS))
        case "jsonl.gz":
            source.write_bytes(gzip.compress(json_lines(ROWS).encode()))
        case "json":
            source.write_text(json.dumps(ROWS, indent=2))
        case "csv":
            dataset.to_csv(source, index=False)
        case "parquet":
            dataset.to_parquet(source)
        case "pattern":
            (tmp_path / "1.jsonl").write_text(json_lines(ROWS[:1]))
            (tmp_path / "2.jsonl").write_text(json_lines(ROWS[1:]))
            source = tmp_path / "*.jsonl"
        case "folder":
            source.mkdir()
            (source / "rows.jsonl").write_text(json_lines(ROWS))
        case "saved":
            dataset.save_to_disk(source)
        case "saved splits":
            DatasetDict(train=dataset, test=dataset.select([0])).save_to_disk(source)
    problems = load(source, streaming=streaming)
    assert without_source(problems) == EXPECTED
    assert {problem.source for problem in problems} == {str(source)}


def test_sources_in_memory():
    dataset = Dataset.from_list(ROWS)
    for source in (ROWS, iter(ROWS), dataset, dataset.to_iterable_dataset(), DatasetDict(train=dataset)):
        assert without_source(load(source)) == EXPECTED
    assert without_source(load_problems(EXPECTED)) == EXPECTED
    assert len(load(DatasetDict(train=dataset, test=dataset.select([0])), split="test")) == 1


def test_json_values_keep_their_types(tmp_path):
    """One type for each column, as Arrow has it, would change what a row says."""
    (tmp_path / "rows.jsonl").write_text('{"cases": [{"in": 1}]}\n{"cases": [{"out": [2]}, "x"]}\n')
    seen = []
    list(load_problems(tmp_path / "rows.jsonl", mapping=lambda row: seen.append(row) or Problem("", "Do it.")))
    assert seen == [{"cases": [{"in": 1}]}, {"cases": [{"out": [2]}, "x"]}]


def test_a_problem_survives_as_a_row():
    problem = Problem(
        "p",
        "Echo.",
        examples=(Example("a", "b"),),
        entry_point="f",
        reference="x = 1",
        source="s",
        license="MIT",
        tests="f()",
    )
    assert list(load_problems(Dataset.from_list([dataclasses.asdict(problem)]))) == [problem]


def test_ids_language_and_license_where_rows_have_none(tmp_path):
    (tmp_path / "mine.jsonl").write_text(
        json_lines([{"instruction": "A."}, {"instruction": "B.", "language": "python"}])
    )
    problems = list(load_problems(tmp_path / "mine.jsonl", language="javascript", license="MIT"))
    assert [problem.id for problem in problems] == ["mine.jsonl/0", "mine.jsonl/1"]
    assert [problem.language for problem in problems] == ["javascript", "python"]
    assert {problem.license for problem in problems} == {"MIT"}


def test_limit_stops_reading():
    def endless():
        number = 0
        while True:
            number += 1
            yield {"instruction": f"Task {number}."}

    assert len(list(load_problems(endless(), limit=3))) == 3


def test_the_mapping_is_known_by_the_columns(caplog):
    row = {"task_id": 1, "text": "Add.", "code": "def add(a): return a", "test_list": ["assert add(1) == 1"], "x": 1}
    with caplog.at_level(logging.INFO, "reflection_trl.problems"):
        assert next(load_problems([row])).id == "mbpp/1"
    assert "fit the mapping 'mbpp'" in caplog.text


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            ROWS,
            {"columns": {"instruction": "tsk"}},
            "'the given rows' has no column `tsk`, only task, asserts, key; say which",
        ),
        (
            ROWS,
            {"columns": None},
            "fit no ready-made mapping: task, asserts, key; rename them to `instruction`, `tests`",
        ),
        (ROWS, {"columns": None}, "set `mapping` to one of mbpp, apps"),
        (ROWS, {"columns": None}, "or `columns: {instruction: 'task'}` beside the `path` in a YAML file."),
        (ROWS, {"columns": None, "mapping": "apps"}, "no column `question`, `input_output`, only task, asserts, key"),
        ([{"instruction": "x", "query": "y", "answer": ""}], {"columns": None}, "'code_feedback' and 'plain'"),
        (ROWS, {"columns": None, "mapping": "aps"}, "Unknown mapping 'aps'; use one of 'mbpp', 'apps'"),
        (ROWS, {"mapping": "plain"}, "Give either `mapping` or `columns`, not both."),
        (ROWS, {"columns": {"tests": "asserts"}}, "the column of `instruction`"),
        (
            ROWS,
            {"columns": {"instruction": "task", "test": "asserts"}},
            "the field 'test', but a problem has no such field; use some of id, instr",
        ),
        (ROWS, {"limit": 0}, "`limit` must be at least 1, got 0."),
        (ROWS, {"limit": "5"}, "`limit` of a source of problems must be a whole number, got '5'."),
        (ROWS, {"limit": 1.5}, "`limit` of a source of problems must be a whole number, got 1.5."),
        (ROWS, {"license": ["mit"]}, "`license` of a source of problems must be text, got \\['mit'\\]."),
        (ROWS, {"language": 5}, "`language` of a source of problems must be text, got 5."),
        (
            ROWS,
            {"skip_invalid": "false"},
            "`skip_invalid` of a source of problems must be true or false, got 'false'.",
        ),
        (ROWS, {"columns": ["task"]}, "`columns` of a source of problems must be a mapping of fields to columns"),
        (ROWS, {"columns": None, "mapping": 3}, "Unknown mapping 3; use one of 'mbpp', 'apps'"),
        ([], {}, "'the given rows' has no rows."),
        ([{**ROWS[0], "task": "  "}], {}, "Row 0 of 'the given rows': the instruction is empty."),
        (
            [ROWS[0], ROWS[0]],
            {},
            "Row 1 of 'the given rows': the id 'a' is also that of row 0; give each row a unique id.",
        ),
        ([{**ROWS[0], "asserts": "assert add(1"}], {}, "Row 0 .* the tests are not Python .*line 1"),
        (
            [{**ROWS[0], "task": ["x"]}],
            {},
            "Row 0 .* `task` must be text or the messages of one user turn, got \\['x'\\]",
        ),
        ([{**ROWS[0], "task": None}], {}, "Row 0 .* the instruction is empty"),
        (
            ROWS,
            {"columns": {**COLUMNS, "language": "key"}},
            "Row 0 of 'the given rows': Unknown language 'a': use one of python, ",
        ),
        (ROWS, {"language": "klingon"}, "Unknown language 'klingon': use one of python, "),
        (
            ROWS,
            {"columns": None, "mapping": lambda row: None},
            "None of the 2 rows of 'the given rows' makes a problem: name the `columns`, or give another `mapping`",
        ),
        (
            ROWS,
            {"columns": None, "mapping": lambda row: row["x"]},
            "Row 0 of 'the given rows': the mapping raised KeyError: 'x'.",
        ),
        (ROWS, {"columns": None, "mapping": dict}, "the mapping gave dict, not a Problem"),
        ([{}], {"columns": None}, "Row 0 of 'the given rows': it has no columns; a problem needs at least"),
        ([{}, *ROWS], {}, "Row 0 of 'the given rows': it has no columns"),
        ([{**ROWS[0], "task": "Half \ud800"}], {}, "Row 0 .* `instruction` holds half of a surrogate pair .'.ud800'."),
        (
            [{**ROWS[0], "tests": "assert 1"}],
            {"columns": {"instruction": "task"}},
            "Row 0 .* the column 'asserts' looks like",
        ),
        (
            [{**ROWS[0], "asserts": "def f():\n    assert add(1)"}],
            {},
            "Row 0 .* the tests run nothing, so every answer",
        ),
        (ROWS, {"columns": {**COLUMNS, "tests": 5}}, "`columns` must name a column for `tests`, got 5."),
        (["x"], {}, "Row 0 of 'the given rows': a row is a dict or a Problem, not 'x'."),
        (DatasetDict(train=Dataset.from_list(ROWS)), {"split": "dev"}, "there is no split 'dev', only 'train'"),
        (5, {}, "Rows are read from a path, a Hub id, a dataset or an iterable, not from 5."),
    ],
)
def test_bad_input_gets_one_sentence(rows, options, message):
    with pytest.raises(ValueError, match=message) as raised:
        load(rows, **options)
    assert "\n" not in str(raised.value)


def test_a_split_of_a_file_is_not_ignored(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"instruction": "Write a function."}')
    with pytest.raises(ValueError, match=r"x\.jsonl' is read as files, which have no splits; leave out 'test'\.$"):
        load(tmp_path / "x.jsonl", split="test")
    with pytest.raises(ValueError, match=r"x\.jsonl' is read as files, which have no revisions; leave out 'v2'\.$"):
        load(tmp_path / "x.jsonl", revision="v2")


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("x.jsonl", b'{"task": "caf\xe9"}\n', "is not UTF-8"),
        ("x.json", b'[{"task": "caf\xe9"}]', "is not UTF-8"),
        ("x.csv", b"task\ncaf\xe9\n", "is not UTF-8"),
        ("x.jsonl", b'{"task": "a"}\n{"task": \n', "cannot be read: line 2 of .*x.jsonl is not JSON"),
        (
            "x.jsonl",
            b'{"task": ' + b"[" * 100_000,
            "cannot be read: line 1 of .*x.jsonl is not JSON \\(nested too deeply",
        ),
        (
            "x.jsonl",
            b'{"task": ' + b"1" * 5000 + b"}",
            "cannot be read: line 1 of .*x.jsonl is not JSON \\(Exceeds the limit",
        ),
        (
            "x.jsonl.gz",
            gzip.compress(b'{"task": "a"}' * 99, mtime=0)[:40],
            "x.jsonl.gz' is a truncated compressed file: download",
        ),
        (
            "x.jsonl.gz",
            gzip.compress(b"", mtime=0)[:10] + b"\xff" * 40,
            "x.jsonl.gz' is a damaged compressed file .*: download",
        ),
        ("x.jsonl.gz", b"no gzip", "cannot be read: Not a gzipped file"),
        ("x.jsonl", b"", "has no rows"),
        ("x.csv", b"", "has no rows|cannot be read"),
        ("x.parquet", b"abc", "cannot be read: Parquet file size is 3 bytes"),
        ("x.txt", b"abc", r"rows are read from .json, .jsonl, .parquet, .csv, .tsv files"),
    ],
    ids=lambda value: "content" if isinstance(value, bytes) else None,
)
def test_bad_files_get_one_sentence(tmp_path, file, content, message, streaming):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        load(tmp_path / file, columns={"instruction": "task"}, streaming=streaming)
    assert "\n" not in str(raised.value) and file in str(raised.value)


@pytest.mark.parametrize("source", ["missing.jsonl", "/missing/folder", "./missing", "missing/*.parquet", "a/b/c"])
def test_a_missing_file_is_not_asked_for_on_the_hub(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="there is no such file or folder"):
        load_problems(source)


def test_a_data_set_that_is_not_available_is_one_sentence():
    with pytest.raises(ValueError, match=r"^'nobody/nothing' cannot be read: .*\.$") as raised:
        load_problems("nobody/nothing")
    assert "\n" not in str(raised.value)


def test_invalid_rows_can_be_left_out(caplog):
    rows = [{**ROWS[0], "task": ""}, *ROWS, {**ROWS[1]}]
    assert without_source(load(rows, skip_invalid=True)) == EXPECTED
    assert "Row 0 of 'the given rows': the instruction is empty. Skipped." in caplog.text
    assert "Row 3 of 'the given rows': the id 'b'" in caplog.text


@pytest.mark.parametrize("name", ["f()", "f ", "1f", "Solution()", "def f(x):", "f, g"])
def test_an_entry_point_that_is_no_name_would_fail_every_answer(name):
    row = {
        "instruction": "Write f.",
        "tests": "def check(candidate):\n    assert candidate(1) == 1",
        "entry_point": name,
    }
    with pytest.raises(ValueError, match=r"Row 0 .* `entry_point` .* is not the name of a function or class; give"):
        list(load_problems([row]))
    for right in ("f", "Solution().f", "Solution.f", "pkg.Solution().f", "\u00e9t\u00e9"):
        assert next(load_problems([{**row, "entry_point": right}])).entry_point == right


def test_columns_of_usual_names_are_read():
    row = {
        "prompt": "Add.",
        "test": "assert add(1) == 1",
        "canonical_solution": "def add(x): return x",
        "license": "MIT",
    }
    problem = Problem(
        "p/1", "Add.", tests="assert add(1) == 1", reference="def add(x): return x", license="MIT", entry_point="add"
    )
    assert without_source(load_problems([{**row, "task_id": "p/1", "entry_point": "add"}])) == [problem]


@pytest.mark.parametrize(
    "name", ["tests", "test", "asserts", "test_list", "test_code", "unit_tests", "assertions", "test_cases"]
)
@pytest.mark.parametrize("form", [str, lambda code: [code], lambda code: json.dumps([code])])
def test_tests_are_read_whatever_they_are_called(name, form):
    (problem,) = load_problems([{"instruction": "Write f.", name: form("assert f(1) == 1")}])
    assert problem.tests == "assert f(1) == 1"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("hidden_tests", "assert f(1) == 1"),
        ("privateTests", {"inputs": ["1"], "outputs": ["1"]}),
        ("validation", ["assert f(1) == 1", "assert f(2) == 2"]),
        ("validation", "assert f(1) == 1\nassert f(2) == 2"),
        ("grader", "def check(candidate):\n    assert candidate(1) == 1"),
        ("checker", "def check(candidate): assert candidate(1) == 1"),
    ],
)
@pytest.mark.parametrize("request_column", ["instruction", "prompt", "query"])
def test_tests_that_are_not_read_are_an_error(column, value, request_column):
    row = {request_column: "Write f.", column: value, **({"answer": "..."} if request_column == "query" else {})}
    with pytest.raises(
        ValueError,
        match=f"Row 0 .* the column '{column}' looks like tests but is not read; rename the .*'tests': '{column}'",
    ):
        list(load_problems([row]))
    columns = {"instruction": request_column}
    with pytest.raises(ValueError, match="looks like tests but is not read"):
        list(load_problems([row], columns=columns))
    (problem,) = load_problems([row], columns={**columns, "tests": None})
    assert not problem.has_tests


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("verification_info", {"test_cases": [{"input": "1", "output": "2"}]}),  # SYNTHETIC-1
        ("reward_model", {"style": "rule", "ground_truth": '{"inputs": ["1"], "outputs": ["2"]}'}),  # verl
        ("cases", [{"stdin": "1", "stdout": "2"}]),
        ("io", '{"inputs": ["1"], "outputs": ["2"]}'),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_tests_within_a_column_that_is_not_read_are_an_error(column, value, as_json):
    row = {"instruction": "Write f.", column: json.dumps(value) if as_json and not isinstance(value, str) else value}
    with pytest.raises(ValueError, match=f"the column '{column}' looks like tests but is not read"):
        list(load_problems([row]))


@pytest.mark.parametrize("choices", [["a", "b"], {"text": ["a", "b"], "label": ["A", "B"]}])
@pytest.mark.parametrize("right", ["answerKey", "label", "unknown"])
def test_choices_without_an_answer_are_an_error(choices, right):
    row = {"instruction": "Which?", "choices": choices, right: "B"}
    named = "..." if right == "unknown" else right
    with pytest.raises(
        ValueError, match=f"it has `choices` but no `answer`, so .*'choices': 'choices', 'answer': '{named}'"
    ):
        list(load_problems([row]))
    (problem,) = load_problems([row], columns={"instruction": "instruction", "choices": "choices", "answer": right})
    assert (problem.answer, problem.choices) == ("B", ("a", "b"))


@pytest.mark.parametrize("answer", [[42], {"value": 42}])
def test_an_answer_that_is_neither_text_nor_number_is_an_error(answer):
    with pytest.raises(ValueError, match="`answer` must hold a final answer, as text or a number, got"):
        list(load_problems([{"instruction": "How many?", "answer": answer}]))
    (problem,) = load_problems([{"instruction": "Write f.", "tests": "assert f(1) == 1", "answer": answer}])
    assert problem.answer is None and problem.tests


def test_two_columns_of_tests_are_an_error():
    row = {"instruction": "Write f.", "tests": "assert f(1) == 1", "test_list": ["assert f(2) == 2"]}
    with pytest.raises(ValueError, match="the column 'test_list' looks like tests but is not read"):
        list(load_problems([row]))
    with pytest.raises(
        ValueError, match="`test` and `test_list` may each hold the tests; say which does, as in `columns="
    ):
        list(load_problems([{"instruction": "Write f.", "test": "assert f(1)", "test_list": ["assert f(2)"]}]))
    (problem,) = load_problems([row], columns={"instruction": "instruction", "tests": "test_list"})
    assert problem.tests == "assert f(2) == 2"


@pytest.mark.parametrize(
    "more",
    [
        {"test_info": [{"function": "f"}]},
        {"num_tests": "3"},
        {"contest": "spring"},
        {"tests": []},
        {"test": ""},
        {"hidden_tests": None},
        {"output": "assert f(1) == 1"},
        {"latest": ["a"]},
        {"test_count": 3},
        {"metadata": {"tests": 3, "source": "web"}},
        {"history": [{"role": "user"}]},
        {"extra": '{"input": "x"}'},
    ],
)
def test_columns_that_are_about_tests_are_none(more):
    (problem,) = load_problems([{"instruction": "Write f.", **more}])
    assert not problem.has_tests


@pytest.mark.parametrize(
    ("prompt", "instruction"),
    [
        ([{"role": "user", "content": "Add."}], "Add."),
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Add."}], "Be brief.\n\nAdd."),
        ([{"role": "user", "content": "Add."}, {"role": "assistant", "content": "Done."}], "Add."),
    ],
)
@pytest.mark.parametrize("column", ["prompt", "messages"])
def test_a_conversation_is_the_request_of_its_user(prompt, instruction, column):
    (problem,) = load_problems([{column: prompt}])
    assert problem.instruction == instruction


@pytest.mark.parametrize(
    "prompt",
    [
        [],
        ["Add."],
        [{"role": "assistant", "content": "Done."}],
        [
            {"role": "user", "content": "Add."},
            {"role": "assistant", "content": "How?"},
            {"role": "user", "content": "So."},
        ],
        [{"role": "user", "content": ["Add."]}],
        {"role": "user", "content": "Add."},
        5,
    ],
)
def test_other_conversations_are_refused(prompt):
    with pytest.raises(
        ValueError, match=r"Row 0 of 'the given rows': (`prompt` must be text or the messages of|the instruction is)"
    ):
        list(load_problems([{"prompt": prompt}]))


@pytest.mark.parametrize(
    ("prompt", "reference"),
    [
        ('def f(x):\n    """Adds."""\n', "    return x\n"),  # HumanEval: the solution continues the prompt
        ("Write f.", "def f(x):\n    return x\n"),
    ],
)
def test_a_reference_is_a_whole_program(prompt, reference):
    (problem,) = load_problems([{"prompt": prompt, "canonical_solution": reference}])
    assert problem.reference.startswith("def f(x):") and problem.reference.endswith("return x\n")


def test_of_several_solutions_the_first_that_is_python_is_the_reference():
    (problem,) = load_problems([{"problem": "Print 1.", "solutions": ["print 1", "print(1)", "print(1.0)"]}])
    assert problem.reference == "print(1)"


def test_what_stands_before_tests_is_placed_before_them():
    row = {
        "instruction": "Write f.",
        "tests": ["assert f(x) == 1"],
        "test_setup_code": "x = 1",
        "test_imports": ["import math"],
    }
    (problem,) = load_problems([row])
    assert problem.tests == "x = 1\nimport math\nassert f(x) == 1\n"


def test_messages_do_not_grow_with_values():
    long = "x" * 100_000
    deep = []
    for _ in range(3000):
        deep = [deep]
    columns = (
        "instruction",
        "prompt",
        "tests",
        "examples",
        "reference",
        "language",
        "license",
        "id",
        "entry_point",
        "tolerance",
    )
    for value in ({long: long}, [long, 5], deep, [[long]], 10**5000, long):
        for column in columns:
            try:
                list(load_problems([{"instruction": "Write f.", column: value}] * 2))
            except ValueError as error:
                assert len(str(error)) < 800 and "\n" not in str(error), column
    for rows, options in (
        ([{long: 1, **dict.fromkeys(map(str, range(10_000)))}], {}),
        ([{"instruction": "a"}], {"mapping": long}),
        ([{"instruction": "a"}], {"columns": {long: "a"}}),
        ([{"instruction": "a"}], {"language": long}),
        ([long], {}),
        ([{"instruction": "a"}], {"mapping": lambda row: {}[long]}),
    ):
        with pytest.raises(ValueError) as raised:
            list(load_problems(rows, **options))
        assert len(str(raised.value)) < 1200, options


def test_the_docs_name_every_column_that_is_read():
    docs = (Path(__file__).parents[2] / "docs/problems.md").read_text(encoding="utf-8")
    for field, names in ALIASES.items():
        (line,) = [line for line in docs.splitlines() if line.startswith("| `") and f"`{field}`" in line.split("|")[1]]
        assert all(f"`{name}`" in line for name in names), field
