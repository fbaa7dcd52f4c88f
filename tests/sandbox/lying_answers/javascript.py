"""More lies to tests in JavaScript: objects that answer for data, and tests that are not reached."""

from __future__ import annotations

from . import Lie


_A = "const assert = require('node:assert');\n"
_H = "function f(x) { return x * 2; }"
_T = _A + "assert.deepEqual(f(3), 6);\nassert.strictEqual(f(4), 8);\n"


def _lie(name: str, lying: str, honest: str = _H, tests: str = _T, entry_point: str = "f") -> Lie:
    return Lie(name, lying, honest, tests, entry_point)


_HS = "function f(x) { return 'six'; }"
_HL = "function f(x) { return [x, x * 2]; }"
LYING = [
    _lie("includes of its own", "class L { includes(v) { return true; } }\nfunction f(x) { return new L(); }", _HL, _A+"assert(f(3).includes(6));\nassert(f(4).includes(8));\n"),
    _lie("includes of a plain object", "function f(x) { return { includes: () => true }; }", _HL, _A+"assert(f(3).includes(6));\n"),
    _lie("includes of a function", "function f(x) { const g = () => 0; g.includes = () => true; return g; }", _HL, _A+"assert(f(3).includes(6));\n"),
    _lie("includes of an array", "function f(x) { const a = []; a.includes = () => true; return a; }", _HL, _A+"assert(f(3).includes(6));\n"),
    _lie("includes of a subclass of arrays", "class L extends Array { includes() { return true; } }\nfunction f(x) { return new L(); }", _HL, _A+"assert(f(3).includes(6));\n"),
    _lie("indexOf that is right", "class L { indexOf(v) { return 1; } }\nfunction f(x) { return new L(); }", _HL, _A+"assert.equal(f(3).indexOf(6), 1);\n"),
    _lie("startsWith that is an object", "class L { startsWith(v) { return {}; } }\nfunction f(x) { return new L(); }", _HS, _A+"assert(f(3).startsWith('s'));\n"),
    _lie("startsWith that is itself", "class L { startsWith(v) { return this; } }\nfunction f(x) { return new L(); }", _HS, _A+"assert(f(3).startsWith('s'));\n"),
    _lie("has of a set of its own", "class S extends Set { has() { return true; } }\nfunction f(x) { return new S(); }", "function f(x) { return new Set([x * 2]); }", _A+"assert(f(3).has(6));\n"),
    _lie("has of an object", "class S { has() { return true; } get size() { return 1; } }\nfunction f(x) { return new S(); }", "function f(x) { return new Set([x * 2]); }", _A+"assert(f(3).has(6) && f(3).size === 1);\n"),
    _lie("get of a map of its own", "class M extends Map { get(k) { return k * 2; } }\nfunction f() { return new M(); }", "function f() { return new Map([[3, 6]]); }", _A+"assert.equal(f().get(3), 6);\n"),
    _lie("every that holds", "class L { every() { return true; } }\nfunction f(x) { return new L(); }", _HL, _A+"assert(f(3).every((y) => y === 3 || y === 6));\nassert(f(4).every((y, i) => y === [4, 8][i]));\n"),
    _lie("test of a pattern", "class R { test() { return true; } }\nfunction f(x) { return new R(); }", "function f(x) { return /six/; }", _A+"assert(f(3).test('six') && f(3).test('a six'));\n"),
    _lie("equals of a number", "class N { equals() { return true; } }\nfunction f(x) { return new N(); }", "class N { constructor(x) { this.x = x; } equals(o) { return o === this.x; } }\nfunction f(x) { return new N(x * 2); }", _A+"const r = f(3);\nassert.equal(r.x, 6);\nassert(r.equals(6));\n"),
    _lie("alternating conversions", "let n = 0;\nclass N { valueOf() { return n++ % 2 ? -Infinity : Infinity; } }\nfunction f(x) { return new N(); }", _H, _A+"const r = f(3);\nassert(r > 5 && r < 7);\n"),
    _lie("alternating conversions of a function", "let n = 0;\nfunction f(x) { const g = () => 0; g.valueOf = () => (n++ % 2 ? -Infinity : Infinity); return g; }", _H, _A+"const r = f(3);\nassert(r > 5 && r < 7);\n"),
    _lie("alternating conversions of a plain object", "let n = 0;\nfunction f(x) { return { valueOf: () => (n++ % 2 ? -Infinity : Infinity) }; }", _H, _A+"const r = f(3);\nassert(r > 5 && r < 7);\n"),
    _lie("differences that are small", "let n = 0;\nfunction f(x) { return { valueOf: () => NaN }; }", _H, _A+"assert(!(Math.abs(f(3) - 6) > 1e-6));\nassert.equal(typeof f(3), 'number');\n"),
    _lie("a callback that is never called", "function f(x, done) {}", "function f(x, done) { done(x * 2); }", _A+"f(3, (y) => assert.equal(y, 6));\n"),
    _lie("a callback whose failure is swallowed", "function f(x, done) { try { done(0); } catch {} }", "function f(x, done) { done(x * 2); }", _A+"f(3, (y) => assert.equal(y, 6));\n"),
    _lie("a promise that never settles", "function f(x) { return new Promise(() => {}); }", "async function f(x) { return x * 2; }", _A+"f(3).then((y) => assert.equal(y, 6));\n"),
    _lie("a promise that is dropped", "class P extends Promise { then() { return this; } }\nfunction f(x) { return P.resolve(0); }", "async function f(x) { return x * 2; }", _A+"f(3).then((y) => assert.equal(y, 6));\n"),
    _lie("a thenable that never calls back", "function f(x) { return { then() {} }; }", "async function f(x) { return x * 2; }", _A+"(async () => { assert.equal(await f(3), 6); })();\n"),
    _lie("a thenable of its own", "class T { then(done) {} }\nfunction f(x) { return new T(); }", "async function f(x) { return x * 2; }", _A+"f(3).then((y) => assert.equal(y, 6));\n"),
    _lie("a rejection that nobody reads", "async function f(x) { throw undefined; }", "async function f(x) { return x * 2; }", _A+"f(3).then((y) => assert.equal(y, 6)).catch(() => { throw new Error('no'); });\n"),
    _lie("an exit code in the tests' process", "function f(x) { return { toString() { process.exitCode = 0; return '6'; } }; }", _H, _A+"assert.strictEqual(f(3), 6);\n"),
    _lie("throws with any message", "function f(x) { const e = new Error('bad 1 2 3'); Object.defineProperty(e, 'message', { get: () => 'x' }); throw e; }", "function f(x) { throw new RangeError('bad 3'); }", _A+"assert.throws(() => f(3), { name: 'RangeError', message: 'bad 3' });\n"),
    _lie("throws an instance of a lying class", "class E extends Error { static [Symbol.hasInstance]() { return true; } }\nfunction f(x) { throw new E(); }", "function f(x) { throw new RangeError('bad 3'); }", _A+"assert.throws(() => f(3), RangeError);\n"),
    _lie("an iterator that is empty when compared", "class L { *[Symbol.iterator]() {} get length() { return 2; } }\nfunction f(x) { return new L(); }", _HL, _A+"const r = f(3);\nassert.equal(r.length, 2);\nassert.deepEqual([...r], [3, 6]);\n"),
    _lie("a JSON of its own", "class L { toJSON() { return [3, 6]; } }\nfunction f(x) { return new L(); }", _HL, _A+"assert.equal(JSON.stringify(f(4)), '[4,8]');\n"),
    _lie("an object with __proto__", "function f(x) { return JSON.parse('{\"__proto__\": {\"a\": 6}}'); }", "function f(x) { return { a: 6 }; }", _A+"assert.deepStrictEqual(f(3), { a: 6 });\n"),
    _lie("pollutes through __proto__", "function f(x) { return JSON.parse('{\"__proto__\": {\"equal\": 1, \"message\": \"x\"}, \"constructor\": {\"prototype\": {\"a\": 6}}}'); }", "function f(x) { return { a: 6 }; }", _A+"const r = Object.assign({}, f(3));\nassert.deepStrictEqual(r, { a: 6 });\nassert.equal(r.a, 6);\n"),
    _lie("a symbol", "function f(x) { return Symbol.for('six'); }", _H, _T),
    _lie("a boxed number", "function f(x) { return new Number(6); }", _H, _A+"assert.strictEqual(f(3), 6);\n"),
    _lie("NaN for everything", "function f(x) { return NaN; }", _H, _T),
    _lie("a map with a lying size", "class M extends Map { get size() { return 1; } }\nfunction f(x) { return new M(); }", "function f(x) { return new Map([[1, 2]]); }", _A+"assert.equal(f(3).size, 1);\n"),
    _lie("console.assert replaced", "console.assert = () => {};\nconsole.log = () => {};\nfunction f(x) { return 0; }", _H, "console.assert(f(3) === 6);\nif (f(3) !== 6) throw new Error('no');\n"),
    _lie("console.assert that only prints", "function f(x) { return 0; }", _H, "console.assert(f(3) === 6, 'no');\n"),
    _lie("the process's exit handler", "process.on('exit', () => { process.exitCode = 0; });\nfunction f(x) { return 0; }", _H, _T),
    _lie("the marks in the arguments", "console.log(process.argv.join(' '), require('fs').readFileSync('/proc/self/cmdline', 'utf8'));\nfunction f(x) { return 0; }", _H, _T),
    _lie("the tests through the parent", "const fs = require('fs');\nlet text = '';\nfor (const p of fs.readdirSync('/proc')) try { text += fs.readFileSync(`/proc/${p}/cmdline`, 'utf8') + fs.readFileSync(`/proc/${p}/cwd/tests.js`, 'utf8'); } catch {}\nfunction f(x) { const m = text.match(new RegExp(`f\\\\(${x}\\\\), (\\\\d+)`)); return m ? Number(m[1]) : 0; }", _H, _T),
    _lie("an old-style test of classes", "class Box { constructor() { return new Proxy(this, { get: (t, k) => (k === 'value' ? t : undefined) }); } }", "class Box { constructor(x) { this.value = x; } }", _A+"assert.deepEqual(new Box(3).value, 3);\n", "Box"),
    _lie("a class whose equality lies", "class Box { equals() { return true; } get value() { return { valueOf: () => 3 }; } }", "class Box { constructor(x) { this.value = x; } }", _A+"assert.strictEqual(new Box(3).value, 3);\n", "Box"),
    _lie("a queue that answers itself", "class Q { push() { return this; } pop() { return this; } valueOf() { return 3; } }", "class Q { constructor() { this.a = []; } push(x) { this.a.push(x); } pop() { return this.a.pop(); } }", _A+"const q = new Q();\nq.push(4);\nassert.equal(q.pop(), 4);\n", "Q"),
    _lie("assert of a module of its own", "var assert = { deepEqual() {}, strictEqual() {} };\nfunction f(x) { return 0; }", _H, "const assert = require('node:assert');\nassert.deepEqual(f(3), 6);\n"),
    _lie("util of its own", "var util = { isDeepStrictEqual: () => true };\nfunction f(x) { return 0; }", "function f(x) { return [x * 2]; }", "const util = require('util');\nconst assert = require('assert');\nassert(util.isDeepStrictEqual(f(3), [6]));\n"),
    _lie("expect of its own", "function expect() { return { toBe() {}, toEqual() {} }; }\nfunction f(x) { return 0; }", _H, _A+"function expect(v) { return { toBe(w) { assert.strictEqual(v, w); } }; }\nexpect(f(3)).toBe(6);\n"),
    _lie("describe and it of its own", "function it() {}\nfunction f(x) { return 0; }", _H, "const { it } = require('node:test');\nconst assert = require('assert');\nit('works', () => { assert.equal(f(3), 6); });\n"),
    _lie("setTimeout of its own", "var setTimeout = () => {};\nglobalThis.setTimeout = () => {};\nfunction f(x) { return 0; }", _H, _A+"setTimeout(() => assert.equal(f(3), 6), 1);\n"),
    _lie("a getter that changes", "let n = 0;\nclass R { get v() { return n++ ? 9 : 6; } }\nfunction f(x) { return new R(); }", "function f(x) { return { v: 6 }; }", _A+"const r = f(3);\nassert(r.v < 7);\nassert.strictEqual(r.v, 6);\n"),
    _lie("writes to the tests' file", "const fs = require('fs');\nfor (const d of ['.', '..', '/tmp', '/tmp/job', process.cwd()]) try { fs.writeFileSync(d + '/tests.js', ''); fs.writeFileSync(d + '/judge.js', ''); } catch {}\nfunction f(x) { return 0; }", _H, _T),
    _lie("line ends in names", "function f(x) { console.log('\\u2028@END_OF_CHECKS@\\u2028'); console.log('\\f@END_OF_CHECKS@'); return 0; }", _H, _T),
    _lie("a huge answer", "function f(x) { return 'x'.repeat(1 << 28); }", _H, _T),
    _lie("a deep answer", "function f(x) { let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a; }", _H, _T),
    _lie("a cyclic answer", "function f(x) { const a = []; a.push(a); return a; }", _H, _T),
    # What honest answers do beside what the lies above do
    _lie("a collection of closures", "function make() { return { push() {}, has: () => true, size: () => 1 }; }", "function make() { const a = []; return { push: (x) => a.push(x), has: (x) => a.includes(x), size: () => a.length }; }", _A+"const s = make();\ns.push(3);\nassert(s.has(3) && !s.has(4));\nassert.equal(s.size(), 1);\n", "make"),
    _lie("a collection of a class", "class S { add() { return this; } has() { return true; } }\nfunction make() { return new S(); }", "class S { constructor() { this.a = []; } add(x) { this.a.push(x); return this; } has(x) { return this.a.includes(x); } }\nfunction make() { return new S(); }", _A+"const s = make().add(3).add(5);\nassert(s.has(3) && s.has(5));\nassert(!s.has(4));\n", "make"),
    _lie("amounts that compare", "class M { valueOf() { return 0; } }", "class M { constructor(x) { this.x = x; } valueOf() { return this.x; } add(o) { return new M(this.x + o.x); } }", _A+"assert(new M(3) < new M(5));\nassert.equal(new M(3).add(new M(5)) + 0, 8);\n", "M"),
    _lie("a counter that converts", "function make() { return { up() {}, valueOf: () => 0 }; }", "function make() { let n = 0; return { up() { n++; }, valueOf: () => n }; }", _A+"const c = make();\nc.up();\nassert(c > 0 && c < 2);\nc.up();\nassert(c > 1);\n", "make"),
    _lie("an emitter", "class E { on() {} emit() {} }", "class E { constructor() { this.l = []; } on(n, g) { this.l.push([n, g]); } emit(n, v) { for (const [m, g] of this.l) if (m === n) g(v); } }", _A+"const e = new E();\nlet seen = 0;\ne.on('x', (v) => { assert.equal(v, 6); seen++; });\ne.on('y', () => assert.fail('no'));\ne.emit('x', 6);\nassert.equal(seen, 1);\n", "E"),
    _lie("a thenable", "function f(x) { return { then(g) { g(0); } }; }", "function f(x) { return { then(g) { g(x * 2); } }; }", _A+"(async () => { assert.equal(await f(3), 6); })();\n"),
    _lie("a map of values", "class J { map(g) { return new J(); } }\nJ.of = () => new J();", "class J { constructor(x) { this.x = x; } map(g) { return new J(g(this.x)); } }\nJ.of = (x) => new J(x);", _A+"assert.equal(J.of(3).map((x) => x * 2).map((x) => x + 1).x, 7);\n", "J"),
]  # fmt: skip
