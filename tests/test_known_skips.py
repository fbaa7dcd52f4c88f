"""`--only-known-skips`: a run whose tests skip for a reason that nobody listed is no success."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("processes", [[], ["-n", "1"]], ids=["alone", "xdist"])
@pytest.mark.parametrize(
    ("reason", "code"), [("needs a CUDA device", 0), ("there is no compiler", 1)], ids=["known", "unknown"]
)
def test_an_unknown_reason_fails_the_run(reason, code, processes, tmp_path):
    conftest = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
    start, end = conftest.index("KNOWN_SKIPS = ("), conftest.index("EVALPLUS = ")
    hooks = conftest[conftest.index("def pytest_addoption") : conftest.index("def make_tokenizer")]
    (tmp_path / "conftest.py").write_text(conftest[start:end] + hooks)
    (tmp_path / "test_it.py").write_text(
        f"import pytest\n\ndef test_a():\n    pytest.skip({reason!r})\n\ndef test_b():\n    pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--only-known-skips", *processes]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code, done.stdout
    assert ("must not skip here: there is no compiler" in done.stdout) == bool(code)
