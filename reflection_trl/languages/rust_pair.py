"""Generates the two programs that judge a Rust answer: the tests with stand-ins, and the answer behind numbered entries."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from .command import shared_names
from .heads import blanked, closing, split


# Imports of the standard library that the tests may rely on
_USE = re.compile(r"^[ \t]*(?:pub\s+)?(use\s+(?:std|core|alloc)::[\w:{}*,\s]+;)", re.MULTILINE)
_ALIAS = re.compile(r"\btype\s+(?P<name>\w+)\s*=\s*(?P<type>[^;=]+);")
_LITERAL = r"-?[\d._]+\w*|\"[^\"\\]*\"|'[^'\\]'|true|false"
_CONSTANT = re.compile(
    rf"\bconst\s+(\w+)\s*:\s*([\w&'\[\]; ]+)=\s*({_LITERAL}|&?\[(?:\s*(?:{_LITERAL})\s*,)*\s*(?:{_LITERAL})?\s*\])\s*;"
)
# Functions and constants that `use std::...::*` brings: an item of the answer would hide them
_BEHIND_GLOBS = frozenset(
    ("E", "EPSILON", "INFINITY", "MAX", "MIN", "NAN", "PI", "TAU", "drop", "empty", "exit", "forget", "from_fn", "identity", "max",
     "max_by", "max_by_key", "min", "min_by", "min_by_key", "once", "repeat", "repeat_with", "replace", "size_of", "sleep", "spawn",
     "successors", "swap", "take", "zip")
)  # fmt: skip
_GLOB = re.compile(r"\buse\s+(?:std|core|alloc)::[^;]*\*")
_TYPE = re.compile(r"[\w:<>,&'\s\[\];()]+")
_CALLBACK = re.compile(
    r"^(?P<how>impl|&\s*(?:'\w+\s*)?(?:mut\s+)?dyn|&\s*(?:mut\s+)?impl|Box\s*<\s*dyn)?\s*(?P<kind>Fn|FnMut|FnOnce|fn)\s*\((?P<arguments>.*)\)\s*"
    r"(?:->\s*(?P<result>[^+>]+(?:<.*>)?[^+>]*?))?\s*(?:\+\s*'\w+\s*)?(?P<end>>?)$",
    re.DOTALL,
)
_MAX_ANGLES = 16
# Those of an item, up to the item
_ATTRIBUTES = re.compile(r"(?:#\s*\[[^\]]*\]\s*)+(?:pub(?:\s*\([^)]*\))?\s+)?\Z")
_LONGEST_ATTRIBUTES = 1_000
_DERIVED = ("Debug", "Clone", "Copy", "PartialEq", "Eq", "PartialOrd", "Ord", "Hash", "Default")
# Standard traits that stand-ins implement, by path
_TRAITS = {
    **{name: f"::std::ops::{name}" for name in (
        "Add", "Sub", "Mul", "Div", "Rem", "Neg", "Not", "BitAnd", "BitOr", "BitXor", "AddAssign", "SubAssign", "MulAssign", "DivAssign", "Index")},
    **{name: f"::std::cmp::{name}" for name in ("PartialEq", "Eq", "PartialOrd", "Ord")},
    "From": "::std::convert::From", "FromStr": "::std::str::FromStr", "Default": "::std::default::Default", "Clone": "::std::clone::Clone",
    "Iterator": "::std::iter::Iterator", "Display": "::std::fmt::Display", "Debug": "::std::fmt::Debug", "Error": "::std::error::Error",
    "TryFrom": "::std::convert::TryFrom",
}  # fmt: skip
# In tests these names refer to the standard library, even if an answer defines them
LIBRARY = frozenset(
    [
        "Add",
        "AddAssign",
        "Any",
        "Arc",
        "AsMut",
        "AsRef",
        "AtomicBool",
        "AtomicI32",
        "AtomicI64",
        "AtomicU32",
        "AtomicU64",
        "AtomicUsize",
        "BTreeMap",
        "BTreeSet",
        "BinaryHeap",
        "BitAnd",
        "BitOr",
        "BitXor",
        "Borrow",
        "Box",
        "BufRead",
        "BufReader",
        "Cell",
        "Chars",
        "Clone",
        "Copy",
        "Cow",
        "Debug",
        "Default",
        "Deref",
        "DerefMut",
        "Display",
        "Div",
        "Drop",
        "Duration",
        "Entry",
        "Eq",
        "Err",
        "Error",
        "Extend",
        "File",
        "Fn",
        "FnMut",
        "FnOnce",
        "Formatter",
        "From",
        "FromIterator",
        "FromStr",
        "Hash",
        "HashMap",
        "HashSet",
        "Hasher",
        "Index",
        "IndexMut",
        "Infallible",
        "Instant",
        "Into",
        "IntoIterator",
        "Iterator",
        "LinkedList",
        "Mul",
        "Mutex",
        "Neg",
        "None",
        "NonZeroU32",
        "Not",
        "Ok",
        "OnceCell",
        "Option",
        "Ord",
        "Ordering",
        "ParseFloatError",
        "ParseIntError",
        "PartialEq",
        "PartialOrd",
        "Peekable",
        "PhantomData",
        "Range",
        "RangeInclusive",
        "Rc",
        "Read",
        "RefCell",
        "Rem",
        "Result",
        "Reverse",
        "RwLock",
        "Self",
        "Send",
        "Sized",
        "Some",
        "String",
        "Sub",
        "Sync",
        "SystemTime",
        "ToOwned",
        "ToString",
        "TryFrom",
        "TryInto",
        "Vec",
        "VecDeque",
        "Weak",
        "Wrapping",
        "Write",
        "bool",
        "char",
        "drop",
        "f32",
        "f64",
        "i128",
        "i16",
        "i32",
        "i64",
        "i8",
        "isize",
        "str",
        "u128",
        "u16",
        "u32",
        "u64",
        "u8",
        "usize",
        "main",
        "reflection_trl_wire",
        "std",
        "core",
        "alloc",
    ]
)
# Methods that data has. Values of types that the tests do not name lack them (`f(1).contains(&2)`)
_OF_DATA = frozenset(
    [
        "abs",
        "all",
        "any",
        "as_bytes",
        "as_ref",
        "as_slice",
        "as_str",
        "binary_search",
        "chars",
        "clone",
        "cmp",
        "contains",
        "contains_key",
        "count",
        "ends_with",
        "eq",
        "find",
        "first",
        "fract",
        "get",
        "into_iter",
        "is_empty",
        "is_err",
        "is_finite",
        "is_none",
        "is_ok",
        "is_some",
        "iter",
        "last",
        "len",
        "max",
        "min",
        "ne",
        "next",
        "parse",
        "partial_cmp",
        "position",
        "rfind",
        "round",
        "signum",
        "starts_with",
        "sum",
        "to_string",
        "to_vec",
        "trim",
        "unwrap",
        "unwrap_err",
        "unwrap_or",
    ]
)


@dataclass(frozen=True)
class Function:
    """
    Represents a function or method of the answer, as the tests' side declares it.

    Args:
        name (`str`):
            Its name.
        path (`str`):
            How the answer's side calls it.
        variables (`tuple[str]`):
            Declarations of its lifetimes, and of its parameters that are functions.
        types (`tuple[str]`):
            Types of its parameters, including `self`.
        result (`str`):
            Return type.
        method (`bool`, *optional*, defaults to `False`):
            Whether the first parameter is `self`.
        public (`bool`, *optional*, defaults to `True`):
            Whether it must be declared `pub`.
    """

    name: str
    path: str
    variables: tuple[str, ...]
    types: tuple[str, ...]
    result: str
    method: bool = False
    public: bool = True


@dataclass(frozen=True)
class Type:
    """
    Represents a struct or an enum of the answer.

    Args:
        name (`str`):
            Its name.
        kind (`str`):
            `struct` or `enum`.
        body (`str`):
            Its fields or variants, including the brackets; empty for a struct without fields.
        derived (`tuple[str]`):
            Traits that it derives.
        copied (`bool`):
            Whether its values are sent as data; values of other types stay in the answer's process.
        named (`bool`):
            Whether the tests name it.
    """

    name: str
    kind: str
    body: str
    derived: tuple[str, ...]
    copied: bool
    named: bool


def both_sides(source: str, tests: str, entry_point: str) -> tuple[str, str]:
    """
    Returns the tests' side, without the tests, and the code that follows the answer on its side.

    Args:
        source (`str`):
            The answer. It is untrusted: only names, types and constants are read from it, to generate stand-ins.
        tests (`str`):
            The tests.
        entry_point (`str`):
            Name of the function or type under test; may be empty.
    """
    return _Sides(source, tests, entry_point).write()


class _Sides:
    def __init__(self, source: str, tests: str, entry_point: str):
        self.source, self.code, self.tests = source, blanked(source), blanked(tests)
        self.entry_point = entry_point
        self.guarded = "true" if "catch_unwind" in tests or "should_panic" in tests else "false"
        self.aliases = {
            found["name"]: found["type"].strip()
            for found in _ALIAS.finditer(self.code)
            if found["name"] not in LIBRARY
        }
        self.items = {item.name: item for item in _items(self.code)}
        own = {item.name for item in _items(self.tests)} | {name for name, *_ in _functions(self.tests)} | {"main"}
        self.shared = [name for name in shared_names(self.code, self.tests) if name not in own]
        self.doubtful = [
            name for name in self.shared if name in LIBRARY and name in self.items and name != entry_point
        ]
        if _GLOB.search(self.tests):
            self.doubtful += [name for name in self.shared if name in _BEHIND_GLOBS and name != entry_point
                              and re.search(rf"\b(?:fn|const|static)\s+{name}\b", self.code)]  # fmt: skip
        self.wanted = {name for name in self.shared if name not in LIBRARY} | {entry_point}
        self.entries: list[str] = []

    def write(self) -> tuple[str, str]:
        functions = [
            made
            for name, variables, parameters, result, _ in _functions(self.code)
            if name in self.wanted and (made := self._function(name, name, variables, parameters, result)) is not None
        ]
        types = self._types(functions)
        self.copied = {one.name: one.copied for one in types}
        judge, answer = [], []
        for one in types:
            tests_side, both = self._type(one)
            judge += [tests_side, both if one.copied else f"reflection_trl_wire::stand_in!({one.name});"]
            answer.append(both if one.copied else f"reflection_trl_wire::kept!({one.name});")
        for one in types:
            judge += self._methods(one)
        judge += [self._stub(one) for one in functions if self._crosses(one)]
        uses = [use for use in _USE.findall(self.code) if not re.search(r"\bas\b", use)]
        constants = [
            f"const {name}: {type.strip()} = {value};" for name, type, value in _CONSTANT.findall(blanked(self.source, keep_strings=True))
            if name in self.wanted and name in self.shared
        ]  # fmt: skip
        errors = [
            f'compile_error!("the tests name `{name}`, which the library has too, and the answer defines it: name it as the entry point");'
            for name in self.doubtful
        ]
        head = [
            '#[path = "wire.rs"] #[macro_use] mod reflection_trl_wire;',
            *errors,
            *self._uses(uses),
            *constants,
        ]
        serving = [
            '#[path = "wire.rs"] #[macro_use] mod reflection_trl_wire;',
            *answer,
            f"fn main() {{ reflection_trl_wire::serve(&[{', '.join(self.entries)}]) }}\n",
        ]
        return "\n".join([*head, *judge, ""]), "\n".join(serving)

    def _uses(self, uses: list[str]) -> list[str]:
        """Returns the imports of the answer that the tests' side copies, except those that it already has."""
        own = {path.rpartition("::")[2] for use in _USE.findall(self.tests) for path in _paths(use)}
        paths = dict.fromkeys(path for use in uses for path in _paths(use))
        return [f"use {path};" for path in sorted(paths) if path.rpartition("::")[2] not in own
                and not any(re.search(rf"\b{name}\b", path) for name in self.items)]  # fmt: skip

    # Parsing

    def plain(self, text: str, own: str = "") -> str:
        for _ in range(5):
            text = re.sub(r"(?<!::)(?<!')\b\w+\b", lambda word: self.aliases.get(word.group(), word.group()), text)
        text = re.sub(r"\bSelf\b", own or "Self", text)
        return " ".join(text.split())

    def _function(
        self, name: str, path: str, variables: str, parameters: str, after: str, own: str = "", public: bool = True
    ) -> Function | None:
        """Returns a function with types of the library and of the answer; `None` if it has other types."""
        result, _, where = re.sub(r"^\s*->", "", after).partition("where ")
        result = self.plain(result, own) if "->" in after.partition("where ")[0] else "()"
        bounds = {
            name.strip(): bound.strip()
            for name, _, bound in (text.partition(":") for text in (*split(variables), *split(where)))
        }
        lifetimes = [text.strip() for text in split(variables) if text.strip().startswith("'")]
        generic = [
            part for text in split(variables) if (part := text.partition(":")[0].strip()) and not part.startswith("'")
        ]
        if any(not _CALLBACK.match(bounds.get(variable, "")) for variable in generic):
            return None
        types, method = [], False
        for text in split(parameters):
            if (
                found := re.fullmatch(r"(?:(&)\s*(?:'\w+\s+)?)?(mut\s+)?self(?:\s*:.*)?", text, re.DOTALL)
            ) is not None:
                types.append(
                    f"&mut {own}" if found.group(1) and found.group(2) else f"&{own}" if found.group(1) else own
                )
                method = True
                continue
            type = self.plain(text.partition(":")[2], own)
            types.append(bounds[type] if type in generic else type)
        declared = (*lifetimes, *(f"{variable}: {bounds[variable]}" for variable in generic))
        if not _is_type(result) or not all(_is_type(type) or _callback(type) for type in types):
            return None
        named = tuple(dict.fromkeys((*lifetimes, *re.findall(r"'(?!static\b|_\b)\w+", " ".join((result, *types))))))
        return (
            Function(name, path, named if not own else tuple(lifetimes), tuple(types), result, method, public)
            if declared is not None
            else None
        )

    def _types(self, functions: list[Function]) -> list[Type]:
        """Returns the types that the tests name, and those that their functions use."""
        found: dict[str, Type] = {}
        todo = [*(name for name in self.items if name in self.wanted), *_words(functions)]
        while todo:
            name = todo.pop()
            if name in found or name not in self.items or (name in LIBRARY and name != self.entry_point):
                continue
            found[name] = one = self._read(self.items[name])
            todo += re.findall(r"\w+", one.body) if one.copied else []
            for _, made in self._implemented(one):
                todo += _words([made])
        return [found[name] for name in self.items if name in found]

    def _read(self, item: "_Item") -> Type:
        name = item.name
        fields = re.findall(r"\b(\w+)\s*:", item.body) if item.kind == "struct" else []
        # Tests that look into fields know no other way: they see a copy, also of what is shared
        inside = any(re.search(rf"\.\s*{field}\b(?!\s*\()", self.tests) for field in fields)
        used = (
            re.search(rf"(?<!struct )(?<!impl )\b{name}\s*\{{|\b{name}\s*\(", self.tests)
            or inside
            or "Copy" in item.derived
            or item.kind == "enum"
        )
        body = self.plain(item.body, name)
        texts = [
            part.rpartition(":")[2] if item.kind == "struct" and item.body.startswith("{") else part
            for part in split(body.strip("{}() "))
        ]
        simple = not re.search(
            rf"\b(?:{'' if inside else 'Rc|RefCell|Cell|'}Arc|Mutex|dyn|impl|fn|PhantomData|Instant)\b|&|\*", body
        ) and all(
            _TYPE.fullmatch(
                text.replace("{", "(").replace("}", ")").replace("pub", "").replace("=", "").strip() or "x"
            )
            for text in texts
        )
        # A variable of the tests may be called like a type of the answer, which a value in it could belong to
        variable = re.search(rf"\blet\s+(?:mut\s+)?\(?[\w\s,]*\b{name}\b", self.tests)
        places = rf"\b{name}\s*::|:\s*&?\s*(?:mut\s+)?{name}\b|<\s*{name}\s*[>,]"
        if variable is None:
            places += rf"|\b{name}\s*[{{(]|[&<,]\s*(?:mut\s+)?{name}\b"
        named = re.search(places, self.tests) is not None
        return Type(name, item.kind, body, item.derived, bool(used and simple), named)

    def _implemented(self, one: Type) -> Iterator[tuple[str, Function]]:
        """Yields the methods of a type, each after the standard trait that declares it, if one does."""
        for trait, of, body in _implementations(self.code):
            if of != one.name:
                continue
            last = re.sub(r".*::", "", re.sub(r"<.*", "", trait)).strip()
            if trait and last not in _TRAITS and last not in self.items:
                continue
            if last in ("Display", "Debug", "Error", "Hash", "Eq"):
                continue
            for name, variables, parameters, after, _ in _functions(body):
                path = f"<{one.name} as {self.plain(trait, one.name)}>::{name}" if trait else f"{one.name}::{name}"
                for place in re.findall(r"\btype\s+(\w+)\s*=\s*([^;]+);", body):
                    parameters, after = (
                        re.sub(rf"\bSelf\s*::\s*{place[0]}\b", place[1], text) for text in (parameters, after)
                    )
                made = self._function(name, path, variables, parameters, after, one.name, public=not trait)
                if made is not None:
                    yield (trait if last in _TRAITS else ""), made

    # Code generation

    def _type(self, one: Type) -> tuple[str, str]:
        """Returns the declaration on the tests' side, and the conversion of values that are copied."""
        if not one.copied:
            return f"pub struct {one.name} {{ number: usize }}", ""
        own = [trait for trait, of, _ in _implementations(self.code) if of == one.name]
        derived = [
            name
            for name in one.derived
            if name in _DERIVED and not any(re.match(rf"(?:\w+::)*{name}\b", trait) for trait in own)
        ]
        if "PartialEq" not in derived and "Eq" in derived:
            derived.remove("Eq")
        body = re.sub(r"\bpub(?:\s*\([^)]*\))?\s+", "", one.body)
        public = re.sub(r"(?<=[{,(])\s*(?=\w)", " pub ", body) if one.kind == "struct" else body
        end = "" if body.startswith("{") else ";"
        declared = f"#[derive({', '.join(derived)})] pub {one.kind} {one.name} {public}{end}"
        return declared, _crossing(one, body)

    def _methods(self, one: Type) -> Iterator[str]:
        groups: dict[str, list[str]] = {}
        for trait, made in self._implemented(one):
            last = re.sub(r".*::", "", re.sub(r"<.*", "", trait)).strip()
            if not self._crosses(made) or (not one.named and (trait or made.name in _OF_DATA)):
                continue
            if trait and not self._fits(last, made, one):
                continue
            groups.setdefault(trait, []).append(self._stub(made))
        for trait, stubs in groups.items():
            if not trait:
                yield f"impl {one.name} {{ {' '.join(dict.fromkeys(stubs))} }}"
                continue
            last = re.sub(r".*::", "", re.sub(r"<.*", "", trait)).strip()
            arguments = self.plain(trait[len(trait.partition("<")[0]) :], one.name)
            types = " ".join(
                f"type {name} = {self.plain(type, one.name)};"
                for found, of, body in _implementations(self.code) if (found, of) == (trait, one.name)
                for name, type in re.findall(r"\btype\s+(\w+)\s*=\s*([^;]+);", body) if _is_type(type)
            )  # fmt: skip
            yield f"impl {_TRAITS[last]}{arguments} for {one.name} {{ {types} {' '.join(stubs)} }}"
        if one.named:
            yield from self._shown(one)
            if not one.copied:
                yield from self._derived(one)

    def _fits(self, last: str, made: Function, one: Type) -> bool:
        """Returns whether a method compares values of the type only, and its arithmetic on data returns the type."""
        others = [re.sub(r"[&\s]|mut\b", "", type) for type in made.types[1:]]
        if last in ("PartialEq", "PartialOrd", "Ord"):
            return all(other == one.name for other in others)
        if last in ("Add", "Sub", "Mul", "Div", "Rem", "BitAnd", "BitOr", "BitXor"):
            return all(other == one.name for other in others) or made.result == one.name
        return True

    def _shown(self, one: Type) -> Iterator[str]:
        """Yields the implementations that convert a value to text."""
        traits = [re.sub(r".*::", "", trait) for trait, of, _ in _implementations(self.code) if of == one.name]
        for trait, form in (("Display", "{}"), ("Debug", "{:?}")):
            if trait not in traits and not (trait == "Debug" and "Debug" in one.derived and not one.copied):
                continue
            stub = self._stub(self._text_of(one, form))
            yield f"impl {one.name} {{ {stub} }} impl {_TRAITS[trait]} for {one.name} {{ fn fmt(&self, f: &mut ::std::fmt::Formatter) -> ::std::fmt::Result {{ f.pad(&self.{self._name_of(form)}()) }} }}"
        if "Error" in traits and {"Display"} <= set(traits) and ("Debug" in traits or "Debug" in one.derived):
            yield f"impl ::std::error::Error for {one.name} {{}}"

    def _name_of(self, form: str) -> str:
        return "reflection_trl_debug" if "?" in form else "reflection_trl_display"

    def _text_of(self, one: Type, form: str) -> Function:
        return Function(
            self._name_of(form),
            f'(|value: &{one.name}| format!("{form}", value))',
            (),
            (f"&{one.name}",),
            "String",
            method=True,
        )

    def _derived(self, one: Type) -> Iterator[str]:
        """Yields the traits that a type derives if its values stay in the answer's process."""
        name = one.name
        methods = {
            "Clone": Function("clone", f"<{name} as ::std::clone::Clone>::clone", (), (f"&{name}",), name, True, False),
            "Default": Function("default", f"<{name} as ::std::default::Default>::default", (), (), name, False, False),
            "PartialEq": Function("eq", f"<{name} as ::std::cmp::PartialEq>::eq", (), (f"&{name}",) * 2, "bool", True, False),
            "PartialOrd": Function("partial_cmp", f"<{name} as ::std::cmp::PartialOrd>::partial_cmp", (), (f"&{name}",) * 2, "Option<::std::cmp::Ordering>", True, False),
            "Ord": Function("cmp", f"<{name} as ::std::cmp::Ord>::cmp", (), (f"&{name}",) * 2, "::std::cmp::Ordering", True, False),
        }  # fmt: skip
        for trait, made in methods.items():
            if trait in one.derived:
                yield f"impl {_TRAITS[trait]} for {name} {{ {self._stub(made)} }}"
        if "Eq" in one.derived:
            yield f"impl ::std::cmp::Eq for {name} {{}}"

    def _crosses(self, one: Function) -> bool:
        return all(word not in self.items or word in self.copied for word in _words([one]))

    def _stub(self, one: Function) -> str:
        """Returns a function of the tests' side that calls one of the answer's side, and adds an entry for it."""
        number = len(self.entries)
        self.entries.append(self._entry(one))
        names = [f"a{place}" for place in range(len(one.types))]
        declared = []
        lines = [
            f"let mut message = reflection_trl_wire::begin({number}, {self.guarded});",
            "let lent = reflection_trl_wire::lent();",
        ]
        updates = []
        for place, type in enumerate(one.types):
            name = "self" if one.method and place == 0 else names[place]
            if name == "self":
                declared.append(
                    "&mut self" if type.startswith("&mut") else "&self" if type.startswith("&") else "self"
                )
            else:
                declared.append(f"{'mut ' if _callback(type) else ''}{name}: {_declared_type(type)}")
            if (callback := _callback(type)) is not None:
                arguments = ", ".join(
                    f"<{argument.strip()} as reflection_trl_wire::Get>::get(message)"
                    for argument in split(callback["arguments"])
                )
                lines.append(
                    f"let mut call{place} = |message: &mut reflection_trl_wire::Message, reply: &mut reflection_trl_wire::Message| "
                    f"reflection_trl_wire::Put::put(&({name})({arguments}), reply); reflection_trl_wire::lend(&mut call{place}, &mut message);"
                    if callback["kind"] != "FnOnce"
                    else f"let mut {name} = Some({name}); let mut call{place} = |message: &mut reflection_trl_wire::Message, reply: &mut reflection_trl_wire::Message| "
                    f"reflection_trl_wire::Put::put(&({name}.take().unwrap())({arguments}), reply); reflection_trl_wire::lend(&mut call{place}, &mut message);"
                )
                continue
            lines.append(f"reflection_trl_wire::Put::put(&{name}, &mut message);")
            if _changes(type) and not self._kept(type):
                updates.append(
                    f"for one in {name}.iter_mut() {{ *one = reflection_trl_wire::Get::get(&mut reply); }}"
                    if _slice(type)
                    else f"*{name} = reflection_trl_wire::Get::get(&mut reply);"
                )
        lines.append("let mut reply = reflection_trl_wire::finish(message); reflection_trl_wire::give_back(lent);")
        lines.append(f"let result = reflection_trl_wire::Get::get(&mut reply); {' '.join(updates)} result")
        head = (
            f"{'pub ' if one.public else ''}fn {one.name}<{', '.join(one.variables)}>"
            if one.variables
            else f"{'pub ' if one.public else ''}fn {one.name}"
        )
        return f"{head}({', '.join(declared)}) -> {one.result} {{ {' '.join(lines)} }}"

    def _kept(self, type: str) -> bool:
        """Returns whether a parameter is a reference to a value that stays in the answer's process."""
        inner = re.sub(r"^&\s*(?:'\w+\s+)?(?:mut\s+)?", "", type)
        return inner != type and inner in self.copied and not self.copied[inner]

    def _entry(self, one: Function) -> str:
        gets, values, updates = [], [], []
        for place, type in enumerate(one.types):
            if (callback := _callback(type)) is not None:
                arguments = [text.strip() for text in split(callback["arguments"])]
                result = (callback["result"] or "()").strip()
                listed = ", ".join(f"x{number}: {argument}" for number, argument in enumerate(arguments))
                puts = " ".join(
                    f"reflection_trl_wire::Put::put(&x{number}, &mut call);" for number in range(len(arguments))
                )
                invoke = f"let mut call = reflection_trl_wire::invoke(number); {puts} reflection_trl_wire::Get::get(&mut reflection_trl_wire::invoked(call))"
                if callback["kind"] == "fn":
                    gets.append(
                        f"static SLOT{place}: ::std::sync::atomic::AtomicUsize = ::std::sync::atomic::AtomicUsize::new(0); "
                        f"SLOT{place}.store(reflection_trl_wire::Get::get(message), ::std::sync::atomic::Ordering::SeqCst); "
                        f"fn slot{place}({listed}) -> {result} {{ let number = SLOT{place}.load(::std::sync::atomic::Ordering::SeqCst); {invoke} }}"
                    )
                    values.append(f"slot{place}")
                    continue
                gets.append(
                    f"let number: usize = reflection_trl_wire::Get::get(message); let mut a{place} = move |{listed}| -> {result} {{ {invoke} }};"
                )
                how = callback["how"] or ""
                values.append(
                    f"Box::new(a{place})"
                    if how.startswith("Box")
                    else f"&mut a{place}"
                    if "mut" in how
                    else f"&a{place}"
                    if how.startswith("&")
                    else f"a{place}"
                )
            elif self._kept(type):
                inner = re.sub(r"^&\s*(?:'\w+\s+)?(?:mut\s+)?", "", type)
                gets.append(f"let a{place}: &mut {inner} = reflection_trl_wire::object(message);")
                values.append(f"a{place}")
            else:
                gets.append(f"let mut a{place}: {_owned(type)} = reflection_trl_wire::Get::get(message);")
                values.append(f"{_borrow(type)}a{place}")
                if _changes(type):
                    updates.append(
                        f"for one in a{place}.iter() {{ reflection_trl_wire::Put::put(one, reply); }}"
                        if _slice(type)
                        else f"reflection_trl_wire::Put::put(&a{place}, reply);"
                    )
        # The result is kept alive, and so are the arguments from which it may borrow
        return (
            f"|message, reply| {{ {' '.join(gets)} let result = ::std::mem::ManuallyDrop::new(Box::new({one.path}({', '.join(values)}))); "
            f"reflection_trl_wire::Put::put(&**result, reply); {' '.join(updates)} }}"
        )


