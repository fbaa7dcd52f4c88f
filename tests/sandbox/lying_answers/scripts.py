"""Lies to tests in JavaScript, PHP and Bash."""

from __future__ import annotations

from . import Lie


_JS_TESTS = "const assert = require('node:assert');\nfunction test() {\n  let candidate = f;\n  assert.deepEqual(candidate(1), 2);\n  assert.deepEqual(candidate([]), 'list');\n}\ntest();"
_JS_HONEST = "function f(x) { return Array.isArray(x) ? 'list' : x + 1; }"
_JS_WRONG = "function f(x) { return 0; }"
_JS = {
    "replaces the tests' function": f"{_JS_WRONG}\nvar test = () => {{}};",
    "replaces it later": f"{_JS_WRONG}\nfunction test() {{}}",
    "replaces a method of the asserts": f"require('node:assert').deepEqual = () => {{}};\n{_JS_WRONG}",
    "replaces the loader of modules": f"require('module').prototype.require = () => ({{ deepEqual() {{}} }});\nrequire = () => ({{ deepEqual() {{}} }});\n{_JS_WRONG}",
    "changes the cache of modules": f"for (const k in require.cache) require.cache[k].exports = {{}};\n{_JS_WRONG}",
    "leaves": "function f(x) { process.exit(0); }",
    "leaves for real": "function f(x) { process.reallyExit(0); }",
    "leaves with the exit code that reports a partner as gone": "function f(x) { process.exit(97); }",
    "prints the mark": f"{_JS_WRONG}\nconsole.log('\\n@END_OF_CHECKS@');",
    "catches what nobody caught": f"process.on('uncaughtException', () => process.exit(0));\n{_JS_WRONG}",
    "equals by conversion": "function f(x) { return { [Symbol.toPrimitive]: () => 2, valueOf: () => 2, toString: () => 'list' }; }\nfunction g() {}",
    "is a proxy of everything": "function f(x) { return new Proxy(function () {}, { get: (t, k) => (k === Symbol.toPrimitive ? () => NaN : f()), apply: () => f(), has: () => true }); }",
    "changes the prototype of objects": f"Object.prototype.valueOf = () => 2;\nObject.is = () => true;\n{_JS_WRONG}",
    "throws what an assert does not catch": "function f(x) { throw undefined; }",
    "hides the tests in a comment": f"{_JS_WRONG}\n/*",
    "hides the tests in a template": f"{_JS_WRONG}\nconst rest = `",
    "serves in the tests' stead": f"globalThis.serveTests = () => process.exit(0);\n{_JS_WRONG}",
    "answers in the name of the protocol": "function f(x) { const fs = require('fs'); const m = Buffer.from(JSON.stringify({ values: [2] })); const h = Buffer.alloc(4); h.writeUInt32BE(m.length); "
    "for (let i = 0; i < 9; i++) { fs.writeSync(4, h); fs.writeSync(4, m); } return 0; }",
    "climbs out of its arguments": "function f(x) { x.constructor.constructor('return process')().exit(0); }",
    "ends other processes": "function f(x) { for (let p = 1; p < 99; p++) try { process.kill(p, 'SIGKILL'); } catch {} return 0; }",
    "returns a promise": "async function f(x) { return 2; }",
}  # fmt: skip
_PHP_TESTS = (
    "function candidate(...$args) { return f(...$args); }\nfunction test(): void {\n"
    '    if (candidate(1) !== 2) { throw new Exception("Test failed!"); }\n    if (candidate(41) !== 42) { throw new Exception("Test failed!"); }\n}\ntest();'
)
_PHP_HONEST = "<?php\nfunction f($x) { return $x + 1; }"
_PHP_WRONG = "function f($x) { return 0; }"
_PHP = {
    "leaves": "function f($x) { exit(0); }",
    "leaves with the exit code that reports a partner as gone": "function f($x) { exit(97); }",
    "handles what nobody caught": f"set_exception_handler(function ($e) {{ exit(0); }});\n{_PHP_WRONG}",
    "leaves when it ends": f"register_shutdown_function(function () {{ echo '@END_OF_CHECKS@'; exit(0); }});\n{_PHP_WRONG}",
    "defines the tests' function first": f"function test(): void {{ }}\nfunction candidate(...$args) {{ return 2; }}\n{_PHP_WRONG}",
    "defines the class of the failure": f"namespace N; class Exception extends \\Error {{ function __construct() {{ exit(0); }} }}\n{_PHP_WRONG}",
    "stops the file": f"{_PHP_WRONG}\n__halt_compiler();",
    "hides the tests in a comment": f"{_PHP_WRONG}\n/*",
    "hides the tests in a text": f"{_PHP_WRONG}\n$rest = <<<'END'\n",
    "closes its tag": f"{_PHP_WRONG}\n?>",
    "returns an object": "class Y { function __toString() { return '2'; } }\nfunction f($x) { return new Y(); }",
    "buffers and drops what is printed": f"ob_start(function ($b) {{ return '@END_OF_CHECKS@'; }});\n{_PHP_WRONG}",
    "calls the machine": "function f($x) { $c = FFI::cdef('void _exit(int);'); $c->_exit(0); }",
    "counts by ticks": f"declare(ticks=1);\nregister_tick_function(function () {{ exit(0); }});\n{_PHP_WRONG}",
}  # fmt: skip
_SH_TESTS = 'candidate() {\n    f "$@"\n}\nset -e\nrun_test() {\n    [[ $(candidate "1") = "2" ]]\n    [[ $(candidate "41") = "42" ]]\n}\nrun_test'
_SH_HONEST = "f() {\n    echo $(( $1 + 1 ))\n}"
_SH_WRONG = "f() {\n    echo 0\n}"
_SH = {
    "aliases the condition": f"shopt -s expand_aliases\nalias '[['='true '\n{_SH_WRONG}",
    "defines a function for the bracket": f"[() {{\n    return 0\n}}\ntest() {{\n    return 0\n}}\n{_SH_WRONG}",
    "replaces set": f"set() {{\n    :\n}}\n{_SH_WRONG}",
    "replaces the tests' functions": f"{_SH_WRONG}\nrun_test() {{\n    :\n}}\ncandidate() {{\n    echo 2\n}}\nreadonly -f run_test candidate",
    "leaves in a trap": f"trap 'exit 0' EXIT ERR DEBUG\n{_SH_WRONG}",
    "leaves": f"{_SH_WRONG}\nexit 0",
    "is another program": f"{_SH_WRONG}\nexec true",
    "prints the mark": "f() {\n    echo @END_OF_CHECKS@\n    kill -9 $$\n}",
    "ends the shells": "f() {\n    kill -9 $PPID $$ -1\n}",
    "returns from the file": f"{_SH_WRONG}\nreturn 0",
    "hides the tests in a document": f"{_SH_WRONG}\n: <<'END'",
    "hides the tests in a text": f"{_SH_WRONG}\n: '",
    "matches everything": "f() {\n    echo '*'\n}",
    "turns patterns around": f"shopt -s nocasematch extglob nullglob\nset +e\n{_SH_WRONG}",
    "changes the environment": f"export BASH_ENV=/tmp/job/x PATH=/tmp/job LC_ALL=x IFS=2\n{_SH_WRONG}",
    "answers in the name of the protocol": "f() {\n    printf '0 1 0\\n2' >&4\n    printf '0 2 0\\n42' >/proc/$PPID/fd/4\n    echo 0\n}",
}  # fmt: skip

