"""The report of an evaluation: its tables and files, and the page in a real browser where there is one."""

import importlib.util
import itertools
import json
import re

import chromium
import pytest
from markdown_it import MarkdownIt

from reflection_trl.evaluation import EvaluationRun, Outcome, Score
from reflection_trl.evaluation.report import write_report
from reflection_trl.evaluation.report.charts import rate_bars
from reflection_trl.evaluation.report.content import Content, name_runs
from reflection_trl.evaluation.report.pictures import draw_figure
from reflection_trl.evaluation.results import DECEIVED
from reflection_trl.evaluation.statistics import compare, rate
from reflection_trl.evaluation.table import results_table, suspicion


HOSTILE = "</script><script>globalThis.owned = 1</script><img src=x onerror='owned = 2'> \u202eabc\u202c \x00 \ud800 | $x$ `y` [z](u) {{ data }}"


def score(benchmark, passed, samples=1, kind="wrong_answer", name="HumanEval"):
    """A score in which task number i has `passed[i]` right answers of `samples`."""
    outcomes = []
    for task, right in enumerate(passed):
        for sample in range(samples):
            ok = sample < right
            code = f"def f(x):\n    y = x + {task}\n    return y" + " - 1" * (not ok)
            detail = "" if ok else f"f({task}) gives {task - 1}"
            outcomes.append(Outcome(f"{name}/{task}", sample, ok, "none" if ok else kind, detail, code))
    return Score(benchmark, outcomes)


@pytest.fixture
def runs():
    ours = EvaluationRun(
        "me/distilled",
        [score("humaneval", [1, 1, 1, 0, 0, 1]), score("multipl-e:java", [1, 0], kind="syntax", name="Java")],
        {"multipl-e:swift": "There is no Swift compiler: install swiftc."},
        {
            "temperature": 0.0,
            "prompt": "one-off",
            "contamination": {"humaneval": "2 problems share a 10-gram with it"},
        },
        "2026-11-24T12:00:00+00:00",
        "python recipes/evaluate.py --model me/distilled",
        "0123456789abcdef",
    )
    return [
        ours,
        EvaluationRun("me/sft", [score("humaneval", [1, 0, 0, 0, 1, 1], kind="timeout")]),
        EvaluationRun("other/base", [score("humaneval", [0, 0, 0, 0, 0, 0], kind="name"), score("mbpp", [1])]),
    ]


def data_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(text.split('<script type="application/json" id="data">')[1].split("</script>")[0])


def cells(markdown, first):
    """The table row of that first cell."""
    (line,) = [line for line in markdown.splitlines() if line.startswith(f"| {first} |")][:1]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_tables_say_what_the_statistics_say(runs, tmp_path):
    page = write_report(runs, tmp_path / "new" / "folder")
    assert page == tmp_path / "new" / "folder" / "report.html"
    markdown = page.with_suffix(".md").read_text()
    assert markdown.startswith("# Evaluation of me/distilled and 2 others\n")
    one = rate(runs[0].score("humaneval"))
    assert cells(markdown, "me/distilled") == [
        "me/distilled",
        f"66.7 ({100 * one.low:.1f} to {100 * one.high:.1f})",
        "50.0 (9.5 to 90.5)",
        "-",
    ]
    against_sft = markdown.split("## Against me/sft")[1].split("##")[0]
    found = compare(runs[0].score("humaneval"), runs[1].score("humaneval"))
    assert cells(against_sft, "humaneval") == [
        "humaneval", "6", "2", "1", "+16.7", f"{100 * found.low:+.1f} to {100 * found.high:+.1f}", "1.000", "no clear difference",
    ]  # fmt: skip
    assert cells(markdown.split("### humaneval")[1], "timeout") == ["timeout", "0 (0.0 %)", "3 (50.0 %)", "0 (0.0 %)"]
    assert cells(markdown.split("### humaneval")[1], "all failures") == [
        "all failures",
        "2 (33.3 %)",
        "3 (50.0 %)",
        "6 (100.0 %)",
    ]
    html = page.read_text()
    for text in (
        "There is no Swift compiler: install swiftc.", "humaneval: 2 problems share a 10-gram with it",
        "python recipes/evaluate.py --model me/distilled", "2026-11-24T12:00:00+00:00", "0123456789abcdef", "one-off",
    ):  # fmt: skip
        assert text in html
        assert text in markdown.replace("\\", "")