# Text


@dataclass(frozen=True)
class _Item:
    kind: str
    name: str
    body: str
    derived: tuple[str, ...]


@lru_cache(maxsize=4)
def _top(code: str) -> list[tuple[int, int]]:
    """Returns the ranges of the code outside all braces."""
    places, depth, start = [], 0, 0
    for found in re.finditer(r"[{}]", code):
        if found.group() == "{":
            if depth == 0:
                places.append((start, found.start() + 1))
            depth += 1
        else:
            depth = max(0, depth - 1)
            start = found.end()
    return [*places, (start, len(code))]


def _is_top(code: str, place: int) -> bool:
    return _is_within(_top(code), place)


def _is_within(ranges: list[tuple[int, int]], place: int) -> bool:
    """Returns whether a place is in one of these ranges, which are in order."""
    last = bisect_right(ranges, (place, float("inf"))) - 1
    return last >= 0 and place < ranges[last][1]


def _items(code: str) -> Iterator[_Item]:
    """Yields structs, enums and traits without type parameters."""
    for found in re.finditer(r"\b(?P<kind>struct|enum|trait)\s+(?P<name>\w+)\s*(?P<generic><)?", code):
        if not _is_top(code, found.start("kind")):
            continue
        before = _ATTRIBUTES.search(code[max(0, found.start() - _LONGEST_ATTRIBUTES) : found.start()])
        derived = [
            word.strip()
            for text in re.findall(r"derive\s*\(([^)]*)\)", before.group() if before else "")
            for word in text.split(",")
        ]
        rest = re.compile(r"[^;{(]{0,2000}").match(code, found.end())
        opening = rest.end() if rest else len(code)
        end = closing(code, opening) if code[opening : opening + 1] in ("{", "(") else opening
        body = code[opening : (end or opening) + 1] if code[opening : opening + 1] in ("{", "(") else ""
        kind = "generic" if found["generic"] else found["kind"]
        yield _Item(
            kind,
            found["name"],
            re.sub(r"#\s*\[[^\]]*\]", "", body),
            tuple(re.sub(r".*::", "", word) for word in derived),
        )


