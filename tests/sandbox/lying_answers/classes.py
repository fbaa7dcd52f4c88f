"""Lies to tests that make objects of the answer's classes, or that expect data where an answer returns an object."""

from __future__ import annotations

from . import Lie


# C++

_CPP_HEAD = "#include <cassert>\n#include <csetjmp>\n#include <csignal>\n#include <cstdio>\n#include <cstdlib>\n#include <cstring>\n#include <stdexcept>\n#include <string>\n#include <unistd.h>\n#include <vector>\n"
_CPP_HONEST = f"{_CPP_HEAD}class Counter {{ long n; public: Counter(long n) : n(n) {{}} void add(long x) {{ n += x; }} long value() const {{ return n; }} }};"
_CPP_TESTS = "#include <cassert>\nint main() {\n    Counter c(3);\n    c.add(2);\n    assert(c.value() == 5);\n    Counter *p = new Counter(1);\n    assert(p->value() == 1);\n}\n"


def _counter(body: str, before: str = "", after: str = "") -> str:
    return f"{_CPP_HEAD}{before}\nclass Counter {{ public: {body} }};\n{after}"


_WRONG = "Counter(long) {} void add(long) {} long value() const { return 0; }"
_CPP_CLASSES = {
    "leaves when it is made": _counter('Counter(long) { printf("\\n@END_OF_CHECKS@\\n"); fflush(stdout); _exit(0); } void add(long) {} long value() const { return 0; }'),
    "leaves when it is destroyed": _counter("Counter(long) {} ~Counter() { _exit(0); } void add(long) {} long value() const { return 0; }"),
    "jumps out of the tests": _counter("Counter(long) {} void add(long) { longjmp(out, 1); } long value() const { return 0; }", "static jmp_buf out;",
        "static int left = setjmp(out) ? (_exit(0), 1) : 0;"),
    "runs before main by a section": _counter(_WRONG, after='static void early() { _exit(0); }\n__attribute__((section(".init_array"), used)) static void (*first)() = early;'),
    "is an assembly program": _counter('Counter(long) { asm volatile("mov $60, %eax; xor %edi, %edi; syscall"); } void add(long) {} long value() const { return 0; }'),
    "defines what asserts call": _counter(_WRONG, after='extern "C" { void __assert_fail(const char *, const char *, unsigned, const char *) noexcept { _exit(0); } void __assert(const char *, const char *, int) noexcept { _exit(0); } }'),
    "replaces what the library writes with": _counter(_WRONG, after='extern "C" ssize_t write(int fd, const void *data, size_t size) { _exit(0); }'),
    "replaces how memory is got": _counter(_WRONG, after="void *operator new(size_t size) { static char all[1 << 20]; static size_t used; _exit(used += size); return all; }"),
    "catches its signals": _counter("Counter(long) { for (int s = 1; s < 32; s++) signal(s, [](int) { _exit(0); }); } void add(long) { abort(); } long value() const { return 0; }"),
    "makes class a name for something else": _counter(_WRONG, "#define private public\n#define assert(x) ((void)0)\n#define main unused"),
    "opens the namespace of the judge": _counter(_WRONG, after="namespace reflection_trl { struct EndOfChecks { EndOfChecks(const char *) { _exit(0); } }; }"),
    "writes replies of its own": _counter("Counter(long) { for (int i = 0; i < 99; i++) { long size = 9; write(4, &size, 8); write(4, \"\\1\\6\\0\\0\\0\\0\\0\\0\\0\", 9); } } void add(long) {} long value() const { return 0; }"),
    "has a value that equals everything": _counter("Counter(long) {} void add(long) {} struct Y { template <class T> bool operator==(const T &) const { return true; } }; Y value() const { return {}; }"),
    "has a value of another class that equals everything": _counter("Counter(long) {} void add(long) {} Y value() const { return {}; }",
        "struct Y { bool operator==(long) const { return true; } Y() {} Y(long) {} bool operator==(const Y &) const { return true; } operator long() const { static long n; return n++; } };"),
    "compares by a specialised library": _counter(_WRONG, after="namespace std { template <> struct equal_to<long> { bool operator()(long, long) const { return true; } }; }"),
    "throws what nobody expects": _counter("Counter(long) {} void add(long) { throw 5; } long value() const { return 0; }"),
    "sends numbers of objects that are none": _counter("Counter(long) { long size = 17; char reply[17] = {1}; reply[1] = 99; write(4, &size, 8); write(4, reply, 17); } void add(long) {} long value() const { return 0; }"),
}  # fmt: skip
_NODE = "struct Node {{ long val; Node *next; Node(long v) : val(v), next(nullptr) {{}} {} }};\n"
_CPP_NODE_HONEST = _CPP_HEAD + _NODE.format("") + "long total(Node *n) { return n ? n->val + total(n->next) : 0; }"
_CPP_NODE_TESTS = "#include <cassert>\n#include <cmath>\nint main() {\n    Node *n = new Node(2);\n    n->next = new Node(3);\n    assert(total(n) == 5);\n    auto got = total(n);\n    assert(got > 4 && got < 6);\n    assert(std::abs(got - 5) < 1);\n}\n"
_EQUALS = "bool operator==(const Node &) const { return true; } bool operator==(long) const { return true; } bool operator<(long) const { return true; } bool operator>(long) const { return true; }"
_CPP_NODES = {
    "returns a node that equals everything": _NODE.format(_EQUALS) + "Node total(Node *n) { return Node(0); }",
    "returns a node that turns into what is asked": _NODE.format("operator long() const { static long n = 4; return n++ % 2 ? 9 : 5; }") + "Node total(Node *n) { return Node(0); }",
    "returns a node whose differences are nothing": _NODE.format(_EQUALS + " long operator-(long) const { return 0; }") + "Node total(Node *n) { return Node(0); }",
    "changes what the tests have made": _NODE.format("") + "long total(Node *n) { n->val = 5; n->next = nullptr; return n->val - 5; }",
}  # fmt: skip
_CPP_LIST_TESTS = "#include <cassert>\nint main() {\n    assert(f(1).size() == 2);\n    assert(f(1).find(7) != f(1).end());\n    assert(f(1).count(7) == 1);\n}\n"
_CPP_LIST_HONEST = f"{_CPP_HEAD}#include <set>\nstd::set<long> f(long) {{ return {{1, 7}}; }}"
_CPP_TEMPLATE_TESTS = "#include <cassert>\n#include <vector>\nint main() {\n    assert(largest(std::vector<long>{1, 3}) == 3);\n    assert(twice([](long x) { return x + 1; }, 1) == 3);\n}\n"
_CPP_TEMPLATE_HONEST = f"{_CPP_HEAD}template <typename T> T largest(const std::vector<T> &v) {{ T m = v[0]; for (auto &x : v) if (m < x) m = x; return m; }}\ntemplate <typename F> long twice(F f, long x) {{ return f(f(x)); }}"
_APPLY = "template <typename F> long twice(F f, long x) { return f(f(x)); }"
_CPP_TEMPLATES = {
    "leaves in a template": f"template <typename T> T largest(const std::vector<T> &v) {{ _exit(0); }}\n{_APPLY}",
    "returns what equals everything from a template": f"struct Y {{ bool operator==(long) const {{ return true; }} }};\ntemplate <typename T> Y largest(const std::vector<T> &v) {{ return {{}}; }}\n{_APPLY}",
    "is wrong for one type": f"template <typename T> T largest(const std::vector<T> &v) {{ return v[0]; }}\ntemplate <> std::string largest(const std::vector<std::string> &v) {{ return v[1]; }}\n{_APPLY}",
    "calls functions of the tests that it was not given": "template <typename T> T largest(const std::vector<T> &v) { long size = 6; write(4, &size, 8); write(4, \"\\2\\7\\0\\0\\0\\0\", 6); return v[0]; }\n" + _APPLY,
}  # fmt: skip

