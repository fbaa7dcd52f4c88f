"""The gap between a teacher that has seen a sequence and a student that has not, on scripted models and a tiny one."""

import asyncio
import contextlib
import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from builder.conftest import RunsHere
from conftest import make_tokenizer, trl_template
from transformers import Qwen2Config, Qwen2ForCausalLM

from reflection_trl.answers import read_answer
from reflection_trl.files.rows import read_rows
from reflection_trl.files.run_folder import RunError
from reflection_trl.gap import GapSettings, measure_gap, measure_tokens
from reflection_trl.gap.answers import agrees, choose_rows, make_tasks, request_key
from reflection_trl.gap.report import summarize
from reflection_trl.gap.tokens import TokenGap, TokenGroup, content_tokens
from reflection_trl.generation import GenerationArguments, Sampling
from reflection_trl.generation.types import Completion, GenerationError


def fenced(code, lead="", tail=""):
    return "\n\n".join(part for part in (lead, f"```python\n{code}\n```", tail) if part)


def right(number):
    return fenced(f"def f{number}(x):\n    return {number} * x")


def make_row(number, tests=True):
    messages = [
        {"role": "user", "content": "Solve and test."},
        {"role": "assistant", "content": right(number)},
        {"role": "tool", "content": "(no output)"},
        {"role": "user", "content": f"Write f{number}(x), {number} times x."},
        {"role": "assistant", "content": right(number)},
    ]
    return {
        "messages": messages,
        "type": "reflection",
        "problem_id": f"t/{number}",
        "tests": f"assert f{number}(2) == {2 * number}" if tests else "",
        "examples": [],
        "entry_point": f"f{number}",
        "language": "python",
    }


ROWS = [make_row(number) for number in range(3, 13)]


class Model:
    """Answers as `say(number, with_sequence, sample)` does, where samples to a request are counted from 0."""

    model = "scripted"

    def __init__(self, say):
        self.say, self.calls, self.samples = say, 0, {}

    async def __call__(self, prompt, sampling):
        self.calls += 1
        number, taught = int(prompt[-1]["content"].split("f")[1].split("(")[0]), len(prompt) > 1
        sample = self.samples[number, taught] = self.samples.get((number, taught), -1) + 1
        said = self.say(number, taught, sample)
        return said if isinstance(said, Completion) else Completion(said, "stop", 50, 20)


def measure(tmp_path, say, rows=ROWS, **options):
    model = say if isinstance(say, Model) else Model(say)
    settings = GapSettings(**{"samples": 2, **options})
    gap = measure_gap(
        rows, settings=settings, generate=model, execute=RunsHere(), output_dir=tmp_path / "gap", progress=False
    )
    return gap, model


WRONG = fenced("def f(x):\n    return 0")


def test_a_teacher_that_solves_more(tmp_path):
    gap, model = measure(tmp_path, lambda number, taught, sample: right(number) if taught or sample else WRONG)
    assert model.calls == 40 and (gap.rows, gap.requests) == (10, 10)
    assert (gap.teacher.solved.value, gap.student.solved.value, gap.difference) == (1.0, 0.5, 0.5)
    assert (gap.low, gap.high) == pytest.approx((0.2225, 0.7775), abs=1e-4) and gap.p_value < 0.01
    assert (
        gap.advice
        == "Train on these rows, and compare distillation with SFT: the teacher solves more than the student, "
        "+50.0 [+22.2, +77.8] points."
    )
    written = json.loads((tmp_path / "gap/gap.json").read_text())
    assert written["difference"] == 0.5 and written["advice"] == gap.advice and written["agreement"] == 0
    # All requests agree, so the width is Wilson's for ten
    assert "| right | 100.0% [72.2%, 100.0%] | 50.0% [23.7%, 76.3%] |" in gap.table() and gap.advice in gap.table()


