"""The reader: what it shows of rows of every shape, and the page in a real browser where there is one."""

import json

import chromium
import pytest
from conftest import generation_row, reflection_row

from reflection_trl.builder.features import sequence_features
from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.sequences import to_typed_blocks
from reflection_trl.viewers import browse


COLUMNS = list(sequence_features())
HOSTILE = (
    "</script><script>globalThis.owned = 1; alert(1)</script><img src=x onerror='globalThis.owned = 2'>"
    "{{ data }} <!-- \u202egnirts\u202c \x00\x1b[2J \u2028 \ud800 '\"`${1}` \\u003c"
)


def run(kind, **fields):
    return Feedback(FeedbackKind(kind), text="what the run printed", **fields).to_dict()


def built_row(index=0, kinds=("assertion", "none"), **columns):
    """A row as the builder writes it: a program for each of `kinds`, which is what came of it."""
    messages = [{"role": "user", "content": f"Task {index}: write `double(x)`, test it and repair it."}]
    feedback = []
    for number, kind in enumerate(kinds):
        code = f"def double(x):\n    return x * {number + 3}\n\nassert double(2) == 4"
        messages.append({"role": "assistant", "content": f"Attempt {number}.\n\n```python\n{code}\n```"})
        messages.append({"role": "tool", "content": "what the run printed"})
        failure = {"error_type": "AssertionError", "message": "six is not four", "file": "program", "line": 4}
        values = {
            "source_line": "assert double(2) == 4",
            "assertion": "double(2) == 4",
            "actual": "6",
            "expected": "4",
        }
        feedback.append(run(kind, **({} if kind == "none" else failure | values)))
    answer = "Here it is.\n\n```python\ndef double(x):\n    return x * 2\n```"
    messages += [
        {"role": "user", "content": f"Please write a function `double`, number {index}."},
        {"role": "assistant", "content": answer},
    ]
    row = dict.fromkeys(COLUMNS) | {
        "messages": messages,
        "type": "reflection",
        "feedback": feedback,
        "problem_id": f"problem/{index}",
        "sample": 0,
        "language": "python",
        "tests": "assert double(5) == 10",
        "rounds": len(kinds),
        "repaired": "none" in kinds and len(kinds) > 1,
        "wrong_asserts": [],
        "source": "puzzles",
        "model": "some/model",
    }
    return row | columns