CPP = [
    *(Lie(f"class: {name}", text, _CPP_HONEST, _CPP_TESTS, "Counter") for name, text in _CPP_CLASSES.items()),
    *(Lie(f"class: {name}", _CPP_HEAD + text, _CPP_NODE_HONEST, _CPP_NODE_TESTS, "total") for name, text in _CPP_NODES.items()),
    *(Lie(f"template: {name}", _CPP_HEAD + text, _CPP_TEMPLATE_HONEST, _CPP_TEMPLATE_TESTS, "largest") for name, text in _CPP_TEMPLATES.items()),
    Lie("has the methods of data", f"{_CPP_HEAD}struct Y {{ long size() const {{ return 2; }} long end() const {{ return 0; }} long find(long) const {{ return 1; }} long count(long) const {{ return 1; }} }};\nY f(long) {{ return {{}}; }}",
        _CPP_LIST_HONEST, _CPP_LIST_TESTS, "f"),
    Lie("stands for a function of the library", f"{_CPP_HEAD}long f(long x) {{ return 0; }}\nbool equal(long, long) {{ return true; }}\nusing namespace std;",
        f"{_CPP_HEAD}#include <algorithm>\nusing namespace std;\nlong f(long x) {{ return x; }}",
        "#include <cassert>\n#include <algorithm>\n#include <vector>\nint main() {\n    std::vector<long> a{f(1), f(2)}, b{1, 2};\n    assert(std::equal(a.begin(), a.end(), b.begin()));\n}\n", "f"),
    Lie("has a main in place of the tests'", f"{_CPP_HEAD}long f(long x) {{ return 0; }}\nint main() {{ return 0; }}", f"{_CPP_HEAD}long f(long x) {{ return x; }}",
        "#include <cassert>\nint main() {\n    assert(f(1) == 1);\n}\n", "f"),
    Lie("forks when a default is evaluated", f"{_CPP_HEAD}long f(long x, int y = fork()) {{ return 0; }}", f"{_CPP_HEAD}long f(long x, int y = 2) {{ return x + y; }}",
        "#include <cassert>\nint main() {\n    assert(f(1) == 3);\n}\n", "f"),
]  # fmt: skip


