import assert from "node:assert/strict";
import test from "node:test";

import { Reconnect } from "../src/reconnect.js";

const half = () => 0.5;

test("after 4200 to 4299 it is at once, unless one connection after another is short", () => {
  const here = new Reconnect(half);
  here.connected(0);
  assert.equal(here.lost(4200, 100), 0);
  here.connected(200);
  assert.equal(here.lost(4299, 300), 1000);
  here.connected(2000);
  assert.equal(here.lost(4200, 7000), 0);
});

test("after 4100 to 4199 it is at least a second", () => {
  const here = new Reconnect(() => 0);
  assert.deepEqual([4100, 4199].map((code) => here.lost(code, 0)), [1000, 1000]);
});

test("otherwise it is a random time up to a bound that doubles up to 30 seconds", () => {
  const here = new Reconnect(half);
  const waits = Array.from({ length: 8 }, () => here.lost(1006, 0));
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  for (let n = 0; n < 2000; n += 1) assert.ok(here.lost(null, 0) <= 30_000);
  const own = new Reconnect(half, { base: 100, cap: 150 });
  assert.deepEqual([own.lost(1006, 0), own.lost(1006, 0)], [50, 75]);
});