def test_the_interval_says_what_the_test_says(tmp_path):
    """Four requests that all differ are no evidence (p = 1/8), however narrow their bootstrap is."""
    gap, _ = measure(tmp_path, lambda number, taught, sample: right(number) if taught else WRONG, ROWS[:4])
    assert gap.difference == 1 and gap.p_value == pytest.approx(1 / 8, abs=0.02) and gap.low <= 0
    assert gap.advice.startswith(
        "Measure more rows (`--rows`): with 4 requests the gap is +100.0 [-100.0, +100.0] points"
    )
    assert replace(gap, low=-0.02, high=0.05).advice.startswith("SFT on the answers will do as well")
    gap, _ = measure(tmp_path / "none", lambda *_: WRONG, ROWS[:3])
    assert gap.low < 0 < gap.high and gap.teacher.solved.low == 0 < gap.teacher.solved.high < 1


def test_rows_weigh_their_request():
    """Three rows on one request and one on each of two others, against every resample of the requests."""
    rows = [make_row(number) for number in (3, 3, 3, 4, 5)]
    records = [
        {"context": context, "key": key, "sample": 0, "solved": solved, "tokens": 1, "judged_by": "tests"}
        | dict.fromkeys(("tests", "leaning", "no_code", "cut", "docstring", "prose"), False)
        for context, key, solved in [
            *(("teacher", f"row {index}", index < 4) for index in range(5)),
            *(("student", request_key(row), number == 4) for number, row in zip((3, 4, 5), rows[2:], strict=True)),
        ]
    ]
    gap = summarize(list(enumerate(rows)), records)
    assert (gap.teacher.solved.value, gap.student.solved.value, gap.difference) == pytest.approx((0.8, 0.2, 0.6))
    # The shares of 27 equally likely resamples of requests with 3, 1 and 1 rows
    weights, solved = np.array([3, 1, 1]), np.array([1, 1, 0])
    means = [(weights[[*d]] * solved[[*d]]).sum() / weights[[*d]].sum() for d in itertools.product(range(3), repeat=3)]
    low, high = np.quantile(np.repeat(means, 1000), [0.025, 0.975])
    assert (gap.teacher.solved.low, gap.teacher.solved.high) == pytest.approx((low, high), abs=0.01)
    assert gap.teacher.solved.high <= 1 and gap.high <= 1


@pytest.mark.parametrize(
    ("say", "advice"),
    [
        (lambda number, taught, sample: right(number) if number % 2 else WRONG, "Measure more rows (`--rows`): with 10 requests"),
        (lambda number, taught, sample: WRONG if taught and number > 4 else right(number), "Take harder problems"),
        (lambda number, taught, sample: right(number) if not sample and (number < 5 or not taught) else WRONG, "Do not distill"),
        (lambda number, taught, sample: WRONG if taught else right(number), "Repair these rows first: no answer after a sequence"),
        (lambda number, taught, sample: WRONG, "Repair these rows first: no answer after a sequence"),
        (
            lambda number, taught, sample: right(number).replace("\n```", f"\n\nassert f{number}(1) == {number}\n```") if taught else WRONG,
            "Repair these rows first: 100% of the teacher's answers contain tests, against 0%",
        ),
        (
            lambda number, taught, sample: ("Here is the corrected version.\n\n" if taught else "") + right(number),
            "Repair these rows first: 100% of the teacher's answers refer to earlier attempts, against 0%",
        ),
        (
            lambda number, taught, sample: Completion(right(number), "length") if taught and sample else right(number),
            "Repair these rows first: 50% of the teacher's answers are truncated, against 0%",
        ),
        (lambda number, taught, sample: "No." if taught and sample else right(number), "Repair these rows first: 50% of the teacher's answers contain no program or final answer"),
    ],
)  # fmt: skip
def test_advice(tmp_path, say, advice):
    gap, _ = measure(tmp_path, say)
    assert gap.advice.startswith(advice), gap.advice