def _functions(code: str) -> Iterator[tuple[str, str, str, str, bool]]:
    """Yields functions: name, parameters in `<>` and in `()`, text before the body, and whether it is public."""
    tops = _top(code)
    for found in re.finditer(
        r"(?P<public>\bpub\b(?:\s*\([^)]*\))?\s+)?(?:\b(?:const|async|unsafe)\s+){0,3}\bfn\s+(?P<name>\w+)\s*", code
    ):
        if not _is_within(tops, found.start("name")):
            continue
        place = found.end()
        variables = ""
        if code[place : place + 1] == "<":
            end = _closing_angle(code, place)
            if end is None:
                continue
            variables, place = code[place + 1 : end], end + 1
        while code[place : place + 1].isspace():
            place += 1
        end_ = closing(code, place) if code[place : place + 1] == "(" else None
        after = re.compile(r"[^{;]{0,2000}(?:\[[^\]]*\][^{;]*)*").match(code, end_ + 1) if end_ is not None else None
        if end_ is not None and after is not None:
            yield found["name"], variables, code[place + 1 : end_], after.group().strip(), found["public"] is not None


def _closing_angle(code: str, opening: int) -> int | None:
    """Returns the place of the bracket that closes the type parameters which start at `opening`."""
    depth = 0
    for place in range(opening, min(opening + 400, len(code))):
        depth += {"<": 1, ">": -1 if code[place - 1] not in "-=" else 0}.get(code[place], 0)
        if depth == 0:
            return place
        if depth > _MAX_ANGLES:  # else the time would be that of each `fn f<` times all that follow
            return None
    return None


