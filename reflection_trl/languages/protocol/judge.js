// The side of the tests: `node judge.js MARK FILE ENTRY NAMES...` runs a file of tests on the names of the answer, and prints the
// mark when they have ended. What `build.js` has left of an answer in TypeScript is sent to its side first.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const { SourceMap } = require("node:module");
const util = require("node:util");
const vm = require("node:vm");
const { EXTENDED, Gone, Peer } = require("./peer.js");

const ENDED = 97;
const [mark, file, entry, ...names] = process.argv.slice(2);
const peer = new Peer(true);
const map = fs.existsSync(`${file}.map`) ? new SourceMap(JSON.parse(fs.readFileSync(`${file}.map`, "utf8"))) : undefined;

function gone(action) {
  try {
    return action();
  } catch (error) {
    if (error instanceof Gone) process.exit(ENDED);
    throw error;
  }
}

if (fs.existsSync("main.js")) gone(() => peer.send(fs.readFileSync("main.js", "utf8")));

const request = peer.request.bind(peer);
peer.request = (...values) => gone(() => request(...values));

// The error that nothing caught is the answer's own: it is the answer's side that shows it
process.on("uncaughtExceptionMonitor", (error) => {
  if (peer.failure && Object.is(peer.failure.error, error)) {
    gone(() => peer.send({ op: "raise" }));
    process.exit(ENDED);
  }
  if (map && error instanceof Error) {
    error.stack = String(error.stack).replaceAll(/\btests\.js:(\d+):(\d+)/g, (_, line, column) => {
      const place = map.findEntry(line - 1, column - 1);
      return `tests.ts:${place.originalLine + 1}:${place.originalColumn + 1}`;
    });
  }
});

// By itself it only prints
console.assert = (value, ...message) => {
  if (!value) assert.fail(message.length ? util.format(...message) : "console.assert does not hold");
};

// A function of the answer says nothing of an error, unless it is the class that the error should have
for (const owner of [assert, assert.strict]) {
  for (const name of ["throws", "rejects"]) {
    const original = owner[name];
    owner[name] = (action, expected, ...more) =>
      original(action, peer.standIns.has(expected) && typeof expected === "function" ? (error) => error instanceof expected : expected, ...more);
  }
}

const builtins = require("node:module").builtinModules.filter((name) => /^\w+$/.test(name));
const scope = Object.create(null);
const found = peer.request("names", null, names);
for (const name of names) {
  // What the language or its library calls so is never taken from an answer
  const own = name !== entry && (name in globalThis || name === "require" || name === "module" || name === "exports" || builtins.includes(name));
  if (own || !Object.prototype.hasOwnProperty.call(found, name)) continue;
  if (found[name] === "function") {
    const value = peer.request("name", null, name);
    Object.defineProperty(scope, name, { value, writable: true, configurable: true });
  } else {
    Object.defineProperty(scope, name, { get: () => peer.request("name", null, name), configurable: true });
  }
}

// Tests may require the answer as a file, which exports its names or the function under test
const answer = new Proxy(typeof scope[entry] === "function" ? scope[entry] : scope, { get: (target, name) => (name in scope ? scope[name] : target[name]) });
const requireAnswer = (name) => (/^\.{1,2}\//.test(name) ? answer : require(name));

const text = fs.readFileSync(file, "utf8");
peer.named = (name) => /^[\w$]+$/.test(name) && new RegExp(`\\b(?:new|instanceof)\\s+${name.replaceAll("$", "\\$")}\\b`).test(text);

// An object that becomes 6 is not 6, whether the tests compare by `==` or by what compares so
const loosely = /(?:^|[^=!<>])[=!]=(?!=)/m.test(text);
peer.compares = loosely;
for (const name of ["equal", "notEqual", "deepEqual", "notDeepEqual"]) {
  const original = assert[name];
  assert[name] = (...values) => {
    peer.compares = true;
    try {
      return original(...values);
    } finally {
      peer.compares = loosely;
    }
  };
}

// What an answer adds to the language's own classes, where the tests call it: `Array.prototype.last = ...`
const calls = (name) => /^[\w$]+$/.test(name) && !["then", "toJSON"].includes(name) && text.includes(`.${name}(`);
for (const [type, added] of peer.request("extensions")) {
  for (const [name, method] of added) {
    if (!Object.hasOwn(EXTENDED, type) || !peer.standIns.has(method) || !calls(name) || name in EXTENDED[type].prototype) continue;
    const value = function (...values) {
      return method.apply(this, values);
    };
    Object.defineProperty(EXTENDED[type].prototype, name, { value, writable: true, configurable: true });
  }
}
// Tests that take what the answer prints
if (/\bconsole\s*\.\s*\w+\s*=[^=]|\bconsole\s*,\s*["'`]\w+["'`]/.test(text)) peer.request("console", null, "", [(name, ...values) => console[name](...values)]);
const head = "with (scope) { { ";
const run = vm.compileFunction(`${head}${text}\n} }`, ["scope", "assert", "require", "module", "exports"], {
  filename: `${process.cwd()}/${file}`,
  columnOffset: -head.length,
});
// While the tests wait for an event, the answer may call the functions that it has been passed; at their end, it may still have to
const idle = () => peer.mine.some((one) => typeof one === "function") && peer.request("idle");
setInterval(idle, 3).unref();
process.on("beforeExit", () => {
  if (peer.unchecked() !== undefined && idle()) setImmediate(() => {});
});
process.on("exit", (code) => {
  if (code) return;
  const error = peer.unchecked();
  if (error === undefined) return void fs.writeSync(1, `\n${mark}\n`);
  fs.writeSync(2, `${(error && error.stack) || String(error)}\n`);
  process.exitCode = 1;
});
run(scope, assert, requireAnswer, module, exports);