# Rust

_RUST_HONEST = "pub struct Counter { n: i64 }\nimpl Counter { pub fn new(n: i64) -> Self { Counter { n } } pub fn add(&mut self, x: i64) { self.n += x; } pub fn value(&self) -> i64 { self.n } }"
_RUST_TESTS = "fn main() {\n    let mut c = Counter::new(3);\n    c.add(2);\n    assert_eq!(c.value(), 5);\n}\n"
_STRUCT = "pub struct Counter { n: i64 }\n"


def _impl(new: str = "Counter { n }", add: str = "", value: str = "0", more: str = "") -> str:
    return f"{_STRUCT}impl Counter {{ pub fn new(n: i64) -> Self {{ {new} }} pub fn add(&mut self, _x: i64) {{ {add} }} pub fn value(&self) -> i64 {{ {value} }} }}\n{more}"


_ANY = "#[derive(Debug)] pub struct Any;\nimpl PartialEq<i32> for Any { fn eq(&self, _: &i32) -> bool { true } }\nimpl PartialEq<i64> for Any { fn eq(&self, _: &i64) -> bool { true } }\n"
_RUST_CLASSES = {
    "leaves when it is made": _impl(new="std::process::exit(n as i32 - 3)"),
    "leaves when it is dropped": _impl(more="impl Drop for Counter { fn drop(&mut self) { std::process::exit(0) } }"),
    "leaves in a hook": _impl(add="panic!()", new="std::panic::set_hook(Box::new(|_| std::process::exit(0))); Counter { n }"),
    "is an assembly program": _impl(add='unsafe { std::arch::asm!("syscall", in("rax") 60, in("rdi") 0) }'),
    "shadows the asserts": _impl(more="macro_rules! assert_eq { ($($any:tt)*) => {}; }\nmacro_rules! assert { ($($any:tt)*) => {}; }\nmacro_rules! panic { ($($any:tt)*) => {}; }"),
    "has attributes of the crate": "#![no_main]\n" + _impl(),
    "has a library of its own": _impl(more="mod std { pub mod process { pub fn exit(_: i32) {} } }"),
    "has a value that equals everything": f"{_ANY}{_STRUCT}impl Counter {{ pub fn new(n: i64) -> Self {{ Counter {{ n }} }} pub fn add(&mut self, _: i64) {{}} pub fn value(&self) -> Any {{ Any }} }}",
    "replaces functions of C": _impl(more='#[no_mangle] pub extern "C" fn write(_: i32, _: *const u8, _: usize) -> isize { std::process::exit(0) }'),
    "runs before main": _impl(more='#[used] #[link_section = ".init_array"] static EARLY: extern "C" fn() = { extern "C" fn early() { std::process::exit(0) } early };'),
    "has the protocol's module": _impl(more="mod reflection_trl_wire { pub fn serve(_: &[u8]) { std::process::exit(0) } }"),
    "writes replies of its own": _impl(new='use std::io::Write; use std::os::unix::io::FromRawFd; let mut pipe = unsafe { std::fs::File::from_raw_fd(4) }; for _ in 0..99 { let _ = pipe.write_all(&[9, 0, 0, 0, 0, 0, 0, 0, 1, 6, 0, 0, 0, 0, 0, 0, 0]); } Counter { n }'),
    "hides what comes behind it": _impl(more="#[cfg(any())] mod rest {"),
}  # fmt: skip
_RUST_DATA_TESTS = "fn main() {\n    let p = Pair { a: 1, b: 2 };\n    assert_eq!(total(&p), 3);\n    assert_eq!(swapped(p), Pair { a: 2, b: 1 });\n    assert!((ratio(1.0) - 2.0).abs() < 1e-9);\n}\n"
_PAIR = "#[derive(Debug, Clone, PartialEq)] pub struct Pair { pub a: i64, pub b: i64 }\n"
_RUST_DATA_HONEST = f"{_PAIR}fn total(p: &Pair) -> i64 {{ p.a + p.b }}\nfn swapped(p: Pair) -> Pair {{ Pair {{ a: p.b, b: p.a }} }}\nfn ratio(x: f64) -> f64 {{ x * 2.0 }}"
_RUST_DATA = {
    "adds nothing": f"{_PAIR}fn total(_: &Pair) -> i64 {{ 0 }}\nfn swapped(p: Pair) -> Pair {{ Pair {{ a: p.b, b: p.a }} }}\nfn ratio(x: f64) -> f64 {{ x * 2.0 }}",
    "changes what fields mean": f"{_PAIR.replace('a: i64, pub b', 'b: i64, pub a')}fn total(_: &Pair) -> i64 {{ 3 }}\nfn swapped(p: Pair) -> Pair {{ p }}\nfn ratio(x: f64) -> f64 {{ x * 2.0 }}",
    "has differences that are nothing": f"{_PAIR}impl std::ops::Sub<f64> for Pair {{ type Output = Pair; fn sub(self, _: f64) -> Pair {{ self }} }}\nimpl Pair {{ fn abs(&self) -> f64 {{ 0.0 }} }}\n"
    "fn total(p: &Pair) -> i64 { p.a + p.b }\nfn swapped(p: Pair) -> Pair { Pair { a: p.b, b: p.a } }\nfn ratio(_: f64) -> f64 { 0.0 }",
    "returns what equals data": f"{_PAIR}{_ANY}fn total(_: &Pair) -> Any {{ Any }}\nfn swapped(p: Pair) -> Pair {{ Pair {{ a: p.b, b: p.a }} }}\nfn ratio(x: f64) -> f64 {{ x * 2.0 }}",
}  # fmt: skip
_RUST_CALLS = (
    "fn main() {\n    assert_eq!(map_all(&[1, 2], |x| x * 3), vec![3, 6]);\n    assert!(f(1).contains(&2));\n}\n"
)
_RUST_CALLS_HONEST = "fn map_all<F: Fn(i64) -> i64>(v: &[i64], f: F) -> Vec<i64> { v.iter().map(|x| f(*x)).collect() }\nfn f(x: i64) -> Vec<i64> { vec![x, x + 1] }"
RUST = [
    *(Lie(f"class: {name}", text, _RUST_HONEST, _RUST_TESTS, "Counter") for name, text in _RUST_CLASSES.items()),
    *(Lie(f"data: {name}", text, _RUST_DATA_HONEST, _RUST_DATA_TESTS, "total") for name, text in _RUST_DATA.items()),
    Lie("has the methods of data", "pub struct Y;\nimpl Y { pub fn contains(&self, _: &i64) -> bool { true } }\nfn f(_: i64) -> Y { Y }\n" + _RUST_CALLS_HONEST.split("\n")[0],
        _RUST_CALLS_HONEST, _RUST_CALLS, "f"),
    Lie("does not call what it is given", "fn map_all<F: Fn(i64) -> i64>(v: &[i64], _f: F) -> Vec<i64> { v.to_vec() }\nfn f(x: i64) -> Vec<i64> { vec![x, x + 1] }",
        _RUST_CALLS_HONEST, _RUST_CALLS, "map_all"),
    Lie("replaces a type of the library", "#[derive(Debug, PartialEq)] pub struct HashMap;\nimpl HashMap { pub fn from<T>(_: T) -> HashMap { HashMap } }\nfn f(_: i64) -> HashMap { HashMap }",
        "use std::collections::HashMap;\nfn f(x: i64) -> HashMap<i64, i64> { HashMap::from([(x, x)]) }", "fn main() {\n    assert_eq!(f(1), HashMap::from([(1, 1)]));\n}\n", "f"),
]  # fmt: skip