def _implementations(code: str) -> Iterator[tuple[str, str, str]]:
    """Yields implementations: the trait, if any, the type and the body."""
    for found in re.finditer(r"\bimpl\s+(?:(?P<trait>[\w:<>,&' ]+?)\s+for\s+)?(?P<name>\w+)\s*\{", code):
        end = closing(code, found.end() - 1)
        if end is not None and _is_top(code, found.start()):
            yield found["trait"] or "", found["name"], code[found.end() : end]


def _crossing(one: Type, body: str) -> str:
    """Returns the conversion of values that are data: field by field."""
    name = one.name
    variants = [(name, body)] if one.kind == "struct" else []
    if one.kind == "enum":
        for text in split(body.strip()[1:-1]):
            found = re.match(r"\s*(\w+)\s*(.*?)\s*(?:=\s*-?\w+)?\s*$", text, re.DOTALL)
            if found is not None:
                variants.append((f"{name}::{found.group(1)}", found.group(2)))
    puts, gets = [], []
    for number, (path, fields) in enumerate(variants):
        inside = split(fields.strip()[1:-1]) if fields.strip() else []
        names = [text.partition(":")[0].strip() for text in inside] if fields.strip().startswith("{") else []
        places = names or [f"x{place}" for place in range(len(inside))]
        pattern = f"{path} {{ {', '.join(places)} }}" if names else f"{path}({', '.join(places)})" if places else path
        values = " ".join(f"reflection_trl_wire::Put::put({place}, message);" for place in places)
        read = (
            [f"{place}: reflection_trl_wire::Get::get(message)" for place in places]
            if names
            else ["reflection_trl_wire::Get::get(message)"] * len(places)
        )
        made = f"{path} {{ {', '.join(read)} }}" if names else f"{path}({', '.join(read)})" if places else path
        puts.append(f"{pattern} => {{ reflection_trl_wire::Put::put(&{number}usize, message); {values} }}")
        gets.append(f"{number} => {made},")
    return (
        f"impl reflection_trl_wire::Put for {name} {{ fn put(&self, message: &mut reflection_trl_wire::Message) {{ match self {{ {' '.join(puts)} }} }} }} "
        f"impl reflection_trl_wire::Get for {name} {{ fn get(message: &mut reflection_trl_wire::Message) -> Self {{ let number: usize = reflection_trl_wire::Get::get(message); "
        f"match number {{ {' '.join(gets)} _ => message.gone() }} }} }}"
    )


