"""Answers made elsewhere: what is read, and what is refused in one sentence."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reflection_trl.evaluation.benchmarks import load_tasks
from reflection_trl.evaluation.samples import benchmark_of, read_samples, write_samples
from reflection_trl.evaluation.tasks import Sample

from .conftest import DATA


@pytest.fixture
def tasks(humaneval):
    return humaneval[:2]  # HumanEval/0 and HumanEval/2


@pytest.fixture
def write(tmp_path):
    def write(*records):
        file = tmp_path / "samples.jsonl"
        file.write_bytes(
            b"".join(
                record if isinstance(record, bytes) else json.dumps(record).encode() + b"\n" for record in records
            )
        )
        return file

    return write


def answer(task, solution="pass", **more):
    return {"task_id": f"HumanEval/{task}", "solution": solution, **more}


def test_published_answers_are_completions_of_the_prompt(humaneval):
    samples = read_samples(DATA / "humaneval_published.jsonl", humaneval)
    assert [sample.task_id for sample in samples] == [task.id for task in humaneval]
    assert all(sample.solution.startswith(task.prompt) for sample, task in zip(samples, humaneval, strict=True))


def test_the_tasks_identify_the_benchmark(write):
    assert benchmark_of(DATA / "humaneval_published.jsonl") == "humaneval"
    assert benchmark_of(DATA / "mbpp_published.jsonl") == "mbpp"
    assert benchmark_of(write({"task_id": "HumanEval_0_has_close_elements", "solution": ""})) is None


def test_several_answers_come_in_the_order_of_tasks(write, tasks):
    file = write(answer(2, "a"), answer(0, "b"), b"\n", answer(2, "c"), answer(0, "d"))
    found = [(sample.task_id, sample.sample, sample.solution) for sample in read_samples(file, tasks)]
    assert found == [
        ("HumanEval/0", 0, "b"),
        ("HumanEval/0", 1, "d"),
        ("HumanEval/2", 0, "a"),
        ("HumanEval/2", 1, "c"),
    ]


def test_what_was_written_is_read_again(tmp_path, tasks):
    samples = [
        Sample("HumanEval/0", 0, "x = '\ud800 🙂 \u2028'\n", "```python\nx\n```", "length"),
        Sample("HumanEval/2", 0, "", "no", "refused"),
    ]
    write_samples(tmp_path / "s.jsonl", samples)
    assert read_samples(tmp_path / "s.jsonl", tasks) == samples


def test_evalplus_reads_what_was_written(tmp_path):
    evalplus = pytest.importorskip("evalplus.data")
    write_samples(tmp_path / "s.jsonl", [Sample("HumanEval/0", 0, "pass", "text")])
    (solution,) = evalplus.load_solutions(str(tmp_path / "s.jsonl"))
    assert (solution["task_id"], solution["solution"]) == ("HumanEval/0", "pass")


def test_a_trial_passes_over_the_other_tasks(write, humaneval):
    file = write(answer(0), answer(13), answer(2))
    assert len(read_samples(file, humaneval[:1], [task.id for task in humaneval])) == 1


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ([answer(0), answer(999)], r"samples\.jsonl, line 2: humaneval has no problem 'HumanEval/999'"),
        (
            [answer(0), {"task_id": "Mbpp/2", "solution": ""}],
            r"has no problem 'Mbpp/2'; put samples of one benchmark into each file",
        ),
        ([answer(0)], r"lacks answers to 1 of 2 problems, such as HumanEval/2: add them, or .* --limit"),
        (
            [answer(0), answer(2), answer(0)],
            r"has 2 answers to HumanEval/0 and 1 to others|has 1 answers to HumanEval/2",
        ),
        (
            [answer(0, sample=0), answer(0, sample=0), answer(2)],
            r"line 2: an earlier line has answer number 0 to HumanEval/0",
        ),
        (
            [answer(0), {"task_id": "", "solution": ""}],
            r"line 2: `task_id` must name a problem of the benchmark, got ''",
        ),
        ([answer(0), {"solution": ""}], r"line 2: `task_id` must name a problem of the benchmark, got None"),
        (
            [answer(0), {"task_id": 2, "solution": ""}],
            r"line 2: `task_id` must name a problem of the benchmark, got 2",
        ),
        (
            [answer(0), {"task_id": "HumanEval/2"}],
            r"line 2: `solution` \(the whole code\) or `completion` must be text, got None",
        ),
        ([answer(0, ["pass"])], r"line 1: `solution` \(the whole code\) or `completion` must be text, got \['pass'\]"),
        ([answer(0, sample=-1)], r"line 1: `sample` counts the answers to a problem from 0, got -1"),
        ([answer(0, sample=True)], r"line 1: `sample` counts the answers to a problem from 0, got True"),
        ([answer(0, text=5)], r"line 1: `text` must be text, got 5"),
        ([answer(0), b'{"task_id": "HumanEval/2", "solu\n'], r"line 2 is not JSON"),
        ([answer(0), b"\xff\xfe\n"], r"line 2 is not JSON"),
        ([b"[" * 100_000 + b"\n"], r"line 1 is not JSON \(nested too deeply\)"),
        ([["HumanEval/0", "pass"]], r"line 1 must be an object with `task_id` and `solution`, got \['Hum"),
        ([], r"samples\.jsonl contains no answers"),
        ([b"\n\n"], r"samples\.jsonl contains no answers"),
    ],
)
def test_wrong_files_are_refused_in_one_sentence(records, sentence, write, tasks):
    with pytest.raises(ValueError, match=sentence) as error:
        read_samples(write(*records), tasks)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tasks, tmp_path):
    with pytest.raises(ValueError, match=r"gone\.jsonl cannot be read: No such file"):
        read_samples(tmp_path / "gone.jsonl", tasks)
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        benchmark_of(tmp_path)


def test_completions_of_multipl_e_are_put_behind_its_prompt(write):
    tasks = load_tasks("multipl-e:java", str(DATA.parent / "multipl_e"))
    file = write(*({"task_id": task.id, "completion": "        return null;\n"} for task in tasks))
    assert all(
        sample.solution.startswith(task.prompt) for sample, task in zip(read_samples(file, tasks), tasks, strict=True)
    )


_LONG = "x" * 100_000
_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.sampled_from(["HumanEval/0", _LONG, "\ud800"])
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_FIELDS = st.sampled_from(["task_id", "solution", "completion", "sample", "text", "finish_reason", "more"])


@given(
    st.lists(
        st.one_of(
            st.builds(lambda fields: answer(0) | fields, st.dictionaries(_FIELDS, _VALUES, max_size=2)),
            st.dictionaries(_FIELDS, _VALUES, max_size=4),
            _VALUES,
            st.binary(max_size=30),
        ),
        max_size=4,
    )
)
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_file_is_read_or_refused(write, humaneval, records):
    file = write(*(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in records))
    for read in (lambda: read_samples(file, humaneval[:1], ["HumanEval/2"]), lambda: benchmark_of(file)):
        try:
            read()
        except ValueError as error:
            message = str(error).removeprefix(str(file))
            assert len(message) < 300 and message.endswith(".") and "\n" not in message