def test_verdicts(tmp_path):
    better = EvaluationRun("better", [score("humaneval", [1] * 20)])
    worse = EvaluationRun("worse", [score("humaneval", [0] * 12 + [1] * 8)])
    for runs, verdict in (([better, worse], "better"), ([worse, better], "worse")):
        markdown = write_report(runs, tmp_path).with_suffix(".md").read_text()
        assert cells(markdown.split("## Against")[1], "humaneval")[-2:] == ["\\< 0.001", verdict]


def test_several_answers(tmp_path):
    ours = EvaluationRun("ours", [score("humaneval", [10, 5, 0], samples=10)])
    theirs = EvaluationRun("theirs", [score("humaneval", [10, 8, 0], samples=10)])
    page = write_report([ours, theirs], tmp_path)
    markdown = page.with_suffix(".md").read_text()
    assert cells(markdown, "model") == ["model", "humaneval pass@1", "humaneval pass@10"]
    assert [cell.split()[0] for cell in cells(markdown, "ours")[1:]] == ["50.0", "66.7"]
    first, second, third = (task["runs"][0] for task in data_of(page)["benchmarks"][0]["tasks"])
    assert [side[:3] for side in (first, second, third)] == [
        [10, 10, []],
        [10, 5, ["wrong_answer"]],
        [10, 0, ["wrong_answer"]],
    ]
    # Some right and some wrong ones are kept
    assert [answer[:2] for answer in second[3]] == [
        [0, True],
        [1, True],
        [2, True],
        [5, False],
        [6, False],
        [7, False],
    ]


def test_grid_holds_each_text_once(runs, tmp_path):
    runs.append(EvaluationRun("again", runs[0].scores))
    data = data_of(write_report(runs, tmp_path))
    assert len(data["texts"]) == len(set(data["texts"]))
    task = next(task for task in data["benchmarks"][0]["tasks"] if task["id"] == "HumanEval/3")
    sample, passed, kind, detail, code = task["runs"][0][3][0]
    assert (sample, passed, kind, data["texts"][detail]) == (0, False, "wrong_answer", "f(3) gives 2")
    assert data["texts"][code] == "def f(x):\n    y = x + 3\n    return y - 1"
    assert task["runs"][0] == task["runs"][3]


def test_pictures(runs, tmp_path, monkeypatch, caplog):
    pytest.importorskip("matplotlib")
    markdown = write_report(runs, tmp_path / "with").with_suffix(".md").read_text()
    for name in ("pass_rates.png", "failures.png"):
        assert (tmp_path / "with" / name).read_bytes().startswith(b"\x89PNG")
        assert f"]({name})" in markdown
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "matplotlib" else find(name))
    markdown = write_report(runs, tmp_path / "without").with_suffix(".md").read_text()
    assert sorted(path.name for path in (tmp_path / "without").iterdir()) == ["report.html", "report.md"]
    assert "pip install matplotlib" in markdown and "pip install matplotlib" in caplog.text


@pytest.mark.parametrize(
    "runs",
    [
        [EvaluationRun("nothing", [])],
        [EvaluationRun("no answers", [Score("humaneval", [])])],
        [EvaluationRun("all skipped", [], {"mbpp": "no network"}), EvaluationRun("x", [score("mbpp", [1])])],
        [EvaluationRun("perfect", [score("mbpp", [1, 1])])],
        [EvaluationRun("twice", [score("mbpp", [1])]), EvaluationRun("twice", [score("mbpp", [0])])],
        [EvaluationRun("one", [score("mbpp", [1])]), EvaluationRun("other tasks", [score("mbpp", [0], name="Other")])],
    ],
)
def test_sparse_runs(runs, tmp_path, browser):
    page = write_report(runs, tmp_path)
    assert page.is_file()
    names = data_of(page)["runs"]
    assert len(set(names)) == len(names)
    if browser:
        browser.open(page)
        assert browser.errors == []


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="pass at least one evaluation run"):
        write_report([], tmp_path)


