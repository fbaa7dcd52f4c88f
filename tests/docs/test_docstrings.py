"""The docstrings agree with the code: documented parameters exist, in the order and with the defaults of the signature."""

import ast
import inspect
import re

import pytest

from .conftest import ROOT


SECTION = re.compile(r"(Args|Parameters|Attributes|Returns|Yields|Raises|Examples?):")
ENTRY = re.compile(r"    (?P<names>\*{0,2}\w+(?:, \w+)*)(?: \((?P<type>.+)\))?:")
OPTIONAL = re.compile(r"\*optional\*(?:, defaults to `(?P<default>.+)`)?$")
FACTORIES = {"list()": "[]", "dict()": "{}"}
# Defaults that no reader needs as code: the entry says what they do
COMPUTED = re.compile(r"None|str|lambda\b.*|time\..*|Path\(.*|[A-Z_]+")


def documented(docstring):
    """Yields the name and the text in parentheses of each entry below `Args:` or `Parameters:`."""
    section = None
    for line in inspect.cleandoc(docstring).splitlines():
        starts = SECTION.fullmatch(line)
        if starts or (line and not line.startswith(" ")):
            section = starts and starts[1]
        elif section in ("Args", "Parameters") and (entry := ENTRY.match(line)):
            yield from ((name, entry["type"] or "") for name in entry["names"].split(", "))


def parameters_of(function):
    """Returns the default of each parameter as source, `None` for a required one."""
    one = function.args
    positional = one.posonlyargs + one.args
    defaults = [None] * (len(positional) - len(one.defaults)) + one.defaults
    found = [(argument.arg, default) for argument, default in zip(positional, defaults, strict=True)]
    found += [(f"*{one.vararg.arg}", None)] if one.vararg else []
    found += [(argument.arg, default) for argument, default in zip(one.kwonlyargs, one.kw_defaults, strict=True)]
    found += [(f"**{one.kwarg.arg}", None)] if one.kwarg else []
    if found and found[0][0] in ("self", "cls"):
        del found[0]
    return {name: default and ast.unparse(default) for name, default in found}


def field_default(value):
    """Returns the default of a dataclass field, where a factory counts as what it makes."""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func).endswith("field")):
        return value
    options = {keyword.arg: keyword.value for keyword in value.keywords}
    factory = options.get("default_factory")
    if factory is None:
        return options.get("default")
    return factory.body if isinstance(factory, ast.Lambda) else ast.Call(factory, [], [])


def fields_of(node):
    fields = [one for one in node.body if isinstance(one, ast.AnnAssign) and "ClassVar" not in ast.unparse(one)]
    defaults = {one.target.id: field_default(one.value) for one in fields if "init=False" not in ast.unparse(one)}
    return {name: default and ast.unparse(default) for name, default in defaults.items()}


