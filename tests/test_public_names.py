"""The names of the package: listed once for people, once for type checkers, once for the lazy import, and alike."""

import ast
import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import reflection_trl


def names_for_type_checkers(module):
    tree = ast.parse(Path(module.__file__).read_text())
    (branch,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    return {alias.name for node in branch.body if isinstance(node, ast.ImportFrom) for alias in node.names}


# Parts of the package that training on rows does not use
OTHER_PARTS = ("builder", "evaluation", "generation", "languages", "online", "problems", "sandbox", "viewers")


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


def test_training_imports_only_what_it_needs():
    script = "import sys, reflection_trl.cli.train_data; from reflection_trl import ReflectionDistillTrainer; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    others = {"matplotlib", "vllm", "evalplus", *(f"reflection_trl.{part}" for part in OTHER_PARTS)}
    assert not others & set(done.stdout.split())


def test_unpacking_everything_gives_the_public_names():
    assert set(reflection_trl.__all__) <= set(dir(reflection_trl))


def undocumented(thing):
    """Parameters, or fields, of a function or class of the package that its docstring does not explain."""
    text = inspect.getdoc(thing) if thing.__doc__ else ""
    return [
        name
        for name in own_parameters(thing)
        if not re.search(rf"^[ >-]*(\w+, )*[`*]*{name}`?(, \w+)*( \(.+\))?:", text, re.M)
    ]


def own_parameters(thing):
    """Parameters that the package itself defines: those of a base class of TRL are explained there."""
    if dataclasses.is_dataclass(thing):
        own = [base for base in thing.__mro__ if base.__module__.startswith(("reflection_trl", __name__))]
        return {name: None for base in own for name in base.__annotations__ if is_given(thing, name)}
    function = vars(thing).get("__init__") if inspect.isclass(thing) else thing
    parameters = inspect.signature(function).parameters if function is not None else {}
    return {name: parameter for name, parameter in parameters.items() if name != "self"}


def is_given(thing, name):
    field = thing.__dataclass_fields__.get(name)
    return field is not None and field.init and "ClassVar" not in str(field.type)


def untyped(thing):
    """Parameters and results without a type, of a function or of the methods that a class defines."""
    functions = [thing]
    if inspect.isclass(thing):
        file = inspect.getsourcefile(thing)  # what `dataclass` makes is in none
        functions = [
            one for one in vars(thing).values() if inspect.isfunction(one) and one.__code__.co_filename == file
        ]
    for function in functions:
        signature = inspect.signature(function)
        for name, parameter in signature.parameters.items():
            if name != "self" and parameter.annotation is inspect.Parameter.empty:
                yield f"{function.__name__}({name})"
        if function.__name__ != "__init__" and signature.return_annotation is inspect.Signature.empty:
            yield f"{function.__name__} -> ?"


CALLABLE = [name for name in reflection_trl.__all__ if name != "PAPER_PRESET"]


@pytest.mark.parametrize("name", CALLABLE)
def test_public_names_are_documented_and_typed(name):
    thing = getattr(reflection_trl, name)
    assert thing.__doc__ and not undocumented(thing) and not list(untyped(thing))


@pytest.mark.parametrize("name", reflection_trl.__all__)
def test_public_names_are_on_a_page_of_the_reference(name):
    pages = [page.read_text("utf-8") for page in (Path(__file__).parents[1] / "docs" / "reference").glob("*.md")]
    thing = getattr(reflection_trl, name)
    module = getattr(thing, "__module__", "reflection_trl.training.config")
    shown = {module, module.rpartition(".")[0], f"{module}.{name}"}
    blocks = [block for page in pages for block in page.split("::: ")[1:] if block.split()[0] in shown]
    assert blocks, f"show {module} on a page of docs/reference"
    assert any("members:" not in block or re.search(rf"\b{name}\b", block) for block in blocks)


def test_every_mapping_is_on_the_page_of_problems():
    from reflection_trl.problems.mappings import MAPPINGS

    page = (Path(__file__).parents[1] / "docs" / "reference" / "problems.md").read_text("utf-8")
    members = re.search(r"::: reflection_trl.problems.mappings\n.*\n +members: \[(.*)\]", page)[1].split(", ")
    assert {ready.map.__name__ for ready in MAPPINGS.values()} <= set(members)


def test_a_name_without_description_or_type_is_found():
    def reported(first: int, second: str = "") -> None:
        """
        Does it.

        Args:
            first (`int`):
                Number.
        """

    def silent(first, *rest: int):
        pass

    @dataclasses.dataclass
    class Settings:
        """
        Settings.

        Args:
            first (`int`):
                Number.
        """

        first: int
        second: str = ""

    assert undocumented(reported) == ["second"] and not list(untyped(reported))
    assert undocumented(silent) == ["first", "rest"]
    assert list(untyped(silent)) == ["silent(first)", "silent -> ?"]
    assert undocumented(Settings) == ["second"]
