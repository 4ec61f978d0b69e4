import assert from "node:assert/strict";
import test from "node:test";

import { Positions, positionOf } from "../src/positions.js";

const A = "n1~a", B = "n2~b";

/** A client that joined `news` at a position. */
function joined(position) {
  const here = new Positions();
  here.answered("news", { recovered: false, position });
  return here;
}

test("the first time nothing is asked, and that is no failed recovery", () => {
  const here = new Positions();
  assert.equal(here.position("news"), null);
  assert.deepEqual(here.ask("news"), {});
  const told = here.answered("news", { recovered: false, position: { [A]: 4 } });
  assert.deepEqual(told, { channel: "news", recovered: null, position: { [A]: 4 } });
});

test("events move the position; what came before is dropped and counted", () => {
  const here = joined({ [A]: 4 });
  assert.equal(here.take("news", `${A}:6`, undefined, 0), true);
  assert.equal(here.take("news", `${A}:6`, undefined, 0), false);
  assert.equal(here.take("news", `${A}:5`, undefined, 0), false);
  assert.equal(here.take("news", `${B}:1`, undefined, 0), true);
  assert.deepEqual(here.position("news"), { [A]: 6, [B]: 1 });
  assert.equal(here.duplicates, 2);
});

test("events without a number are delivered", () => {
  const here = joined({ [A]: 4 });
  for (const id of [undefined, null, 7, "", "n1~a", "n1~a:", "n1~a:-1", ":7"]) {
    assert.equal(here.take("news", id, undefined, 0), true);
  }
  assert.equal(here.take("other", `${A}:1`, undefined, 0), true);
  assert.equal(here.take(null, undefined, undefined, 0), true);
  assert.deepEqual(here.position("news"), { [A]: 4 });
});

test("a recovery keeps the own position until the missed events came", () => {
  const here = joined({ [A]: 4, [B]: 2 });
  here.connected();
  const told = here.answered("news", { recovered: true, position: { [A]: 9, [B]: 7 } });
  assert.deepEqual(told, { channel: "news", recovered: true, position: { [A]: 4, [B]: 2 } });
  here.take("news", `${B}:3`, undefined, 0);
  assert.deepEqual(here.ask("news"), { [A]: 4, [B]: 3 });
  assert.deepEqual(here.told("news", { position: { [A]: 9, [B]: 7 } }), ["news"]);
  assert.deepEqual(here.ask("news"), { [A]: 9, [B]: 7 });
});

test("without a recovery the client goes on from the answer, and a cached last event is no duplicate", () => {
  const here = joined({ [A]: 4 });
  here.connected();
  assert.equal(here.answered("news", { recovered: false, position: { [A]: 9 } }).recovered, false);
  assert.equal(here.take("news", `${A}:7`, undefined, 0), true);
  assert.equal(here.take("news", `${A}:7`, undefined, 0), false);
  assert.deepEqual(here.position("news"), { [A]: 9 });
});

test("a position for all channels holds for those answered on this connection", () => {
  const here = joined({ [A]: 4 });
  here.ask("sport");
  assert.deepEqual(here.told(null, { position: { [A]: 6 } }), ["news"]);
  here.connected();
  assert.deepEqual(here.told(null, { position: { [A]: 8 } }), []);
  assert.deepEqual(here.position("news"), { [A]: 6 });
});

test("a stored position is asked for, and kept for channels that are not joined", () => {
  const here = new Positions([["news", { [A]: 3 }], ["sport", { [A]: 1 }]]);
  assert.deepEqual(here.ask("news"), { [A]: 3 });
  assert.equal(here.answered("news", { recovered: true, position: { [A]: 5 } }).recovered, true);
  assert.equal(here.take("news", `${A}:3`, undefined, 0), false);
  assert.equal(here.take("news", `${A}:4`, undefined, 0), true);
  assert.deepEqual(here.all(), [["news", { [A]: 4 }], ["sport", { [A]: 1 }]]);
  here.leave("news");
  here.leave("sport");
  assert.deepEqual(here.all(), []);
  assert.deepEqual(here.ask("news"), {});
});

test("with a server that knows no positions nothing is ever recovered", () => {
  const here = new Positions();
  assert.deepEqual(here.answered("news", {}), { channel: "news", recovered: null, position: null });
  here.take("news", `${A}:3`, undefined, 0);
  here.connected();
  assert.deepEqual(here.ask("news"), {});
  assert.deepEqual(here.answered("news", null), { channel: "news", recovered: false, position: null });
  here.joined("sport");
  assert.equal(here.answered("sport", { recovered: false, position: {} }).recovered, false);
});

test("what is no position changes nothing", () => {
  for (const position of [null, undefined, 7, "x", [], { [A]: "3" }, { [A]: -1 }, { [A]: 1.5 }, { [A]: 2 ** 60 }]) {
    assert.equal(positionOf(position), null);
    const here = joined({ [A]: 4 });
    assert.deepEqual(here.told(null, { position }), []);
    here.connected();
    assert.equal(here.answered("news", { recovered: true, position }).recovered, false);
    assert.deepEqual(here.position("news"), { [A]: 4 });
  }
});

test("a refused position is asked for anew, once", () => {
  const here = joined({ [A]: 4 });
  assert.equal(here.refused("news"), true);
  assert.deepEqual(here.ask("news"), {});
  assert.equal(here.refused("news"), false);
  assert.equal(here.refused("sport"), false);
});

test("an idempotency key is delivered once in a channel, within ten minutes", () => {
  const here = joined({ [A]: 4, [B]: 2 });
  here.answered("sport", { recovered: false, position: {} });
  assert.equal(here.take("news", `${A}:5`, "order-7", 0), true);
  assert.equal(here.take("sport", `${A}:5`, "order-7", 0), true);
  assert.equal(here.take("news", `${B}:3`, "order-7", 10), false);
  assert.deepEqual(here.position("news"), { [A]: 5, [B]: 3 });
  assert.equal(here.take("news", `${B}:4`, "order-7", 600_011), true);
});

test("of very many keys the oldest are forgotten", () => {
  const here = joined({});
  for (let n = 0; n <= 10_000; n += 1) here.take("news", `${A}:${n + 1}`, String(n), 0);
  assert.equal(here.take("news", `${B}:1`, "0", 0), true);
  assert.equal(here.take("news", `${B}:2`, "10000", 0), false);
});

test("a channel may have any name that the protocol allows", () => {
  const here = new Positions();
  for (const name of ["__proto__", "constructor", "a=b,c;d@e."]) {
    here.answered(name, { recovered: false, position: { [A]: 1 } });
    assert.deepEqual(here.position(name), { [A]: 1 });
  }
});
