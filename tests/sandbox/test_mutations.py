"""A judge that is broken on purpose is noticed by the table of lying answers and the honest ones beside them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reflection_trl.languages import LANGUAGES
from reflection_trl.languages.bash import Bash
from reflection_trl.sandbox import END_MARK, CommandProgram, Sandbox, worker
from reflection_trl.sandbox import sandbox as sandbox_module
from reflection_trl.sandbox.guest import job

from .lying_answers import Lie, bash
from .test_lying_answers import TABLE


LIES = TABLE["python"]
GUEST = Path(job.__file__).parent
# By what is wrong with the judge: a file of the guest, what stands there, what stands there instead, and a lie that notices it
MUTATIONS = {
    "always passes": (
        "checks.py",
        '    errors.register_source("checks.py", source)\n',
        "    return None\n",
        "an order of its own",
    ),
    "always fails": (
        "job.py",
        'result["completed"] = result["error"] is None',
        'result["completed"] = False',
        "an order of its own",
    ),
    "believes every object": (
        "checks.py",
        "        if type(other) in _DATA:\n",
        "        return True\n        if False:\n",
        "an object equal to everything",
    ),
    "lets text of the answer run": (
        "texts.py",
        "    if not _RUNS.search(source):\n",
        "    if source:\n",
        "eval of what it returns",
    ),
    "forgets what it was not allowed to check": (
        "checks.py",
        "        if self._failed is not None:\n",
        "        if False:\n",
        "an assert swallowed in a callback",
    ),
    "hears no result of unittest": (
        "runners.py",
        "            if error is not None:",
        "            if False:",
        "unittest of one case, called",
    ),
}


def _judged(sandbox: Sandbox, language: str, lies: list[Lie]) -> tuple[int, int]:
    """How many lies pass, and how many honest answers do not."""
    spoken = LANGUAGES[language]
    sources = [*((lie, lie.lying) for lie in lies), *((lie, lie.honest) for lie in lies)]
    programs = [spoken.program(source, lie.tests, entry_point=lie.entry_point) for lie, source in sources]
    verdicts = sandbox.run_many(programs)
    passed = [
        spoken.diagnose(verdict, source, lie.tests).passed
        for verdict, (lie, source) in zip(verdicts, sources, strict=True)
    ]
    return sum(passed[: len(lies)]), len(lies) - sum(passed[len(lies) :])


@pytest.fixture
def mutated(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Sandbox]]:
    opened: list[Sandbox] = []

    def open_mutated(file: str, before: str, after: str) -> Sandbox:
        folder = tmp_path / "guest"
        shutil.copytree(GUEST, folder)
        text = (folder / file).read_text(encoding="utf-8")
        assert text.count(before) == 1
        (folder / file).write_text(text.replace(before, after), encoding="utf-8")
        monkeypatch.setattr(worker, "_GUEST", folder)
        # Its own probes would find some of them when it starts
        monkeypatch.setattr(sandbox_module.probe, "attack", lambda _: None)
        opened.append(Sandbox(workers=2, mechanism=sandbox.mechanism))
        opened[0].start()
        return opened[0]

    yield open_mutated
    for one in opened:
        one.close()


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_judge_is_noticed(mutated: Callable[..., Sandbox], name: str):
    *mutation, noticing = MUTATIONS[name]
    lies = [lie for number, lie in enumerate(LIES) if lie.name == noticing or number % 25 == 0]
    passed, lost = _judged(mutated(*mutation), "python", lies)
    assert lost if name == "always fails" else passed


def test_a_judge_whose_mark_is_known_is_noticed(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    """Tests behind the answer, in one process: the answer can read the mark there, and print it itself."""

    def together(self: Bash, source: str, tests: str, entry_point: str) -> CommandProgram:
        whole = f"{source}\n{tests}\ncase $? in 0) printf '\\n%s\\n' {END_MARK} ;; *) exit 1 ;; esac"
        return CommandProgram(("bash", "main.sh"), files={"main.sh": whole}, end_mark=True)

    lies = [lie for lie in bash.LYING if lie.name == "reads the mark in its own file"]
    assert _judged(sandbox, "bash", lies) == (0, 0)
    monkeypatch.setattr(Bash, "separated", together)
    assert _judged(sandbox, "bash", lies) == (1, 0)


@pytest.mark.parametrize("language", [language for language in TABLE if language != "python"])
def test_the_mark_is_in_nothing_that_the_answer_gets(language: str):
    lie = TABLE[language][0]
    program = LANGUAGES[language].program(lie.honest, lie.tests, entry_point=lie.entry_point)
    assert isinstance(program, CommandProgram) and program.end_mark and program.partner is not None
    assert END_MARK not in str(program.partner)
    assert END_MARK in str([program.argv, program.files])
