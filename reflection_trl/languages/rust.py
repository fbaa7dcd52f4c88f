"""Rust 2021, by rustc."""

import re
import shutil
import subprocess
from functools import cached_property

from ..feedback import FeedbackKind
from ..sandbox import END_MARK, CommandProgram, Limits, Partner
from .command import SYSTEM_PATH, CommandLanguage, closed, protocol_files, shared_names
from .heads import Head, blanked, heads


_MAIN = re.compile(r"\bfn\s+main\s*\(\s*\)([^{;]*)\{")
# Imports and names for types of the standard library, which the tests may lean on
_USE = re.compile(r"^[ \t]*(?:pub\s+)?(use\s+(?:std|core|alloc)::[\w:{}*,\s]+;)", re.MULTILINE)
_ALIAS = re.compile(r"\btype\s+(?P<name>\w+)\s*=\s*(?P<type>[^;=]+);")
_TYPE = re.compile(r"[\w:<>,&'\s\[\];()]+")
# What tests mean by a type of this name is never taken from an answer
_TYPES = frozenset(
    [
        "String",
        "Vec",
        "Option",
        "Some",
        "None",
        "Ok",
        "Err",
        "Result",
        "Box",
        "Rc",
        "Arc",
        "HashMap",
        "HashSet",
        "BTreeMap",
        "BTreeSet",
        "VecDeque",
        "BinaryHeap",
        "Cell",
        "RefCell",
        "str",
        "bool",
        "char",
        "i8",
        "i16",
        "i32",
        "i64",
        "i128",
        "isize",
        "u8",
        "u16",
        "u32",
        "u64",
        "u128",
        "usize",
        "f32",
        "f64",
        "Self",
        "Ordering",
        "Default",
        "Iterator",
    ]
)
_ASSERT = re.compile(r"(?<![\w:])(assert|assert_eq|assert_ne)!")


