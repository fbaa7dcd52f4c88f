"""Programs that read standard input: how they are written differs, and all of them run."""

from collections.abc import Callable

import pytest

from reflection_trl.languages.execution import Run


PROGRAMS = [
    ("java", "package foo.bar;\nimport java.util.*;\npublic class Main { public static void main(String[] a) { System.out.println(new Scanner(System.in).nextInt() * 2); } }"),
    ("typescript", "import * as fs from 'fs';\nconst x: number = Number(fs.readFileSync(0, 'utf8'));\nconsole.log(x * 2);"),
    ("typescript", "import fs from 'node:fs';\nconst x: number = Number(fs.readFileSync(0, 'utf8'));\nconsole.log(x * 2);"),
    ("typescript", "import * as readline from 'readline';\nconst rl = readline.createInterface({ input: process.stdin });\nrl.on('line', (l: string) => { console.log(Number(l) * 2); });"),
    ("typescript", "const fs = require('fs');\nconsole.log(Number(fs.readFileSync(0, 'utf8')) * 2);"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "source"), PROGRAMS, ids=range(len(PROGRAMS)))
def test_programs_read_their_input(execute: Callable[..., Run], language: str, source: str):
    run = execute(language, source, stdin="21\n")
    assert run.feedback.passed
    assert run.stdout == "42\n"