def test_nothing_is_markup(tmp_path):
    run = EvaluationRun(
        HOSTILE,
        [score(HOSTILE, [1, 0], kind=HOSTILE)],
        {HOSTILE: HOSTILE},
        {HOSTILE: HOSTILE},
        HOSTILE,
        HOSTILE,
        HOSTILE,
    )
    run.problems[HOSTILE] = {f"HumanEval/{number}": HOSTILE for number in range(2)}
    page = write_report([run, run], tmp_path)
    html = page.read_text()
    assert html.count("<script") == html.count("</script") == 3 and "<img" not in html
    markdown = page.with_suffix(".md").read_text()
    assert not re.search(r"(?<!\\)[<`\[$](?!\d)", re.sub(r"!\[[^\]]*\]\(\w+\.png\)|`report.html`", "", markdown))


def test_markdown_tables_are_tables(runs, tmp_path):
    markdown = write_report(runs, tmp_path).with_suffix(".md").read_text()
    html = MarkdownIt("commonmark").enable("table").render(markdown)
    # Results, two comparisons, failures of three benchmarks, what was not run; no pipe is left outside of one
    assert html.count("<table>") == 3 + len({one.benchmark for run in runs for one in run.scores}) + 1
    assert "|" not in re.sub(r"<table>.*?</table>", "", html, flags=re.DOTALL)


@pytest.mark.parametrize(("limit", "is_trial"), [(6, True), (7, False), (None, False)])
def test_a_trial_is_marked_everywhere(limit, is_trial, runs, tmp_path):
    """Six problems of a benchmark that has six are all of it: `--limit` cut nothing off."""
    runs[1].settings["limit"] = limit
    page = write_report(runs, tmp_path)
    sentence = "me/sft judged only the first 6 problems of each benchmark (--limit 6): its pass rates are not those"
    for text in (page.read_text(), page.with_suffix(".md").read_text(), results_table(runs[1])):
        assert (sentence in text) is is_trial
    assert ('aria-label="Incomplete benchmarks"' in page.read_text()) is is_trial
    assert ("sft (first 6)" in page.read_text()) is is_trial
    assert sentence not in results_table(runs[0])


def test_a_benchmark_that_was_judged_in_part_is_marked(runs, tmp_path):
    """Such as one of which some problems need libraries that this Python lacks; one that was not run at all is none."""
    runs[1].skipped["humaneval"] = "2 of 8 problems are left out: install numpy."
    page = write_report(runs, tmp_path)
    for text in (page.read_text(), page.with_suffix(".md").read_text()):
        assert "me/sft judged only a part of humaneval: 2 of 8 problems are left out: install numpy." in text
        assert "judged only a part of multipl-e:swift" not in text


def test_problems_are_kept_with_the_results(tmp_path):
    run = EvaluationRun("m", [score("mbpp", [1])], problems={"mbpp": {"HumanEval/0": "Add \ud800 one."}})
    run.save(tmp_path / "results.json")
    assert EvaluationRun.load(tmp_path / "results.json") == run
    record = json.loads((tmp_path / "results.json").read_text())
    del record["problems"]  # of an earlier version
    (tmp_path / "old.json").write_text(json.dumps(record))
    assert EvaluationRun.load(tmp_path / "old.json").problems == {}


LONG = "an-organization/Qwen2.5-Coder-1.5B-Instruct-reflection-distilled-block-type-lora-r64-seed-{}-checkpoint-1200"


@pytest.fixture
def long_names():
    """Names of models and benchmarks that differ in the middle alone, and one without a place to break it."""
    benchmark = "problems:data/held-out/leetcode-problems-of-august-2024.jsonl"
    scores = [score("humaneval", [1, 0, 1]), score(benchmark, [0, 1, 0], kind="timeout")]
    return [EvaluationRun(name, scores, {}, {"limit": 3}) for name in (LONG.format(3), LONG.format(4), "x" * 90)]


