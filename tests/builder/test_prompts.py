"""Prompts: what the package asks, and what a user's directory may replace."""

import pytest

from reflection_trl.builder.prompts import Prompts


def write(directory, **templates):
    for name, text in templates.items():
        (directory / f"{name.replace('__', '.')}.jinja").write_text(text, encoding="utf-8")
    return directory


def reflection(prompts, language="python", **values):
    values = {"instruction": "Add.", "examples": False, "tests": True, "asserts": "some asserts"} | values
    return prompts.render("reflection", language, **values)


@pytest.mark.parametrize("language", ["python", "cpp", "bash", "swift"])
def test_the_packages_own_prompts_fill_in(language):
    prompts = Prompts.load()
    for examples in (True, False):
        text = reflection(prompts, language, examples=examples)
        assert "Add." in text and "{" not in text and "\n\n\n" not in text
        assert ("some asserts" in text) is not examples
        assert "x = 1" in prompts.render("answer", language, instruction="Add.", program="x = 1", examples=examples)
        for further in (True, False):
            feedback = prompts.render(
                "feedback", language, instruction="Add.", feedback="Boom", examples=examples, further=further
            )
            assert "Boom" in feedback and ("further test" in feedback) is further
    assert prompts.render("request", language, instruction="Add.") == "Add."
    assert "Boom" in prompts.render("analysis", language, instruction="Add.", feedback="Boom")
    for repaired in (True, False):
        text = prompts.render("conclusion", language, instruction="Add.", feedback="Boom", repaired=repaired)
        assert ("had been wrong" in text) is repaired


def test_languages_are_named_as_people_write_them():
    text = reflection(Prompts.load(), "cpp")
    assert "C++" in text and "```cpp" in text


def test_what_is_filled_in_is_not_read_as_a_template():
    assert Prompts.load().render("request", "python", instruction="{{ 1 + 1 }} {% raw %}") == "{{ 1 + 1 }} {% raw %}"


def test_a_directory_replaces_single_prompts(tmp_path):
    write(tmp_path, default__request="Please: {{ instruction }}", cpp__request="{{ title }}: {{ instruction }}")
    prompts = Prompts.load(tmp_path)
    assert prompts.render("request", "python", instruction="Add.") == "Please: Add."
    assert prompts.render("request", "cpp", instruction="Add.") == "C++: Add."
    assert reflection(prompts) == reflection(Prompts.load())


@pytest.mark.parametrize(
    ("templates", "message"),
    [
        ({"default__answer": "Answer: {{ instruction }}"}, r"default\.answer\.jinja lacks the placeholder {{ program }}: add it\.$"),
        ({"python__feedback": "Failed."}, r"python\.feedback\.jinja lacks the placeholder {{ feedback }}: add it\.$"),
        ({"default__request": "{{ instruction }} {{ refrence }}"}, r"mentions {{ refrence }}, which has no value: use fence, "),
        ({"default__request": "{{ instruction"}, r"default\.request\.jinja is not valid Jinja: line 1: "),
        ({"default__requests": "{{ instruction }}"}, r"default\.requests\.jinja is not used by any step: rename it to "),
        ({"request": "{{ instruction }}"}, r"request\.jinja is not used by any step"),
        ({}, r"contains no \*\.jinja file"),
    ],
)  # fmt: skip
def test_templates_that_cannot_be_used(tmp_path, templates, message):
    with pytest.raises(ValueError, match=message):
        Prompts.load(write(tmp_path, **templates))


def test_a_template_that_is_no_text(tmp_path):
    (tmp_path / "default.request.jinja").write_bytes(b"\xff{{ instruction }}")
    with pytest.raises(ValueError, match=r"default\.request\.jinja is not UTF-8 text"):
        Prompts.load(tmp_path)


def test_a_template_reaches_nothing_but_its_values(tmp_path):
    prompts = Prompts.load(write(tmp_path, default__request="{{ instruction.__class__.__mro__ }}"))
    with pytest.raises(ValueError, match=r"default\.request\.jinja cannot be filled in"):
        prompts.render("request", "python", instruction="Add.")
