"""Generates stand-ins for the classes of a C# answer, with which the tests are compiled."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .classes import ClassText, Member, classes, members
from .command import shared_names
from .heads import blanked, closing, split


_TYPE = re.compile(r"[\w<>,.?\s\[\]()]+")
# The tests' side evaluates default arguments, so only constants are accepted
_DEFAULT = re.compile(
    r"-?[\d.]\w*|true|false|null|(?:int|long|double|char)\.M(?:ax|in)Value|default(?:\(\w+\))?|\"[^\"\\]*\"|'[^'\\]'"
)
_MODIFIERS = re.compile(
    r"\[[A-Z][^\]]*\]|\b(?:public|private|internal|protected|static|unsafe|extern|sealed|new|virtual|override|abstract|readonly|const|async|partial)\b"
)
_OPERATORS = {
    "+": "op_Addition", "-": "op_Subtraction", "*": "op_Multiply", "/": "op_Division", "%": "op_Modulus", "==": "op_Equality",
    "!=": "op_Inequality", "<": "op_LessThan", ">": "op_GreaterThan", "<=": "op_LessThanOrEqual", ">=": "op_GreaterThanOrEqual",
    "&": "op_BitwiseAnd", "|": "op_BitwiseOr", "^": "op_ExclusiveOr",
}  # fmt: skip
_UNARY = {"-": "op_UnaryNegation", "+": "op_UnaryPlus", "!": "op_LogicalNot", "~": "op_OnesComplement"}
_COMPARISONS = frozenset(["==", "!=", "<", ">", "<=", ">="])
# In tests these names refer to the framework, even if an answer defines them
LIBRARY = frozenset(
    [
        "Action",
        "Activator",
        "AggregateException",
        "AppDomain",
        "ArgumentException",
        "ArgumentNullException",
        "ArgumentOutOfRangeException",
        "ArithmeticException",
        "Array",
        "ArrayList",
        "ArraySegment",
        "Assembly",
        "Attribute",
        "BigInteger",
        "BitArray",
        "BitConverter",
        "Boolean",
        "Buffer",
        "Byte",
        "Char",
        "Collection",
        "Comparer",
        "Comparison",
        "Complex",
        "ConcurrentDictionary",
        "Console",
        "Convert",
        "Converter",
        "DateTime",
        "DateTimeOffset",
        "DayOfWeek",
        "Debug",
        "Decimal",
        "Delegate",
        "Dictionary",
        "DivideByZeroException",
        "Double",
        "Encoding",
        "Enum",
        "Enumerable",
        "Environment",
        "EqualityComparer",
        "EventArgs",
        "Exception",
        "FormatException",
        "Func",
        "Guid",
        "HashSet",
        "Hashtable",
        "ICollection",
        "IComparable",
        "IComparer",
        "IDictionary",
        "IDisposable",
        "IEnumerable",
        "IEnumerator",
        "IEqualityComparer",
        "IEquatable",
        "IList",
        "IReadOnlyCollection",
        "IReadOnlyDictionary",
        "IReadOnlyList",
        "ISet",
        "IndexOutOfRangeException",
        "Int16",
        "Int32",
        "Int64",
        "InvalidCastException",
        "InvalidOperationException",
        "KeyNotFoundException",
        "KeyValuePair",
        "Lazy",
        "LinkedList",
        "LinkedListNode",
        "List",
        "Lookup",
        "Match",
        "Math",
        "MathF",
        "NotImplementedException",
        "NotSupportedException",
        "Nullable",
        "NullReferenceException",
        "Object",
        "ObservableCollection",
        "OutOfMemoryException",
        "OverflowException",
        "Predicate",
        "Process",
        "Queue",
        "Random",
        "ReadOnlyCollection",
        "Regex",
        "SByte",
        "Single",
        "SortedDictionary",
        "SortedList",
        "SortedSet",
        "Span",
        "Stack",
        "StackTrace",
        "Stopwatch",
        "String",
        "StringBuilder",
        "StringComparer",
        "StringComparison",
        "StringReader",
        "StringWriter",
        "Task",
        "Thread",
        "TimeSpan",
        "Trace",
        "Tuple",
        "Type",
        "UInt16",
        "UInt32",
        "UInt64",
        "Uri",
        "ValueTuple",
        "Vector",
        "Version",
        "ReflectionTrl",
        "Names",
        "Judge",
        "Wire",
        "Remote",
    ]
)
# Methods that data has. Objects of classes that the tests do not name lack them (`F(1).Contains(2)`)
_OF_DATA = frozenset(
    [
        "Add",
        "All",
        "Any",
        "BinarySearch",
        "CompareTo",
        "Contains",
        "ContainsKey",
        "ContainsValue",
        "Count",
        "EndsWith",
        "Equals",
        "Exists",
        "Find",
        "FindIndex",
        "First",
        "Get",
        "GetEnumerator",
        "IndexOf",
        "IsSubsetOf",
        "IsSupersetOf",
        "Last",
        "LastIndexOf",
        "Max",
        "Min",
        "Overlaps",
        "SequenceEqual",
        "SetEquals",
        "StartsWith",
        "Sum",
        "ToArray",
        "ToList",
        "ToString",
        "TrueForAll",
        "TryGetValue",
        "GetHashCode",
        "CompareOrdinal",
    ]
)


@dataclass(frozen=True)
class Stubs:
    """
    Holds the code that both sides are compiled with, in addition to the tests and the answer.

    Args:
        stubs (`str`):
            Stand-ins, for the tests' side.
        names (`str`):
            Names of the classes that have a stand-in, for both sides.
    """

    stubs: str
    names: str


def stubs(source: str, tests: str, entry_class: str, continued: bool, entry_point: str) -> Stubs:
    """
    Generates the stand-ins for an answer.

    Args:
        source (`str`):
            The answer. It is untrusted: only names, types and constants are read from it, to generate stand-ins.
        tests (`str`):
            The tests.
        entry_class (`str`):
            The class that contains the function under test.
        continued (`bool`):
            Whether the tests are inside this class.
        entry_point (`str`):
            Name of the function or class under test; may be empty.
    """
    return _Writer(source, tests, entry_class, continued, entry_point).write()


class _Writer:
    def __init__(self, source: str, tests: str, entry_class: str, continued: bool, entry_point: str):
        self.code, self.tests = blanked(source, keep_strings=True), blanked(tests)
        self.continued, self.entry_point = entry_class if continued else "", entry_point
        self.declared = {one.name: one for one in _all(self.code)}
        own = {one.name for one in classes(self.tests)} | ({"Main"} - {entry_class})
        taken = [entry_point, entry_class] if continued else [entry_point]
        shared = [
            name for name in shared_names(blanked(source), self.tests) if name in self.declared and name not in own
        ]
        self.doubtful = [name for name in shared if name in LIBRARY and name not in taken and self._is_type(name)]
        named = [name for name in shared if (name not in LIBRARY or name in taken)]
        # A call of the function under test also names its class
        self.named = {name for name in named if self._is_type(name) or name == entry_class}
        self.wanted = [*dict.fromkeys([*named, entry_class])]

    def _is_type(self, name: str) -> bool:
        """Returns whether the tests use the name where only a class is valid."""
        if re.search(
            rf"\bnew\s+{name}\b|\b{name}\s*(?:<[^;=()]*>)?(?:\[\])?\s+\w+\s*[=;,)]|[<,]\s*{name}\s*[>,]|\b(?:is|as|catch\s*\()\s*{name}\b|\({name}\)\s*[\w(]",
            self.tests,
        ):  # fmt: skip
            return True
        # A variable of the tests may be called like a class of the answer, which an object in it could belong to
        variable = re.search(
            rf"(?<!\breturn)(?<!\bnew)[\w>\]]\s+{name}\s*[=;:,)]|\bvar\s*\([^)]*\b{name}\b", self.tests
        )
        return variable is None and re.search(rf"\b{name}\s*\.\s*\w+", self.tests) is not None

    def write(self) -> Stubs:
        done: dict[str, str] = {}
        todo = list(self.wanted)
        while todo:
            name = todo.pop()
            if name in done or name not in self.declared:
                continue
            text = self.declared[name]
            done[name] = self._enum(text) if text.keyword == "enum" else self._class(text)
            words = re.findall(r"\w+", done[name])
            todo += [word for word in words if word in self.declared and (word not in LIBRARY or word in self.wanted)]
            # Stands for an object that is passed as its base class or interface
            todo += [
                one.name for one in self.declared.values() if any(re.match(rf"{name}\b", base) for base in one.bases)
            ]
        own = [f'"{name}{_arity(self.declared[name])}"' for name in done]
        names = (
            "namespace ReflectionTrl { public static class Names { public static readonly System.Collections.Generic.HashSet<string> Own = "
            f'new System.Collections.Generic.HashSet<string> {{ {", ".join(own)} }}; public const string Continued = "{self.continued}"; }} }}'
        )
        errors = "".join(
            f"\n#error the tests name {name}, a class of the framework, and the answer defines it: name it as the entry point"
            for name in self.doubtful
        )
        return Stubs(f"{' '.join(done.values())}{errors}", names)

    def _enum(self, text: ClassText) -> str:
        if not re.fullmatch(r"[\w\s,=-]*", text.body) or not all(
            not value.strip() or re.fullmatch(r"-?\d+", value.strip())
            for _, _, value in (part.partition("=") for part in split(text.body))
        ):
            return ""
        return f"public enum {text.name} {{ {' '.join(text.body.split())} }}"

    def _class(self, text: ClassText) -> str:
        name = f"{text.name}__Answer" if text.name == self.continued else text.name
        variables = f"<{text.template}>" if text.template else ""
        bases = [base for base in text.bases if re.sub(r"\W.*", "", base) in self.declared and _TYPE.fullmatch(base)]
        every = list(members(text.body))
        if text.keyword == "interface":
            inside = [declaration for one in every if (declaration := self._of_interface(one)) is not None]
            return f"public interface {name}{variables}{_listed(bases)} {{ {' '.join(inside)} }}"
        if self._is_exception(text):
            base = next((base for base in bases), "System.Exception")
            return f"public class {name} : {base} {{ public {name}() {{ }} public {name}(string message) : base(message) {{ }} }}"
        interfaces = [base for base in bases if self.declared[re.sub(r"\W.*", "", base)].keyword == "interface"]
        parents = [base for base in bases if base not in interfaces][:1] or ["ReflectionTrl.Remote"]
        named = text.name in self.named
        items = next(
            (found.group(1) for base in text.bases if (found := re.fullmatch(r"(?:\w+\.)*IEnumerable<(.*)>", base))),
            "",
        )
        if named:
            interfaces += [
                base
                for base in text.bases
                if re.fullmatch(rf"(?:System\.)?IComparable<{text.name}{re.escape(variables)}>", base)
            ]
        type = f"typeof({name}{variables})"
        lines = [f"public {name}(ReflectionTrl.Remote.Existing existing) : base(existing) {{ }}"]
        for one in every:
            lines += self._member(one, text, name, type, named)
        declares_none = named and not any(one.name == text.name for one in every)
        plain = any(re.match(rf"public {name}\(\)", line) for line in lines)
        if (text.name == self.continued or declares_none) and not plain:
            lines.append(self._constructor(name, type, []))
        if items and named and _TYPE.fullmatch(items):
            interfaces.append(f"System.Collections.Generic.IEnumerable<{items}>")
            lines = [line for line in lines if "GetEnumerator" not in line]
            call = f'ReflectionTrl.Judge.Call<System.Collections.Generic.IEnumerable<{items}>>({type}, "enumerate", this, new object[0])'
            lines.append(
                f"public System.Collections.Generic.IEnumerator<{items}> GetEnumerator() {{ return {call}.GetEnumerator(); }} "
                "System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() { return GetEnumerator(); }"
            )
        return (
            f"public class {name}{variables}{_listed([*parents, *interfaces])} {{ {' '.join(dict.fromkeys(lines))} }}"
        )

    def _is_exception(self, text: ClassText) -> bool:
        first = re.sub(r".*\.|\W.*", "", text.bases[0]) if text.bases else ""
        return first.endswith("Exception") or (first in self.declared and self._is_exception(self.declared[first]))

    def _of_interface(self, one: Member) -> str | None:
        result = _MODIFIERS.sub(" ", one.before).strip()
        if not _TYPE.fullmatch(result):
            return None
        if one.parameters is None:
            return f"{result} {one.name} {{ {'get;' if 'get' in (one.body or '') else ''} {'set;' if 'set' in (one.body or '') else ''} }}"
        parts = _parameters(one.parameters)
        return f"{result} {one.name}({', '.join(parts.declared)});" if parts else None

    def _member(self, one: Member, text: ClassText, name: str, type: str, named: bool) -> Iterator[str]:
        inside = text.name == self.continued
        # A member with such a name would hide the name that the tests refer to
        if one.name in LIBRARY - {self.entry_point, text.name} or one.name in (
            "ReferenceEquals",
            "GetType",
            "MemberwiseClone",
        ):
            return
        if not re.search(r"\bpublic\b|\binternal\b", one.before) and not inside:
            return
        fixed = re.search(r"\bstatic\b|\bconst\b", one.before) is not None
        self_ = "null" if fixed else "this"
        modifier = "static " if fixed else ""
        result = _MODIFIERS.sub(" ", one.before).strip()
        if one.name == text.name:
            parts = _parameters(one.parameters or ())
            if parts is not None and named and one.parameters is not None:
                yield self._constructor(name, type, [one])
            return
        if one.name.startswith("operator"):
            yield from self._operator(one, text, type, result, named)
            return
        if one.parameters is None:
            yield from self._property(one, type, modifier, self_, result)
            return
        plain, _, variables = one.name.partition("<")
        own = [part.strip() for part in variables.rstrip("> ").split(",")] if variables else []
        # A static function cannot be called on an object that an answer returns in place of data
        of_data = plain in _OF_DATA and not named and not (inside and fixed and plain == self.entry_point)
        if of_data or (plain in ("Main", "ToString", "GetHashCode") and (plain == "Main" or not one.parameters)):
            return
        if plain == "Equals" and not all(re.match(rf"{text.name}\b", parameter) for parameter in one.parameters):
            return
        parts = _parameters(one.parameters)
        if parts is None or not _TYPE.fullmatch(result) or not all(variable.isidentifier() for variable in own):
            return
        where = (
            found.group() if (found := re.match(r"where\s[\w\s:,<>().]*", one.after)) and "=>" not in one.after else ""
        )
        types = "".join(f", typeof({variable})" for variable in own)
        yield (
            f"public {modifier}{result} {one.name}({', '.join(parts.declared)}) {where} {{ var values = {parts.listed}; "
            + self._call(type, plain, self_, result, parts.changed, types)
            + " }"
        )

    def _call(self, type: str, name: str, self_: str, result: str, changed: str, types: str = "") -> str:
        if result == "void":
            return f'ReflectionTrl.Judge.Call({type}, "{name}", {self_}, values{types}); {changed}'
        return f'var result = ReflectionTrl.Judge.Call<{result}>({type}, "{name}", {self_}, values{types}); {changed} return result;'

    def _constructor(self, name: str, type: str, ones: list[Member]) -> str:
        parts = _parameters(ones[0].parameters or ()) if ones else _parameters(())
        assert parts is not None
        return (
            f"public {name}({', '.join(parts.declared)}) : base(ReflectionTrl.Remote.EXISTING) {{ var values = {parts.listed}; "
            f'ReflectionTrlAdopt(ReflectionTrl.Judge.Call({type}, "new", null, values)); {parts.changed} }}'
        )

    def _operator(self, one: Member, text: ClassText, type: str, result: str, named: bool) -> Iterator[str]:
        sign = one.name.removeprefix("operator").strip()
        parts = _parameters(one.parameters or ())
        if parts is None or not named or not _TYPE.fullmatch(result):
            return
        own = [re.match(rf"{text.name}\b", parameter) is not None for parameter in one.parameters or ()]
        # Objects are compared with objects only, and arithmetic on an object and data returns an object
        if (sign in _COMPARISONS and not all(own)) or not (all(own) or re.match(rf"{text.name}\b", result)):
            return
        method = (_OPERATORS if len(own) == 2 else _UNARY).get(sign)
        if method is not None:
            yield f"public static {result} operator {sign}({', '.join(parts.declared)}) {{ var values = {parts.listed}; {self._call(type, method, 'null', result, '')} }}"

    def _property(self, one: Member, type: str, modifier: str, self_: str, result: str) -> Iterator[str]:
        if not _TYPE.fullmatch(result) or re.search(r"\b(?:event|delegate|class|using)\b", result):
            return
        if one.name == "this":
            parts = _parameters(tuple(split(one.after.strip()[1:-1]))) if one.after.endswith("]") else None
            if parts is None:
                return
            values = f"{parts.listed[:-2]}, value }}"
            reads = f"var values = {parts.listed}; {self._call(type, 'get_Item', self_, result, '')}"
            writes = f'ReflectionTrl.Judge.Call({type}, "set_Item", {self_}, {values});'
            yield f"public {result} this[{', '.join(parts.declared)}] {{ {_accessors(one, reads, writes)} }}"
            return
        is_property = (one.body is not None and re.search(r"\b(?:get|set)\b", one.body)) or "=>" in one.after
        get, set = (
            (f"get_{one.name}", f"set_{one.name}") if is_property else (f"field {one.name}", f"field {one.name}")
        )
        reads = f"var values = new object[0]; {self._call(type, get, self_, result, '')}"
        writes = f'ReflectionTrl.Judge.Call({type}, "{set}", {self_}, new object[] {{ value }});'
        yield f"public {modifier}{result} {one.name} {{ {_accessors(one, reads, writes)} }}"


@dataclass(frozen=True)
class _Parameters:
    """Returns the declared parameters, the list of their values, and the code that updates those a call changes."""

    declared: list[str]
    listed: str
    changed: str


def _parameters(texts: Iterable[str]) -> _Parameters | None:
    declared, values, changed = [], [], []
    for place, text in enumerate(texts):
        found = re.fullmatch(r"((?:ref|out|in|params|this)\s+)?(.+?)\s+@?\w+\s*(?:=\s*(.+))?", text, re.DOTALL)
        if found is None or not _TYPE.fullmatch(found.group(2)):
            return None
        how, type, default = (found.group(1) or "").strip(), found.group(2), found.group(3) or ""
        usual = f" = {default}" if _DEFAULT.fullmatch(default) else ""
        declared.append(f"{'' if how == 'this' else how} {type} a{place}{usual}")
        values.append(f"default({type})" if how == "out" else f"a{place}")
        if how in ("ref", "out"):
            changed.append(f"a{place} = ({type}) values[{place}];")
    return _Parameters(declared, f"new object[] {{ {', '.join(values)} }}", " ".join(changed))


def _accessors(one: Member, reads: str, writes: str) -> str:
    only_reads = re.search(r"\b(?:const|readonly)\b", one.before) or "=>" in one.after
    sets = re.search(r"(?<!private )(?<!protected )\bset\b", one.body) is not None if one.body else not only_reads
    if one.body is not None and not re.search(r"\b(?:get|set)\b", one.body):
        sets = not only_reads  # a field with a value in braces
    return f"get {{ {reads} }}" + (f" set {{ {writes} }}" if sets else "")


def _all(code: str) -> Iterator[ClassText]:
    """Yields classes and their inner classes, including those in namespaces."""
    for one in classes(code):
        yield one
        yield from _all(one.body)
    for space in re.finditer(r"^[ \t]*namespace\s+[\w.]+\s*\{", code, re.MULTILINE):
        end = closing(code, space.end() - 1)
        if end is not None:
            yield from _all(code[space.end() : end])


def _arity(text: ClassText) -> str:
    return f"`{len(split(text.template))}" if text.template else ""


def _listed(bases: list[str]) -> str:
    return f" : {', '.join(bases)}" if bases else ""
