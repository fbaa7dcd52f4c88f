"""The shape of the code, as CONTRIBUTING describes it: functions that fit on a screen, and few suppressed type errors."""

import ast
import re
import tomllib
from pathlib import Path


ROOT = Path(__file__).parents[1]
FILES = [*(ROOT / "reflection_trl").rglob("*.py"), *(ROOT / "recipes").rglob("*.py")]
MAX_LINES = 70


def long_functions(source, most=MAX_LINES):
    """Names of the functions that have more lines than `most`, their docstrings not counted."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node):
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            if lines > most:
                yield node.name


def test_functions_fit_on_a_screen():
    found = [f"{file.relative_to(ROOT)}: {name}" for file in FILES for name in long_functions(file.read_text("utf-8"))]
    assert not found, f"split what is longer than {MAX_LINES} lines"


def test_long_functions_are_found():
    text = '"""doc\n' + "\n" * 80 + '    """'
    short = f"def short():\n    {text}\n" + "    x = 1\n" * 69
    long = "async def long():\n" + "    x = 1\n" * 70
    assert list(long_functions(short + long)) == ["long"]


def test_few_type_errors_are_suppressed():
    places = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in FILES
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1)
        if "# type: ignore" in line
    ]
    assert len(places) <= 20, f"give these real types, such as a Protocol or an assert: {places}"


def test_the_map_shows_the_layers():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (one["layers"] for one in contracts if one.get("containers") == ["reflection_trl"])
    table = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("| Folder or module |")[2].partition("\n\n")[0]
    rows = [re.findall(r"`([\w/]+)`", line.split("|")[1]) for line in table.splitlines()[2:]]
    assert [{name.rstrip("/") for name in row} for row in rows] == [set(layer.split(" | ")) for layer in layers]
