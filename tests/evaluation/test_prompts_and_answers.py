"""What a model is asked, and which code is read out of what it says."""

import json

import pytest
from conftest import make_tokenizer, trl_template

from reflection_trl.evaluation.answers import sanitize, strip_usage_examples
from reflection_trl.evaluation.benchmarks import load_tasks, make_prompt, parse_benchmarks, read_solution
from reflection_trl.generation.templates import render_prompt
from reflection_trl.problems import load_problems

from .conftest import DATA


MULTIPL_E = str(DATA.parent / "multipl_e")


# Benchmarks


def test_names_of_benchmarks():
    names = ["HumanEval+", "mbpp", "humaneval", "MultiPL-E:java, js", "multipl-e:c++"]
    assert parse_benchmarks(names) == ["humaneval", "mbpp", "multipl-e:java", "multipl-e:javascript", "multipl-e:cpp"]


@pytest.mark.parametrize("name", ["humaneva", "mbpp:java", "multipl-e", "multipl-e:", "multipl-e:cobol", ""])
def test_unknown_benchmarks_are_refused_in_one_sentence(name):
    with pytest.raises(ValueError, match=r"Unknown (benchmark|language)"):
        parse_benchmarks([name])


def test_no_benchmarks_are_refused():
    with pytest.raises(ValueError, match="No benchmark specified"):
        parse_benchmarks([])


@pytest.mark.parametrize(("benchmark", "module"), [("humaneval", "humaneval"), ("mbpp", "mbpp")])
def test_a_benchmark_that_is_absent_names_the_variable(benchmark, module, small_benchmarks, monkeypatch, tmp_path):
    def no_network(*_, **__):
        raise OSError("Name or service not known")

    evalplus_module = getattr(small_benchmarks, module)
    monkeypatch.setattr(evalplus_module, f"{benchmark.upper()}_OVERRIDE_PATH", None)
    monkeypatch.setattr(evalplus_module, "make_cache", no_network)
    with pytest.raises(ValueError, match=rf"no network.*{benchmark.upper()}_OVERRIDE_PATH") as error:
        load_tasks(benchmark)
    assert "\n" not in str(error.value)


def test_a_benchmark_file_that_is_gone_is_named(small_benchmarks, monkeypatch):
    monkeypatch.setattr(small_benchmarks.humaneval, "HUMANEVAL_OVERRIDE_PATH", "/nowhere/humaneval.jsonl")
    with pytest.raises(ValueError, match=r"/nowhere/humaneval\.jsonl"):
        load_tasks("humaneval")


# Prompts


def test_the_request_for_mbpp_is_worded_as_in_training(mbpp):
    (task,) = [task for task in mbpp if task.id == "Mbpp/12"]
    row = {
        "task_id": 12,
        "text": "Write a function to sort a given matrix in ascending order according to the sum of its rows.",
        "code": "def sort_matrix(M):\n    return sorted(M, key=sum)",
        "test_list": ["assert sort_matrix([[1, 2, 3], [2, 4, 5], [1, 1, 1]])==[[1, 1, 1], [1, 2, 3], [2, 4, 5]]"],
    }
    (problem,) = load_problems([row], mapping="mbpp")
    assert task.request == problem.instruction
    assert make_prompt(task, "request").content == [{"role": "user", "content": problem.instruction}]


def test_a_quote_at_the_end_of_an_mbpp_assert_stays(mbpp):
    (task,) = [task for task in mbpp if task.id == "Mbpp/11"]
    assert "should return `'heo'`" in task.request


def test_every_request_names_the_function(humaneval, mbpp):
    assert all(task.entry_point in task.request for task in [*humaneval, *mbpp])


# Llama's template trims turns, so that the answer begins with the line end itself
@pytest.mark.parametrize(("template", "end"), [("qwen2_5", "\n"), ("llama3", "")])
def test_the_evalplus_prompt_is_evalplus_own(template, end, humaneval, mbpp):
    utility = pytest.importorskip("evalplus.provider.utility")
    tokenizer = make_tokenizer(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        trl_template(template),
        eos_token="<|im_end|>",
        bos_token="<s>",
    )
    for task in [*humaneval, *mbpp]:
        expected = utility.make_raw_chat_prompt(
            task.prompt.strip() + "\n",
            "Please provide a self-contained Python script that solves the following problem in a markdown code block:",
            "Below is a Python script with a self-contained function that solves the problem and passes corresponding tests:",
            tokenizer,
        )
        prompt = make_prompt(task, "evalplus")
        assert render_prompt(prompt.content, tokenizer, "m") == expected.removesuffix("\n") + end
        assert "\n```\n" in prompt.stop


