"""C++17, by g++."""

import dataclasses
import re

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, CommandProgram, Limits, Partner
from .command import CommandLanguage, closed, last_match, protocol_files, shared_names
from .heads import Head, blanked, heads


_MAIN = re.compile(r"\bint\s+main\s*\([^)]*\)\s*\{")
_QUALIFIERS = re.compile(r"\[\[[^\]]*\]\]|\b(?:static|inline|constexpr|extern|virtual|friend)\b|\"[^\"]*\"")
_TYPE = re.compile(r"[\w:<>,*&\s\[\]]+")
_DEFAULT = re.compile(r"-?[\w.:]+(?:\(\)|\{\})?|\{\}|\"[^\"\\]*\"|'[^'\\]'")
# A union of MultiPL-E, which the tests' side has from its prompt
_UNION = re.compile(r"\bunion\s+(\w+)\s*\{((?:[^{}]|\{[^{}]*\})*)\}\s*;")
_MEMBER = re.compile(r"([\w:<>,\s]+?)\s+f\d+\s*;")
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<([a-z_0-9]+(?:\.h)?|bits/stdc\+\+\.h)>", re.MULTILINE)
_USING = re.compile(r"^[ \t]*(using\s+namespace\s+std\s*;|using\s+std::\w+\s*;)", re.MULTILINE)
# Names for types: `#define ll long long`, `typedef long long ll;`, `using ll = long long;`
_ALIASES = (
    re.compile(r"^[ \t]*#[ \t]*define[ \t]+(?P<name>\w+)[ \t]+(?P<type>[\w:<>,*& \t]+)$", re.MULTILINE),
    re.compile(r"\btypedef\s+(?P<type>[\w:<>,*&\s]+?)\s*\b(?P<name>\w+)\s*;"),
    re.compile(r"\busing\s+(?P<name>\w+)\s*=\s*(?P<type>[\w:<>,*&\s]+?)\s*;"),
)
# What the tests mean by these names is never taken from an answer, unless it is the function under test
_LIBRARY = frozenset(
    [
        "main",
        "assert",
        "abs",
        "labs",
        "llabs",
        "fabs",
        "fabsf",
        "floor",
        "ceil",
        "round",
        "lround",
        "llround",
        "trunc",
        "rint",
        "sqrt",
        "cbrt",
        "pow",
        "exp",
        "exp2",
        "log",
        "log2",
        "log10",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "atan2",
        "sinh",
        "cosh",
        "tanh",
        "fmod",
        "hypot",
        "isnan",
        "isinf",
        "isfinite",
        "signbit",
        "max",
        "min",
        "minmax",
        "swap",
        "sort",
        "stable_sort",
        "find",
        "find_if",
        "count",
        "count_if",
        "all_of",
        "any_of",
        "none_of",
        "equal",
        "mismatch",
        "search",
        "lexicographical_compare",
        "accumulate",
        "inner_product",
        "partial_sum",
        "iota",
        "reverse",
        "rotate",
        "unique",
        "remove",
        "remove_if",
        "fill",
        "copy",
        "transform",
        "for_each",
        "next_permutation",
        "prev_permutation",
        "is_sorted",
        "is_permutation",
        "binary_search",
        "lower_bound",
        "upper_bound",
        "merge",
        "max_element",
        "min_element",
        "gcd",
        "lcm",
        "clamp",
        "make_pair",
        "make_tuple",
        "make_shared",
        "make_unique",
        "tie",
        "get",
        "to_string",
        "stoi",
        "stol",
        "stoll",
        "stoul",
        "stoull",
        "stof",
        "stod",
        "stold",
        "strlen",
        "strcmp",
        "strncmp",
        "strcpy",
        "strcat",
        "strstr",
        "strchr",
        "memcmp",
        "memcpy",
        "memset",
        "atoi",
        "atol",
        "atof",
        "strtol",
        "tolower",
        "toupper",
        "isdigit",
        "isalpha",
        "isalnum",
        "isspace",
        "isupper",
        "islower",
        "ispunct",
        "printf",
        "fprintf",
        "sprintf",
        "snprintf",
        "puts",
        "putchar",
        "fflush",
        "exit",
        "_exit",
        "_Exit",
        "quick_exit",
        "abort",
        "atexit",
        "rand",
        "srand",
        "time",
        "clock",
        "size",
        "begin",
        "end",
        "distance",
        "advance",
        "next",
        "prev",
        "move",
        "forward",
        "data",
        "empty",
        "getline",
        "ignore",
    ]
)
# Words of headers that `judge.hpp` leaves out, for they are slow to compile
_RARE = re.compile(
    r"\b(?:regex|thread|mutex|chrono|filesystem|random|mt19937|future|async|atomic|valarray|bitset|locale|ratio)\b"
)


