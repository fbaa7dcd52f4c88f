"""The viewer: terminal output by its marks, the page by its spans and mask data, errors by sentence and exit code."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from conftest import generation_row, make_tokenizer, reflection_row

from reflection_trl import DataCollatorForReflectionDistillation
from reflection_trl.rendering import ChatTemplateRenderer
from reflection_trl.sequences import BLOCK_TYPES, to_typed_blocks
from reflection_trl.training.config import EXECUTION_ROLES, RENDERINGS
from reflection_trl.training.masking import MASK_STRATEGIES, hidden_tokens, row_generator
from reflection_trl.viewers import tokens as show
from reflection_trl.viewers.tokens import command
from reflection_trl.viewers.tokens.terminal import Terminal, cell_width
from reflection_trl.viewers.tokens.view import CharacterTokenizer


ROWS = [reflection_row(0), generation_row(1), reflection_row(2, rounds=3)]
ANSI = re.compile(r"\x1b\[([\d;]*)m")


@pytest.fixture(scope="module")
def model(tokenizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    tokenizer.save_pretrained(path)
    return str(path)


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return str(path)


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def run(capsys, *args):
    assert show.main([str(arg) for arg in args]) == 0
    return capsys.readouterr().out


def fail(capsys, *args):
    try:
        code = show.main([str(arg) for arg in args])
    except SystemExit as exit:
        code = exit.code
    captured = capsys.readouterr()
    assert code == 1
    assert captured.out == ""
    assert captured.err.startswith("reflection-trl show: error: ")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def marked(output, part):
    """The marks and texts of the lines of a part."""
    lines = [line for line in output.splitlines() if line.startswith(f"{part} ") and line[17:18] == "|"]
    return [(line[12:13].strip(), line[14:16].strip(), line[19:]) for line in lines]


class Page(HTMLParser):
    """Spans of each row, with their classes and texts, and everything that could load something."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.links, self.sections = [], [], []
        self._stack = []
        self.feed(text)
        self.data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        names = (attrs.get("class") or "").split()
        self.links += [attrs[name] for name in ("src", "href", "srcset", "action") if attrs.get(name)]
        if tag == "article":
            self.rows.append([])
        elif tag == "section":
            self.sections.append((len(self.rows) - 1, names))
        elif tag == "span" and "t" in names and self.rows:
            self.rows[-1].append((set(names) - {"t"}, ""))
        if tag not in ("meta", "input", "br"):
            self._stack.append((tag, names))

    def handle_endtag(self, tag):
        self._stack.pop()

    def handle_data(self, data):
        if len(self._stack) > 1 and self._stack[-1][0] == "span" and "t" in self._stack[-1][1]:
            names, text = self.rows[-1][-1]
            self.rows[-1][-1] = (names, text + data)


def test_choices_are_those_of_the_settings():
    assert command.STRATEGIES == MASK_STRATEGIES
    assert command.RENDERINGS == RENDERINGS
    assert command.EXECUTION_ROLES == EXECUTION_ROLES


def test_a_row_without_a_tokenizer_waits_for_nothing_heavy(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(reflection_row()) + "\n")
    code = f"""
import sys
from reflection_trl.viewers import tokens
assert tokens.main([{str(rows)!r}, "--html", {str(tmp_path / "page.html")!r}]) == 0
assert tokens.main([{str(rows)!r}]) == 0
heavy = {{"torch", "transformers", "datasets", "trl"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["tokens", "browse"])
def test_help_is_quick(module):
    script = """
import importlib, sys
main = importlib.import_module(sys.argv[1]).main
try:
    main(["--help"])
except SystemExit as exit:
    assert exit.code == 0