def write_rows(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def build(tmp_path):
    """The folder of a run with rows of every status."""
    folder = tmp_path / "build"
    accepted = [
        built_row(0, ("none",)),
        built_row(1, ("syntax", "assertion", "none"), wrong_asserts=["assert double(1) == 3"]),
        built_row(2, ("name", "none"), source="mbpp", language="java"),
    ]
    rejected = built_row(3, ("assertion",), rejection="rounds_exhausted", detail="No program passed in 1 round.")
    rejected["messages"] = rejected["messages"][:3]
    write_rows(folder / "rows" / "accepted-00000.jsonl", accepted[:2])
    write_rows(folder / "rows" / "accepted-00001.jsonl", accepted[2:])
    write_rows(folder / "rows" / "rejected-00000.jsonl", [rejected])
    write_rows(folder / "rows" / "set_aside-00000.jsonl", [built_row(4, ("none",))])
    (folder / "run.json").write_text("{}")
    return folder


def page_of(tmp_path, *rows, name="page.html"):
    path = tmp_path / name
    shown = [browse.page_row(row, str(index)) for index, row in enumerate(rows)]
    path.write_text(browse.render_page(shown, "rows"), encoding="utf-8")
    return path


def data_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(text.split('<script type="application/json" id="data">')[1].split("</script>")[0])


def main(capsys, *args):
    try:
        code = browse.main([str(arg) for arg in args])
    except SystemExit as exit:
        code = exit.code
    return code, capsys.readouterr()


# Rows as data


def test_blocks_of_a_built_row():
    shown = browse.page_row(built_row(), "7", "accepted")
    assert [(block["label"], block["kind"]) for block in shown["blocks"]] == [
        ("instruction", "text"),
        ("analysis", "text"),
        ("code", "code"),
        ("execution", "execution"),
        ("analysis", "text"),
        ("code", "code"),
        ("execution", "execution"),
        ("request", "text"),
        ("answer", "text"),
        ("answer", "code"),
    ]
    assert shown["blocks"][2]["text"].startswith("def double(x):\n    return x * 3")
    assert shown["blocks"][3]["feedback"]["expected"] == "4"
    assert shown["blocks"][6]["feedback"] == {"kind": "none"}
    assert shown["facets"] | {"rounds": None} == {
        "status": ["accepted"],
        "rejection": [],
        "outcome": ["repaired"],
        "failure": ["assertion"],
        "rounds": None,
        "solve_rate": [],
        "language": ["python"],
        "source": ["puzzles"],
        "model": ["some/model"],
        "type": ["reflection"],
    }
    assert shown["facets"]["rounds"] == ["2"]
    assert (shown["failed"], shown["passed"], shown["title"]) == (
        1,
        True,
        "Please write a function `double`, number 0.",
    )
    assert "problem" not in shown


def test_every_column_of_the_builder_is_shown_somewhere():
    values = dict.fromkeys(sequence_features(rejected=True), "some value")
    row = values | built_row() | {"rejection": "tests_failed", "detail": "why", "wrong_asserts": ["assert 0"]}
    row |= {name: "some value" for name in row if row[name] is None}
    shown = browse.page_row(row, "0")
    reported = set(shown) | set(shown["facts"]) | set(shown["more"]) | set(shown["facets"])
    assert set(row) - reported <= {"messages", "feedback", "repaired"}


def test_titles_of_rejected_rows_tell_them_apart():
    """Their last turn of the user may be the instruction, which begins alike in all rows of a build."""
    rows = [built_row(number, ("assertion",), rejection="rounds_exhausted") for number in range(3)]
    rows.append(rows[2] | {"sample": 1, "rejection": "wrong_assert"})
    for row in rows:
        row["messages"] = [{"role": "user", "content": "Reflect. " * 60 + row["problem_id"]}]
    assert [browse.page_row(row, "0")["title"] for row in rows] == [
        "problem/0 (sample 0) · rounds exhausted",
        "problem/1 (sample 0) · rounds exhausted",
        "problem/2 (sample 0) · rounds exhausted",
        "problem/2 (sample 1) · wrong assert",
    ]
    named = browse.page_row(rows[0] | {"problem_id": "x " * 100}, "0")["title"]
    assert len(named) == 90 and named.endswith("… · rounds exhausted")
    nameless = browse.page_row(rows[0] | {"problem_id": None}, "0")["title"]
    assert nameless.startswith("Reflect.") and nameless.endswith(" · rounds exhausted")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Add.", "completion": "```python\n1 + 1\n```"},
        {"conversations": [{"from": "human", "value": "Add."}, {"from": "gpt", "value": "```python\n1 + 1\n```"}]},
        {"messages": [{"role": "user", "content": "Add."}, {"role": "assistant", "content": "```python\n1 + 1\n```"}]},
    ],
)
def test_every_form_of_rows_is_shown(row, tmp_path, capsys):
    code, printed = main(capsys, write_rows(tmp_path / "rows.jsonl", [row]), "--output", tmp_path / "page.html")
    assert (code, printed.err) == (0, "")
    (shown,) = data_of(tmp_path / "page.html")["rows"]
    assert (shown["title"], [block["text"] for block in shown["blocks"]]) == ("Add.", ["Add.", "1 + 1"])
    assert shown["facets"]["type"] == ["generation"] and not {"problem", "more"} & set(shown)


