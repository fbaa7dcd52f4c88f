"""Every message that the troubleshooting pages quote exists in the source."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from .conftest import ROOT
from .test_snippets import snippets


def messages():
    pages = sorted((ROOT / "docs").glob("troubleshooting*.md"))
    quoted = [snippet for page in pages for snippet in snippets(page) if snippet.language == "text"]
    return [line for snippet in quoted for line in snippet.code.splitlines()]


@pytest.fixture(scope="module")
def said():
    """Every text of the source on one line, with `...` where a value goes."""
    transformers = Path(importlib.util.find_spec("transformers").origin).parent
    files = (ROOT / "reflection_trl").rglob("*.py")
    texts = []
    for file in [*files, transformers / "training_args.py"]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                texts.append("".join(part.value if isinstance(part, ast.Constant) else "..." for part in node.values))
    return [" ".join(text.split()) for text in texts]


@pytest.mark.parametrize("message", messages(), ids=lambda message: message[:60])
def test_the_source_says_it(message, said):
    parts = [part.strip() for part in message.split("...") if part.strip()]
    assert parts, f"{message!r} says nothing"
    pattern = re.compile(".*".join(map(re.escape, parts)))
    found = any(pattern.search(text) for text in said if parts[0] in text)
    assert found, f"nothing says {message!r}"