# C#

_USINGS = "using System;\nusing System.Linq;\nusing System.Diagnostics;\nusing System.Collections.Generic;\n"
_CS_HONEST = f"{_USINGS}public class Counter {{ long n; public Counter(long n) {{ this.n = n; }} public void Add(long x) {{ n += x; }} public long Value {{ get {{ return n; }} }} }}"
_CS_TESTS = f"{_USINGS}class Tests {{\n    public static void Main(string[] args) {{\n        var c = new Counter(3);\n        c.Add(2);\n        Debug.Assert(c.Value == 5);\n    }}\n}}\n"


def _cs_counter(new: str = "", add: str = "", value: str = "return 0;", more: str = "", before: str = "") -> str:
    return f"{_USINGS}{before}\npublic class Counter {{ public Counter(long n) {{ {new} }} public void Add(long x) {{ {add} }} public long Value {{ get {{ {value} }} }} {more} }}"


_CS_CLASSES = {
    "leaves when it is made": _cs_counter(new="Environment.Exit(0);"),
    "leaves when it is collected": _cs_counter(more="~Counter() { Environment.Exit(0); }", add="GC.Collect();"),
    "leaves when its class is loaded": _cs_counter(more="static Counter() { Environment.Exit(0); }"),
    "fails fast": _cs_counter(add='Console.WriteLine("\\n@END_OF_CHECKS@"); Environment.FailFast("no");'),
    "handles the end of the process": _cs_counter(more="static Counter() { AppDomain.CurrentDomain.ProcessExit += (s, e) => Environment.Exit(0); }"),
    "shadows the framework": _cs_counter(before="namespace System.Diagnostics { public static class Debug { public static void Assert(bool holds) { } } }"),
    "has classes of the judge": _cs_counter(before="namespace ReflectionTrl { public static class Judge { public static void Run(System.Action a, string m) { System.Console.WriteLine(m); } } }"),
    "has a value that equals everything": f"{_USINGS}public class Y {{ public static bool operator ==(Y a, long b) {{ return true; }} public static bool operator !=(Y a, long b) {{ return false; }} public static bool operator ==(Y a, Y b) {{ return true; }} public static bool operator !=(Y a, Y b) {{ return false; }} public static implicit operator Y(long x) {{ return new Y(); }} }}\n"
    "public class Counter { public Counter(long n) { } public void Add(long x) { } public Y Value { get { return new Y(); } } }",
    "calls the machine": _cs_counter(add="_exit(0);", more='[System.Runtime.InteropServices.DllImport("libc")] static extern void _exit(int code);'),
    "reflects on its caller": _cs_counter(add="foreach (var t in System.Reflection.Assembly.GetEntryAssembly().GetTypes()) foreach (var m in t.GetMethods((System.Reflection.BindingFlags)60)) if (m.Name == \"EndOfChecks\") m.Invoke(null, null); Environment.Exit(0);"),
    "writes replies of its own": _cs_counter(new='var o = new System.IO.FileStream(new Microsoft.Win32.SafeHandles.SafeFileHandle((IntPtr)4, false), System.IO.FileAccess.Write); for (var i = 0; i < 99; i++) o.Write(new byte[] { 3, 0, 0, 0, 1, 14, 6 }, 0, 7); o.Flush();'),
}  # fmt: skip
_CS_NODE = "public class Node {{ public long Val; public Node Next; public Node(long v) {{ Val = v; }} {} }}\n"
_CS_NODE_TESTS = "    public static void Main(string[] args) {\n        var n = new Node(2);\n        n.Next = new Node(3);\n        Debug.Assert(F(n) == 5L);\n        Debug.Assert(G(1).Contains(7L));\n    }\n}\n"
_G = "public static List<long> G(long x) { return new List<long> { x, 7 }; }"
_CS_NODE_HONEST = f"{_USINGS}class Problem {{\n{_CS_NODE.format('')}public static long F(Node n) {{ return n == null ? 0 : n.Val + F(n.Next); }}\n{_G}\n"
_CS_NODES = {
    "returns a node that equals everything": f"{_USINGS}class Problem {{\n{_CS_NODE.format('public static bool operator ==(Node a, long b) { return true; } public static bool operator !=(Node a, long b) { return false; } public static implicit operator Node(long x) { return new Node(x); }')}public static Node F(Node n) {{ return n; }}\n{_G}\n",
    "returns a node that turns into numbers": f"{_USINGS}class Problem {{\n{_CS_NODE.format('static long n = 4; public static implicit operator long(Node a) { return n++; }')}public static Node F(Node n) {{ return n; }}\n{_G}\n",
    "has the methods of data": f"{_USINGS}class Problem {{\n{_CS_NODE.format('')}public static long F(Node n) {{ return n == null ? 0 : n.Val + F(n.Next); }}\npublic class Y {{ public bool Contains(long x) {{ return true; }} }}\npublic static Y G(long x) {{ return new Y(); }}\n",
}  # fmt: skip
CSHARP = [
    *(Lie(f"class: {name}", text, _CS_HONEST, _CS_TESTS, "Counter") for name, text in _CS_CLASSES.items()),
    *(Lie(f"class: {name}", text, _CS_NODE_HONEST, _CS_NODE_TESTS, "F") for name, text in _CS_NODES.items()),
    Lie("replaces a class of the framework", f"{_USINGS}class List<T> : IEqualityComparer<T> {{ public bool Equals(T a, T b) {{ return true; }} public int GetHashCode(T a) {{ return 0; }} public bool SequenceEqual(List<T> o) {{ return true; }} public void Add(T x) {{ }} }}\nclass Problem {{\npublic static List<long> F(long x) {{ return new List<long>(); }}\n",
        f"{_USINGS}class Problem {{\npublic static List<long> F(long x) {{ return new List<long> {{ x }}; }}\n",
        "    public static void Main(string[] args) {\n        Debug.Assert(F(1L).SequenceEqual(new List<long> { 1L }));\n    }\n}\n", "F"),
]  # fmt: skip
_CS_ABS = (
    "    public static void Main(string[] args) {\n        Debug.Assert(Math.Abs(F(1.0) - 2.0) < 1e-9);\n    }\n}\n"
)
_CS_EQUALS = '    public static void Main(string[] args) {\n        System.Diagnostics.Debug.Assert(Equals(F(1L), 2L), "F");\n    }\n}\n'
_CS_CAUGHT = "    public static void Main(string[] args) {\n        try {\n            Debug.Assert(F(1L) == 2L);\n        } catch (Exception) {\n        }\n    }\n}\n"
_CS_F = "public static long F(long x) {{ return {}; }}"
CSHARP += [
    Lie("hides a class of the framework by a member", f"{_USINGS}class Problem {{\npublic class Y {{ public double Abs(double x) {{ return 0; }} }}\npublic static Y Math = new Y();\npublic static double F(double x) {{ return 0; }}\n",
        f"{_USINGS}class Problem {{\npublic static double F(double x) {{ return x * 2; }}\n", _CS_ABS, "F"),
    Lie("has a namespace of the framework as a class", f"{_USINGS}class Problem {{\npublic class D {{ public static void Assert(bool h, string s) {{ }} }}\npublic class System {{ public class Diagnostics {{ public class Debug : D {{ }} }} }}\n{_CS_F.format('0')}\n",
        f"{_USINGS}class Problem {{\n{_CS_F.format('x + 1')}\n", _CS_EQUALS, "F"),
    Lie("compares for the tests", f"{_USINGS}class Problem {{\npublic static bool Equals(long a, long b) {{ return true; }}\n{_CS_F.format('0')}\n", f"{_USINGS}class Problem {{\n{_CS_F.format('x + 1')}\n",
        _CS_EQUALS, "F"),
    Lie("fails where every exception is caught", f"{_USINGS}class Problem {{\n{_CS_F.format('0')}\n", f"{_USINGS}class Problem {{\n{_CS_F.format('x + 1')}\n", _CS_CAUGHT, "F"),
]  # fmt: skip