def test_rows_on_one_request_share_the_students_answers_and_count_each(tmp_path):
    other = make_row(3)
    other["messages"] = [{"role": "user", "content": "Solve it in another way."}, *other["messages"][1:]]
    rows = [ROWS[0], other, ROWS[1]]
    gap, model = measure(
        tmp_path, lambda number, taught, sample: right(number) if taught and number == 3 else WRONG, rows
    )
    assert model.calls == 2 * (3 + 2) and (gap.rows, gap.requests) == (3, 2)
    assert gap.teacher.solved.value == pytest.approx(2 / 3) and gap.difference == pytest.approx(2 / 3)
    assert gap.teacher.solved.low == 0 and gap.teacher.solved.high == 1  # by requests, of which there are two


def test_where_there_are_no_tests_the_rows_own_program_is_the_judge(tmp_path):
    rows = [make_row(number, tests=False) for number in (3, 4)]
    commented = lambda number: fenced(f'def f{number}(x):\n    """Times."""\n    return {number} * x  # so', "Sure.")  # noqa: E731
    gap, _ = measure(tmp_path, lambda number, taught, sample: commented(number) if taught else WRONG, rows)
    assert gap.teacher.solved.value == 1 and gap.student.solved.value == 0 and gap.agreement == 2
    assert "2 rows have no tests" in gap.table()
    assert gap.teacher.docstring == gap.teacher.prose == 1
    row = make_row(3) | {
        "language": "cpp",
        "messages": [*ROWS[0]["messages"][:-1], {"role": "assistant", "content": "```cpp\nint f;\n```"}],
    }
    assert agrees(read_answer("```cpp\nint\n  f;\n```", "cpp"), row) and not agrees(read_answer("no", "cpp"), row)


def test_what_was_sampled_is_kept(tmp_path):
    class Ends(Model):
        async def __call__(self, prompt, sampling):
            if self.calls >= 15:
                raise GenerationError("Gone.")
            return await super().__call__(prompt, sampling)

    say = lambda number, taught, sample: right(number)  # noqa: E731
    with pytest.raises(GenerationError, match="Gone"):
        measure(tmp_path, Ends(say))
    gap, model = measure(tmp_path, say)
    assert model.calls == 25 and gap.teacher.answers + gap.student.answers == 40
    again, model = measure(tmp_path, say)
    assert again == gap and model.calls == 0
    with pytest.raises(RunError, match="contains a run with samples = 2"):
        measure(tmp_path, say, samples=3)


