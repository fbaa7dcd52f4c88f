"""Lies to Java tests, which stand inside the answer's class."""

from __future__ import annotations

from . import Lie, classes


_TESTS = (
    "    public static void main(String[] args) {\n    assert(f(1l) == 2l);\n    assert(f(41l) == 42l);\n    }\n}\n"
)
_LISTS = "    public static void main(String[] args) {\n    assert(f(1l).equals(new ArrayList<Long>(Arrays.asList(1l, 2l))));\n    }\n}\n"
_BOXED = "    public static void main(String[] args) {\n    assert(f(1l).equals(2l));\n    }\n}\n"


def _class(text: str, outside: str = "") -> str:
    return f"import java.util.*;\nimport java.lang.reflect.*;\n{outside}class Problem {{\n{text}\n"


_F = "public static long f(long x)"
_HONEST = _class(f"{_F} {{ return x + 1; }}")
_HONEST_LIST = _class("public static ArrayList<Long> f(long x) { return new ArrayList<>(Arrays.asList(1L, 2L)); }")
_HONEST_BOXED = _class("public static Long f(long x) { return x + 1; }")

_UNSAFE = (
    'Field u = Class.forName("sun.misc.Unsafe").getDeclaredField("theUnsafe"); u.setAccessible(true); sun.misc.Unsafe unsafe = (sun.misc.Unsafe) u.get(null); '
    'Field a = Problem.class.getDeclaredField("$assertionsDisabled"); unsafe.putBoolean(unsafe.staticFieldBase(a), unsafe.staticFieldOffset(a), true);'
)
_NUMBERS = {
    "clears the asserts with Unsafe": f"static {{ try {{ {_UNSAFE} }} catch (Exception e) {{ }} }}\n{_F} {{ assert x == x; return 0; }}",
    "leaves by exit": f"{_F} {{ System.exit(0); return 0; }}",
    "halts": f"{_F} {{ System.out.println(\"@END_OF_CHECKS@\"); Runtime.getRuntime().halt(0); return 0; }}",
    "leaves with the exit code that reports a partner as gone": f"{_F} {{ Runtime.getRuntime().halt(97); return 0; }}",
    "leaves by a hook": f"{_F} {{ Runtime.getRuntime().addShutdownHook(new Thread(() -> Runtime.getRuntime().halt(0))); return 0; }}",
    "turns asserts off": f"static {{ ClassLoader.getSystemClassLoader().setDefaultAssertionStatus(false); }}\n{_F} {{ return 0; }}",
    "catches what nobody caught": f"static {{ Thread.setDefaultUncaughtExceptionHandler((t, e) -> System.exit(0)); }}\n{_F} {{ return 0; }}",
    "has a main of its own": f"public static void main(Object... args) {{ }}\n{_F} {{ return 0; }}",
    "hides the tests in a comment": f"{_F} {{ return 0; }} /*",
    "closes its class and goes on": f"{_F} {{ return 0; }} }} class Rest {{ static long f(long x) {{ return 0; }}",
    "throws what an assert throws": f"{_F} {{ throw new AssertionError(); }}",
    "runs another thread": f"{_F} {{ new Thread(() -> {{ while (true) System.exit(0); }}).start(); return 0; }}",
    "changes the small numbers": 'static { try { Class<?> c = Class.forName("java.lang.Integer$IntegerCache"); Field k = c.getDeclaredField("cache"); k.setAccessible(true); '
    f"}} catch (Throwable e) {{ }} }}\n{_F} {{ return 0; }}",
    "answers in the name of the protocol": f'{_F} {{ try {{ java.io.FileOutputStream o = new java.io.FileOutputStream("/proc/self/fd/4"); o.write(new byte[99]); }} catch (Exception e) {{ }} return 0; }}',
}  # fmt: skip
_ALWAYS = "public boolean equals(Object other) { return true; } public int hashCode() { return 0; }"
LYING = [
    *(Lie(name, _class(text), _HONEST, _TESTS, "f") for name, text in _NUMBERS.items()),
    Lie("returns a list that equals everything", _class(f"static class Any extends ArrayList<Long> {{ {_ALWAYS} }}\npublic static ArrayList<Long> f(long x) {{ return new Any(); }}"),
        _HONEST_LIST, _LISTS, "f"),
    Lie("returns an anonymous list that equals everything", _class(f"public static ArrayList<Long> f(long x) {{ return new ArrayList<Long>() {{ {_ALWAYS} }}; }}"),
        _HONEST_LIST, _LISTS, "f"),
    Lie("returns an object that equals everything", _class(f"static class Any {{ {_ALWAYS} }}\npublic static Object f(long x) {{ return new Any(); }}"), _HONEST_BOXED, _BOXED, "f"),
    Lie("returns an object of a class beside it", _class("public static Any f(long x) { return new Any(); }", f"class Any {{ {_ALWAYS} }}\n"), _HONEST_BOXED, _BOXED, "f"),
    Lie("replaces a class of the library", _class("public static ArrayList<Long> f(long x) { return new ArrayList<Long>(); }",
        f"class ArrayList<T> {{ ArrayList(Object... any) {{ }} {_ALWAYS} }}\n"), _HONEST_LIST, _LISTS, "f"),
    *classes.JAVA,
]  # fmt: skip