def test_names_in_pictures_do_not_overlap(long_names):
    pytest.importorskip("matplotlib")
    figure, axes, _ = draw_figure(rate_bars(Content(long_names, name_runs(long_names))), "pass@1, %")
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert len(boxes) == 8
    assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert min(box.x0 for box in boxes) >= 0 and axes.get_window_extent().width > 0.5 * figure.bbox.width
    assert {label.get_text().replace("\n", "") for label in axes.get_yticklabels()} >= {"x" * 90 + " (first 3)"}


# In a browser


@pytest.fixture(scope="module")
def browser():
    if chromium.EXECUTABLE is None:
        yield None
        return
    with chromium.Browser() as browser:
        yield browser


@pytest.fixture
def page(browser, runs, tmp_path):
    if browser is None:
        pytest.skip("no Chromium here")
    browser.resize(1280, 900)
    return write_report(runs, tmp_path)


def grid(browser):
    return browser.evaluate("[...document.querySelectorAll('#cells .cell')].map(cell => cell.classList[1])")


def choose(browser, name, index):
    browser.evaluate(
        f"(() => {{ const field = document.getElementById('{name}'); field.selectedIndex = {index}; field.dispatchEvent(new Event('change')); }})()"
    )


def test_grid_and_filters(browser, page):
    browser.open(page)
    assert grid(browser) == ["both", "won", "won", "neither", "lost", "both"]
    assert browser.evaluate("document.querySelectorAll('#cells .cell')[4].ariaLabel") == (
        "HumanEval/4: lost. me/distilled: wrong answer; me/sft: passed"
    )
    assert browser.text("#classes").split("\n") and "won 2" in browser.text("#classes")
    browser.click('[data-only="won"]')
    assert grid(browser) == ["won", "won"]
    browser.click('[data-only="won"]')
    choose(browser, "kind", 1)
    assert len(grid(browser)) == 3  # timeout of the baseline
    choose(browser, "kind", 0)
    choose(browser, "baseline", 1)
    assert grid(browser) == ["won", "won", "won", "neither", "neither", "won"]
    choose(browser, "benchmark", 1)
    assert grid(browser) == ["absent", "absent"]  # no baseline ran it
    assert browser.errors == []


def test_a_cell_leads_to_the_code_of_both_sides(browser, page):
    browser.open(page)
    browser.evaluate("document.querySelectorAll('#cells .cell')[4].click()")
    assert browser.text("#detail h3") == "HumanEval/4"
    ours, theirs = browser.evaluate("[...document.querySelectorAll('.side')].map(side => side.innerText)")
    assert "me/distilled" in ours and "wrong answer" in ours and "f(4) gives 3" in ours
    assert "me/sft" in theirs and "passed" in theirs
    lines = browser.evaluate(
        "[...document.querySelectorAll('.side')].map(side => [...side.querySelectorAll('.only')].map(line => line.innerText.trim()))"
    )
    assert lines == [["return y - 1"], ["return y"]]
    address = browser.evaluate("location.hash")
    browser.press("ArrowRight")
    assert browser.text("#detail h3") == "HumanEval/5" and "the same code" in browser.text("#detail")
    browser.press("Home")
    assert browser.text("#detail h3") == "HumanEval/0"
    assert browser.evaluate("document.activeElement.dataset.task") == "HumanEval/0"
    browser.press("k")
    assert browser.text("#detail h3") == "HumanEval/0"
    browser.open(page, address[1:])
    assert browser.text("#detail h3") == "HumanEval/4"
    assert browser.errors == []


