"""Code is found in whatever form a model puts it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflection_trl.answers import read_answer, without_thoughts
from reflection_trl.sequences import split_blocks


def extract_code(text, language="python"):
    return read_answer(text, language).code


DOUBLE = "def double(x):\n    return 2 * x"


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{DOUBLE}\n```",
        f"Here:\n\n```py\n{DOUBLE}\n```\nThat is it.",
        f"``` Python3 title=a.py\n{DOUBLE}\n```",
        f"~~~python\n{DOUBLE}\n~~~",
        f"```\n{DOUBLE}\n```",
        f"```python\r\n{DOUBLE}\r\n```".replace("\n    ", "\r\n    "),
        "1. First:\n   ```python\n   def double(x):\n       return 2 * x\n   ```",
        f"```python\n{DOUBLE}",
        f"```python\n{DOUBLE}```",
        f"Here:\n```python\n\n{DOUBLE} ```  \n\nIt returns the double of x.",
        DOUBLE,
        f"Sure, this is it.\n{DOUBLE}\nIt returns the double of x.",
        f"```python\n{DOUBLE}\n```\nUse it so:\n```python\nprint(double(2))\n```\nwhich prints\n```\n4\n```",
        f"```bash\npip install nothing\n```\n```python\n{DOUBLE}\n```",
        f"The line\n```python\nreturn x\n```\nis wrong:\n```python\n{DOUBLE}\n```",
        f"The line\n```python\nassert double(2) == 4\n```\nfails:\n```python\n{DOUBLE}\n```",
    ],
)
def test_the_program_is_found(text):
    assert extract_code(text) == DOUBLE


def test_a_fence_ends_at_one_that_is_as_long():
    code = 'def usage():\n    return """\n```python\nusage()\n```\n"""'
    assert extract_code(f"````python\n{code}\n````") == code


def test_a_fence_within_a_docstring_does_not_end_the_program():
    code = 'def usage():\n    """\n    ```\n    usage()\n    ```\n    """\n    return 1'
    assert extract_code(f"```python\n{code}\n```") == code


@pytest.mark.parametrize(
    "code",
    [
        'def fence(text):\n    return """```\n""" + text + """\n```"""',
        "def fence(text):\n    # a line of ```\n    return text",
        "def double(x)\n    return 2 * x```",  # a syntax error with the fence and without
        'FENCE = """\n    ```',
        "first = 1  # as in ```\nsecond = 2",  # all of it is Python
    ],
)
def test_backticks_at_the_end_of_a_line_end_no_program(code):
    assert extract_code(f"```python\n{code}") == code
    assert extract_code(f"```python\n{code}\n```") == code


def test_prose_behind_a_fence_at_the_end_of_a_line():
    answer = read_answer(f"Before.\n```python\n{DOUBLE}```\nBehind.")
    assert (answer.lead, answer.tail, answer.closed) == ("Before.", "Behind.", True)
    rust = "fn one() -> i32 { 1 }```"
    assert extract_code(f"```rust\n{rust}", "rust") == rust  # nothing here tells whether it is Rust


def test_blocks_that_belong_together_are_joined():
    text = (
        f"```python\nimport math\n```\nthen\n```python\n{DOUBLE}\n```\ntests:\n```python\nassert double(2) == 4\n```"
    )
    assert extract_code(text) == f"import math\n\n{DOUBLE}\n\nassert double(2) == 4"


def test_of_two_versions_the_last_is_taken():
    longer = "def double(x):\n    total = x + x\n    return total"
    for first, last in ((DOUBLE, longer), (longer, DOUBLE)):
        assert extract_code(f"```python\n{first}\n```\nOr:\n```python\n{last}\n```") == last


def test_a_program_with_a_syntax_error_is_a_program():
    assert extract_code("```python\ndef double(x)\n    return 2 * x\n```") == "def double(x)\n    return 2 * x"


