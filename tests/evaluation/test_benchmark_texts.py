"""What training data is compared with: the texts of each benchmark."""

import json

import pytest

from reflection_trl.evaluation.benchmark_texts import benchmark_texts, split_source


PROMPT = '''def closest_pair(lots: list[float]) -> tuple[float, float]:
    """Of all auction lots return the two whose estimates lie nearest to one another, cheaper one first.
    >>> closest_pair([8.0, 1.0, 2.5])
    (1.0, 2.5)
    """
'''
SOLUTION = """    ordered = sorted(lots)
    pairs = zip(ordered, ordered[1:])
    return min(pairs, key=lambda pair: pair[1] - pair[0])
"""


def test_a_file_is_a_benchmark(tmp_path):
    file = tmp_path / "humaneval-rs.jsonl"
    file.write_text(json.dumps({"name": "HumanEval_7_closest", "prompt": PROMPT, "tests": "}"}) + "\n")
    assert benchmark_texts([str(file)]) == {"HumanEval_7_closest": [PROMPT]}
    turns = tmp_path / "turns.jsonl"
    turns.write_text(json.dumps({"name": "one", "prompt": [{"role": "user", "content": PROMPT}]}) + "\n")
    assert benchmark_texts([str(turns)]) == {"one": [PROMPT]}
    turns.unlink()
    assert benchmark_texts([str(tmp_path / "*.jsonl"), str(file)]) == {"HumanEval_7_closest": [PROMPT]}


def test_a_benchmark_may_have_its_files_elsewhere(tmp_path):
    (tmp_path / "own.jsonl").write_text('{"instruction": "Say hello.", "tests": "assert 1"}\n')
    assert split_source("problems:x=my/file.jsonl") == ("problems:x", "my/file.jsonl")
    assert split_source("humaneval") == ("humaneval", None)
    assert split_source("my/a=b.jsonl") == ("my/a=b.jsonl", None)
    texts = benchmark_texts([f"problems:held-out={tmp_path / 'own.jsonl'}"])
    assert ["Say hello.", ""] in texts.values()


def test_a_file_without_prompts_is_none(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text('{"tests": "x"}\n')
    with pytest.raises(ValueError, match=r"Row 0 of the benchmark '.*x.jsonl' has no `prompt`.*, only tests\."):
        benchmark_texts([str(file)])
    with pytest.raises(ValueError, match=r"'missing\.jsonl' cannot be read: there is no such file"):
        benchmark_texts(["missing.jsonl"])
    with pytest.raises(ValueError, match="a list of names, got 'mbpp'"):
        benchmark_texts("mbpp")


def test_evalplus_gives_prompts_and_solutions(monkeypatch):
    pytest.importorskip("evalplus")
    tasks = {"HumanEval/7": {"prompt": PROMPT, "canonical_solution": SOLUTION}}
    monkeypatch.setattr("evalplus.data.humaneval.get_human_eval_plus", lambda: tasks)
    mbpp = {"Mbpp/2": {"prompt": '"""\nAdd up.\nassert add(1) == 1\n"""\n', "canonical_solution": "def add(a): ..."}}
    monkeypatch.setattr("evalplus.data.mbpp.get_mbpp_plus", lambda: mbpp)
    assert benchmark_texts(["HumanEval+", "mbpp"]) == {
        "HumanEval/7": [PROMPT, SOLUTION],
        "Mbpp/2": ["Add up.", "add(1) == 1", "def add(a): ..."],
    }


def test_a_benchmark_that_is_not_available_says_how_to_get_it(monkeypatch, tmp_path):
    pytest.importorskip("evalplus")

    def no_network(*_):
        raise OSError("Network is unreachable")

    monkeypatch.setattr("evalplus.data.humaneval.HUMANEVAL_OVERRIDE_PATH", None)
    monkeypatch.setattr("evalplus.data.humaneval.make_cache", no_network)
    with pytest.raises(
        ValueError, match=r"HumanEval\+ is not in evalplus's cache .*unreachable.*set HUMANEVAL_OVERRIDE_PATH"
    ):
        benchmark_texts(["humaneval"])
    (tmp_path / "cut.jsonl").write_text('{"task_id": "Mbpp/2", "base_input": [[[1], [2]]], "plus_input": []}\n')
    monkeypatch.setattr("evalplus.data.mbpp.MBPP_OVERRIDE_PATH", str(tmp_path / "cut.jsonl"))
    with pytest.raises(ValueError, match=r"MBPP\+ cannot be read from '.*cut.jsonl': "):
        benchmark_texts(["mbpp"])
