"""The prose linter: the documentation, docstrings, comments and messages use the field's terms and American spelling.

codespell checks the spelling; its configuration is in pyproject.toml. The rules below name words and phrases of no field, each with
what to write instead: see the Style section of CONTRIBUTING.md.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize

import pytest

from .conftest import ROOT


RULES = {
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\btold\b": "receives, is set, distinguished; or name what is reported",
    r"\b(came|comes?) of (it|that|them|training)\b": "the results",
    r"\bof (one's|his|her) own\b": "separate, or your own",
    r"\b(go|goes|going|gone|went) on\b(?! (the|your|a) )": "resume, continue",
    r"\b(come|comes|came) to nothing\b": "is rejected, fails",
    r"\bspent on\b": "used for",
    r"\b(be|is|was|were) had\b|\bhad from\b": "is available, received",
    r"\banew\b": "again",
    r"\bhand(s|ed)? down\b": "teach",
    r"\bdraws? (the |an |some |its )?(answers?|completions?|rollouts?|samples?|tokens?)\b": "sample",
}
PROSE = {  # by the ending of the file
    ".md": ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md", "recipes/**/*.md", "metrics/**/*.md"],
    ".py": ["reflection_trl/**/*.py", "recipes/**/*.py", "metrics/**/*.py", "docs/_site/*.py", "notebooks/*.py"],
    ".yaml": ["mkdocs.yml", ".github/**/*.yml", ".pre-commit-config.yaml", "recipes/**/*.yaml"],
}


def of_markdown(text):
    """Yields the lines without code blocks and code spans."""
    text = re.sub(
        r"^( *)(```+).*?^\1\2", lambda block: "\n" * block[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE
    )
    yield from enumerate(re.sub(r"`[^`\n]*`", "``", text).splitlines(), 1)


def of_python(text):
    """Yields comments, docstrings and all other texts of several words."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.count(" ") > 1:
            lines = re.sub(r"`[^`\n]*`", "``", node.value).splitlines()
            yield from enumerate(lines, node.lineno)


def of_yaml(text):
    """Yields the comments."""
    yield from ((number, line[line.index("#") :]) for number, line in enumerate(text.splitlines(), 1) if "#" in line)


READERS = {".md": of_markdown, ".py": of_python, ".yaml": of_yaml}


def violations(text, ending):
    return [
        f"{number}: {match[0]!r}, write: {instead}"
        for number, line in READERS[ending](text)
        for rule, instead in RULES.items()
        if (match := re.search(rule, line, re.IGNORECASE))
    ]


GUIDES = [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in ("SECURITY.md", "CONTRIBUTING.md"))]


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_a_page_is_short_and_begins_with_its_result(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250, "split the page, or move experiments to docs/experiments.md"
    assert page.stem == "index" or lines[2].startswith("At the end of this page"), f"begins with {lines[2]!r}"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


FILES = [(file, ending) for ending, patterns in PROSE.items() for name in patterns for file in sorted(ROOT.glob(name))]


@pytest.mark.parametrize("folder", sorted({str(file.relative_to(ROOT).parent) for file, _ in FILES}))
def test_the_prose_uses_the_terms_of_the_field(folder):
    found = [
        f"{file.relative_to(ROOT)}:{violation}"
        for file, ending in FILES
        if str(file.relative_to(ROOT).parent) == folder
        for violation in violations(file.read_text(encoding="utf-8"), ending)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("ending", "text", "line"),
    [
        (".md", "Fine.\n\nThe run goes on with its rollouts.\n", 3),
        (".md", "- No answer could be\n- or is had from the server.\n", 2),
        (".py", 'def f():\n    """Is told how many there are."""\n', 2),
        (".py", "x = 1  # mended later\n", 1),
        (".py", 'raise ValueError(f"{x} came of training: run it again")\n', 1),
        (".yaml", "rate: 1  # judged anew\n", 1),
    ],
)
def test_planted_words_are_found(ending, text, line):
    (found,) = violations(text, ending)
    assert found.startswith(f"{line}: ")


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (
            ".md",
            "```bash\nreflection-trl told  # goes on\n```\n\n`mend` and `anew` are code. See what depends on the run.\n",
        ),
        (".py", 'told = {"mend": 1}\n"""Reruns `told` and resumes."""\n'),
        (".yaml", "anew: told\n"),
    ],
)
def test_code_is_not_prose(ending, text):
    assert not violations(text, ending)


def codespell(*arguments):
    command = [sys.executable, "-m", "codespell_lib", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_spelling_is_american():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    folders = re.search(r"^SPELLED = ([\w ]+)", makefile, re.MULTILINE)[1].split()
    checked = codespell(
        *folders, *(file.name for ending in ("md", "toml", "yml") for file in ROOT.glob(f"*.{ending}"))
    )
    assert checked.returncode == 0, checked.stdout


def test_british_spelling_is_found(tmp_path):
    file = tmp_path / "page.md"
    file.write_text("The colour of a normalised neighbour, and a mispelled word.\n", encoding="utf-8")
    found = codespell(str(file)).stdout
    assert all(word in found for word in ("colour", "normalised", "neighbour", "mispelled")), found
