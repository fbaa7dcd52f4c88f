"""Thoughts, tokens of chat formats and invisible characters are left out, and nothing that only looks like them."""

import pytest

from reflection_trl.answers import read_answer, without_thoughts
from reflection_trl.answers.cleaning import one_turn, tidy_code


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("A", "A"),
        ("<think>\nx\n</think>\n\nA", "A"),
        ("<think>x</think>A", "A"),
        ("<think>never ends", ""),
        ("<think></think>\n```python\nx = 1\n```", "```python\nx = 1\n```"),
        ("a draft\n</think>\nB", "B"),
        ("That's all.</think>\n\nC", "C"),
        ("text\n</think> C", " C"),
        ("<thinking>\nz\n</thinking>\nD", "D"),
        ("[THINK]z[/THINK]D", "D"),
        ("z\n[/THINK]D", "D"),
        ("<|channel|>analysis<|message|>z<|end|><|start|>assistant<|channel|>final<|message|>D", "D"),
        ("<|channel|>final <|constrain|>json<|message|>D", "D"),
        ("<|channel|>analysis<|message|>never ends", ""),
        ("<think>a</think>\n\n<think>b</think>\nD", "D"),
        ("<think>a</think>\n\n<think>never ends", ""),
        ("<THINK>z</Think>D", "D"),
        ("<|channel>thought\nz<channel|>D", "D"),
        # No ends of thoughts
        ("The tag `</think>` ends it.", "The tag `</think>` ends it."),
        ("x = text.split('</think>')\n", "x = text.split('</think>')\n"),
        ('end = "</think>"\ny = 1', 'end = "</think>"\ny = 1'),
        ("I <think> so.", "I <think> so."),
        ("a </think> b", "a </think> b"),
    ],
)
def test_thoughts_are_left_out(text, answer):
    assert without_thoughts(text) == answer


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        ("A<|im_end|>\n<|im_start|>user\nB", "A"),
        ("A\n<end_of_turn>\nB", "A"),
        ("<|im_start|>assistant\nA<|im_end|>", "A"),
        ("<start_of_turn>model\nA<end_of_turn>", "A"),
        ("<s> [INST] A", "A"),
        ("A</s>", "A"),
        ("A</s><s>B", "A"),
        ("```python\nx = 1\n```<|eot_id|>B", "```python\nx = 1\n```"),
        ("```python\nx = 1\n<|endoftext|>\ny = 2", "```python\nx = 1"),
        # Text like any other
        ("Print '<|im_end|>' and `</s>`.", "Print '<|im_end|>' and `</s>`."),
        ("<s>old</s> new", "<s>old</s> new"),
        (
            '```python\nx = """<|im_start|>user\n{q}<|im_end|>\n"""\n```',
            '```python\nx = """<|im_start|>user\n{q}<|im_end|>\n"""\n```',
        ),
        ('x = f"{q}<|im_end|>\\n"', 'x = f"{q}<|im_end|>\\n"'),
        ("a <| b |> c, d <|> e", "a <| b |> c, d <|> e"),
        ("assistant\nA", "assistant\nA"),
    ],
)
def test_an_answer_ends_where_its_turn_does(text, turn):
    assert one_turn(text) == turn


@pytest.mark.parametrize(
    ("code", "language", "tidy"),
    [
        ("x = 'a\xa0b\u200b'", "python", "x = 'a\xa0b\u200b'"),  # Python as it stands
        ("x\xa0= 'a'", "python", "x = 'a'"),
        ("  x = 1\n  y = 2", "python", "x = 1\ny = 2"),
        ("  x = (", "python", "  x = ("),  # no Python, however it is written
        (">>> 1 + 1\n2", "python", ">>> 1 + 1\n2"),  # an example, and no program
        ("  >>> def f():\n  ...     return 1\n  >>> f()\n  1", "python", "def f():\n    return 1\nf()"),
        (">>> x\n ... y", "python", ">>> x\n ... y"),
        ("\u3000\u3000return\xa01;", "cpp", "  return\xa01;"),
        ("x;<|im_end|></s>", "cpp", "x;"),
        ("print('<|im_end|>')", "python", "print('<|im_end|>')"),
    ],
)
def test_only_what_no_editor_shows_is_changed(code, language, tidy):
    assert tidy_code(code, language) == tidy


def test_a_token_in_a_program_is_a_part_of_it():
    code = 'END = "<|im_end|>"\n\n\ndef wrap(text):\n    return f"""<|im_start|>user\n{text}<|im_end|>\n"""'
    assert read_answer(f"Here:\n```python\n{code}\n```\nDone.<|im_end|>").code == code
    assert read_answer(code).code == code
