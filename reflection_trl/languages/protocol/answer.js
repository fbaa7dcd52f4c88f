// The side of the answer: loaded before it, and started behind its last line with its names.
"use strict";

const fs = require("node:fs");
const { Gone, Peer } = require("./peer.js");

const peer = new Peer(false);
const exit = process.exit.bind(process);

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

async function handle(message, names) {
  if (message.op === "names") {
    const kinds = {};
    for (const name of message.key) {
      try {
        kinds[name] = typeof names[name]();
      } catch {}
    }
    return { values: peer.encode([kinds], []) };
  }
  if (message.op === "name") {
    try {
      return { values: peer.encode([names[message.key]()], []) };
    } catch (error) {
      return { error: peer.encode(error, []) };
    }
  }
  if (message.op === "console") {
    const [forward] = peer.decode(message.values, [], []);
    for (const name of ["log", "info", "warn", "error"]) console[name] = (...values) => void forward(name, ...values);
    return { values: peer.encode([], []) };
  }
  if (message.op === "await") {
    try {
      return { values: peer.encode([await peer.mine[message.target]], []) };
    } catch (error) {
      peer.failure = { error };
      return { error: peer.encode(error, []) };
    }
  }
  return peer.answer(message);
}

// The error that nothing caught, shown as Node.js shows it
function raise(error) {
  if (error instanceof Error) throw error;
  fs.writeSync(2, `${String(error)}\n`);
  exit(1);
}

async function serve(names) {
  try {
    for (;;) {
      const message = JSON.parse(peer.read(await next()).toString("utf8"));
      if (message.op === "raise") return setImmediate(raise, peer.failure.error);
      peer.send(await handle(message, names));
    }
  } catch (error) {
    if (error instanceof Gone) exit(0);
    throw error;
  }
}

Object.defineProperty(globalThis, "serveTests", { value: serve });