heavy = {"torch", "transformers", "datasets", "trl", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script, f"reflection_trl.viewers.{module}"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "examples:" in done.stdout


def test_marks_without_color(data, capsys):
    output = run(capsys, data, "--rate", 0.5)
    assert "\x1b" not in output
    assert "Row 0, reflection" in output
    assert all(len(line) <= 100 for line in output.splitlines())
    assert {mark[:2] for mark in marked(output, "instruction")} == {("x", "")}
    assert {mark[:2] for mark in marked(output, "execution")} == {("x", "")}
    assert {mark[:2] for mark in marked(output, "text")} == {("x", ""), ("x", "T")}
    assert ("", "T", "```python") in marked(output, "code")
    assert {mark[:2] for mark in marked(output, "re-answer")} == {("", "")}
    assert {mark[:2] for mark in marked(output, "answer")} == {("", "TS")}
    assert "marks     x: hidden" in output


@pytest.mark.parametrize(
    ("rate", "hidden"), [(0, set()), (0.01, {"execution"}), (0.33, {"execution", "text"}), (1, None)]
)
def test_rates(data, capsys, rate, hidden):
    output = run(capsys, data, "--rate", rate)
    for part in ("execution", "text", "code"):
        expected = {"x"} if hidden is None or part in hidden else {""}
        assert {mark[0] for mark in marked(output, part)} == expected


def test_counts_are_those_of_the_masks(data, model, tokenizer, capsys):
    output = run(capsys, data, "--tokenizer", model, "--rate", 0.4, "--row", 2)
    columns = ChatTemplateRenderer(tokenizer).tokenize(ROWS[2])
    hidden = hidden_tokens(np.array(columns["block_ids"]), np.array(columns["block_types"]), 0.4)
    total, trained = len(columns["input_ids"]), sum(columns["loss_mask"])
    student = sum(columns["loss_mask"][columns["answer_start"] :])
    assert f"Row 2, reflection, {total} tokens" in output
    assert (
        f"hidden    {hidden.sum()} tokens ({hidden.mean():.0%}); the student sees {total - hidden.sum()} tokens"
        in output
    )
    assert f"trained   teacher {trained} tokens, student {student} tokens" in output
    assert f"blocks    {len(columns['block_types'])}: " in output


def test_tokens_are_shown_whole(data, model, tokenizer, capsys):
    output = run(capsys, data, "--tokenizer", model, "--color", "always")
    text = ANSI.sub("", output)
    assert "<|im_start|>tool" in text or "<tool_response>" in text
    for line in ROWS[0]["messages"][1]["content"].splitlines():
        assert line in text
    # Code is filled and underlined at this rate, execution struck, the answer bold and underlined
    codes = {codes for codes, _ in re.findall(r"\x1b\[([\d;]*)m([^\x1b]*)\x1b\[0m", output)}
    assert any(c.startswith("4;38;5;231;48;5;") for c in codes)
    assert any(c.startswith("9;") for c in codes) and any(c.startswith("4;9;") for c in codes)
    assert "1;4" in codes


def test_color_is_asked_for_by_terminals_only(data, capsys, monkeypatch):
    assert "\x1b" not in run(capsys, data)
    assert "\x1b" in run(capsys, data, "--color", "always")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert command._wants_color("auto")
    assert not command._wants_color("never")
    monkeypatch.setenv("TERM", "dumb")
    assert not command._wants_color("auto")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not command._wants_color("auto")


@pytest.mark.parametrize("width", [40, 57, 200])
@pytest.mark.parametrize("color", [False, True])
def test_lines_fit(width, color):
    row = reflection_row()
    row["messages"][2]["content"] = "x" * 300 + " 結果は正しくありません" * 20 + "\n\n\tend"
    masks = show.Masks(["block-type"], BLOCK_TYPES, 0, 0, 0.5)
    view = show.make_view(row, 0, ChatTemplateRenderer(CharacterTokenizer(), "tool"), masks)
    output = Terminal(width, color).show(view, masks, "by characters")
    assert max(cell_width(ANSI.sub("", line)) for line in output.splitlines()) <= width
    assert ANSI.sub("", output).count("x" * 20) >= 6  # nothing of the long line is lost


def test_contents_cannot_act_on_the_terminal(tmp_path, capsys):
    row = reflection_row()
    row["messages"][2]["content"] = "\x1b[2Jred\x07 \u202eabc \x9b"
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    output = run(capsys, path)
    assert "␛[2Jred␇ \\u202eabc \\u009b" in output
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", output)


def test_hidden_prefix_and_execution_role(tmp_path, model, capsys):
    row = reflection_row()
    row["messages"].insert(0, {"role": "system", "content": "Be brief."})
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert ("", "", "Be brief.∎") in marked(run(capsys, path), "prefix")
    output = run(capsys, path, "--hide_prefix")
    assert marked(output, "prefix") == []
    assert ("x", "", "Be brief.∎") in marked(output, "instruction")
    assert "execution in user turns" in run(capsys, path, "--tokenizer", model, "--execution_role", "user")


def test_block_tokens(data, model, capsys):
    output = run(
        capsys, data, "--tokenizer", model, "--rendering", "block-token", "--order", "text", "code", "execution"
    )
    assert "mask      rate 0.5, block-type (text, code, execution)" in output
    assert any("<|execution|>" in text for _, _, text in marked(output, "execution"))
    assert {mark[0] for mark in marked(output, "execution")} == {""}
    assert {mark[0] for mark in marked(output, "code")} == {"x"}


def test_generation_rows_have_no_student(data, capsys):
    output = run(capsys, data, "--row", 1)
    assert "a plain row has no student" in output
    assert {mark[:2] for mark in marked(output, "answer")} == {("", "T")}


def test_characters_that_span_tokens(tmp_path, model):
    row = reflection_row()
    row["messages"][-1]["content"] = "print('🦔')"
    from transformers import AutoTokenizer

    masks = show.Masks(["block-type"], BLOCK_TYPES, 0, 0, 0.5)
    renderer = ChatTemplateRenderer(AutoTokenizer.from_pretrained(model))
    view = show.make_view(row, 0, renderer, masks)
    assert "".join(piece.text for piece in view.pieces) == renderer.render(row).text
    assert sum(not piece.text for piece in view.pieces) == 3


@pytest.mark.parametrize("form", ["json", "jsonl", "parquet", "typed", "disk", "directory"])
def test_sources(tmp_path, form, capsys):
    from datasets import Dataset, DatasetDict

    rows = [reflection_row(i) for i in range(3)]
    path = tmp_path / f"rows.{form}"
    if form == "json":
        path.write_text(json.dumps(rows))
    elif form == "jsonl":
        path.write_text("\n\n".join(json.dumps(row) for row in rows))
    elif form == "parquet":
        Dataset.from_list(rows).to_parquet(path)
    elif form == "typed":
        path = tmp_path / "rows.jsonl"
        typed = [to_typed_blocks(row) for row in rows]
        path.write_text("\n".join(json.dumps({**row, "messages": json.dumps(row["messages"])}) for row in typed))
    elif form == "disk":
        DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(path)
    else:
        path = tmp_path / "data"
        path.mkdir()
        (path / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    capsys.readouterr()
    output = run(capsys, path, "--row", 2)
    assert "Row 2, reflection" in output
    assert ("", "T", "def f2(a):") in marked(output, "code")
    if form != "directory":
        assert "has 3 rows, 0 to 2." in fail(capsys, path, "--row", 3)


@pytest.mark.parametrize("strategy", MASK_STRATEGIES)
def test_page_holds_the_masks(data, model, tokenizer, tmp_path, strategy, capsys):
    out = tmp_path / "page.html"
    args = ["--strategy", strategy, "--seed", 3, "--step", 5, "--rate", 0.335, "--html", out]
    run(capsys, data, "--tokenizer", model, *args)
    page = Page(out.read_text(encoding="utf-8"))
    assert 0.335 in page.data["grid"] and len(page.data["grid"]) == 102
    renderer = ChatTemplateRenderer(tokenizer)
    assert [row["id"] for row in page.data["rows"]] == [0, 1, 2]
    for row_id in (0, 2):
        columns, shown = renderer.tokenize(ROWS[row_id]), page.data["rows"][row_id]
        assert shown["ids"] == columns["input_ids"]
        hidden_from = np.array(shown["hidden_from"])
        for rate in page.data["grid"]:
            level = sum(change <= rate for change, _ in shown["changes"]) - 1
            expected = hidden_tokens(
                np.array(columns["block_ids"]),
                np.array(columns["block_types"]),
                rate,
                strategy,
                rng=row_generator(3, 5, row_id),
            )
            np.testing.assert_array_equal((hidden_from >= 0) & (hidden_from <= level), expected)
            if rate == 0.335:  # also without any script
                assert [("h" in names) for names, _ in page.rows[row_id]] == expected.tolist()


def test_page_says_what_is_trained_on(data, model, tokenizer, tmp_path, capsys):
    out = tmp_path / "page.html"
    run(capsys, data, "--tokenizer", model, "--html", out)
    page = Page(out.read_text(encoding="utf-8"))
    for row_id, row in enumerate(ROWS):
        columns = ChatTemplateRenderer(tokenizer).tokenize(row)
        answer = columns["answer_start"] if row["type"] == "reflection" else len(columns["input_ids"])
        trained = [value + (value and index >= answer) for index, value in enumerate(columns["loss_mask"])]
        assert [("w" in names) + ("s" in names) for names, _ in page.rows[row_id]] == trained
        assert page.data["rows"][row_id]["trained"] == trained
        assert "".join(text for _, text in page.rows[row_id]) == tokenizer.decode(columns["input_ids"])
    labels = [names[1] for row, names in page.sections if row == 0]
    assert labels[:4] == ["prefix", "instruction", "text", "code"] and labels[-2:] == ["re-answer", "answer"]


@pytest.mark.parametrize("setting", ["true", "false"])
def test_failed_attempts_are_shown_as_training_takes_them(data, model, tokenizer, tmp_path, setting, capsys):
    """The trained tokens of the page are the loss mask of the collator with the same setting."""
    out = tmp_path / "page.html"
    run(capsys, data, "--rows", 3, "--tokenizer", model, "--html", out, "--train_on_failed_attempts", setting)
    collate = DataCollatorForReflectionDistillation(train_on_failed_attempts=setting == "true")
    renderer = ChatTemplateRenderer(tokenizer)
    rows = collate([{**renderer.tokenize(row), "row_id": index} for index, row in enumerate(ROWS)])["rows"]
    shown = [np.array(row["trained"]) > 0 for row in Page(out.read_text()).data["rows"]]
    for index, (trained, row) in enumerate(zip(shown, rows, strict=True)):
        assert trained[1:].tolist() == row.loss_mask[1:].tolist(), index
    everything = renderer.tokenize(ROWS[2])["loss_mask"]
    assert (int(shown[2].sum()) == sum(everything)) == (setting == "true") and shown[2].any()
    # Text and code of the first two of three attempts
    assert out.read_text().count("failed attempt, not trained on") == (0 if setting == "true" else 2 + 4)


def test_failed_attempts_in_the_terminal(data, capsys):
    everything = run(capsys, data, "--row", 2, "--rate", 0)
    assert [marks for _, marks, text in marked(everything, "code") if "return" in text] == ["T", "T", "T"]
    lines = run(capsys, data, "--row", 2, "--rate", 0, "--train_on_failed_attempts", "false")
    assert [marks for _, marks, text in marked(lines, "code") if "return" in text] == ["", "", "T"]
    assert "-- 2 code, 62 characters, failed attempt, not trained on, seen; hidden from" in lines
    assert "failed attempt" not in everything


def test_page_is_self_contained_and_safe(tmp_path, capsys):
    row = {**reflection_row(), "name": "</script><b>"}
    row["messages"][2]["content"] = "</span></script><script>alert(1)</script><!-- & \x00 {{ data }}"
    path, out = tmp_path / "a<b>.jsonl", tmp_path / "page.html"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    run(capsys, path, "--html", out)
    text = out.read_text(encoding="utf-8")
    page = Page(text)
    assert not re.search(r"https?:|url\(|@import|<link|<iframe|fetch\(|XMLHttpRequest", text)
    assert all(link == "#" or link.startswith("${") for link in page.links)
    assert "alert(1)" not in re.sub(r"&lt;script&gt;alert\(1\)", "", text)
    assert page.data["rows"][0]["labels"] == {"name": "</script><b>"}
    assert "{{ data }}" in "".join(text for _, text in page.rows[0])
    assert "\x00" not in text


def test_rows_of_a_page(data, tmp_path, capsys):
    out = tmp_path / "page.html"
    for args, ids in [
        ([], [0, 1, 2]),
        (["--rows", "1-2"], [1, 2]),
        (["--row", 1, "--rows", 1], [1]),
        (["--rows", "2-9"], [2]),
    ]:
        run(capsys, data, "--html", out, *args)
        page = Page(out.read_text(encoding="utf-8"))
        assert [row["id"] for row in page.data["rows"]] == ids
        assert len(page.rows) == len(ids)


def test_page_names_rows_that_training_does_not_use(tmp_path, capsys):
    path, out = tmp_path / "rows.jsonl", tmp_path / "page.html"
    bad = {**reflection_row(), "type": "other"}
    path.write_text(f"{json.dumps(bad)}\n{json.dumps(reflection_row())}\n")
    run(capsys, path, "--html", out)
    page = Page(out.read_text(encoding="utf-8"))
    assert "must be 'reflection' or 'generation'" in page.data["rows"][0]["problem"]
    assert page.data["rows"][1]["problem"] is None
    assert "Row 0 of" in fail(capsys, path)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--row", 3], "Row 3 is out of range: '{data}' has 3 rows, 0 to 2."),
        (["--row", -1], "'-1' is not a number"),
        (["--rate", 1.5], "'1.5' is not a mask rate; give a number from 0 to 1."),
        (["--rate", "nan"], "'nan' is not a mask rate"),
        (["--rate", "half"], "'half' is not a mask rate"),
        (["--rows", "9-2"], "'9-2' is not a number of rows"),
        (["--row", 0, "--rows", "1-2"], "Give either `--row`, or a range `--rows A-B`, not both."),
        (["--rat", 0.5], "unrecognized argument: --rat; did you mean `--rate`?"),
        (["--rows", "0"], "'0' is not a number of rows"),
        (["--strategy", "random"], "invalid choice: 'random'"),
        (["--strategy", "random-token"], "`--strategy random-token` hides single tokens, so it needs a tokenizer"),
        (["--order", "text", "text", "code"], "names a type twice"),
        (["--rendering", "block-token"], "needs a tokenizer"),
        (["--tokenizer", "/no/such/model"], "The tokenizer '/no/such/model' cannot be loaded"),
        (["--chat_template_kwargs", "[1]"], "is not a JSON object"),
        (["--html", "/no/such/directory/page.html"], "cannot be written"),
    ],
)
def test_errors(data, capsys, args, sentence):
    assert sentence.format(data=data) in fail(capsys, data, *args)