def test_gaps_keep_lines_side_by_side(browser, page, tmp_path):
    codes = ["a\nb\nc\nd", "a\nc\nx\ny\nd\ne"]
    runs = [
        EvaluationRun(name, [Score("mbpp", [Outcome("Mbpp/1", 0, True, solution=code)])])
        for name, code in zip("pq", codes, strict=True)
    ]
    browser.open(write_report(runs, tmp_path), "task=Mbpp/1")
    sides = browser.evaluate(
        "[...document.querySelectorAll('.lines')].map(pre => [...pre.children].map(line => line.className === 'gap' ? null : line.innerText.trim()))"
    )
    assert sides == [["a", "b", "c", None, None, "d", None], ["a", None, "c", "x", "y", "d", "e"]]


def test_several_answers_in_the_page(browser, page, tmp_path):
    ours = EvaluationRun("ours", [score("humaneval", [10, 5, 0], samples=10)])
    theirs = EvaluationRun("theirs", [score("humaneval", [9, 5, 0], samples=10)])
    browser.open(write_report([ours, theirs], tmp_path), "task=HumanEval/1")
    assert grid(browser) == ["won", "both", "neither"]
    assert browser.evaluate(
        "document.querySelectorAll('#cells .cell')[0].style.getPropertyValue('--shade')"
    ).startswith("color-mix")
    assert browser.faint(least=3) == []  # signs on shades
    assert "5 of 10 passed" in browser.text(".side")
    browser.evaluate(
        "(() => { const field = document.querySelector('.side select'); field.selectedIndex = 3; field.dispatchEvent(new Event('change')); })()"
    )
    assert "f(1) gives 0" in browser.text(".side")
    assert browser.errors == []


def test_hostile_runs_are_inert(browser, page, tmp_path):
    outcomes = [
        Outcome(HOSTILE, 0, False, HOSTILE, HOSTILE, HOSTILE),
        Outcome("long", 0, False, "value", "x" * 10**6, "y" * 10**6),
    ]
    run = EvaluationRun(
        HOSTILE, [Score(HOSTILE, outcomes)], {HOSTILE: HOSTILE}, {HOSTILE: HOSTILE}, HOSTILE, HOSTILE, HOSTILE
    )
    run.problems[HOSTILE] = {HOSTILE: HOSTILE, "long": "z" * 10**6}
    browser.open(write_report([run, run], tmp_path))
    for _ in outcomes:
        browser.press("j")
        shown = browser.evaluate("document.body.innerText")
        assert "<img src=x onerror=" in shown and "\\u202e" in shown and "\u202e" not in shown
    assert browser.evaluate("globalThis.owned") is None
    assert browser.count("img") == 0 and browser.count("script") == 3
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert browser.errors == []


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_looks(browser, page, width, scheme):
    browser.media(scheme)
    browser.resize(width, 800)
    browser.open(page, "task=HumanEval/4")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.nameless() == []
    assert browser.faint() == []
    assert browser.evaluate("document.documentElement.dataset.theme") == scheme
    assert browser.pdf().startswith(b"%PDF")
    browser.media("light")
    assert browser.errors == []


@pytest.mark.parametrize("width", [360, 1280])
def test_names_in_charts_do_not_overlap(browser, page, long_names, width, tmp_path):
    browser.resize(width, 800)
    browser.open(write_report(long_names, tmp_path))
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.count(".chart") == 2
    texts = browser.evaluate(
        "[...document.querySelectorAll('.chart')].map(chart => [...chart.querySelectorAll('h4, .name, .track, .segments, .figure')]"
        ".map(one => [one.innerText, ...['left', 'right', 'top', 'bottom'].map(side => one.getBoundingClientRect()[side])]))"
    )
    for chart in texts:
        assert {LONG.format(seed).rpartition("/")[2] + " (first 3)" for seed in (3, 4)} <= {one[0] for one in chart}
        for (_, *one), (_, *other) in itertools.combinations(chart, 2):
            across, down = min(one[1], other[1]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[2], other[2])
            assert across <= 0 or down <= 0
    wide = browser.evaluate("document.querySelector('.track').getBoundingClientRect().width")
    assert wide > 0.25 * width
    assert browser.errors == []