def test_a_row_that_training_refuses_is_shown_in_its_form():
    row = {"conversations": [{"from": "gpt", "value": "First."}, {"from": "human", "value": "Second."}]}
    shown = browse.page_row(row, "0")
    assert [block["text"] for block in shown["blocks"]] == ["First.", "Second."] and shown["problem"]


@pytest.mark.parametrize(
    ("kinds", "outcome"),
    [
        (("none",), "first try"),
        (("value", "none"), "repaired"),
        (("value", "type"), "never passed"),
        ((), "nothing run"),
    ],
)
def test_outcomes(kinds, outcome):
    assert browse.page_row(built_row(kinds=kinds), "0")["facets"]["outcome"] == [outcome]


@pytest.mark.parametrize(
    ("output", "feedback"),
    [
        ("all 3 tests passed without an Error", {"kind": "none"}),
        ("ValueError: as it should be\nok", {"kind": "none"}),
        (
            'Traceback (most recent call last):\n  File "main.py", line 2, in <module>\ndecimal.InvalidOperation: no\n\n'
            'During handling of the above:\n  File "main.py", line 3, in f\nZeroDivisionError: division by zero',
            {"kind": "value", "error_type": "ZeroDivisionError", "line": 3},
        ),
        (
            '  File "main.py", line 1\n    f(\n     ^\nSyntaxError: never closed',
            {"kind": "syntax", "error_type": "SyntaxError", "line": 1},
        ),
        (
            "-----\nAssertionError           Traceback (most recent call last)\nCell In[1], line 5\n----> 5 assert f() == 1\n\nAssertionError: ",
            {"kind": "assertion", "error_type": "AssertionError", "line": 5},
        ),
    ],
)
def test_plain_rows_are_judged_by_their_output(output, feedback):
    row = reflection_row(rounds=1)
    next(message for message in row["messages"] if message["role"] == "tool")["content"] = output
    runs = [block["feedback"] for block in browse.page_row(row, "0")["blocks"] if "feedback" in block]
    assert runs[0] == feedback | {"guessed": True}


def test_published_form_and_generation_rows():
    plain = browse.page_row(reflection_row(), "0")
    for typed in (
        to_typed_blocks(reflection_row()),
        to_typed_blocks(reflection_row()) | {"messages": json.dumps(to_typed_blocks(reflection_row())["messages"])},
    ):
        assert browse.page_row(typed, "0") == plain
    generation = browse.page_row(generation_row(), "0")
    assert {block["label"] for block in generation["blocks"]} <= {"system", "request", "answer"}
    assert generation["facets"]["outcome"] == ["plain row"]


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        "not JSON",
        3,
        [None],
        [{"role": "user"}],
        [{"role": None, "content": 1}],
        [{"role": "user", "content": {"a": 1}}],
        [{"role": "assistant", "content": "x", "blocks": [{"length": "x"}]}],
    ],
)
def test_broken_rows_are_shown_with_what_is_wrong(messages):
    shown = browse.page_row({"messages": messages, "type": "reflection"}, "0")
    assert shown["problem"].endswith(".")
    json.dumps(shown)


def test_strange_columns():
    row = built_row(sample=float("nan"), source={"name": ["x"]}, extra=b"\xff", feedback=[None, 3], huge="x" * 10**6)
    shown = browse.page_row(row, "0")
    assert len(json.dumps(shown, allow_nan=False)) < 20_000
    assert shown["facets"]["source"] == ['{"name": ["x"]}']
    assert shown["more"]["extra"] == "b'\\xff'"
    records = (
        [{"kind": 3}, {"kind": "none"}],
        [{"kind": "value", "message": {"a": 1}}, {"kind": "none"}],
        "x",
        {"kind": "type"},
    )
    for feedback in records:
        json.dumps(browse.page_row(built_row(feedback=feedback, wrong_asserts=3), "0"), allow_nan=False)


# Reading and the command line


