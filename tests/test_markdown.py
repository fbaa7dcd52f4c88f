"""Markdown that values cannot break, and sections of a card that are found again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reflection_trl.markdown import bar, cell, code_cell, fenced, merge_sections, quoted, section


MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
TEXT = st.text(alphabet="ab |`\\<>*_[]()!$~&#-\n", max_size=20)


@given(TEXT, TEXT)
def test_any_two_values_make_a_row_of_two_cells(first, second):
    html = MARKDOWN.render(f"| a | b |\n|---|---|\n| {cell(first)} | {code_cell(second)} |\n")
    assert html.count("<td>") == 2
    for markup in ("<em", "<strong", "<a ", "<img", "<b>"):
        assert markup not in html


@given(TEXT)
def test_fences_and_quotations_end_where_they_should(text):
    html = MARKDOWN.render(f"{fenced(text)}\n\n{quoted(text)}\n\n# End\n")
    assert html.count("<pre>") == 1
    assert html.count("<blockquote>") == 1
    assert html.endswith("<h1>End</h1>\n")


def test_a_value_reads_as_it_is():
    assert cell(["a_b", 1.5]) == "a_b, 1.5"
    assert "<td>a|b*</td>" in MARKDOWN.render(f"| x |\n|---|\n| {cell('a|b*')} |\n")
    assert quoted("Use `a < b`\nnow") == "<blockquote>Use <code>a &lt; b</code><br>now</blockquote>"
    assert (bar(0), bar(0.001), bar(1)) == ("", "█", "█" * 20)


@pytest.mark.parametrize(
    ("known", "merged"),
    [
        ("", "# New\n\nA\n\nB"),
        ("# Mine\n\nA0\n\nwords\n", "# Mine\n\nA\n\nB\n\nwords\n"),  # beside its kin
        ("# Mine\n\nB0\n\nA0\n", "# Mine\n\nB\n\nA\n"),
        ("# Mine\n", "# Mine\n\nA\n\nB\n"),
    ],
)
def test_sections_are_brought_up_to_date_and_the_rest_stays(known, merged):
    old = {"A0": section("part a", "old"), "B0": section("part b", "old")}
    new = {"A": section("part a", "new"), "B": section("part b", "new")}
    for name, text in old.items():
        known = known.replace(name, text)
    for name, text in new.items():
        merged = merged.replace(f"{name}\n", f"{text}\n") if f"{name}\n" in merged else merged.replace(name, text)
    assert merge_sections(known, f"# New\n\n{new['A']}\n\n{new['B']}") == merged


def test_text_without_sections_replaces_what_is_there():
    assert merge_sections("old", "new") == "new"


def test_sections_are_found_in_a_card_with_the_line_ends_of_windows():
    known = merge_sections("# Mine", section("evaluation", "old")).replace("\n", "\r\n")
    merged = merge_sections(known, section("evaluation", "new"))
    assert "old" not in merged and merged.count("evaluation begin") == 1