def described(tree):
    """Yields each function and class with a docstring: name, docstring, parameters, and whether it inherits others."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or not ast.get_docstring(node):
            continue
        if not isinstance(node, ast.ClassDef):
            yield node.name, ast.get_docstring(node), parameters_of(node), False
        elif init := [one for one in node.body if getattr(one, "name", None) == "__init__"]:
            yield node.name, ast.get_docstring(node), parameters_of(init[0]), False
        elif node.bases or node.decorator_list:
            yield node.name, ast.get_docstring(node), fields_of(node), bool(node.bases)


def contradiction(text, default, constants):
    """Returns how the text in parentheses contradicts the default, `None` if it does not."""
    optional = OPTIONAL.search(text)
    if default is None:
        return "is required, not optional: write `or `None`` if it may be None" if optional else None
    if not optional:
        return f"is optional, with the default {default}" if text else None
    default = constants.get(default, FACTORIES.get(default, default))
    if COMPUTED.fullmatch(default) or text == "*optional*":  # without a type: several parameters in one entry
        return None
    stated = optional["default"]
    same = stated is not None and ast.dump(ast.parse(stated)) == ast.dump(ast.parse(default))
    return None if same else f"defaults to {default}, not {stated}"


def faults(source):
    tree = ast.parse(source)
    assigned = [one for one in tree.body if isinstance(one, ast.Assign)]
    constants = {ast.unparse(one.targets[0]): ast.unparse(one.value) for one in assigned}
    for owner, docstring, parameters, inherits in described(tree):
        entries = [(name, text) for name, text in documented(docstring) if name in parameters or not inherits]
        names = [name for name, _ in entries]
        expected = [name for name in parameters if not name.lstrip("*").startswith("_")]
        if inherits:  # fields that only change the default of the base class need no entry
            expected = [name for name in expected if name in names]
        if names and sorted(names) != sorted(expected):
            yield f"{owner}: documents {names}, has {expected}"
        elif names != [name for name in expected if name in names]:
            yield f"{owner}: documents in the order {names}, has {expected}"
        for name, text in entries:
            if name in parameters and (fault := contradiction(text, parameters[name], constants)):
                yield f"{owner}: `{name}` {fault}"


FOLDERS = sorted({str(file.parent.relative_to(ROOT)) for file in ROOT.glob("reflection_trl/**/*.py")})


@pytest.mark.parametrize("folder", FOLDERS)
def test_documented_parameters_are_those_of_the_code(folder):
    found = [
        f"{file.relative_to(ROOT)}: {fault}"
        for file in sorted((ROOT / folder).glob("*.py"))
        for fault in faults(file.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


FUNCTION = '''
def f(a, b=2, *, c="x", d=None, **e):
    """
    Returns nothing.

    Args:
        a (`int`):
            Text: with (parentheses).
        b (`int`, *optional*, defaults to `2`):
            Text.
        c (`str`, *optional*, defaults to `"x"`):
            Text.
        d (`str`, *optional*):
            Text.
        **e (`Any`):
            Text.

    Returns:
        g (`int`): Not a parameter.
    """
'''
DATACLASS = '''
@dataclass
class C:
    """
    Holds values.

    Args:
        a (`list`, *optional*, defaults to `[]`):
            Text.
        b (`float`, *optional*, defaults to `0.5`):
            Text.
    """

    a: list = field(default_factory=list)
    b: float = field(default=0.5, metadata={"help": "Text."})
    key: ClassVar[str] = "k"
'''


def test_true_docstrings_have_no_faults():
    assert list(faults(FUNCTION)) == list(faults(DATACLASS)) == []


@pytest.mark.parametrize(
    ("source", "code", "planted", "fault"),
    [
        (FUNCTION, "f(a, b=2,", "f(b, a=2,", "f: documents in the order"),
        (FUNCTION, "        a (`int`):", "        A (`int`):", "f: documents ['A', 'b', 'c', 'd', '**e'], has"),
        (FUNCTION, "**e):", "z=1, **e):", "f: documents ['a', 'b', 'c', 'd', '**e'], has"),
        (FUNCTION, "f(a, b=2,", "f(a, b,", "f: `b` is required"),
        (FUNCTION, "b=2", "b=3", "f: `b` defaults to 3, not 2"),
        (FUNCTION, '`str`, *optional*, defaults to `"x"`', "`str`", "f: `c` is optional"),
        (FUNCTION, 'd=None', 'd=""', "f: `d` defaults to '', not None"),
        (DATACLASS, "0.5, metadata", "0.1, metadata", "C: `b` defaults to 0.1, not 0.5"),
        (DATACLASS, "=list)", "=lambda: [1])", "C: `a` defaults to [1], not []"),
        (DATACLASS, "    b: float", "    B: float", "C: documents ['a', 'b'], has ['a', 'B']"),
    ],
)  # fmt: skip
def test_planted_contradictions_are_found(source, code, planted, fault):
    assert code in source
    assert next(faults(source.replace(code, planted))).startswith(fault)
