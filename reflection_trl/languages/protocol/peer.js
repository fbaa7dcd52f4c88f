// Values and calls between two Node.js processes: the tests, and the answer that they call.
//
// What crosses is data: primitives, arrays, plain objects, maps, sets, dates and errors are copied, and what a call did to its
// arguments is copied back. Functions and instances of classes stay where they are; the other side gets a stand-in that
// forwards each access; so do plain objects with methods or getters, which may change. The side of the tests (`trusted`) lets the
// other side call the functions that it has been passed, and nothing else.
"use strict";

const fs = require("node:fs");
const util = require("node:util");

const { isPrototypeOf } = Object.prototype;
const { then } = Promise.prototype;

class Gone extends Error {}

class Peer {
  constructor(trusted) {
    this.trusted = trusted;
    this.mine = [];
    this.numbers = new Map();
    this.standIns = new WeakMap();
    this.known = new Map();
    this.failure = undefined;
    this.broken = undefined; // a check within a function of the tests that did not hold, whether the answer caught it or not
    this.called = new Set();
    this.waiting = []; // what settles a promise of the tests, by the call that it was passed in
    this.compares = false; // whether the tests compare loosely, so that an object might become what it is compared with
    this.names = new WeakMap(); // of the classes of objects of the answer
    this.own = new WeakSet(); // objects of the answer that the tests use as more than data
    this.converted = new WeakMap(); // what the others became, by the name of the conversion
    this.requests = 0;
    this.replies = new Map(); // that came while another one was waited for
    this.promises = new Map(); // of the other side, by their numbers, until it says how they ended
    this.ended = new WeakMap(); // how promises of this side have ended
  }

  // Messages: four bytes of length, then JSON

  read(size) {
    const data = Buffer.alloc(size);
    for (let done = 0; done < size; ) {
      let count = 0;
      try {
        count = fs.readSync(3, data, done, size - done, null);
      } catch {}
      if (!count) throw new Gone();
      done += count;
    }
    return data;
  }

  receive() {
    return JSON.parse(this.read(this.read(4).readUInt32BE(0)).toString("utf8"));
  }

  send(message) {
    const data = Buffer.from(JSON.stringify(message), "utf8");
    const head = Buffer.alloc(4);
    head.writeUInt32BE(data.length);
    try {
      for (const part of [head, data]) for (let done = 0; done < part.length; ) done += fs.writeSync(4, part, done);
    } catch {
      throw new Gone();
    }
  }

  // Asks the other side, and serves what it asks meanwhile

  request(op, target, key, values = []) {
    const sent = [];
    const id = ++this.requests;
    this.send({ id, op, target, key, values: this.encode(values, sent) });
    for (;;) {
      const message = this.replies.get(id) || this.receive();
      this.replies.delete(id);
      if (message.op) {
        this.send({ ...this.answer(message), id: message.id });
      } else if (message.id !== id) {
        // Both sides have asked at the same time
        if (!(message.id <= this.requests)) throw new Gone();
        this.replies.set(message.id, message);
      } else if (message.error) {
        throw this.fail(this.decode(message.error, sent));
      } else {
        return this.decode(message.values, sent)[0];
      }
    }
  }

  fail(error) {
    this.failure = { error };
    return error;
  }

  answer(message) {
    const received = [];
    try {
      const values = this.decode(message.values, [], received);
      this.called.add(this.mine[message.target]);
      const result = this.perform(message.op, this.mine[message.target], message.key, values);
      return { values: this.encode([result, values], [], new Map(received.map((one, place) => [one, place]))) };
    } catch (error) {
      if (error instanceof Gone) throw error;
      this.failure = { error };
      const own = error === null || typeof error !== "object" || !this.standIns.has(error);
      const check = own ? (error && error.code === "ERR_ASSERTION") || refuses(this.mine[message.target]) : checks(this.mine[message.target]);
      if (check && this.broken === undefined) this.broken = error;
      return { error: this.encode(error, []) };
    }
  }

  // What the answer has kept from being checked: the error, or undefined
  unchecked() {
    if (this.broken !== undefined) return this.broken;
    const missed = this.mine.find((one) => !this.called.has(one) && checks(one));
    if (missed) return new Error(`The answer never called the function ${missed.name || "that it was passed"}, which checks what it is called with.`);
    if (this.waiting.some((group) => !group.some((one) => this.called.has(one)))) return new Error("A promise of the answer was never settled.");
    return undefined;
  }