def test_the_published_prompts_begin_the_answer_inside_a_code_block(humaneval, mbpp):
    prompt = make_prompt(humaneval[0], "published").content
    assert prompt.startswith(
        "<|user|><|text|>Write a complete Python function for the problem.\n\nfrom typing import List"
    )
    assert prompt.endswith("<|endofblock|><|endofmessage|><|assistant|><|text|>```python\n")
    prompt = make_prompt(mbpp[0], "published").content
    assert "Your code should satisfy the following assertion:\n```python\nassert set(similar_elements(" in prompt
    assert '"""' not in prompt


def test_base_models_go_on_from_the_code(humaneval):
    prompt = make_prompt(humaneval[0], "completion")
    assert prompt.content == humaneval[0].prompt.strip() + "\n"
    assert "\ndef " in prompt.stop


def test_multipl_e_is_completed_or_requested_and_never_asked_by_evalplus():
    task = load_tasks("multipl-e:java", MULTIPL_E)[0]
    assert make_prompt(task, "completion").content == task.prompt
    assert make_prompt(task, "request").content[0]["content"] == task.request
    assert make_prompt(task, "published").content.endswith(f"```java\n{task.prompt}")
    with pytest.raises(
        ValueError,
        match="multipl-e:java has no prompts in the style 'evalplus': use request or published or completion",
    ):
        make_prompt(task, "evalplus")


def test_unknown_styles_are_refused(humaneval):
    with pytest.raises(ValueError, match="Unknown prompt style 'chat'"):
        make_prompt(humaneval[0], "chat")


# Answers

RIGHT = "def truncate_number(number: float) -> float:\n    return number % 1.0"


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{RIGHT}\n```",
        f"Sure!\n\n```python\n{RIGHT}\n```\n\nIt takes the remainder.",
        f"```py\r\n{RIGHT}\r\n```".replace("\n", "\r\n").replace("\r\r", "\r"),
        f"```\n{RIGHT}\n```",
        f"```python\n{RIGHT}",
        f"{RIGHT}\n\nThis function takes the remainder.",
        f"Run `pip install x`:\n```bash\npip install x\n```\nthen\n```python\n{RIGHT}\n```",
        f"```python\n{RIGHT}\n\nassert truncate_number(3.5) == 0.7\nprint(truncate_number(3.5))\n```",
        f"```python\n{RIGHT}\n\nif __name__ == '__main__':\n    print(truncate_number(float(input())))\n```",
        f"```python\n{RIGHT}\n\nfor x in [1.5]:\n    print(truncate_number(x))\n```",
        f"```python\n{RIGHT}\n```\nUse it like this:\n```python\n>>> truncate_number(3.5)\n```",
        f"- First, the code:\n  ```python\n{''.join(f'  {line}' + chr(10) for line in RIGHT.splitlines())}  ```",
    ],
)
def test_the_code_is_found_however_it_is_wrapped(text, humaneval):
    (task,) = [task for task in humaneval if task.id == "HumanEval/2"]
    assert read_solution(task, text, "request").strip() == RIGHT


@pytest.mark.parametrize("text", ["I cannot help with that.", "```\n```", "", "你好 🙂"])
def test_an_answer_without_code_has_no_solution(text, humaneval):
    assert read_solution(humaneval[0], text, "request") == ""


@pytest.mark.parametrize("opening", ["<think>\n", "", "\n<think>"])
def test_drafts_in_the_thinking_are_no_answer(opening, humaneval):
    draft = "def truncate_number(number: float) -> float:\n    whole = int(number)\n    return whole"
    text = f"{opening}Perhaps:\n\n```python\n{draft}\n```\n\nNo.\n</think>\n\n```python\n{RIGHT}\n```"
    for style in ("request", "evalplus"):
        assert read_solution(humaneval[2], text, style).strip() == RIGHT
    assert read_solution(humaneval[2], f"<think>\nPerhaps:\n\n```python\n{draft}\n```", "request") == ""
    tags = "```python\nEND = '</think>'\ndef f(text):\n    return text.split(END)\n```"
    assert "split(END)" in read_solution(humaneval[2], tags, "request")


