"""Generates the two programs that judge a C++ answer: tests with stand-ins, and the answer with numbered entries."""

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from .classes import ClassText, Member, classes, members
from .command import shared_names
from .heads import Head, blanked, heads, split


_QUALIFIERS = re.compile(
    r"\[\[[^\]]*\]\]|\b(?:static|inline|constexpr|extern|virtual|friend|explicit|mutable)\b|\"[^\"]*\""
)
_TYPE = re.compile(r"[\w:<>,*&\s\[\]()]+")
# The tests' side evaluates default arguments, so only constants are accepted
_DEFAULT = re.compile(
    r"-?[\d.]\w*|true|false|nullptr|NULL|-?(?:[A-Z]+_MAX|INT_MIN|LONG_MIN)|\{\}|\"[^\"\\]*\"|'[^'\\]'|(?:std::)?string(?:\(\)|\{\})|(?:std::)?nullopt"
)
_TEMPLATE = re.compile(r"^template\s*<((?:\s*(?:typename|class)\s+\w+\s*,?)+)>\s*")
# A union of MultiPL-E: the prompt defines it, so the tests' side knows it too
_UNION = re.compile(r"\bunion\s+(\w+)\s*\{((?:[^{}]|\{[^{}]*\})*)\}\s*;")
# A result type that the compiler deduces
_DEDUCED = re.compile(r"\bauto\b|\bdecltype\s*\(\s*auto\s*\)")
_MEMBER = re.compile(r"([\w:<>,\s]+?)\s+f\d+\s*;")
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<([a-z_0-9]+(?:\.h)?|bits/stdc\+\+\.h)>", re.MULTILINE)
_USING = re.compile(r"^[ \t]*(using\s+namespace\s+std\s*;|using\s+std::\w+\s*;)", re.MULTILINE)
# Type aliases: `#define ll long long`, `typedef long long ll;`, `using ll = long long;`
_ALIASES = (
    re.compile(r"^[ \t]*#[ \t]*define[ \t]+(?P<name>\w+)[ \t]+(?P<type>[\w:<>,*& \t]+)$", re.MULTILINE),
    re.compile(r"\btypedef\s+(?P<type>[\w:<>,*&\s]+?)\s*\b(?P<name>\w+)\s*;"),
    re.compile(r"\busing\s+(?P<name>\w+)\s*=\s*(?P<type>[\w:<>,*&\s]+?)\s*;"),
)
# Names from headers that `judge.hpp` omits because they are slow to compile
_RARE = re.compile(
    r"\b(?:regex|thread|mutex|chrono|filesystem|random|mt19937|future|async|atomic|valarray|bitset|locale|ratio)\b"
)
_ALWAYS = ("algorithm", "cctype", "climits", "cmath", "functional", "iomanip", "iterator", "limits", "memory", "numeric", "queue",
           "sstream", "stack", "string_view")  # fmt: skip