def _paths(use: str) -> Iterator[str]:
    """Yields the paths that a `use` imports, one by one."""
    head, opening, rest = re.sub(r"^use\s|;$", "", use.strip()).partition("{")
    if not opening:
        path = "".join(head.split()).removesuffix("::self")
        if path:
            yield path
        return
    for part in split(rest[: rest.rindex("}")]):
        yield from _paths(head + part)


def _words(functions: list[Function]) -> list[str]:
    return [word for one in functions for word in re.findall(r"\w+", " ".join((one.result, *one.types)))]


def _is_type(text: str) -> bool:
    return (
        bool(text.strip())
        and _TYPE.fullmatch(text) is not None
        and not re.search(r"\b(?:impl|dyn|reflection_trl_wire)\b(?!\s+std::error::Error|\s+Error)", text)
    )


def _callback(type: str) -> dict[str, str] | None:
    """Returns the parts of a parameter that is a function; `None` for others."""
    found = _CALLBACK.match(type.strip())
    if found is None:
        return None
    parts = [*split(found["arguments"]), found["result"] or "()"]
    return (
        {name: text or "" for name, text in found.groupdict().items()}
        if all(_is_type(part) for part in parts)
        else None
    )


def _declared_type(type: str) -> str:
    return f"impl {type}" if re.match(r"(?:Fn|FnMut|FnOnce)\s*\(", type) else type


def _borrow(type: str) -> str:
    found = re.match(r"&\s*(?:'\w+\s+)?(mut\b)?", type)
    return "" if found is None else "&mut " if found.group(1) else "&"


def _changes(type: str) -> bool:
    return _borrow(type) == "&mut "


def _slice(type: str) -> re.Match[str] | None:
    return re.fullmatch(r"&\s*(?:'\w+\s+)?(?:mut\s+)?\[([^;]*)\]", type)


def _owned(type: str) -> str:
    """Returns the type of a variable that can be passed to, or borrowed by, a parameter of this type."""
    inner = re.sub(r"^&\s*(?:'\w+\s+)?(?:mut\s+)?", "", type)
    if (found := _slice(type)) is not None:
        inner = f"Vec<{found.group(1)}>"
    elif inner == "str":
        inner = "String"
    return re.sub(r"'(?!static\b)\w+\s*", "", inner)