@dataclasses.dataclass(frozen=True)
class _Function:
    """A function of the answer, as the tests' side declares it."""

    name: str
    result: str
    parameters: tuple[str, ...]
    defaults: tuple[str, ...]

    @property
    def type(self) -> str:
        return f"{self.result}({', '.join(self.parameters)})"


_LED_THERE = re.compile(
    r"^(?:In file included from | +from )?(?P<file>main\.cpp|tests\.h):(?P<line>\d+)(?::(?P<column>\d+))?(?::   required from|[,:]$)",
    re.MULTILINE,
)
_IN_PROGRAM = re.compile(r"^(?P<file>main\.cpp|tests\.h):(?P<line>\d+):(?P<column>\d+): ", re.MULTILINE)
# The standard's `assert`, whatever the program has made of it
_INCLUDES = "#undef assert\n#undef NDEBUG\n#include <cassert>\n#include <cstdio>\n#include <iostream>"
# An object of `main` is destroyed when `main` returns, but not by `exit` and its like
_END = (
    "struct EndOfChecks { ~EndOfChecks() { "
    f'std::cout << std::flush; std::printf("\\n%s\\n", "{END_MARK}"); std::fflush(stdout); }} }};'
)
# What tests mean by a type of this name is never taken from an answer
_TYPES = frozenset(
    [
        "string",
        "vector",
        "map",
        "set",
        "pair",
        "tuple",
        "optional",
        "any",
        "variant",
        "array",
        "deque",
        "list",
        "queue",
        "stack",
        "priority_queue",
        "unordered_map",
        "unordered_set",
        "multimap",
        "multiset",
        "function",
        "string_view",
        "bitset",
        "complex",
        "shared_ptr",
        "unique_ptr",
        "initializer_list",
        "ostringstream",
        "istringstream",
        "stringstream",
        "exception",
        "runtime_error",
        "logic_error",
        "invalid_argument",
        "out_of_range",
        "int",
        "long",
        "short",
        "char",
        "bool",
        "float",
        "double",
        "auto",
        "unsigned",
        "signed",
        "void",
        "size_t",
        "int64_t",
        "uint64_t",
        "int32_t",
        "uint32_t",
        "int8_t",
        "uint8_t",
        "int16_t",
        "uint16_t",
    ]
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
_IDLE = re.compile(
    r"compilation terminated|collect2: error|(?:main\.cpp|tests\.h): In |In file included from main\.cpp:\d+:$"
)
_FAILED = re.compile(r"Assertion `(?P<assertion>.*)' failed\.")


class Cpp(CommandLanguage):
    """C++17. Tests are a `main` behind the program, or the program has one."""

    name = "cpp"
    title = "C++"
    fences = ("cpp", "c++", "cc", "cxx")
    suspects = (
        ("ends processes", r"\b(?:_exit|_Exit|quick_exit|pthread_exit|abort)\s*\("),
        (
            "replaces what tests use",
            r"#\s*define\s+(?:assert|__assert_fail|auto|bool|static_cast|return|if|main|int)\b",
        ),
        ("reads what the judge keeps", r"/proc/"),
    )
    file = "main.cpp"
    tools = (("g++", "g++"),)
    compiler = (
        "g++",
        "-std=c++17",
        "-O1",
        "-w",
        "-fmax-errors=5",
        "-fdiagnostics-color=never",
        "-fdiagnostics-column-unit=byte",
        "main.cpp",
        "-o",
        "main",
    )
    command = ("./main",)
    limits = Limits(timeout=60.0, memory=2 << 30)
    column_encoding = "utf-8"
    # Of the compiler or the linker
    compile_error = re.compile(
        r"^(?P<file>[\w./+-]+):(?:(?P<line>\d+):(?:(?P<column>\d+):)? (?:fatal )?error|\(\.text[^)]*\)):"
        r" (?P<message>[^\n]*)",
        re.MULTILINE,
    )
    compile_rules = (
        (FeedbackKind.IMPORT, r"No such file or directory"),
        (
            FeedbackKind.NAME,
            r"was not declared|has not been declared|does not name a type|has no member|is not a member of|undeclared"
            r"|undefined reference|has not been defined|incomplete type",
        ),
        (
            FeedbackKind.TYPE,
            r"cannot convert|conversion from|no matching function|no match for|could not convert|invalid (operands|types|use of)"
            r"|incompatible|cannot bind|too (few|many) arguments|read-only|discards qualifiers|cannot be used as"
            r"|not assignable|no match|deduced|void value",
        ),
    )
    run_error = re.compile(
        r"^(?:\S+: (?:main\.cpp|tests\.h):\d+: [^\n]*(?=Assertion `)"
        r"|terminate called after throwing an instance of '(?P<code>[^\n]+)'(?:\n  what\(\):  )?)(?P<message>[^\n]*)",
        re.MULTILINE,
    )
    run_place = re.compile(r"^\S+: (?P<file>main\.cpp|tests\.h):(?P<line>\d+): [^\n]*Assertion `", re.MULTILINE)
    run_rules = (
        (FeedbackKind.ASSERTION, r"Assertion `"),
        (FeedbackKind.MEMORY, r"std::bad_alloc"),
        (FeedbackKind.VALUE, r"std::(out_of_range|invalid_argument|domain_error|length_error)"),
    )

    def separated(self, source: str, tests: str, entry_point: str) -> CommandProgram:
        source, tests = closed(source, tests)
        if not _MAIN.search(tests) or _constructs_types(source, tests):
            return self.together(source, tests)
        functions = _functions(source, tests, entry_point)
        unions = {found.group(1): re.findall(_MEMBER, found.group(2)) for found in _UNION.finditer(tests)}
        judging, serving = _judging(functions, unions, source, tests), _serving(functions, unions, source)
        tests = _UNION.sub(lambda found: "\n" * found.group().count("\n"), tests)
        marked = _MAIN.sub(
            lambda main: f'{main.group()} ::reflection_trl::EndOfChecks end_of_checks{{"{END_MARK}"}};', tests, count=1
        )
        compiler = [part for part in self.compiler if part not in ("main.cpp", "main", "-O1", "-o")]
        return CommandProgram(
            argv=("./tests",),
            compile=(*compiler, "-O0", "tests.cpp", "-o", "tests"),
            files={"tests.cpp": judging, "tests.h": f"{marked}\n", **protocol_files("judge.hpp", "wire.hpp")},
            end_mark=True,
            partner=Partner(
                argv=self.command,
                compile=self.compiler,
                files={"main.cpp": f"{source}\n{serving}", **protocol_files("answer.hpp", "wire.hpp")},
            ),
        )

    def together(self, source: str, tests: str) -> CommandProgram:
        """
        Tests that construct the answer's own types, in one process with it: their objects cannot cross. An answer to these may cheat.
        """
        tests = _MAIN.sub(lambda main: f"{main.group()} EndOfChecks end_of_checks;", tests, count=1)
        return CommandProgram(
            argv=self.command,
            compile=self.compiler,
            # In files of their own, so that the compiler numbers their lines and quotes them right
            files={
                self.file: f'{source.replace(END_MARK, "")}\n#include "checks.h"\n#include "tests.h"\n',
                "checks.h": f"{_INCLUDES}\n{_END}",
                "tests.h": f"{tests}\n",
            },
            end_mark=_MAIN.search(tests) is not None,
        )

    def assertion(self, output: str) -> dict[str, str]:
        found = _FAILED.search(output)
        return {"assertion": found.group("assertion")} if found else {}

    def place(self, output: str, found: re.Match[str] | None, compiling: bool) -> re.Match[str] | None:
        if compiling and found and found["file"] not in (self.file, "tests.h"):
            # An error in a header: the line of the program that led there
            return last_match(_LED_THERE, output[: found.start()]) or _IN_PROGRAM.search(output, found.end())
        return super().place(output, found, compiling)

    def locate(self, found: re.Match[str], source: str) -> tuple[str, int]:
        return ("tests" if found["file"] == "tests.h" else "program"), int(found["line"])

    def readable(self, output: str) -> str:
        lines = [line.removeprefix("/usr/bin/ld: ") for line in output.split("\n") if not _IDLE.match(line)]
        return "\n".join(lines).strip("\n")


def _constructs_types(source: str, tests: str) -> bool:
    """Whether the tests make objects of classes of the answer. The tests alone decide: they name a class where only one can stand."""
    tests = blanked(tests)
    classes = set(re.findall(r"\b(?:class|struct|union|enum(?:\s+class)?)\s+(\w+)", blanked(source))) - _TYPES
    own = set(re.findall(r"\b(?:class|struct|union|enum(?:\s+class)?)\s+(\w+)", tests))
    return any(
        re.search(
            rf"(?<!::)(?:\bnew\s+{name}\b|\b{name}\s*(?:<[^;<>]*>)?\s*[&*]*\s+[&*]*\w+\s*[;({{=]|\b{name}\s*::"
            rf"|<\s*{name}\s*[*]*[>,]|\b{name}\s*\{{|\b{name}\s*\([^()]*\)\s*\.)",
            tests,
        )
        for name in (classes & set(shared_names(source, tests))) - own
    )


def _functions(source: str, tests: str, entry_point: str) -> list[_Function]:
    """Functions of the answer that the tests name."""
    code = blanked(source, keep_strings=True)
    own = {head.name for head in heads(blanked(tests)) if head.depth == 0}
    wanted = {name for name in shared_names(source, tests) if name not in own and name not in _LIBRARY} | {entry_point}
    names = {found["name"]: found["type"] for pattern in _ALIASES for found in pattern.finditer(code)}
    found = [_function(head, names) for head in heads(code) if head.depth == 0 and head.name in wanted]
    return list(dict.fromkeys(one for one in found if one is not None))


def _function(head: Head, aliases: dict[str, str]) -> _Function | None:
    """The function with its types in the language's own words; `None` where they are something else."""

    def plain(text: str) -> str:
        for _ in range(5):
            text = re.sub(r"(?<!::)\b\w+\b", lambda word: aliases.get(word.group(), word.group()), text)
        return " ".join(text.split())

    name, result, texts = head.name, _QUALIFIERS.sub(" ", head.before).strip(), head.parameters
    if (trailing := re.search(r"->(.*)$", head.after, re.DOTALL)) is not None:
        result = trailing.group(1).strip()
    parts = [text.partition("=") for text in texts if texts != ("void",)]
    types, defaults = [plain(part[0]) for part in parts], [part[2].strip() for part in parts]
    result = plain(result)
    if result.startswith("template") or not all(_TYPE.fullmatch(text) for text in (result, *types)):
        return None
    if not all(not text or _DEFAULT.fullmatch(text) for text in defaults):
        defaults = [""] * len(defaults)
    return _Function(name, result, tuple(types), tuple(defaults))


def _judging(functions: list[_Function], unions: dict[str, list[str]], source: str, tests: str) -> str:
    """The tests' side: a function for each of the answer's, which calls it."""
    code = blanked(source)
    included = dict.fromkeys(_INCLUDE.findall(code))
    if not _RARE.search(tests):
        included = {name: None for name in included if name in _QUICK}
    lines = ['#include "judge.hpp"', *(f"#include <{name}>" for name in (*_ALWAYS, *included))]
    lines += dict.fromkeys(" ".join(line.split()) for line in _USING.findall(code))
    guarded = "true" if re.search(r"\bcatch\b", tests) else "false"
    place = len(functions)
    for union, members in unions.items():
        # Nobody knows which member is set: the one that the tests compare is asked for
        compared = " ".join(
            f"bool operator==({member} value) const {{ return ::reflection_trl::Stub<{member}(long)>::call({number}, false, handle) == value; }}"
            for number, member in enumerate(members, start=place)
        )
        lines.append(f"struct {union} {{ long handle; {compared} }};")
        place += len(members)
    for number, function in enumerate(functions):
        result = "long" if function.result in unions else function.result
        stub = f"::reflection_trl::Stub<{dataclasses.replace(function, result=result).type}>"
        parameters = [
            f"{stub}::Parameter<{place}> a{place}" + (f" = {default}" if default else "")
            for place, default in enumerate(function.defaults)
        ]
        values = "".join(f", static_cast<{stub}::Parameter<{place}>>(a{place})" for place in range(len(parameters)))
        made, call = f"{stub}::Result", f"{stub}::call({number}, {guarded}{values})"
        if function.result in unions:
            made, call = function.result, f"{function.result}{{{call}}}"
        lines.append(f"inline {made} {function.name}({', '.join(parameters)}) {{ return {call}; }}")
    return "\n".join([*lines, '#include "tests.h"', ""])


def _serving(functions: list[_Function], unions: dict[str, list[str]], source: str) -> str:
    """The answer's side, behind the answer: its macros end here."""
    names = [function.name for function in functions]
    entries = [
        f"static_cast<long(*)({', '.join(function.parameters)})>([](auto... values) -> long "
        f"{{ return (long)new {function.result}({function.name}(values...)); }})"
        if function.result in unions
        else f"&{function.name}"
        if names.count(function.name) == 1
        else f"static_cast<{function.result}(*)({', '.join(function.parameters)})>(&{function.name})"
        for function in functions
    ]
    entries += [
        f"static_cast<{member}(*)(long)>([](long handle) -> {member} {{ return (({union} *)handle)->f{place}; }})"
        for union, members in unions.items()
        for place, member in enumerate(members)
    ]
    macros = dict.fromkeys(re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", source, re.MULTILINE))
    lines = [*(f"#undef {name}" for name in macros), '#include "answer.hpp"']
    bound = ", ".join(f"::reflection_trl::bind({entry})" for entry in entries)
    return "\n".join([*lines, f"int main() {{ return ::reflection_trl::serve({{{bound}}}); }}", ""])
