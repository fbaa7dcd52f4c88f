"""Fences are read as CommonMark reads them, and where it would take prose for code, as they were meant."""

import re
from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reflection_trl.fences import Fence, before_fences, fence_code, find_fences, language_of, read_fence, strip_fence
from reflection_trl.sequences import split_blocks


F = "```"
CODE = "def f():\n    return 1"


def only(text):
    (fence,) = find_fences(text)
    return fence


def test_a_fence_has_a_place():
    text = f"Before\n{F}python title\n{CODE}\n{F}\nBehind"
    fence = only(text)
    assert fence == Fence("python title", CODE, 7, text.index("\nBehind"))
    assert text[fence.start : fence.end] == f"{F}python title\n{CODE}\n{F}"
    assert find_fences("no fence") == [] and find_fences("") == []


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_may_end_as_on_windows(end):
    text = end.join(["Before", f"{F}python", "x = 1", "y = 2", F, "Behind"])
    fence = only(text)
    assert text[: fence.start].rstrip("\r\n") == "Before" and text[fence.end + 1 :] == "Behind"
    assert fence.code.splitlines() == ["x = 1", "y = 2"] and fence.info == "python"


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ("", ""), ("python", "python"), (" Python3 ", "python"), ("py", "python"), ("python3.11", "python"), ("{.python}", "python"),
        ("{python}", "python"), ("python=", "python"), ("python:a.py", "python"), ('py title="a b"', "python"), ("c++", "c++"), ("C#", "c#"),
        ("pycon", "pycon"), ("pyx", "pyx"), ("objective-c", "objective-c"),
        ("src/a.py", "python"), ("Main.java", "java"), ("a.b.unknown", "a.b.unknown"),
    ],
)  # fmt: skip
def test_the_language_of_an_info_string(info, language):
    assert language_of(info) == language
    assert only(f"{F}{info}\nx\n{F}").language == language


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        # Nothing of this is meant otherwise than Markdown has it
        (f"Use {F}x = 1{F} in a line", []),
        (f"Start it with {F}python and end it with {F}.", []),
        (f"Start it with {F}python\nand do not forget the end.", []),
        (f"{F}text\nHere: {F}python\n{F}", [f"Here: {F}python"]),
        (f"    {F}\n    x\n    {F}", []),
        (f"{F}markdown\n# T\n{F}bash\npip\n{F}", [f"# T\n{F}bash\npip"]),
        (f'{F}python\nx = """\n{F} is a fence\n"""\n{F}', [f'x = """\n{F} is a fence\n"""']),
        (f"{F}python\ns = '{F}'\n{F}", [f"s = '{F}'"]),
        (f"{F}`python\n{F}\nx\n{F}\n{F}`", [f"{F}\nx\n{F}"]),
        (f"~~~\n{F}\n~~~", [F]),
        (f"{F}\n{F}", [""]),
        (f"{F}python{F}", []),
        (f"{F}rust\nfn f() {{}}{F}\nprose", [f"fn f() {{}}{F}\nprose"]),  # nothing here can parse Rust
    ],
)
def test_what_is_markdown_is_left_to_markdown(text, codes):
    assert [fence.code for fence in find_fences(text)] == codes


def test_prose_on_the_line_of_a_fence_is_kept():
    fence = only(f"Look: {F}python\n{CODE}\n{F} That is it.\n\nBye")
    assert (fence.before, fence.code, fence.after) == ("Look:", CODE, "That is it.")
    assert before_fences(f"A\nLook: {F}python\n{CODE}\n{F}") == "A\nLook:"
    assert before_fences("A\n") == "A\n"
    # What stands beside code is not thrown away with the fence
    segment = f"Look: {F}python\n{CODE}\n{F}"
    assert strip_fence(segment) == segment and read_fence(segment) is None


def test_two_blocks_may_share_a_line():
    text = f"{F}python\n{CODE}\n{F} and {F}python\nf()\n{F}\n"
    assert [fence.code for fence in find_fences(text)] == [CODE, "f()"]
    message = {"role": "assistant", "content": text}
    assert [(block.type, text[block.start : block.end]) for block in split_blocks(message)] == [
        ("code", text[:-1]),
        ("text", ""),
    ]


@pytest.mark.parametrize("indent", ["", "   ", "      ", "\t"])
def test_a_segment_is_stripped_of_the_indentation_of_its_list(indent):
    segment = "\n".join(indent + line for line in f"{F}python\n{CODE}\n{F}".split("\n"))
    assert strip_fence(segment) == CODE


@given(st.text(alphabet="`~ab\n \r"), st.sampled_from(["", "python", "c++ x"]))
def test_code_in_a_fence_is_read_again(code, language):
    fence = read_fence(fence_code(code, language))
    assert fence.closed and fence.info == language
    assert fence.code == code or "\r" in code


TEXTS = st.lists(
    st.sampled_from(
        [
            "```",
            "````",
            "~~~",
            "```python",
            "```js",
            "- ",
            "> ",
            "1. ",
            "  ",
            "    ",
            "\t",
            "\n",
            "\n",
            "\n",
            "x",
            " def f(): ",
            "# a",
            "`",
            "\r\n",
            '"""',
        ]
    ),
    max_size=30,
).map("".join)


@pytest.mark.heavy
@given(TEXTS)
@settings(max_examples=1000, deadline=None)
def test_fences_are_those_of_commonmark(text):
    """Against the library's own reading, with all of its rules but HTML, where nothing is put right."""
    markdown = MarkdownIt("commonmark").disable("html_block")
    expected = [(token.info, token.content) for token in markdown.parse(text) if token.type == "fence"]
    with patch("reflection_trl.fences._repaired", return_value=None):
        found = find_fences(text)
    assert [fence.info for fence in found] == [info for info, _ in expected]
    for fence, (_, content) in zip(found, expected, strict=True):
        assert re.sub(r"\r\n?", "\n", fence.code).rstrip() == content.rstrip()


@pytest.mark.heavy
@given(TEXTS)
@settings(max_examples=1000, deadline=None)
def test_any_text_is_divided(text):
    message = {"role": "assistant", "content": text}
    blocks = split_blocks(message)
    assert blocks[0].start == 0 and blocks[-1].end == len(text)
    assert all(one.end + 1 == other.start for one, other in pairwise(blocks))
    assert all(block.end >= block.start for block in blocks)
    ends = [fence.end for fence in find_fences(text)]
    assert ends == sorted(ends)