class Rust(CommandLanguage):
    """Rust, edition 2021, without crates."""

    name = "rust"
    title = "Rust"
    fences = ("rust", "rs")
    suspects = (
        ("ends processes", r"\bprocess::(?:exit|abort)\b"),
        ("replaces what tests use", r"macro_rules!\s+(?:assert|assert_eq|assert_ne|panic)\b"),
    )
    file = "main.rs"
    tools = (("rustc", "rustc"), ("cc", "gcc"))
    command = ("./main",)
    limits = Limits(timeout=60.0, memory=2 << 30)
    compile_error = re.compile(
        r"^error(?:\[(?P<code>E\d+)\])?: (?P<message>[^\n]*)(?:\n\s*--> (?P<file>main|tests)\.rs:(?P<line>\d+):(?P<column>\d+))?",
        re.MULTILINE,
    )
    column_encoding = "utf-32-le"
    run_error = re.compile(
        r"^thread '[^'\n]*' panicked at [^\n]*:\n(?P<message>(?:(?!note: |  left: |stack backtrace)[^\n]*\n?)+)"
        r"|^(?P<fatal>memory allocation of \d+ bytes failed)|^(?:thread '[^'\n]*' has overflowed its stack)",
        re.MULTILINE,
    )
    run_place = re.compile(
        r"^thread '[^'\n]*' panicked at (?P<file>main|tests)\.rs:(?P<line>\d+):(?P<column>\d+)", re.MULTILINE
    )
    hint = re.compile(r"(?:^|\s)help: ([^\n]*(?:similar name|did you mean|consider)[^\n]*)")
    compile_rules = (
        (FeedbackKind.IMPORT, r"unresolved import|can't find crate"),
        (FeedbackKind.NAME, r"cannot find|no method named|no function|not found|undeclared|no field"),
        (
            FeedbackKind.TYPE,
            r"mismatched types|type annotations|trait bound|cannot (add|compare|be indexed)|borrow|moved|lifetime|arguments? to this|wrong number",
        ),
    )
    run_rules = (
        (FeedbackKind.ASSERTION, r"\A[^\n]*\nassertion [^\n]*failed"),
        (FeedbackKind.MEMORY, r"\Amemory allocation of"),
        (
            FeedbackKind.VALUE,
            r"\A[^\n]*\n[^\n]*(out of bounds|out of range|by zero|with overflow|unwrap\(\)|capacity overflow|byte index)",
        ),
    )

    @cached_property
    def toolchain(self) -> str | None:
        """Directory of a toolchain outside the system's directories, such as rustup's; `None` where the system has one."""
        rustc = shutil.which("rustc")
        if shutil.which("rustc", path=SYSTEM_PATH) is not None or rustc is None:
            return None
        try:
            done = subprocess.run(
                [rustc, "--print", "sysroot"], capture_output=True, text=True, timeout=60, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip() or None

    @property
    def readonly(self) -> tuple[str, ...]:
        return (self.toolchain,) if self.toolchain else ()

    @property
    def compiler(self) -> tuple[str, ...]:  # type: ignore[override] # read-only, since the machine decides
        rustc = f"{self.toolchain}/bin/rustc" if self.toolchain else "rustc"
        return (rustc, "--edition", "2021", "-A", "warnings", "--color", "never", "-o", "main", "main.rs")

    def missing(self) -> str | None:
        return super().missing() if self.toolchain is None else None

    def separated(self, source: str, tests: str, entry_point: str) -> CommandProgram:
        source, tests = closed(source, tests)
        # The standard's asserts, whatever macros of these names there are
        end = f'let end = end_of_checks(); ::std::println!("\\n{END_MARK}"); end'
        marked = _MAIN.sub(
            lambda main: f"fn main(){main.group(1)}{{ {end} }} fn end_of_checks(){main.group(1)}{{",
            _ASSERT.sub(r"::std::\1!", tests),
            count=1,
        )
        rustc, options = self.compiler[:-2], {"wire.rs": protocol_files("wire.rs")["wire.rs"]}
        if not _MAIN.search(tests) or _constructs_types(source, tests):
            return self.together(source, marked)
        functions = _functions(source, tests, entry_point)
        return CommandProgram(
            argv=("./tests",),
            compile=(*rustc, "tests", "judge.rs"),
            files={"judge.rs": _judging(functions, source, tests), "tests.rs": marked, **options},
            end_mark=True,
            partner=Partner(
                argv=self.command,
                compile=self.compiler,
                files={"main.rs": f"{source}\n{_serving(functions)}", **options},
            ),
        )

    def together(self, source: str, tests: str) -> CommandProgram:
        """
        Tests that make the answer's own types, in one process with it: their values cannot cross. An answer to these may cheat.
        """
        text = f"{source.replace(END_MARK, '')}\n{tests}"
        return CommandProgram(self.command, self.compiler, {self.file: text}, end_mark=END_MARK in tests)

    def assertion(self, output: str) -> dict[str, str]:
        values = {"actual": r"^\s*left: (.*)$", "expected": r"^\s*right: (.*)$"}
        found = {name: re.search(pattern, output, re.MULTILINE) for name, pattern in values.items()}
        return {name: one.group(1).strip("`,") for name, one in found.items() if one}

    def readable(self, output: str) -> str:
        return "\n".join(
            line
            for line in output.split("\n")
            if not line.startswith(
                (
                    "note: run with",
                    "error: aborting",
                    "For more information",
                    "Some errors have",
                    "  = note: this error orig",
                )
            )
        ).strip("\n")


def _constructs_types(source: str, tests: str) -> bool:
    """Whether the tests make values of types of the answer. The tests alone decide: they name a type where only one can stand."""
    tests = blanked(tests)
    pattern = r"\b(?:struct|enum|union|trait)\s+(\w+)"
    types = set(re.findall(pattern, blanked(source))) - _TYPES - set(re.findall(pattern, tests))
    return any(
        re.search(rf"\b{name}\s*(?:::|\{{)|[:&<,]\s*(?:mut\s+)?{name}\b", tests)
        for name in types & set(shared_names(source, tests))
    )


def _functions(source: str, tests: str, entry_point: str) -> list[tuple[Head, list[str], str]]:
    """Heads of the answer's functions that the tests name, with the types of the parameters and of the result."""
    code = blanked(source)
    own = {head.name for head in heads(blanked(tests)) if head.depth == 0} | {"main", "drop"}
    wanted = {name for name in shared_names(source, tests) if name not in own} | {entry_point}
    names = {found["name"]: found["type"].strip() for found in _ALIAS.finditer(code)}

    def plain(text: str) -> str:
        for _ in range(5):
            text = re.sub(r"(?<!::)\b\w+\b", lambda word: names.get(word.group(), word.group()), text)
        return " ".join(text.split())

    functions = []
    for head in heads(code):
        if head.depth or head.name not in wanted or not re.search(r"\bfn$", head.before):
            continue
        types = [plain(text.partition(":")[2]) for text in head.parameters]
        result = plain(re.sub(r"\bwhere\b.*", "", head.after.partition("->")[2], flags=re.DOTALL)) or "()"
        if all(_TYPE.fullmatch(text) for text in (result, *types)):
            functions.append((head, types, result))
    return functions


def _judging(functions: list[tuple[Head, list[str], str]], source: str, tests: str) -> str:
    """The tests' side: a function for each of the answer's, which calls it."""
    guarded = "true" if "catch_unwind" in tests else "false"
    uses = {" ".join(use.split()) for use in _USE.findall(blanked(source)) if not re.search(r"\bas\b", use)}
    own = {" ".join(use.split()) for use in _USE.findall(blanked(tests))}
    lines = ['#[path = "wire.rs"] mod reflection_trl_wire;', *sorted(uses - own)]
    for number, (head, types, result) in enumerate(functions):
        lifetimes = ", ".join(dict.fromkeys(re.findall(r"'(?!static\b)\w+", " ".join((result, *types)))))
        parameters = ", ".join(f"a{place}: {type}" for place, type in enumerate(types))
        puts = "".join(f" reflection_trl_wire::Put::put(&a{place}, &mut message);" for place in range(len(types)))
        updates = "".join(
            f" *a{place} = reflection_trl_wire::Get::get(&mut reply);"
            if not _slice(type)
            else f" for one in a{place}.iter_mut() {{ *one = reflection_trl_wire::Get::get(&mut reply); }}"
            for place, type in enumerate(types)
            if _changes(type)
        )
        lines.append(
            f"fn {head.name}<{lifetimes}>({parameters}) -> {result} {{ let mut message = reflection_trl_wire::begin({number}, {guarded});"
            f"{puts} let mut reply = reflection_trl_wire::finish(message); let result = reflection_trl_wire::Get::get(&mut reply);"
            f"{updates} result }}"
        )
    return "\n".join([*lines, 'include!("tests.rs");', ""])


def _serving(functions: list[tuple[Head, list[str], str]]) -> str:
    """The answer's side, behind the answer."""
    entries = []
    for head, types, _ in functions:
        gets = "".join(
            f" let mut a{place}: {_owned(type)} = reflection_trl_wire::Get::get(message);"
            for place, type in enumerate(types)
        )
        values = ", ".join(f"{_borrow(type)}a{place}" for place, type in enumerate(types))
        updates = "".join(
            f" for one in a{place}.iter() {{ reflection_trl_wire::Put::put(one, reply); }}"
            if _slice(type)
            else f" reflection_trl_wire::Put::put(&a{place}, reply);"
            for place, type in enumerate(types)
            if _changes(type)
        )
        entries.append(
            f"|message, reply| {{{gets} reflection_trl_wire::Put::put(&{head.name}({values}), reply);{updates} }}"
        )
    return (
        '#[path = "wire.rs"] mod reflection_trl_wire;\n'
        f"fn main() {{ reflection_trl_wire::serve(&[{', '.join(entries)}]) }}\n"
    )


def _borrow(type: str) -> str:
    found = re.match(r"&\s*(?:'\w+\s+)?(mut\b)?", type)
    return "" if found is None else "&mut " if found.group(1) else "&"


def _changes(type: str) -> bool:
    return _borrow(type) == "&mut "


def _slice(type: str) -> re.Match[str] | None:
    return re.fullmatch(r"&\s*(?:'\w+\s+)?(?:mut\s+)?\[([^;]*)\]", type)


def _owned(type: str) -> str:
    """The type of a variable that a parameter of this type can be given, or borrow."""
    inner = re.sub(r"^&\s*(?:'\w+\s+)?(?:mut\s+)?", "", type)
    if (found := _slice(type)) is not None:
        inner = f"Vec<{found.group(1)}>"
    elif inner == "str":
        inner = "String"
    return re.sub(r"'(?!static\b)\w+\s*", "", inner)
