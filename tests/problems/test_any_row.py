"""Whatever a row holds, it becomes problems or one sentence."""

import json
import warnings

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reflection_trl.problems import MAPPINGS, Problem, load_problems
from reflection_trl.problems.mappings.plain import ALIASES


# What a library of its own says of a value that it met where it should not have
INTERNAL = (
    "Error: '",
    "object has no",
    "not subscriptable",
    "unhashable",
    "NoneType",
    "positional argument",
    "unexpected keyword",
)

TEXTS = st.sampled_from(
    [
        "", " ", "Write f.", "def f(x):\n    return x", "assert f(1) == 1", "def check(candidate):\n    assert candidate(1)", "f", "5",
        "Solution().f", "List[int]", "list", "def sat(x: int):\n    return x == 1", '"""Text."""', "f(", "\x00", "\ud800", "python", "klingon",
        "[", "[1, 2]", '[["1", "2"]]', '{"inputs": [[1]], "outputs": [1], "fn_name": "f"}', '{"inputs": 5}', "[" * 3000, "-" * 3000 + "1",
        "x" * 100_000, "```python\nf()\n```", "1" * 5000, "\u2028", "if", "class Solution:\n    pass", "import os; x", "(" * 300 + ")" * 300,
        "#### 5", r"\boxed{5}", r"\boxed{5} \boxed{6}", r"\boxed{", "regex", "choice", "(", "def check(answer, expected):\n    return True",
    ]
)  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**4000),
    st.floats(),
    TEXTS,
    st.text(max_size=8),
    st.binary(max_size=3),
)
COLUMNS = sorted(
    {
        *(name for names in ALIASES.values() for name in names),
        *(column for ready in MAPPINGS.values() for column in ready.columns),
        "test_setup_code", "test_imports", "challenge_test_list", "text", "input", "starter_code", "problem_description", "module",
        "sol_docstring", "ans_type", "name", "inputs", "outputs", "cases", "property", "expected", "scenarios", "uuid", "reimplements", "stdin",
        "stdout", "output", "role", "content", "solution", "label", "answerKey", "answer_index",
    }
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.sampled_from(COLUMNS), inner, max_size=4),
    ),
    max_leaves=8,
)


CASE = {"uuid": "1", "property": "f", "input": {"x": 1}, "expected": 1}
# A right row of each mapping
RIGHT = {
    "mbpp": {"task_id": 1, "text": "Write f.", "code": "def f(x):\n    return x", "test_list": ["assert f(1) == 1"]},
    "apps": {"question": "Write f.", "input_output": '{"inputs": [[1]], "outputs": [1], "fn_name": "f"}', "solutions": "[]"},
    "leetcode": {
        "task_id": "f", "prompt": "import math", "completion": "def f(x):\n    return x", "entry_point": "f", "query": "Write f.",
        "test": "def check(candidate):\n    assert candidate(1)",
    },
    "puzzles": {
        "name": "f", "sat": "def sat(x: int):\n    return x == 1", "ans_type": "int", "sol_header": "def sol():",
        "sol_bodies": ["    return 1"],
    },
    "exercism": {"slug": "f", "description": "Write f.", "canonical_data": {"cases": [{"cases": [CASE]}, CASE]}},
    "code_feedback": {"query": "Write f.", "answer": "...", "lang": "python"},
    "gsm8k": {"question": "How many?", "answer": "It is 1 + 1 = <<1+1=2>>2.\n#### 2"},
    "math": {"problem": "How many?", "solution": r"It is $\boxed{2}$.", "level": "Level 1"},
    "multiple_choice": {"question": "How many?", "choices": ["one", "two"], "answer": 1},
    "plain": {"instruction": "Write f.", "tests": ["assert f(1) == 1"]},
}  # fmt: skip


@st.composite
def rows(draw, mapping):
    """Right rows in which some values have been replaced, at the top or further in, and columns added."""
    row = json.loads(json.dumps(RIGHT[mapping]))
    for _ in range(draw(st.integers(0, 3))):
        place = row
        while True:
            keys = [*place, *(COLUMNS if place is row else [])] if isinstance(place, dict) else [*range(len(place))]
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            inner = place.get(key) if isinstance(place, dict) else place[key]
            if isinstance(inner, dict | list) and draw(st.booleans()):
                place = inner
                continue
            place[key] = draw(st.one_of(TEXTS, VALUES))
            break
    return row


def check(source, **options):
    """Problems, or one sentence that names the row."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            problems = list(load_problems(source, **options))
    except ValueError as error:
        message = str(error)
        assert len(message) < 1000 and message.endswith(".") and not any(phrase in message for phrase in INTERNAL), (
            message
        )
        return
    for problem in problems:
        assert problem.instruction.strip()
        json.dumps(vars(problem), default=vars, ensure_ascii=False).encode()
        assert list(load_problems([problem])) == [problem]


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_the_right_rows_are_right(mapping):
    assert len(list(load_problems([RIGHT[mapping]], mapping=mapping))) == 1


@pytest.mark.parametrize("mapping", MAPPINGS)
@given(data=st.data())
@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_row_of_a_mapping_is_read_or_refused(mapping, data):
    row = data.draw(rows(mapping))
    check([row], mapping=mapping)
    check([row])


@given(
    st.lists(st.dictionaries(st.sampled_from(COLUMNS) | st.text(max_size=5), VALUES, max_size=6) | VALUES, max_size=3)
)
@example([{}])
@example([])
@example([{"prompt": "Write f.", "id": "f"}])
@example([{"prompt": "Write f.", "tests": {"inputs": [1], "outputs": [2]}}])
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_rows_are_read_or_refused(source):
    check(source)
    check(source, columns={field: ALIASES[field][-1] for field in ALIASES})
    check([{"prompt": "Write f.", "code": "pass"}, *source], columns={"instruction": "prompt", "reference": "code"})


@given(st.fixed_dictionaries(dict.fromkeys(Problem.__dataclass_fields__, VALUES)))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_mapping_may_put_anything_into_a_problem(values):
    check([{"x": 1}], mapping=lambda row: Problem(**values))


@given(
    st.lists(
        st.one_of(TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=40)), max_size=4
    )
)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_file_is_read_or_refused(tmp_path_factory, lines):
    file = tmp_path_factory.getbasetemp() / "any.jsonl"
    file.write_bytes(b"\n".join(lines))
    check(file)
