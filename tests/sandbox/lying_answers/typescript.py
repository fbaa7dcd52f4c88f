"""Lies to tests in TypeScript."""

from __future__ import annotations

from . import Lie


_A = "declare var require: any;\nconst assert = require('node:assert');\n"
_T = "declare var require: any;\nconst assert = require('node:assert');\nfunction test() {\n  let candidate = f;\n  assert.deepEqual(candidate(3), 6);\n  assert.deepEqual(candidate(4), 8);\n}\ntest();\n"
_H = "function f(x: number): number { return x * 2; }"
_W = "function f(x: number): number { return 0; }"


def _lie(name: str, lying: str, honest: str = _H, tests: str = _T) -> Lie:
    return Lie(name, lying, honest, tests, "f")


LYING = [
    _lie("replaces the tests' function", _W+"\nvar test = () => {};"),
    _lie("casts an object to a number", "class Y { valueOf() { return 6; } }\nfunction f(x: number): number { return new Y() as any; }"),
    _lie("leaves", "declare var process: any;\nfunction f(x: number): number { process.exit(0); }"),
    _lie("turns the checker off", "// @ts-nocheck\nrequire('assert').deepEqual = () => {};\nfunction f(x: number): number { return 0; }"),
    _lie("declares another assert", _W+"\ndeclare namespace N { }\n(globalThis as any).assert = { deepEqual() {} };\n(globalThis as any).require = () => ({ deepEqual() {} });"),
    _lie("hides the tests in a comment", _W+"\n/*"),
    _lie("hides the tests in a template", _W+"\nconst rest = `"),
    _lie("hides the tests in a type", _W+"\ntype Rest = {"),
    _lie("hides the tests in a function", _W+"\nfunction rest() {"),
    _lie("a namespace around the tests", _W+"\nnamespace Rest {"),
    _lie("an assertion that narrows to never", _W+"\nfunction never(): never { throw 0; }\nif (Math.random() < 2) { (f as any).x = 1; }"),
    _lie("a decorator of its own", "function d(...a: any[]): any { return () => 6; }\nclass K { @d static f(x: number) { return 0; } }\nvar f: any = (x: number) => K.f(x);", _H, _T),
    _lie("an enum for numbers", "enum E { A = '6' as any }\nfunction f(x: number): any { return E; }"),
    _lie("a proxy of everything", "function f(x: number): any { return new Proxy(function () {} as any, { get: () => f(0), apply: () => f(0) }); }"),
    _lie("includes of its own", "class L { includes(v: any) { return true; } }\nfunction f(x: number): any { return new L(); }", "function f(x: number): number[] { return [x, x * 2]; }", _A+"assert(f(3).includes(6));\nassert(f(4).includes(8));\n"),
    _lie("alternating conversions", "let n = 0;\nfunction f(x: number): any { return { valueOf: () => (n++ % 2 ? -Infinity : Infinity) }; }", _H, _A+"const r = f(3);\nassert(r > 5 && r < 7);\n"),
    _lie("a callback that is never called", "function f(x: number, done: (y: number) => void): void {}", "function f(x: number, done: (y: number) => void): void { done(x * 2); }", _A+"f(3, (y: number) => assert.equal(y, 6));\n"),
    _lie("changes what is compiled", "declare var require: any;\nfor (const d of ['.', '..', '/tmp']) try { require('fs').writeFileSync(d + '/tests.js', ''); require('fs').writeFileSync(d + '/tests.ts', ''); } catch {}\n"+_W),
    _lie("a global type that is all", "interface Number { valueOf(): any }\nfunction f(x: number): number { return { valueOf: () => 6 } as any; }"),
    _lie("a thenable that never calls back", "function f(x: number): any { return { then() {} }; }", "async function f(x: number): Promise<number> { return x * 2; }", _A+"(async () => { assert.equal(await f(3), 6); })();\n"),
    _lie("prints the mark", _W+"\nconsole.log('\\n@END_OF_CHECKS@\\n');"),
    _lie("an export that is no module", "export {};\nexport function f(x: number): number { return 0; }", _H),
]  # fmt: skip