@pytest.mark.parametrize(
    "text", ["", "Multiply x by two.", "from the start it was clear", "```python\n\n```", "```", "class act"]
)
def test_prose_is_no_program(text):
    assert extract_code(text) == ""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"The function <code>double</code> is\n\n{DOUBLE}", DOUBLE),
        ("<answer>42</answer>", ""),
        ("[ANSWER]\n42 is the answer\n[/ANSWER]", ""),
        (f"Its <code>x</code>:\n<code>\n{DOUBLE}\n</code>", DOUBLE),
    ],
)
def test_marks_within_prose_are_no_fences(text, code):
    assert extract_code(text) == code


def test_a_driver_is_joined_only_where_the_program_reads():
    reads, adds = "def run():\n    print(input())", "def run():\n    return 1"
    for code, driver, joined in (
        (reads, "run()", True),
        (adds, "run()", False),
        (adds, "print(run(int(input())))", True),
        (reads + "\n\nrun()", "run()", False),
    ):
        text = f"```python\n{code}\n```\nThen\n```python\n{driver}\n```"
        assert extract_code(text) == (f"{code}\n\n{driver}" if joined else code)


def test_the_entry_point_is_found_where_only_an_unnamed_block_defines_it():
    text = f"```\n{DOUBLE}\n```\n```python\ndef show(x):\n    print(double(x))\n```"
    assert read_answer(text, "python", "double").code == f"{DOUBLE}\n\ndef show(x):\n    print(double(x))"


@pytest.mark.parametrize(
    "rest", ["def other(x", "    return x + (1,", "x = 'unfinish", "Then", "print(double(2)", "@cache"]
)
def test_a_program_that_was_cut_off_is_not_shortened(rest):
    assert extract_code(f"```python\n{DOUBLE}\n{rest}") == f"{DOUBLE}\n{rest}"


def test_prose_of_a_program_from_several_blocks():
    text = "A\n```python\nimport math\n```\nB ```python\ndef f():\n    return math.pi\n``` Cee\nD"
    answer = read_answer(text)
    assert answer.code == "import math\n\ndef f():\n    return math.pi"
    assert (answer.lead, answer.tail) == ("A\nB", "")
    assert read_answer(text.split("```\n", 1)[1]).tail == "Cee\nD"


def test_imports_that_the_program_has_are_quoted_and_not_repeated():
    program = "import math\nfrom typing import List\n\ndef f():\n    return math.pi"
    for shown in ("import math", "from typing import List\nimport math"):
        answer = read_answer(f"Add this line:\n```python\n{shown}\n```\nThen:\n```python\n{program}\n```")
        assert answer.code == program
        quoted = "".join(f"    {line}\n" for line in shown.split("\n"))
        assert answer.lead == f"Add this line:\n\n{quoted}\nThen:"
    for shown in ("import math as m", "import os, math", "from typing import Set"):
        text = f"```python\n{shown}\n```\nand\n```python\n{shown}\n```\nThen:\n```python\n{program}\n```"
        assert extract_code(text) == f"{shown}\n\n{program}"


def test_the_language_asked_for_counts():
    text = "```python\nprint(1)\nprint(2)\n```\n```c++\nint one() { return 1; }\n```"
    assert extract_code(text, "cpp") == "int one() { return 1; }"
    assert extract_code(text, "rust") == ""
    assert read_answer(text, "rust").foreign == "python"
    assert extract_code("#include <vector>\nint one() { return 1; }", "cpp").startswith("#include")
    assert extract_code("fn one() -> i32 { 1 }", "rust") == "fn one() -> i32 { 1 }"


def test_prose_around_the_program():
    answer = read_answer(f"Before.\n```python\n{DOUBLE}\n```\nBehind.")
    assert (answer.lead, answer.tail, answer.closed) == ("Before.", "Behind.", True)
    assert answer.message("python", tail=True) == f"Before.\n\n```python\n{DOUBLE}\n```\n\nBehind."
    assert not read_answer(f"```python\n{DOUBLE}").closed