_QUICK = frozenset(
    [
        "assert.h",
        "math.h",
        "stdio.h",
        "stdlib.h",
        "string.h",
        "ctype.h",
        "limits.h",
        "float.h",
        "stdint.h",
        "cassert",
        "cstdio",
        "cstdlib",
        "cstring",
        "cfloat",
        "cstdint",
        "cstddef",
        "iostream",
        "fstream",
        "bitset",
        "forward_list",
        "initializer_list",
    ]
)
_WORDS_OF_TYPES = frozenset(["int", "long", "short", "char", "bool", "float", "double", "unsigned", "signed", "const"])
_COMPARISONS = frozenset(["==", "!=", "<", ">", "<=", ">="])
_OF_DATA = frozenset(
    [
        "at",
        "back",
        "begin",
        "c_str",
        "capacity",
        "cbegin",
        "cend",
        "compare",
        "contains",
        "count",
        "crbegin",
        "crend",
        "data",
        "empty",
        "end",
        "ends_with",
        "equal_range",
        "equals",
        "find",
        "find_first_of",
        "find_last_of",
        "front",
        "get",
        "has_value",
        "index",
        "length",
        "lower_bound",
        "max_size",
        "operator()",
        "rbegin",
        "rend",
        "rfind",
        "size",
        "starts_with",
        "str",
        "substr",
        "test",
        "to_string",
        "top",
        "upper_bound",
        "value",
        "value_or",
    ]
)
_ARITHMETIC = frozenset(["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "&&", "||", ","])
# Standard exceptions that classes derive from, and the expression with which a stand-in constructs one
_EXCEPTIONS = {
    name: f'::std::{name}("")' if name not in ("exception", "bad_alloc") else f"::std::{name}()"
    for name in ("exception", "bad_alloc", "logic_error", "runtime_error", "invalid_argument", "out_of_range", "domain_error",
                 "length_error", "overflow_error", "underflow_error", "range_error")
}  # fmt: skip


@cache
def library() -> frozenset[str]:
    """
    Returns the names of the C and C++ standard libraries, in lowercase. In tests they refer to the library, even if an
    answer defines the same name. universal-ctags extracted them from the global scope and `std` of GCC 12's headers.
    """
    return frozenset((resources.files(__package__) / "library" / "cpp.txt").read_text(encoding="utf-8").split())


@dataclass(frozen=True)
class Function:
    """
    Represents a function, method or constructor of the answer, as the tests' side declares it.

    Args:
        name (`str`):
            Name of the function.
        result (`str`):
            Return type; empty for a constructor.
        parameters (`tuple[str]`):
            Types of the parameters.
        defaults (`tuple[str]`):
            Default argument of each parameter; empty if it has none.
        variables (`tuple[str]`, *optional*, defaults to `()`):
            Template parameters.
        fixed (`bool`, *optional*, defaults to `False`):
            Whether it is a static method.
        constant (`bool`, *optional*, defaults to `False`):
            Whether it is a `const` method.
    """

    name: str
    result: str
    parameters: tuple[str, ...]
    defaults: tuple[str, ...]
    variables: tuple[str, ...] = ()
    fixed: bool = False
    constant: bool = False

    @property
    def type(self) -> str:
        return f"{self.result}({', '.join(self.parameters)})"


@dataclass(frozen=True)
class Class:
    """
    Represents a class of the answer, or an instance of a class template, as the tests' side declares it.

    Args:
        name (`str`):
            Name without template arguments.
        type (`str`):
            Name with template arguments.
        template (`str`):
            Template parameters.
        bases (`tuple[str]`):
            Bases that the answer defines.
        exception (`str`):
            Standard exception that it derives from; empty if it derives from none.
        named (`bool`):
            Whether the tests name it. Objects of other classes cannot be constructed, compared or used in arithmetic,
            since a function could return an object that claims to equal everything in place of data.
        constructors, methods (`tuple[Function]`):
            Public constructors and methods.
        operators (`tuple[Function]`):
            Operators that are free functions.
        fields (`tuple[tuple[str, str]]`):
            Types and names of the public fields.
        printed (`bool`):
            Whether it can be written to a stream.
    """

    name: str
    type: str
    template: str
    bases: tuple[str, ...]
    exception: str
    named: bool
    constructors: tuple[Function, ...]
    methods: tuple[Function, ...]
    operators: tuple[Function, ...]
    fields: tuple[tuple[str, str], ...]
    printed: bool


@dataclass(frozen=True)
class Answer:
    """Holds the declarations of an answer that its tests use."""

    functions: tuple[Function, ...]
    classes: tuple[Class, ...]
    enums: tuple[str, ...]
    unions: dict[str, list[str]]
    doubtful: tuple[str, ...]

    @property
    def deduced(self) -> list[str]:
        """Returns the names of the functions whose result type the compiler deduces."""
        return [one.name for one in self.functions if one.result == _alias(one.name)]

    @classmethod
    def read(cls, source: str, tests: str, entry_point: str) -> "Answer":
        """
        Reads the declarations from an answer.

        Args:
            source (`str`):
                The answer. It is untrusted: only names, types and constants are read from it, to generate stand-ins.
            tests (`str`):
                The tests.
            entry_point (`str`):
                Name of the function or class under test; may be empty.
        """
        reader = _Reader(source, tests, entry_point)
        functions = reader.functions()
        unions = {found.group(1): re.findall(_MEMBER, found.group(2)) for found in _UNION.finditer(tests)}
        own, enums = reader.classes(functions)
        return cls(tuple(functions), tuple(own), tuple(enums), unions, tuple(reader.doubtful))


class _Reader:
    """Parses the declarations that the tests name from the text of an answer."""

    def __init__(self, source: str, tests: str, entry_point: str):
        self.code, self.tests = blanked(source, keep_strings=True), blanked(tests)
        self.bare = blanked(source)
        self.entry_point = entry_point
        self.names = {found["name"]: found["type"] for pattern in _ALIASES for found in pattern.finditer(self.code)}
        self.declared = {one.name: one for one in classes(self.bare) if one.name != "reflection_trl"}
        self.heads = [head for head in heads(self.code) if head.depth == 0]
        self.operators = [one for one in members(self.bare) if one.name.startswith("operator")]
        self.doubtful: list[str] = []
        self.wanted = self._wanted()

    def _wanted(self) -> set[str]:
        """Returns the names in the tests that refer to the answer."""
        own = {head.name for head in heads(self.tests) if head.depth == 0} | {one.name for one in classes(self.tests)}
        defined = {head.name for head in self.heads} | set(self.declared)
        shared = [name for name in shared_names(self.bare, self.tests) if name in defined - own - {"main"}]
        wanted = {name for name in shared if name not in library()} | {self.entry_point}
        if self.entry_point in defined:
            return wanted
        of_library = [
            name for name in shared if name in library() and not re.search(rf"\bstd\s*::\s*{name}\b", self.tests)
        ]
        if of_library and len(shared) == 1:
            return wanted | set(of_library)
        self.doubtful = [name for name in of_library if re.search(rf"\b{name}\s*[(<{{]", self.tests)]
        return wanted

    def plain(self, text: str) -> str:
        """Returns a type with the answer's aliases resolved."""
        for _ in range(5):
            text = re.sub(r"(?<!::)\b\w+\b", lambda word: self.names.get(word.group(), word.group()), text)
        return " ".join(text.split())

    def functions(self) -> list[Function]:
        found = [self._of_head(head) for head in self.heads if head.name in self.wanted]
        read = list(dict.fromkeys(one for one in found if one is not None))
        if any(one.variables for one in read):  # their side waits for the tests, which would wait for the types
            return read
        return [
            dataclasses.replace(one, result=_alias(one.name))
            if _DEDUCED.search(one.result) and sum(other.name == one.name for other in read) == 1
            else one
            for one in read
        ]

    def _of_head(self, head: Head) -> Function | None:
        template = _TEMPLATE.match(head.before)
        variables = tuple(re.findall(r"(?:typename|class)\s+(\w+)", template.group(1))) if template else ()
        before = head.before[template.end() :] if template else head.before
        before = _DEDUCED.sub("auto", before)
        return self.function(head.name, before, head.parameters, head.after, variables)

    def function(
        self,
        name: str,
        before: str,
        texts: tuple[str, ...],
        after: str,
        variables: tuple[str, ...] = (),
        constructor: bool = False,
    ) -> Function | None:
        """Returns a function with the aliases in its types resolved; `None` if a type is not supported."""
        result = _QUALIFIERS.sub(" ", before).strip()
        if (trailing := re.search(r"->([^{]*)$", after)) is not None and not constructor:
            result = re.sub(r"\b(?:override|final|noexcept)\b", "", trailing.group(1)).strip()
        if name.startswith("operator ") and not result:
            result = name.removeprefix("operator ")
        parts = [text.partition("=") for text in texts if texts != ("void",)]
        types = [self.plain(re.sub(r"\[\[[^\]]*\]\]", "", part[0])) for part in parts]
        defaults = [part[2].strip() for part in parts]
        result = self.plain(result)
        if result.startswith("template") or not all(
            _is_type(text) for text in (*([] if constructor else [result]), *types)
        ):
            return None
        if not all(not text or _DEFAULT.fullmatch(text) for text in defaults):
            defaults = [""] * len(defaults)
        return Function(
            name, result, tuple(types), tuple(defaults), variables,
            fixed=re.search(r"\bstatic\b", before) is not None, constant=re.match(r"\s*const\b", after) is not None,
        )  # fmt: skip

    # Classes

    def classes(self, functions: list[Function]) -> tuple[list[Class], list[str]]:
        """Returns the classes that the tests name, those that their functions use, and enums."""
        named = [name for name in self.declared if name in self.wanted]
        found: dict[str, list[Class]] = {}
        enums: dict[str, str] = {}
        todo = [*named, *(word for one in functions for word in self._words(one))]
        while todo:
            name = todo.pop()
            if name in found or name in enums:
                continue
            text = self.declared[name]
            if text.keyword.startswith("enum"):
                enums[name] = _enum(text)
                continue
            found[name] = [self._class(text, arguments) for arguments in self._instances(text)]
            for one in found[name]:
                todo += [base for base in (re.sub(r"<.*", "", base) for base in one.bases) if base in self.declared]
                for function in (*one.constructors, *one.methods, *one.operators):
                    todo += self._words(function)
                todo += [word for type, _ in one.fields for word in re.findall(r"\w+", type) if word in self.declared]
        ordered = [one for name in self.declared for one in found.get(name, ())]
        return ordered, [text for text in enums.values() if text]

    def _words(self, function: Function) -> list[str]:
        return [word for word in re.findall(r"\w+", function.type) if word in self.declared and word not in library()]

    def _instances(self, text: ClassText) -> list[str]:
        """Returns the arguments with which the tests instantiate a class template; one empty argument for a class."""
        if not text.template:
            return [""]
        found = []
        for start in re.finditer(rf"\b{text.name}\s*<", self.tests):
            depth, place = 1, start.end()
            while depth and place < len(self.tests):
                depth += {"<": 1, ">": -1}.get(self.tests[place], 0)
                place += 1
            arguments = self.tests[start.end() : place - 1]
            if _is_type(arguments) and arguments not in found:
                found.append(arguments)
        return found

    def _class(self, text: ClassText, arguments: str) -> Class:
        type = f"{text.name}<{arguments}>" if arguments else text.name
        variables = re.findall(r"(\w+)\s*(?:=[^,]*)?(?:,|$)", text.template)
        values = dict(zip(variables, split(arguments), strict=False))

        def instance(words: str) -> str:
            words = re.sub(r"\b\w+\b", lambda word: values.get(word.group(), word.group()), words)
            return re.sub(rf"\b{text.name}\b(?!\s*<)", type, words) if arguments else words

        body = [dataclasses.replace(one, access=one.access or ("public" if text.keyword == "struct" else "private"))
                for one in members(instance(text.body))]  # fmt: skip
        public = [one for one in body if one.access == "public"]
        constructors, methods = self._methods(text.name, type, body)
        fields = [(self.plain(_QUALIFIERS.sub(" ", one.before)), one.name) for one in public if self._is_field(one)]
        plain = all(one.access == "public" for one in body if one.parameters is None)
        if not constructors and not any(one.name.partition("<")[0] == text.name for one in body):
            constructors = self._of_fields(text.name, [] if text.bases or not plain else fields)
        bases = [
            instance(re.sub(r"\b(?:public|virtual|private|protected)\b", "", base)).strip() for base in text.bases
        ]
        named = text.name in self.wanted and self._is_class(text.name)
        friends = [one for one in body if re.search(r"\bfriend\b", one.before) and one.name.startswith("operator")]
        beside = [
            one for member in (*self.operators, *friends) if member.parameters is not None and "ostream" not in member.before
            and (one := self.function(member.name, member.before, member.parameters, member.after)) is not None
            and one.parameters and _bare(one.parameters[0]) == type
        ]  # fmt: skip
        printed = any(
            "ostream" in one.before and text.name in " ".join(one.parameters or ())
            for one in (*self.operators, *friends)
        )
        return Class(
            name=text.name, type=type, template=text.template,
            bases=tuple(base for base in bases if re.sub(r"<.*", "", base) in self.declared),
            exception=next((name for base in bases if (name := base.removeprefix("std::")) in _EXCEPTIONS), ""),
            named=named,
            constructors=tuple(constructors) if named else (),
            methods=tuple(one for one in methods if _crosses(one, type, named)),
            operators=tuple(one for one in beside if _crosses(one, type, named)),
            fields=tuple((type, name) for type, name in fields if _is_type(type)),
            printed=printed,
        )  # fmt: skip

    def _is_class(self, name: str) -> bool:
        """
        Returns whether the tests use a name as that of a class, and do not only have a variable of this name: a function
        could return an object of a class that is called like the variable that takes it.
        """
        if re.search(
            rf"\bnew\s+{name}\b|\b{name}\s*(?:<[^;=()]*>)?[\s*&]+\w+\s*[=;,:(){{\[]|[<,(]\s*(?:const\s+)?{name}\s*[*&]*\s*[>,)]|\b{name}\s*::",
            self.tests,
        ):
            return True  # fmt: skip
        variable = rf"(?<!\breturn)(?<!\bthrow)(?<!\belse)(?<!\bcase)[\w>*&\]]\s+[*&]*{name}\s*[=;,:(){{\[]|\bauto\b[\s&]*\[[^\]]*\b{name}\b"
        return re.search(variable, self.tests) is None and re.search(rf"\b{name}\b", self.tests) is not None

    def _methods(self, name: str, type: str, body: Iterable[Member]) -> tuple[list[Function], list[Function]]:
        constructors: list[Function] = []
        methods: list[Function] = []
        for one in body:
            if (
                one.parameters is None
                or one.access != "public"
                or re.search(r"=\s*delete", one.after)
                or one.name.startswith("~")
            ):
                continue
            if re.search(r"\bfriend\b", one.before) or one.name.startswith("reflection_trl"):
                continue
            constructor = one.name.replace(" ", "") in (name, type.replace(" ", ""))
            after = "" if constructor else one.after
            made = self.function(
                one.name, "" if constructor else one.before, one.parameters, after, constructor=constructor
            )
            if made is None or (constructor and [_bare(parameter) for parameter in made.parameters] == [type]):
                continue
            (constructors if constructor else methods).append(made)
        return constructors, methods

    def _is_field(self, one: Member) -> bool:
        """Returns whether a field can be synchronized between both sides: data, or a pointer to an object."""
        type = self.plain(one.before)
        if (
            one.parameters is not None
            or one.name.startswith("reflection_trl")
            or "[" in one.after
            or re.search(r"\bstatic\b|&|unique_ptr", one.before)
        ):
            return False
        own = [
            word
            for word in re.findall(r"\b\w+\b", type)
            if word in self.declared and not self.declared[word].keyword.startswith("enum")
        ]
        return not own or "*" in type or "shared_ptr" in type

    def _of_fields(self, name: str, fields: list[tuple[str, str]]) -> list[Function]:
        """Returns the constructors of a class that declares none: aggregate initialization of its first fields."""
        types = [type for type, _ in fields]
        return [Function(name, "", tuple(types[:count]), ("",) * count) for count in range(len(types) + 1)]


def _is_type(text: str) -> bool:
    return (
        bool(text.strip())
        and _TYPE.fullmatch(text) is not None
        and text.count("(") == text.count(")")
        and ("(" not in text or "function<" in text or "(*" in text)
        and not re.search(r"\b(?:decltype|sizeof|typename|operator|reflection_trl)\b", text)
    )


def _alias(name: str) -> str:
    """Returns the alias of a deduced result type, which the tests' side learns when the answer has been compiled."""
    return f"::reflection_trl_result_{name}"


def _bare(type: str) -> str:
    """Returns the type that a parameter refers to, without its name."""
    found = re.fullmatch(r"(?:const\s+)?(\w+(?:\s*<.*>)?)\s*(?:const\b)?\s*&{0,2}\s*\w*", type)
    return found.group(1) if found else type


def _crosses(one: Function, type: str, named: bool) -> bool:
    """
    Returns whether the tests' side declares a method or an operator.

    Objects are compared with objects of their class only, never with data: an object in place of a number could equal
    everything. For the same reason, arithmetic on an object and data returns an object, objects do not convert to data
    (whose value could change between uses), and classes that the tests do not name lack methods that data has
    (`f(1).count(2)`).
    """
    sign = one.name.removeprefix("operator").strip()
    if sign == one.name:
        return named or one.name not in _OF_DATA
    if not named or (sign.isidentifier() and sign != "bool"):
        return False
    others = one.parameters if len(one.parameters) < 2 else one.parameters[1:]
    if sign == "=" or (len(one.parameters) == 0):
        return sign != "="
    if sign in _COMPARISONS:
        return all(_bare(parameter) == type for parameter in others)
    if sign in _ARITHMETIC:
        return all(_bare(parameter) == type for parameter in others) or _bare(one.result) == type
    return True


def _enum(text: ClassText) -> str:
    """Returns the declaration of an enum of plain constants; empty for other enums."""
    if not re.fullmatch(r"[\w\s,=-]*", text.body) or not all(re.fullmatch(r"[\w:\s]+", base) for base in text.bases):
        return ""
    values = [part.partition("=") for part in split(text.body)]
    known = {name.strip() for name, _, _ in values}
    if not all(not value.strip() or (re.fullmatch(r"-?\w+", value.strip()) and (re.match(r"-?\d", value.strip()) or value.strip() in known))
               for _, _, value in values):  # fmt: skip
        return ""
    base = f" : {text.bases[0]}" if text.bases else ""
    return f"{text.keyword} {text.name}{base} {{ {' '.join(text.body.split())} }};"


def without_unions(tests: str) -> str:
    """Returns the tests without the unions that both sides define, with line numbers unchanged."""
    return _UNION.sub(lambda found: "\n" * found.group().count("\n"), tests)


# Code generation


class _Sides:
    """Generates the two sides, entry by entry."""

    def __init__(self, answer: Answer, tests: str):
        self.answer = answer
        self.guarded = "true" if re.search(r"\bcatch\b", tests) else "false"
        self.entries: list[str] = []
        self.templates = [one for one in answer.functions if one.variables]

    def entry(self, expression: str) -> int:
        """Adds an expression that yields a function of the answer's side, and returns its number."""
        self.entries.append(expression)
        return len(self.entries) - 1

    def call(self, type: str, number: int, values: Iterable[str]) -> str:
        """Returns the call of an entry on the tests' side."""
        return f"::reflection_trl::Stub<{type}>::call({', '.join((str(number), self.guarded, *values))})"


def both_sides(answer: Answer, source: str, tests: str) -> tuple[str, str, bool]:
    """
    Generates the tests' side, and the code that follows the answer on its side.

    Returns:
        `tuple`: The two texts, and whether the answer's side needs the template instances that the tests use.
    """
    sides = _Sides(answer, tests)
    lines = [*_classes(sides), *_unions(sides)]
    lines += [line for one in answer.functions if not one.variables for line in _function(sides, one)]
    first = len(sides.entries)
    lines += [_template(sides, one, number, first) for number, one in enumerate(sides.templates)]
    waits = bool(sides.templates)
    code = blanked(source)
    included = dict.fromkeys(_INCLUDE.findall(code))
    if not _RARE.search(tests):
        included = {name: None for name in included if name in _QUICK}
    head = [*_data_alone(answer), '#include "judge.hpp"', *(f"#include <{name}>" for name in (*_ALWAYS, *included))]
    if answer.deduced:
        head.append('#include "results.h"')
    head += dict.fromkeys(" ".join(line.split()) for line in _USING.findall(code))
    if waits:
        head.append("static const bool reflection_trl_waits = ::reflection_trl::Hello::waited = true;")
    head += [
        f'static_assert(false, "the tests call `{name}`, a name of the standard library, and the answer defines it: name it as the entry point");'
        for name in answer.doubtful
    ]
    return "\n".join([*head, *lines, '#include "tests.h"', ""]), _serving(sides, source), waits


def _data_alone(answer: Answer) -> list[str]:
    return [] if answer.classes else ["#define REFLECTION_TRL_DATA"]


def _declared(one: Function, type: str, skipped: int = 0) -> tuple[str, list[str]]:
    """Returns the parameters that the tests' side declares, and the arguments it forwards, after `skipped` ones."""
    stub = f"::reflection_trl::Stub<{type}>"
    types = [f"{stub}::Parameter<{place + skipped}>" for place in range(len(one.parameters))]
    declared = [
        f"::reflection_trl::Given<{kind}> a{place}" + (f" = {one.defaults[place]}" if one.defaults[place] else "")
        for place, kind in enumerate(types)
    ]
    return ", ".join(declared), [f"static_cast<{kind} &&>(a{place})" for place, kind in enumerate(types)]


def _function(sides: _Sides, one: Function) -> list[str]:
    unions, name = sides.answer.unions, one.name
    if one.result in unions:
        type = f"long({', '.join(one.parameters)})"
        number = sides.entry(
            f"::reflection_trl::function<{type}>([](auto &&...a) -> long {{ return (long)new {one.result}({name}(static_cast<decltype(a) &&>(a)...)); }})"
        )
    else:
        type = one.type
        alone = name not in library() and sum(other.name == name for other in sides.answer.functions) == 1
        number = sides.entry(
            f"::reflection_trl::bind(&{name})"
            if alone
            else f"::reflection_trl::bind(static_cast<{one.result}(*)({', '.join(one.parameters)})>(&{name}))"
        )
    declared, values = _declared(one, type)
    result, call = f"::reflection_trl::Stub<{type}>::Result", sides.call(type, number, values)
    if one.result in unions:
        result, call = one.result, f"{one.result}{{{call}}}"
    return [f"inline {result} {name}({declared}) {{ return {call}; }}"]


def _template(sides: _Sides, one: Function, number: int, first: int) -> str:
    """Returns a template. The answer's side compiles its instances after the tests have been compiled."""
    crossing = re.compile(rf"\b({'|'.join(one.variables)})\b")
    types = [_unnamed(text) for text in one.parameters]
    type = crossing.sub(r"\1_crossing", f"{one.result}({', '.join(types)})")
    usings = " ".join(
        f"using {name}_crossing = typename ::reflection_trl::Crossing<::std::remove_cv_t<::std::remove_reference_t<{name}>>>::type;"
        for name in one.variables
    )
    instance = (
        f"::reflection_trl::Instance<{number}, {', '.join(f'{name}_crossing' for name in one.variables)}>::number"
    )
    values = "".join(
        f", static_cast<typename S::template Parameter<{place}>>(a{place})" for place in range(len(types))
    )
    body = f"{usings} using S = ::reflection_trl::Stub<{type}>; return S::call({first} + {instance}, {sides.guarded}{values});"
    declared = ", ".join(f"{text} a{place}" for place, text in enumerate(types))
    return f"template <{', '.join(f'typename {name}' for name in one.variables)}> auto {one.name}({declared}) {{ {body} }}"


def _unnamed(text: str) -> str:
    """Returns the type of a parameter, without its name if it has one."""
    text = re.sub(r"\s*\b\w+\s*\[\w*\]$", " *", text.strip())
    found = re.fullmatch(r"(.*[\s>*&])(\w+)", text, re.DOTALL)
    if found is None or found.group(1).strip() == "const" or found.group(2) in _WORDS_OF_TYPES:
        return text
    return found.group(1).strip()


def _unions(sides: _Sides) -> list[str]:
    lines = []
    for union, fields in sides.answer.unions.items():
        # A union does not record which member is set, so each comparison reads the member of its type
        compared = []
        for place, member in enumerate(fields):
            number = sides.entry(
                f"::reflection_trl::function<{member}(long)>([](long handle) -> {member} {{ return (({union} *)handle)->f{place}; }})"
            )
            call = f"::reflection_trl::Stub<{member}(long)>::call({number}, false, +handle)"
            compared.append(f"bool operator==({member} value) const {{ return {call} == value; }}")
        lines.append(f"struct {union} {{ long handle; {' '.join(compared)} }};")
    return lines


def _classes(sides: _Sides) -> list[str]:
    own = sides.answer.classes
    templates = {one.name: one.template for one in own if one.template}
    forward = [f"template <{parameters}> struct {name};" for name, parameters in templates.items()]
    forward += [f"template <> struct {one.type};" if one.name in templates else f"struct {one.type};" for one in own]
    kinds = [
        f"namespace reflection_trl {{ template <> struct Own<::{one.type}> {{ static constexpr bool value = true; }}; }}"
        for one in own
    ]
    declared, defined = [], []
    for one in own:
        inside, outside = _class(sides, one)
        declared.append(inside)
        defined += outside
    thrown = " ".join(
        f"if (kind == {kind}) {{ ::{one.type} thrown(::reflection_trl::EXISTING); thrown.reflection_trl_adopt(number);"
        f"{' thrown.reflection_trl_what = what;' if one.exception else ''} throw thrown; }}"
        for kind, one in enumerate(own)
    )
    defined.append(
        "namespace reflection_trl { void throw_own(int kind, long number, const ::std::string &what) "
        f"{{ {thrown} (void)kind, (void)number, (void)what; gone(ENDED); }} }}"
    )
    return [*sides.answer.enums, *forward, *kinds, *declared, *defined]


def _class(sides: _Sides, one: Class) -> tuple[str, list[str]]:
    """Returns the declaration of a stand-in, and the definitions of its methods."""
    bases = [*one.bases, *([f"::std::{one.exception}"] if one.exception else ())]
    started = [f"{base}(::reflection_trl::EXISTING)" for base in one.bases] + (
        [_EXCEPTIONS[one.exception]] if one.exception else []
    )
    start = f" : {', '.join(started)}" if started else ""
    copied = f"::reflection_trl::New<{one.type}>(const {one.type} &)"
    assigned = f"void({one.type} &, {one.type} &)"
    copy = sides.call(copied, sides.entry(f"::reflection_trl::bind(&::reflection_trl::copied<{one.type}>)"), ["other"])
    assign = sides.call(
        assigned,
        sides.entry(f"::reflection_trl::bind(&::reflection_trl::assigned<{one.type}>)"),
        ["*this", f"const_cast<{one.type} &>(other)"],
    )
    what = " reflection_trl_what = other.reflection_trl_what;" if one.exception else ""
    moves = "".join(f" {name} = ::std::move(other.{name});" for _, name in one.fields) + what
    inside = [
        *(f"{re.sub(r'^const (?=[^*]*$)', '', type)} {name}{{}};" for type, name in one.fields),
        f"explicit {one.name}(::reflection_trl::Existing){start} {{}}",
        f"{one.name}(const {one.name} &other);",
        f"{one.name}({one.name} &&other) noexcept{start} {{ reflection_trl_take_over(other);{moves} }}",
        f"{one.name} &operator=(const {one.name} &other);",
        "void reflection_trl_put(::reflection_trl::Message &message) const override;",
        "void reflection_trl_get(::reflection_trl::Message &message) override;",
    ]
    if one.exception:
        inside.append(
            "::std::string reflection_trl_what; const char *what() const noexcept override { return reflection_trl_what.c_str(); }"
        )
    puts, gets = _fields(one)
    outside = [
        f"inline {one.type}::{one.name}(const {one.name} &other){start} {{ reflection_trl_adopt({copy}.number);{what} }}",
        f"inline {one.type} &{one.type}::operator=(const {one.name} &other) {{ {assign}; return *this; }}",
        f"inline void {one.type}::reflection_trl_put(::reflection_trl::Message &message) const {{{puts} (void)message; }}",
        f"inline void {one.type}::reflection_trl_get(::reflection_trl::Message &message) {{{gets} (void)message; }}",
    ]
    for function in one.constructors:
        for arity in _arities(function):
            _constructor(sides, one, arity, start, inside, outside)
    for function in one.methods:
        for arity in _arities(function):
            _method(sides, one, arity, inside, outside)
    outside += [_operator(sides, function) for function in one.operators]
    if one.printed:
        number = sides.entry(f"::reflection_trl::bind(&::reflection_trl::written<{one.type}>)")
        text = sides.call(f"::std::string(const {one.type} &)", number, ["value"])
        outside.append(
            f"inline ::std::ostream &operator<<(::std::ostream &out, const {one.type} &value) {{ return out << {text}; }}"
        )
    template = "template <> " if one.type != one.name else ""
    return (
        f"{template}struct {one.type} : {', '.join(['virtual ::reflection_trl::Remote', *bases])} {{ {' '.join(inside)} }};",
        outside,
    )


def _fields(one: Class, self: str = "") -> tuple[str, str]:
    """Returns the code that writes the public fields to a message, and the code that reads them."""
    puts = "".join(f" {base}::reflection_trl_put(message);" for base in one.bases if not self)
    gets = "".join(f" {base}::reflection_trl_get(message);" for base in one.bases if not self)
    puts += "".join(f" ::reflection_trl::put_value(message, {self}{name});" for _, name in one.fields)
    gets += "".join(f" ::reflection_trl::get_into(message, {self}{name});" for _, name in one.fields)
    return puts, gets


def _arities(one: Function) -> list[Function]:
    """Returns one function per arity, since only the answer's side knows the default arguments."""
    least = len(one.parameters)
    while least and one.defaults[least - 1]:
        least -= 1
    return [
        dataclasses.replace(one, parameters=one.parameters[:count], defaults=("",) * count)
        for count in range(least, len(one.parameters) + 1)
    ]


def _constructor(
    sides: _Sides, one: Class, function: Function, start: str, inside: list[str], outside: list[str]
) -> None:
    type = f"::reflection_trl::New<{one.type}>({', '.join(function.parameters)})"
    number = sides.entry(
        f"::reflection_trl::bind(&::reflection_trl::Construct<{one.type}, void({', '.join(function.parameters)})>::call)"
    )
    declared, values = _declared(function, type)
    # Prevents implicit conversion to an object: `f(1) == 2` must not compare objects
    explicit = "explicit " if len(function.parameters) == 1 else ""
    inside.append(f"{explicit}{one.name}({declared});")
    outside.append(
        f"inline {one.type}::{one.name}({declared}){start} {{ reflection_trl_adopt({sides.call(type, number, values)}.number); }}"
    )


def _method(sides: _Sides, one: Class, function: Function, inside: list[str], outside: list[str]) -> None:
    constant = " const" if function.constant else ""
    if function.fixed:
        type = function.type
        number = sides.entry(
            f"::reflection_trl::bind(static_cast<{function.result}(*)({', '.join(function.parameters)})>(&{one.type}::{function.name}))"
        )
        declared, values = _declared(function, type)
        inside.append(f"static ::reflection_trl::Stub<{type}>::Result {function.name}({declared});")
    else:
        self = f"{'const ' if function.constant else ''}{one.type} &"
        type = f"{function.result}({', '.join((self, *function.parameters))})"
        number = sides.entry(
            f"::reflection_trl::function<{type}>([](auto &self, auto &&...a) -> decltype(auto) {{ return self.{function.name}(static_cast<decltype(a) &&>(a)...); }})"
        )
        declared, values = _declared(function, type, skipped=1)
        values = ["*this", *values]
    result = f"::reflection_trl::Stub<{type}>::Result"
    head = function.name if function.name.startswith("operator ") else f"{result} {function.name}"
    if not function.fixed:
        explicit = "explicit " if function.name.startswith("operator ") else ""
        inside.append(f"{explicit}{head}({declared}){constant};")
    call = sides.call(type, number, values)
    defined = f"{one.type}::{function.name}({declared}){constant}"
    outside.append(f"inline {'' if function.name.startswith('operator ') else result} {defined} {{ return {call}; }}")


def _operator(sides: _Sides, function: Function) -> str:
    number = sides.entry(
        f"::reflection_trl::function<{function.type}>([](auto &&...a) -> decltype(auto) {{ return {function.name}(static_cast<decltype(a) &&>(a)...); }})"
    )
    declared, values = _declared(function, function.type)
    return f"inline ::reflection_trl::Stub<{function.type}>::Result {function.name}({declared}) {{ return {sides.call(function.type, number, values)}; }}"


def _serving(sides: _Sides, source: str) -> str:
    """Returns the code that follows the answer on its side, with the answer's macros undefined."""
    own = sides.answer.classes
    macros = dict.fromkeys(re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", source, re.MULTILINE))
    lines = [*(f"#undef {name}" for name in macros), *_data_alone(sides.answer), '#include "answer.hpp"']
    for kind, one in enumerate(own):
        ups = "".join(
            f" if (auto found = Own<::{base}>::up(static_cast<::{base} *>(self), wanted)) return found;"
            for base in one.bases
        )
        puts, gets = _fields(one, "self->")
        base_puts = "".join(f" Own<::{base}>::put(static_cast<::{base} *>(self), message);" for base in one.bases)
        base_gets = "".join(f" Own<::{base}>::get(static_cast<::{base} *>(self), message);" for base in one.bases)
        self = f"auto self = static_cast<::{one.type} *>(place); (void)self;"
        lines.append(
            f"namespace reflection_trl {{ template <> struct Own<::{one.type}> {{ static constexpr bool value = true; static constexpr int kind = {kind}; "
            f"static void *up(void *place, int wanted) {{ {self} if (wanted == kind) return place;{ups} return nullptr; }} "
            f"static void put(void *place, Message &message) {{ {self} (void)message;{base_puts}{puts} }} "
            f"static void get(void *place, Message &message) {{ {self} (void)message;{base_gets}{gets} }} }}; }}"
        )
    # Derived classes follow their bases, so the reversed order catches them first
    caught = "".join(
        f" catch (const ::{one.type} &error) {{ return report_object(reply, error); }}" for one in reversed(own)
    )
    lines.append(
        f"namespace reflection_trl {{ bool report_own(Message &reply) {{ try {{ throw; }}{caught} catch (...) {{ (void)reply; return false; }} }} }}"
    )
    for number, template in enumerate(sides.templates):
        variables = ", ".join(f"typename {name}" for name in template.variables)
        names = ", ".join(template.variables)
        lines.append(
            f"template <{variables}> ::reflection_trl::Function reflection_trl_entry_{number}() "
            f"{{ return ::reflection_trl::bind(static_cast<{template.result}(*)({', '.join(template.parameters)})>(&{template.name}<{names}>)); }}"
        )
    for name in sides.answer.deduced:
        shown = _alias(name).removeprefix("::")
        lines.append(
            f"template <class R> void {shown}() {{}} template void {shown}<::reflection_trl::Returned<decltype(&{name})>::type>();"
        )
    entries = "".join(f"{entry}, " for entry in sides.entries)
    instances = '\n#include "instances.h"\n' if sides.templates else ""
    return "\n".join([*lines, f"int main() {{ return ::reflection_trl::serve({{{entries}{instances}}}); }}", ""])
