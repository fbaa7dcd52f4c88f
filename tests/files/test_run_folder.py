"""The folder of a run, and what becomes of it when something goes wrong."""

import json
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflection_trl.files import run_folder
from reflection_trl.files.run_folder import RunError, RunFolder, SessionUsage


SETTINGS = {"model": "m", "rounds": 4, "first": {"temperature": 0.8}}


def record(number, text="x"):
    return {"problem_id": f"p{number}", "sample": 0, "text": text}


@pytest.fixture
def file_limit():
    """Sets the largest size of a file, which is how a full disk looks."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_records_are_there_at_once_and_in_the_next_session(tmp_path):
    with RunFolder(tmp_path / "run", SETTINGS) as folder:
        folder.append(record(0, "ä\n\u2028"))
        assert [*folder.records()] == [record(0, "ä\n\u2028")]
        folder.append(record(1))
    with RunFolder(tmp_path / "run", SETTINGS) as folder:
        folder.append(record(2))
        assert [one["problem_id"] for one in folder.records()] == ["p0", "p1", "p2"]


def test_new_records_come_once_from_all_processes(tmp_path):
    with RunFolder(tmp_path, SETTINGS) as first, RunFolder(tmp_path, SETTINGS, process=1) as second:
        first.append(record(0))
        assert [*first.new_records()] == [record(0)]
        second.append(record(1))
        first.append(record(2))
        assert [*first.new_records()] == [record(2), record(1)]
        assert [*first.new_records()] == []
        assert len([*first.records()]) == 3


@pytest.mark.parametrize("torn", [b'{"problem_id": "p2", "sam', b"\0" * 5000, "ä".encode()[:1], b"x" * 200_000])
def test_a_torn_line_is_cut_off(tmp_path, torn):
    with RunFolder(tmp_path, SETTINGS) as folder:
        folder.append(record(0))
        folder.append(record(1))
    with open(tmp_path / "rollouts" / "00000.jsonl", "ab") as file:
        file.write(torn)
    with RunFolder(tmp_path, SETTINGS) as folder:
        assert [*folder.records()] == [record(0), record(1)]
        folder.append(record(2))
        assert [*folder.records()] == [record(0), record(1), record(2)]


@given(st.lists(st.text(max_size=6), min_size=1, max_size=5), st.data())
def test_wherever_the_file_ends_every_whole_line_is_kept(tmp_path_factory, texts, data):
    path = tmp_path_factory.mktemp("run")
    records = [record(number, text) for number, text in enumerate(texts)]
    with RunFolder(path, SETTINGS) as folder:
        for one in records:
            folder.append(one)
    file = path / "rollouts" / "00000.jsonl"
    content = file.read_bytes()
    end = data.draw(st.integers(0, len(content)))
    file.write_bytes(content[:end])
    with RunFolder(path, SETTINGS) as folder:
        assert [*folder.records()] == records[: content[:end].count(b"\n")]
        folder.append(records[-1])
        assert [*folder.records()] == [*records[: content[:end].count(b"\n")], records[-1]]


def test_a_file_of_a_torn_line_alone_is_emptied(tmp_path):
    RunFolder(tmp_path, SETTINGS).__exit__()
    (tmp_path / "rollouts" / "00000.jsonl").write_bytes(b'{"problem')
    with RunFolder(tmp_path, SETTINGS) as folder:
        assert [*folder.records()] == []
    assert (tmp_path / "rollouts" / "00000.jsonl").read_bytes() == b""


def test_another_process_may_be_in_the_middle_of_a_line(tmp_path):
    with RunFolder(tmp_path, SETTINGS) as folder:
        other = tmp_path / "rollouts" / "00001.jsonl"
        line = json.dumps(record(1)).encode() + b"\n"
        other.write_bytes(line[:10])
        assert [*folder.new_records()] == []
        other.write_bytes(line)
        assert [*folder.new_records()] == [record(1)]


@pytest.mark.parametrize("number", [0, 1])
def test_damage_is_reported_with_its_place(tmp_path, number):
    with RunFolder(tmp_path, SETTINGS) as folder:
        for record_number in range(number):
            folder.append(record(record_number))
    with open(tmp_path / "rollouts" / "00000.jsonl", "ab") as file:
        place = file.tell()
        file.write(b"\0\0\n")
    with (
        RunFolder(tmp_path, SETTINGS) as folder,
        pytest.raises(RunError, match=rf"00000.jsonl is damaged at byte {place}"),
    ):
        list(folder.records())


def test_a_full_disk_loses_nothing_that_was_made(tmp_path, file_limit):
    with RunFolder(tmp_path, SETTINGS) as folder:
        folder.append(record(0))
        file_limit(1000)
        with pytest.raises(
            RunError, match=r"00000.jsonl cannot be written \(.+\): free disk space and rerun the same command"
        ):
            folder.append(record(1, "x" * 2000))
        assert (tmp_path / "rollouts" / "00000.jsonl").read_bytes().endswith(b"}\n")
        folder.append(record(2))  # there is room for a short one
    file_limit(resource.RLIM_INFINITY)
    with RunFolder(tmp_path, SETTINGS) as folder:
        assert [*folder.records()] == [record(0), record(2)]


def test_a_disk_that_is_full_from_the_start(tmp_path, file_limit):
    file_limit(0)
    with pytest.raises(RunError, match=r"run.json cannot be written \(.+\): free disk space"):
        RunFolder(tmp_path / "run", SETTINGS)
    file_limit(resource.RLIM_INFINITY)
    assert [path.name for path in (tmp_path / "run").iterdir() if path.suffix] == []
    RunFolder(tmp_path / "run", SETTINGS).__exit__()


def test_a_full_disk_keeps_the_outcome_that_was_there(tmp_path, file_limit):
    with RunFolder(tmp_path, SETTINGS) as folder:
        folder.write_rows("accepted", [record(0)])
        file_limit(100)
        with pytest.raises(OSError):
            folder.write_rows("accepted", [record(number) for number in range(50)])
        file_limit(resource.RLIM_INFINITY)
    assert [path.name for path in (tmp_path / "rows").iterdir()] == ["accepted-00000.jsonl"]
    assert json.loads((tmp_path / "rows" / "accepted-00000.jsonl").read_text()) == record(0)


def test_half_a_surrogate_pair_does_not_end_the_run(tmp_path):
    with RunFolder(tmp_path, SETTINGS) as folder:
        folder.append(record(0, "\ud800"))
        assert [*folder.records()] == [record(0, "\ud800")]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"rounds": 5},
            "contains a run with rounds = 4, not rounds = 5: give another `output_dir`, or the settings of that run",
        ),
        (
            {"first": {"temperature": 1}},
            "contains a run with first.temperature = 0.8, not first.temperature = 1: give",
        ),
        ({"new": True}, "contains a run with new = null, not new = true"),
    ],
)
def test_another_run_is_refused(tmp_path, changed, message):
    with RunFolder(tmp_path, SETTINGS) as folder:
        folder.append(record(0))
    with pytest.raises(RunError) as error:
        RunFolder(tmp_path, SETTINGS | changed)
    assert message in str(error.value)
    RunFolder(tmp_path, SETTINGS).__exit__()  # the lock is free again


def test_a_run_without_results_takes_other_settings(tmp_path, monkeypatch):
    """It never began, perhaps for lack of a model. The folder is then one of the new settings."""
    monkeypatch.setattr(run_folder, "_LOCK_ATTEMPTS", 1)
    RunFolder(tmp_path, SETTINGS).__exit__()
    with RunFolder(tmp_path, SETTINGS, process=1), pytest.raises(RunError, match="rounds = 4, not rounds = 5"):
        RunFolder(tmp_path, SETTINGS | {"rounds": 5})
    with RunFolder(tmp_path, SETTINGS | {"rounds": 5}) as folder:
        folder.append(record(0))
    with pytest.raises(RunError, match="rounds = 5, not rounds = 4"):
        RunFolder(tmp_path, SETTINGS)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match=r"contains 'thesis.tex' but no run: give an empty or a new folder"):
        RunFolder(tmp_path, SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(RunError, match="is a file: give a folder"):
        RunFolder(tmp_path / "thesis.tex", SETTINGS)


def test_a_folder_that_cannot_be_made():
    with pytest.raises(
        RunError,
        match=r"The folder /proc/run cannot be written \(.+\): free disk space, change its permissions, or give another",
    ):
        RunFolder("/proc/run", SETTINGS)  # not even by root


@pytest.mark.parametrize("content", ["", "[]", '{"rounds": 4}', "\0"])
def test_a_run_file_that_is_none(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=r"run.json cannot be read"):
        RunFolder(tmp_path, SETTINGS)


def test_a_newer_format_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"format_version": 99}')
    with pytest.raises(RunError, match="contains a run of format 99, but this version writes format 1"):
        RunFolder(tmp_path, SETTINGS)


def test_one_process_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "_LOCK_ATTEMPTS", 1)
    with RunFolder(tmp_path, SETTINGS) as folder:
        with pytest.raises(RunError, match="Another process uses"):
            RunFolder(tmp_path, SETTINGS)
        assert not folder.is_locked(1)
        with RunFolder(tmp_path, SETTINGS, process=1):
            assert folder.is_locked(1)
        assert not folder.is_locked(1)
    RunFolder(tmp_path, SETTINGS).__exit__()


def test_what_processes_make_before_the_first_is_no_stranger(tmp_path):
    (tmp_path / "rollouts").mkdir()
    (tmp_path / ".lock-1").touch()
    (tmp_path / ".run.json.123.partial").touch()
    RunFolder(tmp_path, SETTINGS).__exit__()


def test_rows_in_shards_replace_those_that_were_there(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "ROWS_PER_SHARD", 2)
    with RunFolder(tmp_path, SETTINGS) as folder:
        for count, files in ((5, 3), (4, 2), (0, 0), (1, 1)):
            folder.write_rows("accepted", [record(number) for number in range(count)])
            written = sorted((tmp_path / "rows").iterdir())
            assert [path.name for path in written] == [f"accepted-{number:05d}.jsonl" for number in range(files)]
            lines = [json.loads(line) for path in written for line in path.read_text().splitlines()]
            assert lines == [record(number) for number in range(count)]


def test_sessions_are_kept_up_to_their_last_figures(tmp_path):
    with RunFolder(tmp_path, SETTINGS) as folder:
        session = SessionUsage(process=0, began=5.0)
        folder.keep_session(session)
        session.runs = 7
        folder.keep_session(session)
        folder.keep_session(SessionUsage(process=1, began=5.0, prompt_tokens=3))
        first, second = folder.sessions()
        assert (first.runs, first.began, second.prompt_tokens, second.process) == (7, 5.0, 3, 1)
        assert first.until == session.until > 5.0
