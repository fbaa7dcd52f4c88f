// The side of the answer: loaded before it, and started behind its last line with its names.
"use strict";

const fs = require("node:fs");
const { EXTENDED, Gone, Peer } = require("./peer.js");

const peer = new Peer(false);
const exit = process.exit.bind(process);
const known = Object.fromEntries(Object.entries(EXTENDED).map(([type, { prototype }]) => [type, Object.getOwnPropertyNames(prototype)]));

// A callback of the answer may call a function of the tests, which reply only while they ask something: until then it is late
const { setTimeout, setImmediate } = globalThis;
const late = new Set();
const callbacks = new WeakMap(); // by timer
let asked = false;

for (const kind of ["Timeout", "Interval", "Immediate"]) {
  const set = globalThis[`set${kind}`];
  const clear = globalThis[`clear${kind}`];
  const delayed = (callback, ...values) => {
    if (typeof callback !== "function") return set(callback, ...values);
    const call = () => callback(...values.slice(kind === "Immediate" ? 0 : 1));
    const timer = set(() => (asked || !peer.known.size ? call() : void late.add(call)), values[0]);
    callbacks.set(timer, call);
    return timer;
  };
  globalThis[`set${kind}`] = Object.defineProperties(delayed, Object.getOwnPropertyDescriptors(set));
  globalThis[`clear${kind}`] = (timer) => {
    late.delete(callbacks.get(timer));
    return clear(timer);
  };
}

function catchUp() {
  for (const call of late) {
    late.delete(call);
    try {
      call();
    } catch (error) {
      if (error instanceof Gone) throw error;
      setImmediate(() => {
        throw error;
      });
    }
  }
}

function next() {
  return new Promise((resolve, reject) => {
    const data = Buffer.alloc(4);
    const more = (done) => fs.read(3, data, done, 4 - done, null, (error, count) => {
      if (error || !count) return reject(new Gone());
      return done + count < 4 ? more(done + count) : resolve(data.readUInt32BE(0));
    });
    more(0);
  });
}

// How many milliseconds the answer's own events go on while the tests wait
const TURN = 2;

function turn(promise) {
  return Promise.race([new Promise((resolve) => setTimeout(resolve, TURN)), promise].filter(Boolean));
}

async function handle(message) {
  if (message.op === "idle") {
    await turn();
    const waits = process.getActiveResourcesInfo().some((one) => one === "Timeout" || one === "Immediate");
    return { values: peer.encode([waits || late.size > 0], []) };
  }
  if (message.op === "settled" && !peer.ended.has(peer.mine[message.target])) {
    const ended = () => undefined;
    await turn(peer.mine[message.target].then(ended, ended));
  }
  return peer.answer(message);
}

// What the tests ask of the program as a whole
function whole(names) {
  const { perform } = peer;
  peer.perform = (op, target, key, values) => {
    switch (op) {
      case "names": {
        const kinds = {};
        for (const name of key) {
          try {
            kinds[name] = typeof names[name]();
          } catch {}
        }
        return kinds;
      }
      case "name": return names[key]();
      case "extensions":
        return Object.entries(EXTENDED).map(([type, { prototype }]) => {
          const added = Object.getOwnPropertyNames(prototype).filter((name) => !known[type].includes(name));
          return [type, added.map((name) => [name, prototype[name]]).filter(([, one]) => typeof one === "function")];
        });
      case "console":
        for (const name of ["log", "info", "warn", "error"]) console[name] = (...more) => void values[0](name, ...more);
        return undefined;
    }
    return perform.call(peer, op, target, key, values);
  };
}

// The error that nothing caught, shown as Node.js shows it
function raise(error) {
  if (error instanceof Error) throw error;
  fs.writeSync(2, `${String(error)}\n`);
  exit(1);
}

async function serve(names) {
  whole(names);
  try {
    for (;;) {
      const message = JSON.parse(peer.read(await next()).toString("utf8"));
      asked = true;
      if (message.op === "raise") return setImmediate(raise, peer.failure.error);
      catchUp();
      peer.send({ ...(await handle(message)), id: message.id });
      asked = false;
    }
  } catch (error) {
    if (error instanceof Gone) exit(0);
    throw error;
  }
}

Object.defineProperty(globalThis, "serveTests", { value: serve });