JAVASCRIPT = [Lie(name, text, _JS_HONEST, _JS_TESTS, "f") for name, text in _JS.items()]
_PHP_RAISES = (
    "function test(): void {\n    $raised = false;\n    try { f(-1); } catch (Exception $e) { $raised = true; }\n"
    '    if (!$raised) { throw new Error("Test failed!"); }\n}\ntest();'
)
_PHP_TRUE = 'if (!f(3)) { throw new Exception("Test failed!"); }'
_PHP_ONE = 'if (f(3) != 1) { throw new Exception("Test failed!"); }'
_PHP_IN = 'if (!in_array(7, f(3)) || count(f(3)) != 2 || f(3)[1] != 7) { throw new Exception("Test failed!"); }'
_PHP_LIST = "class Y implements ArrayAccess, Countable { function offsetExists($k): bool { return true; } function offsetGet($k): mixed { return 7; } function offsetSet($k, $v): void {} function offsetUnset($k): void {} function count(): int { return 2; } }"
# A reply to the first question of the tests' side, whose names are code
_PHP_FORGED = (
    "$value = fn($x) => ['value', $x];\n"
    "$name = ['array', ['f' => ['array', [$value('function'), $value('f'), ['array', ['x = null) {} echo \"\\n\", $mark, \"\\n\"; exit(0); function g($a' => $value(true)]]]]]];\n"
    "$data = serialize(['result', $name, []]);\nfwrite(fopen('php://fd/4', 'wb'), pack('N', strlen($data)) . $data);\n"
)
PHP = [
    *(Lie(name, f"<?php\n{text}", _PHP_HONEST, _PHP_TESTS, "f") for name, text in _PHP.items()),
    Lie(
        "leaves where an error is expected",
        "<?php\nfunction f($x) { exit(0); }",
        "<?php\nfunction f($x) { throw new ValueErrorOfMine(); }\nclass ValueErrorOfMine extends Exception {}",
        _PHP_RAISES,
        "f",
    ),
    Lie("forges code of the tests' side", f"<?php\n{_PHP_FORGED}{_PHP_WRONG}", _PHP_HONEST, _PHP_TESTS, "f"),
    Lie(
        "returns an object, which is true",
        "<?php\nclass Y {}\nfunction f($x) { return new Y(); }",
        "<?php\nfunction f($x) { return true; }",
        _PHP_TRUE,
        "f",
    ),
    Lie(
        "returns an object, which is one",
        "<?php\nclass Y {}\nfunction f($x) { return new Y(); }",
        "<?php\nfunction f($x) { return 1; }",
        _PHP_ONE,
        "f",
    ),
    Lie(
        "returns a closure, which is one",
        "<?php\nfunction f($x) { return fn() => 1; }",
        "<?php\nfunction f($x) { return 1; }",
        _PHP_ONE,
        "f",
    ),
    Lie(
        "returns what looks like an array",
        f"<?php\n{_PHP_LIST}\nfunction f($x) {{ return new Y(); }}",
        "<?php\nfunction f($x) { return [$x, 7]; }",
        _PHP_IN,
        "f",
    ),
    Lie(
        "returns a text that changes",
        "<?php\nclass Y { static $n = 0; function __toString() { return ['a', 'b'][self::$n++ % 2]; } }\nfunction f($x) { return new Y(); }",
        "<?php\nfunction f($x) { return 'a'; }",
        "$r = f(3);\nif ($r != 'a') { throw new Exception('Test failed!'); }",
        "f",
    ),
    Lie(
        "returns a generator, which is true",
        "<?php\nfunction f($x) { yield 1; }",
        "<?php\nfunction f($x) { return true; }",
        "if (f(3) != true || !is_bool(f(3))) { throw new Exception('Test failed!'); }",
        "f",
    ),
]
BASH = [Lie(name, text, _SH_HONEST, _SH_TESTS, "f") for name, text in _SH.items()]