@pytest.mark.parametrize(
    "other",
    [
        {"messages": ROWS[2]["messages"]},
        {"tests": "assert False"},
        {"examples": [{"stdin": "1", "stdout": "2"}]},
        {"entry_point": "g"},
        {"language": "cpp"},
        {"answer": "3", "checker": "math"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_answers_judged_by_something_else_are_another_gap(tmp_path, other):
    say = lambda number, taught, sample: right(number)  # noqa: E731
    measure(tmp_path, say, ROWS[:2])
    with pytest.raises(RunError, match='contains a run with dataset = "2 rows, '):
        measure(tmp_path, say, [ROWS[0] | other, ROWS[1]])


def test_a_gap_belongs_to_a_model(tmp_path, monkeypatch):
    served = iter(["first", "second"])
    monkeypatch.setattr(
        "reflection_trl.gap.measure.with_served_name", lambda given: replace(given, model_name_or_path=next(served))
    )
    monkeypatch.setattr(
        "reflection_trl.gap.measure.open_generator", lambda given: contextlib.nullcontext(Model(lambda *_: WRONG))
    )

    def run(**generation):
        options = {"settings": GapSettings(samples=1, token_rows=0), "execute": RunsHere(), "progress": False}
        return measure_gap(
            ROWS[:1], output_dir=tmp_path / "gap", generation=GenerationArguments(**generation), **options
        )

    run(base_url="http://localhost:8000/v1")
    assert json.loads((tmp_path / "gap/run.json").read_text())["model"] == "first"
    with pytest.raises(RunError, match='contains a run with model = "first", not model = "second"'):
        run(base_url="http://localhost:8000/v1")
    monkeypatch.setattr("reflection_trl.gap.measure.with_served_name", lambda given: given)
    with pytest.raises(RunError, match='contains a run with revision = null, not revision = "old"'):
        run(model_name_or_path="first", model_revision="old")
    with pytest.raises(ValueError, match="`model` is 'a', but `generation` names the model too; pass one of them"):
        measure_gap(ROWS, "a", generation=GenerationArguments(model_name_or_path="b"), output_dir=tmp_path / "new")


def test_different_requests_have_different_keys():
    # Their CRC-32 is equal
    texts = "Write f9(x), plumless times x.", "Write f9(x), buckeroo times x."
    keys = {request_key({"messages": [{"role": "user", "content": text}] * 3}) for text in texts}
    assert len(keys) == 2


def test_fewer_rows_are_chosen_by_the_seed():
    settings = GapSettings(rows=4, seed=1)
    plain = {"messages": ROWS[0]["messages"][-2:], "type": "generation"}
    chosen = choose_rows([plain, *ROWS], settings)
    assert len(chosen) == 4 and chosen == sorted(chosen, key=lambda pair: pair[0]) and chosen[0][0] > 0
    assert chosen == choose_rows([plain, *ROWS], settings) != choose_rows([plain, *ROWS], GapSettings(rows=4, seed=2))
    tasks = make_tasks(chosen, settings)
    assert {task.context for task in tasks} == {"teacher", "student"} and len(tasks) == 4 * 2 * 4
    system = ROWS[0] | {"messages": [{"role": "system", "content": "Be brief."}, *ROWS[0]["messages"]]}
    *_, student = make_tasks([(0, system)], settings)
    assert [turn["role"] for turn in student.chat] == ["system", "user"]


def test_bad_input_is_reported_in_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="`samples` must be at least 1, got 0"):
        GapSettings(samples=0)
    with pytest.raises(ValueError, match="4 samples at temperature 0 are all the same"):
        GapSettings(sampling=Sampling(0.0))
    plain = {"messages": ROWS[0]["messages"][-2:], "type": "generation"}
    with pytest.raises(ValueError, match="None of the 1 rows is a reflection row"):
        measure(tmp_path, lambda *_: WRONG, [plain])
    with pytest.raises(ValueError, match="No model specified"):
        measure_gap(ROWS, output_dir=tmp_path / "none")
    with pytest.raises(ValueError, match="there is no such file or folder"):
        read_rows(str(tmp_path / "none.parquet"))
    assert not [*tmp_path.iterdir()]


# Tokens


def test_content_is_code_that_is_no_comment():
    answer = 'Sure:\n\n```python\ndef f(x):  # two\n    """Twice."""\n    return "#" + x\n```\n\nIt adds.'
    spans = [(start, start + 1) for start in range(len(answer))]
    content = content_tokens(answer, *np.array(spans).T)
    kept = "".join(character for character, one in zip(answer, content, strict=True) if one)
    assert kept == 'deff(x):return"#"+x'
    # Characters that end a line for `str.splitlines` only
    answer = '```python\nx = "a\x0cb\u2028c"\n# remark\ny = 1\n```'
    content = content_tokens(answer, np.arange(len(answer)), np.arange(len(answer)) + 1)
    kept = "".join(character for character, one in zip(answer, content, strict=True) if one)
    assert kept == 'x="abc"y=1'
    broken = "```python\ndef f(:  # two\n```"
    content = content_tokens(broken, np.arange(len(broken)), np.arange(len(broken)) + 1)
    assert "".join(character for character, one in zip(broken, content, strict=True) if one) == "deff(:"


def test_rows_that_the_template_cannot_express_name_the_way_out():
    tokenizer = make_tokenizer(["<|im_start|>", "<|im_end|>"], eos_token="<|im_end|>", chat_template=(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | upper }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ))  # fmt: skip
    with pytest.raises(
        ValueError, match=r"\(the chat template rewrites the content .*\): set `token_rows` to 0 to leave"
    ):
        measure_tokens(ROWS[:2], GenerationArguments(model_name_or_path="m"), object(), tokenizer)


def test_predictions_are_those_of_two_plain_passes():
    tokenizer = make_tokenizer(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        trl_template("qwen2_5"),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    model = Qwen2ForCausalLM(config).eval()
    gap = measure_tokens(ROWS[:2], GenerationArguments(model_name_or_path="m"), model, tokenizer)
    assert gap.rows == 2 and gap.content.tokens and gap.style.tokens
    losses = np.zeros(3)
    count = 0
    for row in ROWS[:2]:
        text = tokenizer.apply_chat_template(row["messages"], tokenize=False).rstrip("\n")
        prompts = [
            tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            for turns in (row["messages"][:-1], row["messages"][-2:-1])
        ]
        answer = tokenizer(text.removeprefix(prompts[0]))["input_ids"]
        logs = []
        for prompt in prompts:
            before = tokenizer(prompt)["input_ids"]
            logits = model(torch.tensor([before + answer])).logits[0, len(before) - 1 : -1]
            logs.append(logits.log_softmax(-1))
        teacher, student = logs
        losses[0] -= sum(teacher[place, token].item() for place, token in enumerate(answer))
        losses[1] -= sum(student[place, token].item() for place, token in enumerate(answer))
        losses[2] += (teacher.exp() * (teacher - student)).sum().item()
        count += len(answer)
    groups = (gap.content, gap.style)
    assert sum(group.tokens for group in groups) == count
    for name, total in zip(("teacher_loss", "student_loss", "divergence"), losses, strict=True):
        assert sum(group.tokens * getattr(group, name) for group in groups) == pytest.approx(total, rel=1e-4)
    assert 0 < gap.style_share < 1 and "nan" not in gap.table()


def test_shares_of_nothing():
    assert TokenGap(1).style_share == 0 and TokenGap(1, style=TokenGroup(tokens=1, divergence=2.0)).style_share == 1


def test_a_model_in_this_process(tmp_path):
    """From a folder to the report, with a model that says nothing sensible."""
    tokenizer = make_tokenizer(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        trl_template("qwen2_5"),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    Qwen2ForCausalLM(config).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    generation = GenerationArguments(model_name_or_path=str(tmp_path / "model"), backend="transformers")
    settings = GapSettings(samples=2, rows=2, token_rows=1, sampling=Sampling(0.7, 0.95, 8))
    options = {"settings": settings, "generation": generation, "execute": RunsHere(), "progress": False}
    gap = measure_gap(ROWS, output_dir=tmp_path / "gap", **options)
    assert gap.tokens is not None and gap.tokens.rows == 1 and gap.advice.startswith("Repair these rows first")
    assert asyncio.run(asyncio.sleep(0, True))  # no event loop is left running


# The command


def test_the_command(tmp_path, monkeypatch, capsys):
    from reflection_trl.cli import gap as command

    monkeypatch.chdir(tmp_path)
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    seen = {}

    def stand_in(rows, **options):
        seen.update(options, rows=rows)
        return measure(tmp_path, lambda number, taught, sample: right(number))[0]

    monkeypatch.setattr("reflection_trl.gap.measure_gap", stand_in)
    argv = [
        "--dataset_name",
        str(file),
        "--model_name_or_path",
        "m",
        "--samples",
        "3",
        "--temperature",
        "0.5",
        "--rows",
        "7",
    ]
    assert command.main(argv) == 0
    assert len(seen["rows"]) == 10 and seen["generation"].model == "m" and seen["output_dir"] == "out/gap"
    assert seen["settings"] == GapSettings(samples=3, rows=7, sampling=Sampling(0.5, 0.95, 1024))
    out = capsys.readouterr().out
    assert "Take harder problems" in out and "Figures: out/gap/gap.json" in out
    for argv, message in (
        (["--model_name_or_path", "m"], "No rows specified: pass --dataset_name"),
        (["--dataset_name", str(file)], "No model specified:"),
        (["--dataset_name", "gone.jsonl", "--model_name_or_path", "./gone"], "The model folder './gone' does not"),
        (
            ["--dataset_name", str(file), "--model_name_or_path", "m", "--samples", "0"],
            "`samples` must be at least 1, got 0.",
        ),
    ):
        assert command.main(argv) == 1
        assert message in capsys.readouterr().err