def test_the_problem_stands_above_its_answers(browser, page, runs, tmp_path):
    """Of the first run that holds it: files of earlier versions hold no problems. A `+` has the problems of its benchmark."""
    runs[1].problems["humaneval"] = {"HumanEval/4": "Write **f**.\n\n```python\ndef f(x):\n```"}
    runs[2].problems["humaneval"] = {"HumanEval/4": "Another", "HumanEval/5": "Only here"}
    runs[0].scores.append(score("humaneval+", [1, 1, 1, 0, 0, 1]))
    written = write_report(runs, tmp_path)
    browser.open(written, "task=HumanEval/4")
    assert browser.text("#detail .problem pre") == "Write **f**.\n\n```python\ndef f(x):\n```"
    browser.press("j")
    assert browser.text("#detail .problem pre") == "Only here"
    browser.open(written, "benchmark=humaneval%2B&task=HumanEval/4")
    assert "Write" in browser.text("#detail .problem pre")
    browser.open(written, "task=HumanEval/0")
    assert browser.count("#detail .problem") == 0 and browser.count("#detail .side") == 2
    assert browser.errors == []


def test_thousands_of_problems(browser, page, tmp_path):
    run = EvaluationRun("one", [score("big", [int(task % 3 > 0) for task in range(5000)])])
    browser.open(write_report([run], tmp_path))
    assert grid(browser).count("neither") == 1667 and grid(browser).count("both") == 3333
    browser.press("j")
    browser.press("j")
    assert browser.text("#detail h3") == "HumanEval/1"
    assert browser.count(".side") == 1
    assert browser.errors == []


def test_suspicious_answers_are_listed(tmp_path):
    outcomes = [
        Outcome("HumanEval/0", 0, True, solution="x", suspicious=["looks at frames"]),
        Outcome("HumanEval/1", 0, False, "wrong_answer", suspicious=["walks the heap", DECEIVED]),
        Outcome("HumanEval/2", 0, True, solution="y"),
    ]
    run = EvaluationRun("model", [Score("humaneval", outcomes)])
    assert suspicion(run.scores[0]) == (
        "humaneval: 2 of 3 answers are suspicious, 1 of them passed. evalplus itself would let 1 more pass."
    )
    assert suspicion(run.scores[0]) in results_table(run)
    page = write_report([run], tmp_path).read_text()
    markdown = (tmp_path / "report.md").read_text()
    for text in (page, markdown):
        assert "Suspicious answers" in text and "looks at frames" in text
    assert not suspicion(Score("humaneval", outcomes[2:]))


def test_a_table_of_failures_has_the_kinds_of_its_benchmark(runs):
    content = Content(runs, name_runs(runs))

    def rows(benchmark):
        return {row[0].text: [tuple(cell) for cell in row[1:]] for row in content.failure_table(benchmark).body}

    none = ("0", "0.0 %")
    assert rows("humaneval") == {
        "wrong answer": [("2", "33.3 %"), none, none],
        "timeout": [none, ("3", "50.0 %"), none],
        "name": [none, none, ("6", "100.0 %")],
        "all failures": [("2", "33.3 %"), ("3", "50.0 %"), ("6", "100.0 %")],
    }
    assert rows("multipl-e:java") == {"syntax": [("1", "50.0 %")], "all failures": [("1", "50.0 %")]}
    assert rows("mbpp") == {"all failures": [none]}


def test_a_suspicious_answer_is_listed_with_its_verdict(runs):
    passed, failed = runs[0].scores[0].outcomes[0], runs[0].scores[0].outcomes[3]
    for outcome in (passed, failed):
        outcome.suspicious.append("looks at frames")
    rows = [[cell.text for cell in row] for row in Content(runs, name_runs(runs)).suspicious_table().body]
    assert [(row[1], row[2], row[3]) for row in rows] == [
        ("humaneval", passed.task_id, "passed"),
        ("humaneval", failed.task_id, "failed"),
    ]


def test_runs_of_one_model_are_numbered(runs):
    again = EvaluationRun("me/sft", runs[1].scores)
    assert name_runs([runs[1], again, again]) == ["me/sft", "me/sft (2)", "me/sft (3)"]
