"""What the teacher reads: feedback, a passing peer, the attempt, and nothing where it would know no more."""

import pytest

from reflection_trl.feedback import Feedback, FeedbackKind
from reflection_trl.online.judging import SANDBOX_FAILED, Outcome
from reflection_trl.online.rollouts import rollout_row, write_rollouts
from reflection_trl.online.teacher_context import Rollout, TeacherContext, clip_feedback, passing_peers
from reflection_trl.viewers.browse import page_row, read_dataset


PASSED = Outcome("none", 1.0, "", "def f(): return 1", True, Feedback(FeedbackKind.NONE, ""))
FAILED = Outcome(
    "assertion",
    0.0,
    "Expected: 1\nGot: 2",
    "def f(): return 2",
    True,
    Feedback(FeedbackKind.ASSERTION, "Expected: 1\nGot: 2"),
)
NO_CODE = Outcome("no_code", 0.0, "The answer has no ```python code block.")
BROKEN = Outcome(SANDBOX_FAILED)
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Write f."}]


def build(outcome, peers=(), prompt="Write f.", completion="my answer", **settings):
    return TeacherContext(**settings).build(Rollout(prompt, completion, outcome), list(peers))


@pytest.mark.parametrize(
    ("settings", "peers", "holds", "lacks"),
    [
        ({}, ["PEER"], ["Expected: 1", "PEER"], ["my answer"]),
        ({}, [], ["Expected: 1"], ["passes all tests", "my answer"]),
        ({"show_peer": False}, ["PEER"], ["Expected: 1"], ["PEER"]),
        ({"show_feedback": False}, ["PEER"], ["PEER"], ["Expected: 1"]),
        ({"show_attempt": True}, [], ["Expected: 1", "my answer"], []),
        ({}, ["<think>hm</think>\nPEER"], ["PEER"], ["hm"]),
    ],
)
def test_the_teacher_reads_what_it_is_shown(settings, peers, holds, lacks):
    context = build(FAILED, peers, **settings)
    assert context.startswith("Write f.\n\n") and context.endswith("Solve it without mentioning any of this.")
    for text in holds:
        assert text in context
    for text in lacks:
        assert text not in context


def test_feedback_that_is_too_long_keeps_its_end():
    assert clip_feedback("abc", 3) == "```text\nabc\n```"
    assert clip_feedback("abcd", 3) == "```text\n[...]\nbcd\n```"


def test_messages_stay_messages_and_the_last_one_is_completed():
    context = build(FAILED, prompt=MESSAGES)
    assert context[0] == MESSAGES[0] and context[1]["role"] == "user"
    assert context[1]["content"].startswith("Write f.\n\nWhen an attempt at this was run")
    assert MESSAGES[1]["content"] == "Write f."


def test_the_request_is_completed_and_not_what_follows_it():
    """What an answer began with, or what a tool said, stays as it was."""
    for after in ({"role": "assistant", "content": "It is"}, {"role": "tool", "content": "error"}):
        context = build(FAILED, prompt=[*MESSAGES, after])
        assert context[0] == MESSAGES[0] and context[2] == after
        assert context[1]["content"].startswith("Write f.\n\nWhen an attempt")
    assert build(FAILED, prompt=MESSAGES[:1])[0]["content"].startswith("Be brief.\n\nWhen an attempt")


def test_a_request_in_parts_is_read_as_text():
    image, parts = {"type": "image"}, [{"type": "text", "text": "Write "}, {"type": "text", "text": "f."}]
    (message,) = build(FAILED, prompt=[{"role": "user", "content": [image, *parts]}])
    assert message["content"] == [image, {"type": "text", "text": build(FAILED, prompt="Write f.")}]


@pytest.mark.parametrize(
    ("outcome", "peers", "settings"),
    [
        (PASSED, ["PEER"], {}),
        (PASSED, [], {"teach_passed": True}),
        (FAILED, [], {"show_feedback": False}),
        (BROKEN, ["PEER"], {"show_attempt": True}),
    ],
)
def test_there_is_no_context_where_the_teacher_would_know_no_more(outcome, peers, settings):
    assert build(outcome, peers, **settings) is None


def test_passed_answers_are_taught_where_that_is_asked_for():
    context = build(PASSED, ["PEER"], teach_passed=True, show_attempt=True)
    assert "PEER" in context and "failed with" not in context and "my answer" not in context


def test_long_feedback_keeps_its_end():
    outcome = Outcome("runtime", 0.0, "a" * 100 + "```" + "the error")
    context = build(outcome, max_feedback_length=12)
    assert "[...]\n```the error" in context and "aa" not in context
    assert context.count("````") == 2  # a fence that the feedback does not close


def test_templates_are_not_run_on_what_a_model_wrote():
    context = build(FAILED, ["{{ 7 * 7 }}"], prompt="{% raw %} {{ request }}")
    assert "{{ 7 * 7 }}" in context and "{{ request }}" in context and "49" not in context


def test_peers_are_of_the_same_group_and_never_the_answer_itself():
    kinds = [PASSED, FAILED, PASSED, FAILED, FAILED, FAILED]
    rollouts = [Rollout("p", str(number), outcome) for number, outcome in enumerate(kinds)]
    assert passing_peers(rollouts, 3) == [["2"], ["0", "2"], ["0"], [], [], []]


def test_rollouts_are_read_by_the_viewer(tmp_path):
    rollouts = [
        Rollout(MESSAGES, "```python\nx = 1\n```", outcome, "p") for outcome in (PASSED, FAILED, NO_CODE, BROKEN)
    ]
    write_rollouts(tmp_path / "rollouts", 3, rollouts, [1.0, 0.0, 0.0, 0.0], [1.0, -0.5, -0.5, 0.0], 4)
    write_rollouts(tmp_path / "rollouts", 10, rollouts[:1], [1.0], [0.0], 1)
    rows = read_dataset(str(tmp_path))
    assert [row["step"] for _, _, row in rows] == [3, 3, 3, 3, 10]
    pages = [page_row(row, key, status) for key, status, row in rows]
    assert [page["facets"]["outcome"] for page in pages] == [
        ["passed"],
        ["failed"],
        ["failed"],
        ["nothing run"],
        ["passed"],
    ]
    assert [page["facets"]["failure"] for page in pages] == [[], ["assertion"], ["no_code"], [], []]
    assert all("problem" not in page for page in pages)
    assert [block["label"] for block in pages[1]["blocks"]] == ["system", "request", "answer", "execution"]
    assert pages[1]["more"]["advantage"] == "-0.5" and pages[1]["facts"]["problem_id"] == "p"
    assert len(read_dataset(str(tmp_path), limit=2)) == 2


def test_what_half_a_character_may_be_is_written(tmp_path):
    file = write_rollouts(tmp_path, 0, [Rollout("p", "\udce2", NO_CODE)], [0.0], [0.0], 1)
    assert "udce2" in file.read_text()
    assert rollout_row(Rollout("p", "x", BROKEN), 0, 0, None, 0.0)["feedback"] == []
