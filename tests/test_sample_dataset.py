"""The sample dataset is what its card says: every recorded output is reproduced by running the recorded code.

The code in the dataset is written and checked by hand, so it runs here without a sandbox: one interpreter per block,
isolated mode, a temporary directory, a time limit. Outputs do not depend on the Python version from 3.11 to 3.13.
"""

import ast
import collections
import io
import json
import os
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]
DATA = ROOT / "recipes" / "data" / "reflection-sample.jsonl"
CARD = ROOT / "dataset_cards" / "reflection-sample.md"

ROWS = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
REFLECTION = {row["problem_id"]: row["messages"] for row in ROWS if row["type"] == "reflection"}
GENERATION = {row["problem_id"]: row["messages"] for row in ROWS if row["type"] == "generation"}

# Words that would tell the reader of a one-off request or of its answer that something went before it.
TRACES = re.compile(
    r"\b(attempts?|tried|retr(?:y|ied)|fix(?:ed|es)?|correct(?:ed|ion|ions)?|repair(?:ed|s)?|mistakes?|bugs?"
    r"|earlier|previous(?:ly)?|no longer|this time|fail(?:s|ed|ing|ure|ures)?|traceback|asserts?"
    r"|assertions?|tests?|tested|interpreter|feedback)\b",
    re.IGNORECASE,
)

# Generation rows hold no tests of their own.
GENERATION_ASSERTS = {
    "signed-16": """
assert temperature(0x00, 0xFA) == 25.0
assert temperature(0xFF, 0xF6) == -1.0
assert temperature(0x80, 0x00) == -3276.8
""",
    "stopwatch": """
now = [10.0]
watch = Stopwatch(lambda: now[0])
watch.stop()
assert watch.elapsed() == 0.0
watch.start()
now[0] = 12.0
watch.start()
now[0] = 13.0
assert watch.elapsed() == 3.0
watch.stop()
now[0] = 20.0
assert watch.elapsed() == 3.0
watch.start()
now[0] = 21.5
assert watch.elapsed() == 4.5
""",
    "night-shift": """
assert shift_hours("22:15-06:00") == 7.75
assert shift_hours("08:00-16:30") == 8.5
assert shift_hours("08:00-08:00") == 24.0
""",
    "csv-line": r'''
assert csv_line([1, None, "a b", 2.5]) == "1,,a b,2.5"
assert csv_line(["x,y", 'say "hi"', "two\nlines"]) == '"x,y","say ""hi""","two\nlines"'
assert csv_line([]) == ""
''',
    "shipping-band": """
assert [shipping(kg) for kg in (0.2, 1, 1.01, 5, 20)] == [4.90, 4.90, 7.50, 7.50, 14.90]
for bad in (0, -1, 20.5):
    try:
        shipping(bad)
    except ValueError:
        continue
    raise AssertionError(bad)
""",
    "json-flatten": """
assert flatten({"a": {"b": [1, 2]}, "c": {}}) == {"a.b.0": 1, "a.b.1": 2, "c": {}}
assert flatten({"x": [], "y": None, "z": [{"k": "v"}]}) == {"x": [], "y": None, "z.0.k": "v"}
assert flatten({}) == {}
""",
    "due-sort": """
rows = [("x", None), ("b", "2024-05-02"), ("A", "2024-05-02"), ("c", "2024-01-09"), ("W", None)]
rows = [{"title": title, "due": due} for title, due in rows]
assert [row["title"] for row in by_due(rows)] == ["c", "A", "b", "W", "x"]
""",
    "file-size": """
assert [readable(n) for n in (0, 512, 1536, 3 * 1024**2)] == ["0 B", "512 B", "1.5 KiB", "3.0 MiB"]
assert readable(1024**2 - 1) == "1.0 MiB"
assert readable(5000 * 1024**4) == "5000.0 TiB"
""",
}


def split_turn(content):
    """Split an assistant turn into its text and the code of its only block."""
    match = re.fullmatch(r"(.+?)\n\n```python\n(.+?)\n```", content, re.DOTALL)
    assert match and content.count("```") == 2, "expected text followed by exactly one python block"
    return match.groups()