  perform(op, target, key, values) {
    if (op === "call" && typeof target === "function") return Reflect.apply(target, values[0], values[1]);
    if (this.trusted) throw new Error("The answer may only call functions that it has been passed.");
    switch (op) {
      case "new": return Reflect.construct(target, values[1]);
      case "get": return target[key];
      case "set": return (target[key] = values[0]), undefined;
      case "has": return key in target;
      case "delete": return delete target[key];
      case "keys": return Object.keys(target);
      case "iterate": {
        const iterator = key === "async" ? Symbol.asyncIterator : Symbol.iterator;
        return target[iterator] && target[iterator]();
      }
      case "primitive": return primitive(target, key);
      case "settled": return this.settle(target);
      case "settle": return this.promises.get(values[0])[key](values[1]);
      // By the chain of prototypes: `Symbol.hasInstance` could say so of anything
      case "is": return typeof target === "function" && isPrototypeOf.call(target.prototype, values[0]);
    }
    throw new Error(`Unknown operation ${op}.`);
  }

  // Values. Containers are numbered as they come, so that what is shared stays shared; `sent` and `received` collect those of a
  // request, which its answer refers to and brings up to date.

  encode(value, sent, received = new Map(), seen = new Map()) {
    const inner = (one) => this.encode(one, sent, received, seen);
    if (value === null || typeof value === "boolean" || typeof value === "string") return value;
    if (typeof value === "undefined") return { t: "u" };
    if (typeof value === "number")
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { t: "n", v: Object.is(value, -0) ? "-0" : String(value) };
    if (typeof value === "bigint") return { t: "b", v: String(value) };
    if (typeof value === "symbol") return { t: "y", v: String(value.description) };
    if (this.standIns.has(value)) return { t: "x", v: this.standIns.get(value) };
    if (seen.has(value)) return { t: "r", v: seen.get(value) };
    if (typeof value === "function") return { t: "f", v: this.number(value), n: value.name, l: value.length };
    if (value instanceof Promise) {
      if (!this.numbers.has(value)) this.watch(value, this.number(value));
      return { t: "p", v: this.number(value) };
    }
    if (value instanceof Date) return { t: "d", v: value.getTime() };
    if (value instanceof RegExp) return { t: "e", v: [value.source, value.flags] };
    seen.set(value, seen.size);
    const node = { k: received.get(value) };
    if (node.k === undefined) sent.push(value);
    if (!this.trusted && Object.isFrozen(value)) node.z = true;
    if (this.trusted && Array.isArray(value) && Array.isArray(value.raw)) node.raw = value.raw.map(String); // of a template
    if (Array.isArray(value)) return Object.assign(node, { t: "a", v: Array.from(value, (one, place) => (place in value ? inner(one) : { t: "h" })) });
    if (value instanceof Map) return Object.assign(node, { t: "m", v: [...value].map((pair) => pair.map(inner)) });
    if (value instanceof Set) return Object.assign(node, { t: "s", v: [...value].map(inner) });
    if (value instanceof Error)
      return Object.assign(node, { t: "E", v: [value.name, value.message, kind(value)], o: this.pairs(value, inner), id: this.number(value) });
    if (ArrayBuffer.isView(value) && !(value instanceof DataView))
      return Object.assign(node, { t: "v", v: [value.constructor.name, Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64")] });
    const prototype = Object.getPrototypeOf(value);
    const plain = (prototype === null || prototype === Object.prototype) && (node.k !== undefined || !this.lives(value));
    if (this.trusted || plain)
      return Object.assign(node, { t: "o", v: this.pairs(value, inner), n: prototype === null });
    sent.pop();
    return { t: "i", v: this.number(value), n: String(value.constructor && value.constructor.name) };
  }

  // Whether a plain object of the answer may change between two accesses
  lives(value) {
    if (this.trusted || Object.isFrozen(value)) return false;
    const method = (one) => "get" in one ? one.get !== undefined : typeof one.value === "function" && !this.standIns.has(one.value);
    return util.types.isProxy(value) || Object.values(Object.getOwnPropertyDescriptors(value)).some(method);
  }

  pairs(value, inner) {
    return Object.keys(value).map((key) => [key, inner(value[key])]);
  }

  number(value) {
    if (!this.numbers.has(value)) this.numbers.set(value, this.mine.push(value) - 1);
    return this.numbers.get(value);
  }

  decode(node, sent, received = [], seen = []) {
    const inner = (one) => this.decode(one, sent, received, seen);
    if (node === null || typeof node !== "object") return node;
    switch (node.t) {
      case "u": case "h": return undefined;
      case "n": return Number(node.v);
      case "b": return BigInt(node.v);
      case "y": return Symbol(node.v);
      case "x": return this.mine[node.v];
      case "r": return seen[node.v];
      case "d": return new Date(node.v);
      case "e": return new RegExp(String(node.v[0]), String(node.v[1]));
      case "p": return this.promise(node.v);
      case "f": return this.standIn(node.v, true, String(node.n), Number(node.l));
    }
    if (node.t === "i") {
      const value = this.standIn(node.v, false, String(node.n));
      seen.push(value);
      return value;
    }
    const value = this.container(node, sent);
    seen.push(value);
    if (node.k !== undefined && Object.isFrozen(value)) return value;
    if (node.k === undefined) received.push(value);
    if (node.t === "a") {
      if (!this.trusted && node.raw) define(value, "raw", node.raw, false);
      value.length = node.v.length;
      node.v.forEach((one, place) => (one !== null && one.t === "h" ? delete value[place] : define(value, place, inner(one))));
    } else if (node.t === "m") {
      value.clear();
      for (const [key, one] of node.v) value.set(inner(key), inner(one));
    } else if (node.t === "s") {
      value.clear();
      for (const one of node.v) value.add(inner(one));
    } else if (node.t === "o" || node.t === "E") {
      const pairs = node.t === "o" ? node.v : node.o;
      if (node.t === "o") for (const key of Object.keys(value)) delete value[key];
      for (const [key, one] of pairs) if (node.t === "o" || !["stack", "message", "name"].includes(key)) define(value, key, this.asked(value, key, inner(one)));
    }
    if (node.z === true) Object.freeze(value);
    return value;
  }

  container(node, sent) {
    const kinds = { a: Array.isArray, m: (one) => one instanceof Map, s: (one) => one instanceof Set, o: (one) => !Array.isArray(one) };
    if (node.k !== undefined) {
      const old = sent[node.k];
      if (typeof old !== "object" || old === null || (kinds[node.t] && !kinds[node.t](old))) throw new Gone();
      return old;
    }
    switch (node.t) {
      case "a": return [];
      case "m": return new Map();
      case "s": return new Set();
      case "o": return node.n ? Object.create(null) : {};
      case "v": {
        const bytes = Buffer.from(String(node.v[1]), "base64");
        const Type = /^(Big)?(Uint|Int|Float)[0-9]+(Clamped)?Array$/.test(node.v[0]) ? global[node.v[0]] : undefined;
        return Type ? new Type(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)) : bytes;
      }
      case "E": {
        const [name, message, type] = node.v.map(String);
        const error = new (ERRORS.includes(type) ? global[type] : Error)(message);
        if (error.name !== name) define(error, "name", name, false);
        this.standIns.set(error, node.id);
        return error;
      }
    }
    throw new Gone();
  }

  // A method of an object of the answer. What data is asked with an argument may be what the tests expect, so that the answer may not
  // reply; and a conversion is made once, for a number that is another one each time is between any two.
  asked(owner, key, method) {
    if (!this.trusted || typeof method !== "function" || !this.standIns.has(method) || this.own.has(owner)) return method;
    const peer = this;
    const wrapped = function (...values) {
      if (key === "then") {
        const settling = values.filter((one) => SETTLES.test(text(one)));
        if (settling.length) peer.waiting.push(settling);
      }
      if (key === "toJSON" && !peer.own.has(owner) && !peer.named(peer.names.get(owner))) throw new TypeError(`${FOREIGN} (${key}).`);
      if (CONVERSIONS.has(key) && !values.length && !peer.own.has(owner)) {
        const made = peer.converted.get(owner) || new Map();
        peer.converted.set(owner, made);
        if (!made.has(key)) made.set(key, method.apply(owner, values));
        return made.get(key);
      }
      if (!DATA.has(key)) peer.own.add(owner);
      const result = method.apply(owner, values);
      if (!QUERIES.has(key) || !values.length || result === undefined || peer.own.has(owner)) return result;
      throw new TypeError(`${FOREIGN} (${key}).`);
    };
    this.standIns.set(wrapped, this.standIns.get(method));
    return wrapped;
  }

  // Keeps how a promise ends. The answer's side is told so of a promise of the tests; the tests ask, since the answer may not
  watch(promise, number) {
    const ends = (how) => (value) => {
      this.ended.set(promise, { how, value });
      if (!this.trusted) return;
      if (how === "reject" && value && value.code === "ERR_ASSERTION" && this.broken === undefined) this.broken = value;
      this.request("settle", null, how, [number, value]);
    };
    Reflect.apply(then, promise, [ends("resolve"), ends("reject")]);
  }

  // Whether a promise of this side has ended, and its value; throws its error
  settle(promise) {
    const ended = this.ended.get(promise);
    if (ended && ended.how === "reject") throw ended.value;
    return ended ? [true, ended.value] : [false];
  }

  promise(target) {
    return this.trusted ? this.promiseOfAnswer(target) : this.promiseOfTests(target);
  }

  promiseOfTests(target) {
    if (!this.promises.has(target)) {
      const ends = {};
      ends.promise = new Promise((resolve, reject) => Object.assign(ends, { resolve, reject }));
      Reflect.apply(then, ends.promise, [undefined, () => {}]);
      this.standIns.set(ends.promise, target);
      this.promises.set(target, ends);
    }
    return this.promises.get(target).promise;
  }

  promiseOfAnswer(target) {
    const promise = Object.create(Promise.prototype);
    const settled = async () => {
      for (;;) {
        const [done, value] = this.request("settled", target);
        if (done === true) return value;
        await new Promise((resolve) => setImmediate(resolve)); // timers of the tests, whose promises the answer may wait for
      }
    };
    define(promise, "then", (done, failed) => settled().then(done, failed), false);
    define(promise, "catch", (failed) => settled().catch(failed), false);
    define(promise, "finally", (done) => settled().finally(done), false);
    this.standIns.set(promise, target);
    return promise;
  }

  standIn(target, callable, name, parameters = 0) {
    const id = `${target}`;
    if (this.known.has(id)) return this.known.get(id);
    const peer = this;
    const base = callable ? function () {} : {};
    if (callable) Object.defineProperties(base, { name: { value: name, configurable: true }, length: { value: parameters, configurable: true } });
    else Object.setPrototypeOf(base, this.prototype(name));
    const traps = {
      apply: (_, self, values) => peer.request("call", target, "", [self, values]),
      construct: (_, values) => {
        const made = peer.request("new", target, "", [undefined, values]);
        if (made !== null && typeof made === "object") peer.own.add(made);
        return made;
      },
      get(_, key) {
        if (key === Symbol.hasInstance && callable) return (value) => peer.standIns.has(value) && peer.request("is", target, "", [value]) === true;
        if (key === Symbol.iterator && !callable) {
          const iterator = peer.request("iterate", target);
          return iterator === undefined ? undefined : () => ({ next: (value) => iterator.next(value), [Symbol.iterator]() { return this; } });
        }
        if (key === Symbol.asyncIterator && !callable) {
          const iterator = peer.request("iterate", target, "async");
          return iterator === undefined ? undefined : () => ({ next: (value) => iterator.next(value), [Symbol.asyncIterator]() { return this; } });
        }
        if (key === Symbol.toPrimitive && !callable) return (hint) => peer.convert(proxy, target, name, hint);
        if (typeof key === "symbol") return undefined;
        if (key === "hasOwnProperty" && !callable) return (one) => peer.request("keys", target).includes(String(one));
        if (callable && ["call", "apply", "bind", "name", "length"].includes(key)) return Reflect.get(base, key);
        if (!DATA.has(key)) peer.own.add(proxy);
        return peer.asked(proxy, key, peer.request("get", target, key));
      },
      set: (_, key, value) => (peer.request("set", target, String(key), [value]), true),
      has: (_, key) => (typeof key === "symbol" ? false : peer.request("has", target, key) === true),
      deleteProperty: (_, key) => (peer.request("delete", target, String(key)), true),
    };
    if (!callable) {
      traps.ownKeys = () => [...new Set(peer.request("keys", target).map(String))];
      traps.getOwnPropertyDescriptor = (_, key) =>
        typeof key === "string" && peer.request("keys", target).includes(key)
          ? { value: peer.request("get", target, key), writable: true, enumerable: true, configurable: true }
          : undefined;
    }
    const proxy = new Proxy(base, traps);
    this.standIns.set(proxy, target);
    this.names.set(proxy, name);
    this.known.set(id, proxy);
    return proxy;
  }

  // What an object of the answer becomes where the language needs a primitive: never to be compared with data, and a number only if the
  // tests mean objects of its kind
  convert(owner, target, name, hint) {
    const own = this.own.has(owner) || this.named(name);
    if (hint === "default" ? !own || this.compares : hint === "number" && !own) throw new TypeError(`${FOREIGN} (a primitive).`);
    if (own) return this.request("primitive", target, hint);
    const made = this.converted.get(owner) || new Map();
    this.converted.set(owner, made);
    if (!made.has(hint)) made.set(hint, this.request("primitive", target, hint));
    return made.get(hint);
  }

  // Whether the tests make or name objects of a class of the answer
  named() {
    return false;
  }

  // One prototype for each class of the other side: two instances of it are of one kind, and of no kind of ours
  prototype(name) {
    const id = `prototype ${name}`;
    if (!this.known.has(id)) {
      const named = function () {};
      Object.defineProperty(named, "name", { value: name });
      this.known.set(id, Object.create(Object.prototype, { constructor: { value: named } }));
    }
    return this.known.get(id);
  }
}

// Methods that say something of data and an argument
const QUERIES = new Set(
  "includes indexOf lastIndexOf has hasOwnProperty startsWith endsWith every some find findIndex findLast findLastIndex test match exec search equals localeCompare".split(" "),
);
const CONVERSIONS = new Set(["valueOf", "toString"]);
const FOREIGN = "The answer returned an object of its own where the tests need data";
// Names of data; who asks for another one, or adds to it, means an object of its own kind
const CHANGES = new Set(["push", "unshift", "add", "set"]);
const DATA = new Set(
  [Array, String, Number, Boolean, Map, Set, Date, RegExp, Object, Promise, Error, Function]
    .flatMap((type) => Object.getOwnPropertyNames(type.prototype))
    .concat("length", "size", "equals", "then")
    .filter((name) => !CHANGES.has(name)),
);
// By their text: functions of the tests that check something, and those that settle a promise
const CHECKS = /\bassert(?:\.(?!fail\b)\w+)*\s*\((?!\s*false\b)|\bexpect\s*\(/;
const SETTLES = /^function \(\) \{ \[native code\] \}$/;

function text(value) {
  return typeof value === "function" ? Function.prototype.toString.call(value) : "";
}

function checks(value) {
  return CHECKS.test(text(value)) || refuses(value);
}

// Whether a function throws where a parameter is not what it expects: `(y) => { if (y !== 6) throw ... }`
function refuses(value) {
  const head = /^(?:async\s+)?(?:function\b[^(]*)?\(?\s*([\w$,\s]*?)\)?\s*(?:=>|\{)/.exec(text(value));
  return head !== null && (head[1].match(/[\w$]+/g) || []).some((name) => {
    const condition = `[^{};]*(?:\\b${name}\\b[^{};]*!==?|!==?[^{};]*\\b${name}\\b)[^{};]*`.replaceAll("$", "\\$");
    return new RegExp(`\\bif\\s*\\(${condition}\\)\\s*\\{?\\s*throw\\b`).test(text(value));
  });
}

const ERRORS = ["TypeError", "RangeError", "SyntaxError", "ReferenceError", "EvalError", "URIError"];

// The class of the language's own that an error is, or is derived from
function kind(error) {
  for (let one = error; one !== null; one = Object.getPrototypeOf(one))
    if (one.constructor && ERRORS.includes(one.constructor.name)) return one.constructor.name;
  return "Error";
}

// As the language converts an object
function primitive(target, hint) {
  const own = target[Symbol.toPrimitive];
  if (typeof own === "function") return Reflect.apply(own, target, [hint]);
  for (const name of hint === "string" ? ["toString", "valueOf"] : ["valueOf", "toString"]) {
    const value = typeof target[name] === "function" ? target[name]() : target;
    if (value === null || !["object", "function"].includes(typeof value)) return value;
  }
  throw new TypeError("Cannot convert object to primitive value");
}

// The prototypes of the language that programs extend: `Array.prototype.last = ...`
const EXTENDED = { Array, Date, Function, Map, Number, RegExp, Set, String };

function define(target, key, value, enumerable = true) {
  Object.defineProperty(target, key, { value, writable: true, enumerable, configurable: true });
}

module.exports = { EXTENDED, Gone, Peer };