def test_files_of_every_kind(tmp_path, capsys):
    from datasets import Dataset

    rows = [built_row(index) for index in range(3)]
    write_rows(tmp_path / "rows.jsonl", rows)
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    dataset = Dataset.from_list(rows, features=sequence_features())
    dataset.to_parquet(tmp_path / "rows.parquet")
    dataset.save_to_disk(tmp_path / "saved")
    capsys.readouterr()  # progress bars
    pages = []
    for name in ("rows.jsonl", "rows.json", "rows.parquet", "saved"):
        code, printed = main(capsys, tmp_path / name, "--output", tmp_path / "page.html")
        assert (code, printed.err) == (0, "")
        assert ": 3 rows, " in printed.out
        pages.append(data_of(tmp_path / "page.html")["rows"])
    assert pages[0] == pages[1] == pages[2] == pages[3]


def test_folder_of_a_run(build, tmp_path, capsys):
    code, printed = main(capsys, build, "--output", tmp_path / "page.html")
    assert code == 0 and "5 rows" in printed.out
    rows = data_of(tmp_path / "page.html")["rows"]
    assert [row["key"] for row in rows] == ["accepted-0", "accepted-1", "accepted-2", "set_aside-0", "rejected-0"]
    assert (rows[-1]["rejection"], rows[-1]["detail"]) == ("rounds_exhausted", "No program passed in 1 round.")
    assert "problem" not in rows[-1]  # it is rejected, nobody wonders that training would not take it