def attempts(messages):
    """Pair every assistant turn of the reflection sequence that has code with the tool turn that follows it."""
    turns = messages[1:-3]
    return [(split_turn(turn["content"]), tool["content"]) for turn, tool in zip(turns[::2], turns[1::2], strict=True)]


def asserts_of(code):
    """Return what follows the last top-level definition: the asserts with the statements that prepare them."""
    definitions = [n for n in ast.parse(code).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    asserts = "\n".join(code.splitlines()[definitions[-1].end_lineno :])
    assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(asserts)))
    return asserts


def errors(messages):
    """Name the exception of every failed run."""
    outputs = [output for _, output in attempts(messages)]
    return [re.search(r"^\w+Error\b", output, re.MULTILINE)[0] for output in outputs[:-1]]


def normalise(stderr):
    """Remove from a traceback what depends on the Python version or on the machine.

    That is: marker lines (`^^^^`), the path of `main.py`, frames inside the standard library, and hints such as "Did
    you mean".
    """
    lines, in_library = [], False
    for line in stderr.splitlines():
        frame = re.match(r'  File "(.*?)"(, line \d+.*)', line)
        if frame:
            in_library = os.path.basename(frame[1]) != "main.py"
            if not in_library:
                lines.append(f'  File "main.py"{frame[2]}')
        elif not (in_library and line.startswith("    ")):
            in_library = False
            if not line.strip() or line.strip(" ~^"):
                lines.append(re.sub(r"^(\w+Error: .*?)\. Did you (?:mean|forget).*", r"\1", line.rstrip()))
    return "\n".join(lines)


def run(code, directory):
    """Run code as main.py and return what the interpreter prints, normalised, and its exit status."""
    (directory / "main.py").write_text(code + "\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-X", "utf8", "main.py"], cwd=directory, capture_output=True, text=True, timeout=20
    )
    output = f"{done.stdout.rstrip()}\n{normalise(done.stderr)}".strip("\n").rstrip()
    return output or "(no output)", done.returncode


def steady(output):
    """Mask the number of repeated frames, which depends on the depth at which the interpreter starts the script."""
    return re.sub(r"\[Previous line repeated \d+ more times\]", "[Previous line repeated N more times]", output)


def comments_and_docstrings(code):
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return "\n".join(t.string for t in tokens if t.type == tokenize.COMMENT or t.string.startswith('"""'))


# ----------------------------------------------------------------------------------------------------------------
# Structure
# ----------------------------------------------------------------------------------------------------------------


def test_file():
    assert DATA.stat().st_size <= 300_000
    assert (len(REFLECTION), len(GENERATION), len(ROWS)) == (56, 8, 64), "problem ids must be unique"
    assert GENERATION.keys() == GENERATION_ASSERTS.keys()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["problem_id"])
def test_row_structure(row):
    assert list(row) == ["messages", "type", "problem_id"]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["problem_id"])
    messages = row["messages"]
    for message in messages:
        assert list(message) == ["role", "content"]
        content = message["content"]
        assert content and content == content.rstrip() and content.isascii() and "\t" not in content
        if message["role"] == "user":
            assert "```" not in content
    roles = [message["role"] for message in messages]
    if row["type"] == "generation":
        assert roles == ["user", "assistant"]
    else:
        rounds = (len(messages) - 4) // 2
        assert 1 <= rounds <= 4
        assert roles == ["user"] + ["assistant", "tool"] * rounds + ["assistant", "user", "assistant"]
        assert "```" not in messages[-3]["content"]
        for (text, code), _ in attempts(messages):
            assert len(text.split()) >= 5
            assert re.search(r"^\s*assert ", code, re.MULTILINE)
    sentence, code = split_turn(messages[-1]["content"])
    assert "\n" not in sentence and len(sentence.split()) <= 25
    assert len(re.findall(r"[.!?](?:\s|$)", sentence)) == 1 and sentence[-1] in ".!"
    assert not any(isinstance(node, ast.Assert) for node in ast.parse(code).body)