def test_a_quoted_fragment_stays_in_the_prose():
    answer = read_answer(f"The line\n```python\nreturn x\n```\nis wrong:\n```python\n{DOUBLE}\n```")
    assert answer.lead == "The line\n\n    return x\n\nis wrong:"


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ["```", "````", "~~~", "```python", "  ```js", "`", "\r\n", DOUBLE, "assert double(1)", "\x00", "# a"]
            ),
            st.text(max_size=12),
        ),
        max_size=14,
    ),
    st.sampled_from(["python", "cpp", "rust", "swift"]),
)
def test_any_text_is_read_and_leaves_one_program(pieces, language):
    for glue in ("\n", ""):
        answer = read_answer(glue.join(pieces), language)
        if answer.code:
            message = {"role": "assistant", "content": answer.message(language)}
            blocks = split_blocks(message)
            assert [block.type for block in blocks if block.type == "code"] == ["code"]
            assert message["content"].endswith(answer.code + "\n" + message["content"].rsplit("\n", 1)[1])
            # What was written as one program is read as this program
            assert read_answer(message["content"], language).code == answer.code


F = "```"
MEGABYTE = 2**20
HUGE = {
    "one word": ("x" * 4 * MEGABYTE, ""),
    "lines of code": ("x = 1\n" * 400_000, ""),
    "lines of heads": ("def f():\n" * 200_000, ""),
    "parentheses": ("(" * 4 * MEGABYTE, ""),
    "info of spaces": (f"{F}{' ' * 4 * MEGABYTE}`", ""),
    "spaces before a fence": (f"{' ' * 4 * MEGABYTE}{F}", ""),
    "backticks": ("`" * 4 * MEGABYTE + "x`", ""),
    "one line of code": (f"{F}python\n{'y' * 4 * MEGABYTE}", "y" * 4 * MEGABYTE),
    "lines of a block": (f"{F}\n" + "x = 1\n" * 100_000, ("x = 1\n" * 100_000).rstrip()),
    "opening fences": (f"{F}python\n" * 50_000, (f"{F}python\n" * 49_999).rstrip()),
    "blocks": (f"{F}python\ndef f(): return 1\n{F}\n" * 5_000, "def f(): return 1"),
    "blocks that differ": ("".join(f"{F}python\ndef f{n}(): return 1\n{F}\n" for n in range(2_000)), None),
    "closed on the last line": (f"{F}python\ndef f(): return 1{F}\n" * 5_000, None),
    "opened behind prose": (f"So: {F}python\ndef f(): return 1\n{F}\n" * 3_000, "def f(): return 1"),
    "one-line fences": (f"{F}python def f(): return 1{F}\n" * 5_000, "def f(): return 1"),
    "nested quotations": (f"{'>' * 3000}{F}\n" * 300, ""),
    "nested items": (f"{'- ' * 3000}{F}\n" * 300, ""),
    "fences in items": (f"- a\n  {F}\n" * 10_000, None),
    "fences in a docstring": (f'{F}python\ndef f():\n  """\n' + f"  {F}\n" * 10_000, None),
    "tokens": (f"{F}python\nx<|im_end|>y\n{F}\n" * 5_000, "x<|im_end|>y"),
    "tokens in quotes": ("'<|im_end|>'" * 100_000, ""),
    "marks": ("[BEGIN]x = 1[DONE]" * 20_000, "x = 1"),
    "open marks": ("[BEGIN]" * 100_000, None),
    "headings of C++": ("int f(int x)\n" * 100_000, ""),
    "thoughts that were opened": ("<think>a</think>\n" * 200_000, ""),
    "turns": (f"{F}\nx = 1\n{F}\n" * 5_000 + "User: a\n" * 100_000 + "Assistant: b\n", "x = 1"),
    "thoughts": ("</think>" * 200_000, ""),
    "spaces that are odd": (f"{F}python\n" + "\xa0" * MEGABYTE + f"x = 1\n{F}", "x = 1"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HUGE)
def test_huge_answers_are_read_in_proportion_to_their_length(name):
    # A second pass for each line, or for each fence, would take hours
    text, expected = HUGE[name]
    language = "cpp" if "C++" in name else "python"
    for entry_point in (None, "f"):
        code = read_answer(without_thoughts(text), language, entry_point).code
        assert expected is None or code == expected


@pytest.mark.parametrize(
    "nested", ["[" * 5000 + "]" * 5000, "-" * 50_000 + "1", "f(" * 900 + ")" * 900, "1" * 10_000, "\x00"]
)
def test_code_that_breaks_parsers_is_still_code(nested):
    assert extract_code(f"```python\nx = {nested}\n```") == f"x = {nested}"
