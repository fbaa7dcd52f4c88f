"""Lies to Rust and C# tests."""

from __future__ import annotations

from . import Lie, classes


_TESTS = (
    "fn main() {\n    let candidate = f;\n    assert_eq!(candidate(1), 2);\n    assert_eq!(candidate(41), 42);\n}\n"
)
_HONEST = "fn f(x: isize) -> isize { x + 1 }"
_WRONG = "fn f(_x: isize) -> isize { 0 }"
_ANY = "#[derive(Debug)] pub struct Any;\nimpl PartialEq<isize> for Any { fn eq(&self, _: &isize) -> bool { true } }\nimpl PartialEq<i32> for Any { fn eq(&self, _: &i32) -> bool { true } }\n"
_RUST = {
    "leaves": "fn f(_: isize) -> isize { std::process::exit(0) }",
    "leaves with the exit code that reports a partner as gone": "fn f(_: isize) -> isize { std::process::exit(97) }",
    "leaves when it panics": "fn f(_: isize) -> isize { std::panic::set_hook(Box::new(|_| std::process::exit(0))); panic!() }",
    "defines the asserts": f"macro_rules! assert_eq {{ ($($any:tt)*) => {{}} }}\n{_WRONG}",
    "names another macro like the assert": f"use std::stringify as assert_eq;\n{_WRONG}",
    "has a standard library of its own": f"mod std {{ pub use core::stringify as assert_eq; }}\n{_WRONG}",
    "equals everything": f"{_ANY}fn f(_: isize) -> Any {{ Any }}",
    "equals everything under the name of a type": f"{_ANY}type isize_ = Any;\nfn f(_: isize) -> isize_ {{ Any }}",
    "takes the name of a type": f"#[allow(non_camel_case_types)] type isize = Any;\n{_ANY}fn f(_: i32) -> isize {{ Any }}",
    "is code of C": '#[no_mangle] pub extern "C" fn abort() -> ! { loop {} }\n' + _WRONG,
    "runs before main": '#[used] #[link_section = ".init_array"] static EARLY: extern "C" fn() = { extern "C" fn early() { std::process::exit(0) } early };\n' + _WRONG,
    "hides the tests in a comment": f"{_WRONG}\n/*",
    "reads the tests": f'const T: &str = include_str!("tests.rs");\n{_WRONG}',
    "writes memory": "fn f(_: isize) -> isize { unsafe { *(0x10000 as *mut u8) = 1; } 0 }",
    "implements the protocol": f"{_ANY}impl reflection_trl_wire::Put for Any {{ fn put(&self, m: &mut reflection_trl_wire::Message) {{ m.put_bytes(&[0; 8]); }} }}\nfn f(_: isize) -> Any {{ Any }}",
}  # fmt: skip
_CS_TESTS = "    public static void Main(string[] args) {\n    Debug.Assert(F(1L) == (2L));\n    Debug.Assert(F(41L) == (42L));\n    }\n}\n"
_CS_LISTS = "    public static void Main(string[] args) {\n    Debug.Assert(F(1L).Equals((2L)));\n    }\n}\n"
_F = "public static long F(long x)"
_ALWAYS = "public override bool Equals(object o) { return true; } public override int GetHashCode() { return 0; }"


def _class(text: str) -> str:
    return f"using System;\nusing System.Diagnostics;\nusing System.Collections.Generic;\nclass Problem {{\n{text}\n"


_CSHARP = {
    "leaves": f"{_F} {{ Environment.Exit(0); return 0; }}",
    "leaves with the exit code that reports a partner as gone": f"{_F} {{ Environment.Exit(97); return 0; }}",
    "fails fast": f"{_F} {{ Console.WriteLine(\"@END_OF_CHECKS@\"); Process.GetCurrentProcess().Kill(); return 0; }}",
    "drops the listeners": f"{_F} {{ Trace.Listeners.Clear(); return 0; }}",
    "has a Debug of its own": f"static class Debug {{ public static void Assert(bool holds) {{ }} }}\n{_F} {{ return 0; }}",
    "has an assert of its own": f"static void AssertOfChecks(bool holds) {{ }}\n{_F} {{ return 0; }}",
    "handles what nobody caught": f"static Problem() {{ AppDomain.CurrentDomain.UnhandledException += (s, e) => Environment.Exit(0); }}\n{_F} {{ return 0; }}",
    "hides the tests behind a condition": f"{_F} {{ return 0; }}\n#if NEVER",
    "hides the tests in a comment": f"{_F} {{ return 0; }} /*",
    "equals everything": "public struct Any { public static bool operator ==(Any a, long b) { return true; } public static bool operator !=(Any a, long b) { return false; } "
    f"{_ALWAYS} }}\npublic static Any F(long x) {{ return new Any(); }}",
}  # fmt: skip
CSHARP = [
    *(Lie(name, _class(text), _class(f"{_F} {{ return x + 1; }}"), _CS_TESTS, "F") for name, text in _CSHARP.items()),
    Lie("returns an object that equals everything", _class(f"class Any {{ {_ALWAYS} }}\npublic static object F(long x) {{ return new Any(); }}"),
        _class("public static object F(long x) { return x + 1; }"), _CS_LISTS, "F"),
    *classes.CSHARP,
]  # fmt: skip
RUST = [*(Lie(name, text, _HONEST, _TESTS, "f") for name, text in _RUST.items()), *classes.RUST]
