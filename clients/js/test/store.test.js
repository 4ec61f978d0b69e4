import assert from "node:assert/strict";
import test from "node:test";

import { decode, encode, webStorage } from "../src/store.js";

test("what was stored is read again", () => {
  const pairs = [["news", { "n1~a": 4 }], ["__proto__", {}]];
  const kept = new Map();
  const storage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, text) => kept.set(name, text) };
  const store = webStorage("page", storage);
  assert.equal(store.load(), null);
  store.save(encode(pairs));
  assert.deepEqual(decode(store.load()), pairs);
  assert.deepEqual([...kept.keys()], ["page"]);
});

test("what is none of ours is left out", () => {
  for (const text of ["", "{", "null", "7", "[]", '{"version":2,"channels":[]}', '{"version":1,"channels":{}}']) {
    assert.deepEqual(decode(text), []);
  }
  const channels = [["news", { "n1~a": 4 }], ["sport", { "n1~a": "4" }], ["sport"], [7, {}], null, "x"];
  assert.deepEqual(decode(JSON.stringify({ version: 1, channels })), [["news", { "n1~a": 4 }]]);
});
