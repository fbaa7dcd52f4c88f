"""The names of the package: listed once for people, once for type checkers, once for the lazy import, and alike."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import reflection_trl


def names_for_type_checkers(module):
    tree = ast.parse(Path(module.__file__).read_text())
    (branch,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    return {alias.name for node in branch.body if isinstance(node, ast.ImportFrom) for alias in node.names}


@pytest.mark.parametrize("name", ["reflection_trl", "reflection_trl.builder"])
def test_lists_of_names_agree(name):
    module = importlib.import_module(name)
    assert set(module.__all__) == set(module._MODULES) == names_for_type_checkers(module)
    for public in module.__all__:
        assert getattr(module, public) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.__getattr__("nothing")


def test_the_package_alone_is_light():
    script = "import sys, reflection_trl; print([m for m in ('torch', 'transformers', 'trl', 'datasets', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_unpacking_everything_gives_the_public_names():
    assert set(reflection_trl.__all__) <= set(dir(reflection_trl))