def test_errors_of_sources(tmp_path, capsys):
    assert "there is no such file or folder" in fail(capsys, tmp_path / "none.jsonl")
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "answer": "b"}\n')
    assert "has no column `messages`, only prompt, answer; rows need `messages`" in fail(capsys, path)
    path.write_text('{"prompt": "a", "completion": "b"}\n')  # a form that is read
    assert show.main([str(path)]) == 0 and "generation" in capsys.readouterr().out
    path.write_text("[1, 2]\n")
    assert "values that are not objects" in fail(capsys, path)
    path.write_text("not JSON\n")
    assert "line 1 of" in fail(capsys, path)
    path.write_text("")
    assert "has no rows" in fail(capsys, path)
    path = tmp_path / "rows.parquet"
    path.write_text("not Parquet")
    assert "cannot be read: Parquet" in fail(capsys, path)
    path = tmp_path / "rows.txt"
    path.write_text("a,b")
    assert "rows are read from .json, .jsonl, .parquet, .csv, .tsv files, one kind at a time" in fail(capsys, path)
    assert "'nobody/no-such-dataset' cannot be read" in fail(capsys, "nobody/no-such-dataset")


def test_tokenizer_without_chat_template(data, tmp_path, capsys):
    make_tokenizer(["<eos>"], None, eos_token="<eos>").save_pretrained(tmp_path / "plain")
    assert "has no chat template" in fail(capsys, data, "--tokenizer", tmp_path / "plain")
    (tmp_path / "t.jinja").write_text(
        "{% for m in messages %}[{{ m['role'] }}]\n{{ m['content'] }}<eos>\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant]\n{% endif %}"
    )
    args = ["--tokenizer", tmp_path / "plain", "--chat_template_path", tmp_path / "t.jinja"]
    assert ("", "", "[assistant]") in marked(run(capsys, data, *args), "re-answer")
