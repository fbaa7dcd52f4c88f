"""Every form in which models write code is read, and rendering sees the same blocks in it."""

from itertools import pairwise

import pytest

from reflection_trl.answers import read_answer, without_thoughts
from reflection_trl.fences import find_fences, read_fence
from reflection_trl.markdown import render_message
from reflection_trl.python_code import parse_python
from reflection_trl.sequences import from_typed_blocks, split_blocks, to_typed_blocks

from .forms import FORMS


@pytest.fixture(params=FORMS, ids=[form.name for form in FORMS])
def form(request):
    return request.param


def test_the_program_is_found(form):
    answer = read_answer(without_thoughts(form.text), form.language, form.entry_point)
    assert answer.code == form.code
    assert form.language != "python" or parse_python(answer.code)


def test_what_was_written_as_one_program_is_read_as_it(form):
    answer = read_answer(without_thoughts(form.text), form.language, form.entry_point)
    message = answer.message(form.language)
    again = read_answer(message, form.language, form.entry_point)
    assert again.code == answer.code and again.lead == answer.lead and again.closed
    (code,) = [block for block in split_blocks({"role": "assistant", "content": message}) if block.type == "code"]
    assert read_fence(message[code.start : code.end]).code == answer.code


def test_rendering_sees_the_fences_that_answers_are_read_from(form):
    text, message = form.text, {"role": "assistant", "content": form.text}
    blocks = split_blocks(message)
    pieces = [text[block.start : block.end] for block in blocks if block.type == "code"]
    fences = find_fences(text)
    if any(one.end >= other.start for one, other in pairwise(fences)):
        assert len(pieces) < len(fences)  # blocks that share a line are one block of the row
        return
    assert len(pieces) == len(fences)
    for piece, fence in zip(pieces, fences, strict=True):
        assert fence.code.split("\n")[-1].strip() in piece  # in a list item the lines before are indented
        if not fence.before and not fence.after:
            assert read_fence(piece).code == fence.code
    # Blocks are the text in pieces that one character parts
    assert blocks[0].start == 0 and blocks[-1].end == len(text)
    assert all(one.end + 1 == other.start for one, other in pairwise(blocks))


def test_the_published_form_of_a_row_is_the_row(form):
    row = {
        "type": "generation",
        "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": form.text}],
    }
    typed = to_typed_blocks(row)
    back = from_typed_blocks(typed)
    assert back["messages"][1]["content"] == form.text
    assert to_typed_blocks(back) == typed


def test_cards_show_code_as_code(form):
    shown = render_message({"role": "assistant", "content": form.text})
    for fence in find_fences(form.text):
        if fence.code.strip() and not fence.before and not fence.after:
            assert fence.code in shown.replace("\r", "") or "\r" in fence.code