def test_configurations(tmp_path, capsys):
    folder = tmp_path / "published"
    write_rows(folder / "data" / "rows.jsonl", [built_row(1)])
    write_rows(folder / "more" / "rows.jsonl", [built_row(2), built_row(3)])
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files: data/*.jsonl\n- config_name: more\n  data_files: more/*.jsonl\n---\n"
    )
    page = tmp_path / "page.html"
    for args, problems in (([], ["problem/1"]), (["--dataset_config", "more"], ["problem/2", "problem/3"])):
        code, printed = main(capsys, folder, *args, "--output", page)
        assert code == 0, printed.err
        assert [row["facts"]["problem_id"] for row in data_of(page)["rows"]] == problems
    assert "'nonsense'" in main(capsys, folder, "--dataset_config", "nonsense", "--output", page)[1].err


def test_limit_and_sample(build, tmp_path, capsys):
    page = tmp_path / "page.html"
    _, printed = main(capsys, build, "--limit", 1, "--output", page)
    assert "3 rows (the first 1 rows of each status)" in printed.out
    assert [row["key"] for row in data_of(page)["rows"]] == ["accepted-0", "set_aside-0", "rejected-0"]
    rows = write_rows(tmp_path / "rows.jsonl", [built_row(index) for index in range(40)])
    keys = []
    for seed in (1, 1, 2):
        _, printed = main(capsys, rows, "--sample", 10, "--seed", seed, "--output", page)
        assert "10 of 40 rows, sampled at random" in printed.out
        keys.append([int(row["key"]) for row in data_of(page)["rows"]])
        # The key is the row's number in the dataset, so that a link says which row it is
        assert all(row["facts"]["problem_id"] == f"problem/{row['key']}" for row in data_of(page)["rows"])
    assert keys[0] == keys[1] == sorted(set(keys[0])) != keys[2]
    assert main(capsys, rows, "--sample", 100, "--output", page)[1].out.count("(") == 0


def test_files_of_the_package_are_found_from_any_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, printed = main(capsys, "recipes/data/reflection-sample.parquet")
    assert (code, printed.err) == (0, "")
    assert printed.out.startswith("Wrote reflection-sample.html: 48 rows")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([""], "'' is not a dataset: give a file"),
        (["absent.jsonl"], "'absent.jsonl' cannot be read: there is no such file or folder; paths start from"),
        (["empty.jsonl"], "'empty.jsonl' has no rows"),
        (["broken.jsonl"], "'broken.jsonl' cannot be read: line 1 of broken.jsonl is not JSON"),
        (["other.jsonl"], "no column `messages`"),
        (["unfinished"], "The run in 'unfinished' has no rows yet"),
        (["rows.jsonl", "--limit", "0"], "'0' is not a number of rows"),
        (["rows.jsonl", "--split", "test"], "'rows.jsonl' is read as files, which have no splits; leave out 'test'."),
        (["rows.jsonl", "--out", "page.html"], "unrecognized argument: --out; did you mean `--output`?"),
        (["rows.jsonl", "more.jsonl"], "unrecognized argument: more.jsonl; see `--help`."),
        ([], "the following arguments are required: dataset; see `--help`."),
        (["rows.jsonl", "--limit", "1", "--sample", "1"], "not allowed with"),
        (
            ["rows.jsonl", "--output", "no/such/page.html"],
            "'no/such/page.html' cannot be written (No such file or directory).",
        ),
    ],
)
def test_errors_are_one_sentence(args, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "rows.jsonl", [built_row()])
    write_rows(tmp_path / "other.jsonl", [{"text": "x"}])
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "broken.jsonl").write_text('{"messages": [}\n')
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "run.json").touch()
    code, printed = main(capsys, *args)
    assert code == 1 and printed.out == ""
    assert message in printed.err
    assert printed.err.startswith("reflection-trl browse: error: ") and printed.err.count("\n") == 1


def test_default_output_and_open(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    write_rows(tmp_path / "my rows.jsonl", [built_row()])
    assert main(capsys, "my rows.jsonl", "--open")[0] == 0
    assert opened == [(tmp_path / "my-rows.html").as_uri()]
    assert (tmp_path / "my-rows.html").is_file()


def test_nothing_of_a_row_is_markup(tmp_path):
    row = built_row(problem_id=HOSTILE, model=HOSTILE, tests=HOSTILE)
    row["messages"][0]["content"] = HOSTILE
    path = tmp_path / "page.html"
    path.write_text(
        browse.render_page([browse.page_row(row, "0")], HOSTILE), encoding="utf-8", errors="backslashreplace"
    )
    text = path.read_text()
    assert text.count("<script") == text.count("</script") == 3 and "<img" not in text
    assert data_of(path)["rows"][0]["blocks"][0]["text"] == HOSTILE


# In a browser


@pytest.fixture(scope="module")
def browser():
    if chromium.EXECUTABLE is None:
        pytest.skip("no Chromium here")
    with chromium.Browser() as browser:
        yield browser


def titles(browser):
    return browser.evaluate("[...document.querySelectorAll('.item > div:first-child')].map(item => item.innerText)")


def value(facet, name):
    return f'.value[data-facet="{facet}"][data-value="{name}"]'


def test_page_shows_rows_failures_first(browser, build, tmp_path, capsys):
    main(capsys, build, "--output", tmp_path / "page.html")
    browser.open(tmp_path / "page.html")
    assert browser.text("#found") == "5 rows"
    assert browser.count(".item") == 5
    # Rejected, then the one with most failures, then the others as they come
    first, *others = titles(browser)
    assert first == "problem/3 (sample 0) · rounds exhausted"
    assert [title.rstrip(".").split()[-1] for title in others] == ["1", "2", "0", "4"]
    assert "rounds exhausted. No program passed in 1 round." in browser.text(".note")
    browser.press("ArrowRight")
    labels = browser.evaluate("[...document.querySelectorAll('.part > h3')].map(head => head.firstChild.data)")
    assert labels[:7] == ["instruction", "analysis", "program 1", "run 1", "analysis", "program 2", "run 2"]
    assert labels[-3:] == ["request", "answer", "answer"]
    assert browser.text(".line.marked") == "assert double(2) == 4"
    feedback = browser.text(".feedback")
    for piece in ("syntax", "AssertionError: six is not four", "program, line 4", "expected", "4", "actual", "6"):
        assert piece in feedback
    assert browser.text(".note").endswith("assert double(1) == 3")
    assert browser.count(".keyword") > 5
    assert browser.errors == []


def test_filters_and_search(browser, build, tmp_path, capsys):
    main(capsys, build, "--output", tmp_path / "page.html")
    browser.open(tmp_path / "page.html")
    browser.click(value("failure", "assertion"))
    assert browser.text("#found") == "2 of 5 rows"
    assert browser.evaluate(f"document.querySelector('{value('failure', 'assertion')}').ariaPressed") == "true"
    # Counts are of what the other filters leave: one row with this kind was accepted
    assert browser.text(value("status", "accepted") + " b") == "1"
    browser.click(value("failure", "name"))  # one or the other
    assert browser.text("#found") == "3 of 5 rows"
    browser.click(value("status", "rejected"))
    assert browser.text("#found") == "1 of 5 rows"
    browser.press("x")
    assert browser.text("#found") == "5 rows"
    for facet, name, rows in (
        ("rounds", "2", 1),
        ("outcome", "repaired", 2),
        ("language", "java", 1),
        ("source", "mbpp", 1),
        ("rejection", "rounds_exhausted", 1),
    ):
        browser.click(value(facet, name))
        assert browser.text("#found") == f"{rows} of 5 rows", facet
        browser.click(value(facet, name))
    browser.press("/")
    browser.call("Input.insertText", text="NUMBER 2")
    browser.evaluate("new Promise(done => setTimeout(done, 250))")
    assert browser.text("#found") == "1 of 5 rows" and "number 2" in titles(browser)[0]
    assert browser.evaluate("CSS.highlights.get('found').size") >= 1
    browser.type("#search", "no row says this")
    browser.evaluate("new Promise(done => setTimeout(done, 250))")
    assert browser.text("#found") == "0 of 5 rows" and "No row is like that" in browser.text("main")
    browser.click("#clear")
    assert browser.text("#found") == "5 rows"
    assert browser.errors == []


def test_keys_links_and_themes(browser, build, tmp_path, capsys):
    page = tmp_path / "page.html"
    main(capsys, build, "--output", page)
    browser.open(page)
    first = browser.evaluate("location.hash")
    for key, place in (("j", "2"), ("ArrowRight", "3"), ("k", "2"), ("ArrowLeft", "1"), ("ArrowLeft", "1")):
        browser.press(key)
        assert f"{place} of 5" in browser.text(".row-head nav")
    browser.evaluate("document.querySelector('#list').focus()")
    browser.press("End")
    assert "5 of 5" in browser.text(".row-head nav")
    assert (
        browser.evaluate(
            "document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).ariaSelected"
        )
        == "true"
    )
    last = browser.evaluate("location.hash")
    assert first == "#row=rejected-0" and last == "#row=set_aside-0"
    browser.open(page, "row=accepted-2&failure=name&search=double&theme=dark")
    assert "row accepted-2" in browser.text(".row-head") and browser.text("#found") == "1 of 5 rows"
    assert browser.evaluate("document.documentElement.dataset.theme") == "dark"
    browser.press("d")
    assert browser.evaluate("document.documentElement.dataset.theme") == "light"
    browser.press("?")
    assert browser.evaluate("document.querySelector('#help').open")
    # A link to a row or value that is not there
    browser.open(page, "row=accepted-99&failure=nonsense&order=constructor")
    assert browser.text("#found") == "0 of 5 rows"
    browser.click("#clear")
    assert browser.text("#found") == "5 rows"
    browser.media("dark")
    browser.open(page)
    dark = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    browser.media("light")
    browser.open(page)
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    assert browser.pdf().startswith(b"%PDF")
    assert browser.errors == []


def test_copying_gives_the_characters_themselves(browser, tmp_path):
    row = built_row()
    row["messages"][0]["content"] = "a\u202eb\x00\tc"
    browser.open(page_of(tmp_path, row))
    browser.evaluate("navigator.clipboard.writeText = async text => { globalThis.copied = text; }")
    browser.click(".part .copy")
    assert browser.evaluate("copied") == "a\u202eb\x00\tc"
    assert "a\\u202eb␀" in browser.text(".part pre")


def test_hostile_rows_are_inert(browser, tmp_path):
    row = built_row(
        problem_id=HOSTILE, model=HOSTILE, source=HOSTILE, tests=HOSTILE, wrong_asserts=[HOSTILE], extra=HOSTILE, language=HOSTILE, detail=HOSTILE, rejection=HOSTILE
    )  # fmt: skip
    for message in row["messages"]:
        message["content"] = HOSTILE + "\n```" + HOSTILE + "\n" + HOSTILE
    row["messages"][1]["content"] = f"```python\n{HOSTILE}\n```"
    row["feedback"][0] = {
        name: HOSTILE if isinstance(value, str) else value for name, value in row["feedback"][0].items()
    }
    odd = {"messages": [{"role": HOSTILE, "content": HOSTILE}], "type": HOSTILE, HOSTILE: HOSTILE}
    page = page_of(tmp_path, row, odd)
    browser.open(page)
    for _ in range(2):
        shown = browser.evaluate("document.body.innerText")
        assert "<img src=x onerror=" in shown and "\\u202e" in shown and "\u202e" not in shown and "\0" not in shown
        browser.press("j")
    assert browser.evaluate("globalThis.owned") is None
    assert browser.count("img") == 0 and browser.count("script") == 3
    browser.open(page, "search=" + "%3Cimg%20src%3Dx%20onerror%3D1%3E&row=%3Cscript%3E&failure=%3Cb%3E")
    assert browser.errors == []


def test_huge_blocks_are_drawn_in_part(browser, tmp_path):
    row = built_row()
    row["messages"][0]["content"] = "x" * 10_000_000
    row["messages"][1]["content"] = "```python\n" + "(" * 100_000 + "\n" * 2_000 + "'\n```"
    browser.open(page_of(tmp_path, row))
    assert browser.evaluate("document.querySelector('main').innerText.length") < 100_000
    assert browser.text(".rest") == "Show all 10,000,000 characters"
    browser.evaluate("document.querySelectorAll('.rest')[1].click()")
    assert browser.evaluate("document.querySelectorAll('.part.code')[0].querySelectorAll('.line').length") == 2_001
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert browser.errors == []


def test_thousands_of_rows_are_drawn_where_they_are_seen(browser, tmp_path):
    kinds = [
        browse.page_row(built_row(index, ("value",) * (index % 4) + ("none",), source=f"source {index}"), "")
        for index in range(40)
    ]
    page = tmp_path / "page.html"
    page.write_text(browse.render_page([kinds[index % 40] | {"key": str(index)} for index in range(5000)], "rows"))
    browser.open(page)
    assert browser.text("#found") == "5,000 rows"
    assert browser.count(".item") < 60
    assert browser.count("*") < 1500
    browser.evaluate("document.querySelector('#list').focus()")
    browser.press("End")
    assert "5,000 of 5,000" in browser.text(".row-head nav")
    assert browser.evaluate(
        "document.querySelector('.item[aria-selected=true]').getBoundingClientRect().top < innerHeight"
    )
    browser.click('[data-more="source"]')
    assert browser.count('.value[data-facet="source"]') == 40
    assert browser.errors == []


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_nothing_sticks_out(browser, build, tmp_path, capsys, width):
    main(capsys, build, "--output", tmp_path / "page.html")
    browser.resize(width, 800)
    browser.open(tmp_path / "page.html")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    browser.resize(1280, 900)


def test_everything_has_a_name_and_contrast(browser, build, tmp_path, capsys):
    main(capsys, build, "--output", tmp_path / "page.html")
    for scheme in ("light", "dark"):
        browser.media(scheme)
        browser.open(tmp_path / "page.html", "row=accepted-1")
        assert browser.nameless() == []
        assert browser.faint() == []
    browser.media("light")