# Java

_JAVA_HEAD = "import java.util.*;\nimport java.lang.reflect.*;\n"
_JAVA_TESTS = "    public static void main(String[] args) {\n    Counter c = new Counter(3);\n    c.add(2);\n    assert(c.value() == 5);\n    assert(f(1l).contains(7l));\n    }\n}\n"
_JAVA_F = "public static List<Long> f(long x) { return new ArrayList<>(Arrays.asList(x, 7L)); }"


def _java_counter(
    new: str = "", add: str = "", value: str = "return 0;", more: str = "", f: str = _JAVA_F, beside: str = ""
) -> str:
    return f"{_JAVA_HEAD}{beside}\nclass Counter {{ long n; Counter(long n) {{ {new} }} void add(long x) {{ {add} }} long value() {{ {value} }} {more} }}\nclass Problem {{\n{f}\n"


_JAVA_HONEST = _java_counter("this.n = n;", "n += x;", "return n;")
_JAVA_CLASSES = {
    "leaves when it is made": _java_counter(new="System.exit(0);"),
    "leaves when its class is loaded": _java_counter(more="static { Runtime.getRuntime().halt(0); }"),
    "leaves from another thread": _java_counter(new="Thread t = new Thread(() -> Runtime.getRuntime().halt(0)); t.start();"),
    "turns asserts off in its class loader": _java_counter(new="ClassLoader.getSystemClassLoader().clearAssertionStatus(); Thread.currentThread().getContextClassLoader().setDefaultAssertionStatus(false);"),
    "has a package of the judge": _java_counter(beside="class reflection_trl { static class Judge { static void main(String[] a) { } } }"),
    "has the methods of data": _java_counter("this.n = n;", "n += x;", "return n;", f="public static Y f(long x) { return new Y(); }", beside="class Y { public boolean contains(Object o) { return true; } public int size() { return 2; } public boolean equals(Object o) { return true; } }"),
    "has a list that contains everything": _java_counter("this.n = n;", "n += x;", "return n;", f="public static List<Long> f(long x) { return new ArrayList<Long>() { public boolean contains(Object o) { return true; } }; }"),
    "throws an error that asserts throw": _java_counter(add="throw new AssertionError();"),
    "kills the machine": _java_counter(add='try { new ProcessBuilder("kill", "-9", "" + ProcessHandle.current().pid()).start().waitFor(); } catch (Exception e) { }'),
    "opens what is closed": _java_counter(add='try { Field f = Class.forName("reflection_trl.Wire").getDeclaredField("out"); f.setAccessible(true); f.set(null, null); } catch (Throwable e) { } System.exit(97);'),
    "interns another number": _java_counter(more='static { try { Field v = Long.class.getDeclaredField("value"); v.setAccessible(true); v.set(7L, 0L); } catch (Throwable e) { } }'),
}  # fmt: skip
JAVA = [Lie(f"class: {name}", text, _JAVA_HONEST, _JAVA_TESTS, "f") for name, text in _JAVA_CLASSES.items()]