def test_variety():
    rounds = collections.Counter(len(names) for names in map(errors, REFLECTION.values()))
    assert rounds.total() - rounds[0] >= 48
    assert rounds[2] >= 10 and rounds[3] >= 3
    expected = (
        "AssertionError AttributeError IndexError KeyError NameError RecursionError SyntaxError TypeError ValueError "
        "ZeroDivisionError"
    )
    assert set(expected.split()) <= {name for messages in REFLECTION.values() for name in errors(messages)}


# ----------------------------------------------------------------------------------------------------------------
# Execution
# ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem_id", REFLECTION)
def test_tool_turns_are_real_outputs(problem_id, tmp_path):
    pairs = attempts(REFLECTION[problem_id])
    for number, ((_, code), recorded) in enumerate(pairs, start=1):
        output, status = run(code, tmp_path)
        assert steady(recorded) == steady(output)
        assert (status == 0) == (number == len(pairs)), "all runs but the last one fail"


@pytest.mark.parametrize("problem_id", REFLECTION)
def test_final_answer_passes_the_last_asserts(problem_id, tmp_path):
    messages = REFLECTION[problem_id]
    _, answer = split_turn(messages[-1]["content"])
    assert run(answer, tmp_path) == ("(no output)", 0)
    (_, last), _ = attempts(messages)[-1]
    output, status = run(answer + "\n\n" + asserts_of(last), tmp_path)
    assert status == 0, output


@pytest.mark.parametrize("problem_id", GENERATION)
def test_generation_answer_is_right(problem_id, tmp_path):
    _, answer = split_turn(GENERATION[problem_id][-1]["content"])
    output, status = run(answer + "\n" + GENERATION_ASSERTS[problem_id], tmp_path)
    assert (output, status) == ("(no output)", 0)


# ----------------------------------------------------------------------------------------------------------------
# Nothing leaks
# ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["problem_id"])
def test_one_off_part_mentions_no_attempts(row):
    request, answer = (message["content"] for message in row["messages"][-2:])
    sentence, code = split_turn(answer)
    prose = re.sub(r"`[^`]*`", "", f"{request}\n{sentence}\n{comments_and_docstrings(code)}")
    assert TRACES.findall(prose) == []


def test_no_row_contains_the_instruction_of_another_row():
    users = [[m["content"] for m in row["messages"] if m["role"] == "user"] for row in ROWS]
    texts = ["\n".join(m["content"] for m in row["messages"]) for row in ROWS]
    for i, instructions in enumerate(users):
        assert len(set(instructions)) == len(instructions)
        for j, text in enumerate(texts):
            if i != j:
                assert not any(instruction in text for instruction in instructions), (i, j)
                # Not even the first line of the problem, without the wording around it.
                assert not any(
                    line in text
                    for instruction in instructions
                    for line in instruction.splitlines()
                    if "`" in line and len(line.split()) > 12
                ), (i, j)


# ----------------------------------------------------------------------------------------------------------------
# The card
# ----------------------------------------------------------------------------------------------------------------


def test_card_agrees_with_the_file():
    card = CARD.read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| ([^|]+?) +\| ([^|]+?) +\|$", card, re.MULTILINE))
    failures = [errors(messages) for messages in REFLECTION.values()]
    rounds = collections.Counter(map(len, failures))
    kinds = collections.Counter(name for names in failures for name in names)
    words = [sum(len(m["content"].split()) for m in row["messages"]) for row in ROWS]
    chars = [sum(len(m["content"]) for m in row["messages"]) for row in ROWS]
    example = {row["problem_id"]: row for row in ROWS}["money-format"]
    assert all(message["content"] in card for message in example["messages"])
    assert table["rows"] == str(len(ROWS))
    assert table["reflection rows"] == str(len(REFLECTION))
    assert table["generation rows"] == str(len(GENERATION))
    for n, key in enumerate(("no failed run", "one failed run", "two failed runs", "three failed runs")):
        assert table[key] == str(rounds[n])
    assert table["failed runs in all"] == str(kinds.total())
    assert {key.strip("`"): value for key, value in table.items() if "Error" in key} == {
        name: str(count) for name, count in kinds.items()
    }
    assert table["words a row, mean and maximum"] == f"{sum(words) / len(words):.0f}, {max(words)}"
    assert table["characters a row, mean and maximum"] == f"{sum(chars) / len(chars):.0f}, {max(chars)}"