def test_setting_up_is_no_example():
    code = "import sys\nsys.setrecursionlimit(10**6)\ntry:\n    import numpy\nexcept ImportError:\n    numpy = None\nTABLE = [0] * 9\nfor i in range(9):\n    TABLE[i] = i\ndef f(x):\n    return TABLE[x]"
    assert strip_usage_examples(code) == code


@pytest.mark.parametrize(
    "code",
    [
        "cache = {}\ndef fill():\n    cache[1] = 2\nfill()\ndef f(x):\n    return cache[x]",
        "def is_odd(n):\n    return n % 2\nodd = []\nfor n in range(9):\n    if is_odd(n):\n        odd.append(n)\ndef f(x):\n    return odd[x]",
        "class Node:\n    pass\nroot = []\ntry:\n    root.append(Node())\nexcept Exception:\n    pass\ndef f(x):\n    return root[x]",
        "best = 0\ndef set_up():\n    global best\n    best = 3\ndef start():\n    set_up()\nstart()\ndef f(x):\n    return best",
    ],
)
def test_setting_up_by_helpers_is_no_example(code):
    assert strip_usage_examples(code, "f") == code
    tried = "print(f(1))\nf(2)\nfor x in [1]:\n    assert f(x) == 2\nif f(1):\n    pass"
    assert strip_usage_examples(f"{code}\n{tried}", "f") == code
    assert strip_usage_examples(code) != code


@pytest.mark.parametrize("body", ["print(f(1))", "assert f(1) == 2", "return [f(x) for x in range(3)]", "print(3)"])
def test_examples_in_functions_go(body):
    code = "def f(x):\n    return x"
    tried = f"def test():\n    {body}\ndef main():\n    test()"
    assert strip_usage_examples(f"{code}\n{tried}\nmain()", "f") == f"{code}\n{tried}"


def test_examples_go_and_what_shares_a_line_stays():
    assert (
        strip_usage_examples("def f(x):\n    return x\ny = 1; print(f(y))")
        == "def f(x):\n    return x\ny = 1; print(f(y))"
    )
    assert (
        strip_usage_examples("def f(x):\n    return x\n\nassert (\n    f(1)\n    == 2\n)\n")
        == "def f(x):\n    return x"
    )
    assert strip_usage_examples("def f(:\nassert f(1)") == "def f(:\nassert f(1)"
    assert strip_usage_examples("print(1)") == "print(1)"


def test_the_evalplus_style_reads_answers_as_evalplus_does(humaneval):
    evalplus = pytest.importorskip("evalplus.sanitize")
    task = humaneval[0]
    for text in [RIGHT, f"import os\n{RIGHT}\n\ndef other():\n\treturn 1\nprint(2)", "no code at all"]:
        assert read_solution(task, text, "evalplus") == evalplus.sanitize(text.replace("\t", "    "), task.entry_point)


@pytest.mark.parametrize("text", ["\0", "(" * 5000, "def f():\n    return '\ud800'", "?\n" * 20_000])
def test_evalplus_sanitize_takes_any_text(text, humaneval):
    assert isinstance(sanitize(text, humaneval[0].entry_point), str)


def test_completions_stand_behind_the_prompt(humaneval):
    (task,) = [task for task in humaneval if task.id == "HumanEval/2"]
    solution = read_solution(task, "    return number % 1.0\n", "completion")
    namespace = {}
    exec(solution, namespace)
    assert namespace["truncate_number"](3.5) == 0.5


def test_published_answers_are_the_code_itself(humaneval):
    answers = map(json.loads, (DATA / "humaneval_published.jsonl").read_text().splitlines())
    for task, answer in zip(humaneval, answers, strict=True):
        assert read_solution(task, f"{answer['completion']}\n", "published") == answer["completion"].strip()
