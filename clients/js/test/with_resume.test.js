// The official pusher-js, unmodified, with a WebSocket that the test plays the server of.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import test from "node:test";

import Pusher from "pusher-js";

import { withResume } from "../src/index.js";

const A = "n1~a";
let sockets = [];

class Socket {
  sent = [];

  constructor(url) {
    this.url = url;
    sockets.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.onclose?.({ code: 1000, wasClean: true });
  }

  ping() {}

  /** What the server says. */
  say(event, data, more = {}) {
    this.onmessage?.({ data: JSON.stringify({ event, data: typeof data === "string" ? data : JSON.stringify(data), ...more }) });
  }

  established() {
    this.onopen?.();
    this.say("pusher:connection_established", { socket_id: "1.2", activity_timeout: 30 });
  }

  /** The server takes a subscription. */
  take(channel, data) {
    this.say("pusher_internal:subscription_succeeded", data, { channel });
  }

  subscribes() {
    return this.sent.filter(({ event }) => event === "pusher:subscribe").map(({ data }) => data);
  }

  lose(code = 1006) {
    this.onclose?.({ code, wasClean: code !== 1006 });
  }
}

Pusher.Runtime.createWebSocket = (url) => new Socket(url);

async function until(condition) {
  for (let n = 0; !condition(); n += 1) {
    assert.ok(n < 3000, `it never was so: ${condition}`);
    await sleep(10);
  }
}

/** The next connection of pusher-js, which the server takes. */
async function next(count) {
  await until(() => sockets.length === count && sockets.at(-1).onmessage);
  const socket = sockets.at(-1);
  socket.established();
  return socket;
}

/** One pusher-js with resume; everything that `news` hears is noted. */
function client(options = {}, pusherOptions = {}) {
  sockets = [];
  const pusher = new Pusher("key", {
    cluster: "none", wsHost: "localhost", forceTLS: false, enabledTransports: ["ws"], ...pusherOptions,
  });
  const resume = withResume(pusher, { random: () => 0.01, ...options });
  const heard = [], told = [];
  resume.on("subscribed", (each) => told.push(each));
  pusher.subscribe("news").bind_global((event, data) => heard.push([event, data, resume.eventId]));
  return { pusher, resume, heard, told, events: () => heard.filter(([event]) => !event.startsWith("pusher:")) };
}

test("it resumes from where it was, and the page hears each event once", async (t) => {
  const { pusher, resume, told, events } = client();
  t.after(() => pusher.disconnect());
  const first = await next(1);
  await until(() => first.subscribes().length === 1);
  assert.deepEqual(first.subscribes(), [{ auth: "", channel: "news", position: {} }]);
  first.take("news", { recovered: false, position: { [A]: 4 } });
  first.say("x", "5", { channel: "news", id: `${A}:5` });
  first.lose();

  const second = await next(2);
  await until(() => second.subscribes().length === 1);
  assert.deepEqual(second.subscribes()[0].position, { [A]: 5 });
  second.take("news", { recovered: true, position: { [A]: 7 } });
  for (const n of [5, 6, 7]) second.say("x", String(n), { channel: "news", id: `${A}:${n}` });
  second.say("pusher_internal:position", { position: { [A]: 7 } }, { channel: "news" });
  second.say("pusher_internal:position", { position: { [A]: 9 } });

  assert.deepEqual(events(), [["x", 5, `${A}:5`], ["x", 6, `${A}:6`], ["x", 7, `${A}:7`]]);
  assert.deepEqual(told, [
    { channel: "news", recovered: null, position: { [A]: 4 } },
    { channel: "news", recovered: true, position: { [A]: 5 } },
  ]);
  assert.deepEqual(resume.position("news"), { [A]: 9 });
  assert.equal(resume.duplicates, 1);
  assert.equal(resume.eventId, null);
});

test("the page is told when something may be missing", async (t) => {
  const { pusher, told } = client();
  t.after(() => pusher.disconnect());
  (await next(1)).take("news", { recovered: false, position: { [A]: 4 } });
  sockets[0].lose();
  (await next(2)).take("news", { recovered: false, position: { [A]: 900 } });
  assert.deepEqual(told.map(({ recovered }) => recovered), [null, false]);
});

test("a warning says so when nobody listens", async (t) => {
  const said = t.mock.method(console, "warn", () => undefined);
  sockets = [];
  const pusher = new Pusher("key", { cluster: "none", wsHost: "localhost", forceTLS: false, enabledTransports: ["ws"] });
  t.after(() => pusher.disconnect());
  const resume = withResume(pusher, { positions: { news: { [A]: 1 } } });
  assert.equal(withResume(pusher), resume);
  pusher.subscribe("news");
  (await next(1)).take("news", { recovered: false, position: { [A]: 4 } });
  assert.ok(said.mock.calls.some((call) => /something may be missing in news/.test(call.arguments[0])));
});

test("a channel that was left begins anew", async (t) => {
  const { pusher, resume, told } = client();
  t.after(() => pusher.disconnect());
  const socket = await next(1);
  socket.take("news", { recovered: false, position: { [A]: 4 } });
  pusher.unsubscribe("news");
  assert.equal(resume.position("news"), null);
  pusher.subscribe("news");
  await until(() => socket.subscribes().length === 2);
  assert.deepEqual(socket.subscribes()[1].position, {});
  socket.take("news", { recovered: false, position: { [A]: 8 } });
  assert.deepEqual(told.map(({ recovered }) => recovered), [null, null]);
});

test("a position that the server refuses is dropped, and the channel joined without", async (t) => {
  const said = t.mock.method(console, "warn", () => undefined);
  const { pusher, told, heard } = client({ positions: { news: { [A]: 4 } } });
  t.after(() => pusher.disconnect());
  const socket = await next(1);
  await until(() => socket.subscribes().length === 1);
  socket.say("pusher:subscription_error", { type: "PositionError", error: "no", status: 400 }, { channel: "news" });
  await until(() => socket.subscribes().length === 2);
  assert.deepEqual(socket.subscribes().map(({ position }) => position), [{ [A]: 4 }, {}]);
  socket.take("news", { recovered: false, position: { [A]: 9 } });
  assert.deepEqual(told.map(({ recovered }) => recovered), [false]);
  assert.deepEqual(heard.map(([event]) => event), ["pusher:subscription_succeeded"]);
  assert.ok(said.mock.calls.some((call) => /refused the position in news/.test(call.arguments[0])));
  socket.say("pusher:subscription_error", { type: "AuthError", error: "no", status: 401 }, { channel: "news" });
  assert.equal(heard.at(-1)[0], "pusher:subscription_error");
});

test("positions are stored and used by the next page", async (t) => {
  let stored = null;
  const store = { load: () => stored, save: (text) => { stored = text; } };
  const page = client({ store });
  const socket = await next(1);
  socket.take("news", { recovered: false, position: { [A]: 4 } });
  socket.say("x", "5", { channel: "news", id: `${A}:5` });
  await until(() => stored !== null);
  page.resume.save();
  page.pusher.disconnect();

  const { pusher } = client({ store });
  t.after(() => pusher.disconnect());
  const again = await next(1);
  await until(() => again.subscribes().length === 1);
  assert.deepEqual(again.subscribes()[0].position, { [A]: 5 });
});

test("a store that fails costs nothing but a warning", async (t) => {
  const said = t.mock.method(console, "warn", () => undefined);
  const fail = () => { throw new Error("full"); };
  const { pusher, resume, events } = client({ store: { load: fail, save: fail } });
  t.after(() => pusher.disconnect());
  const socket = await next(1);
  socket.take("news", { recovered: false, position: { [A]: 4 } });
  socket.say("x", "5", { channel: "news", id: `${A}:5` });
  resume.save();
  assert.equal(events().length, 1);
  assert.ok(said.mock.calls.filter((call) => /stored/.test(call.arguments[0])).length >= 2);
});

test("the position is told as it moves, until nobody listens", async (t) => {
  const { pusher, resume } = client();
  t.after(() => pusher.disconnect());
  const moves = [];
  const stop = resume.on("position", (each) => moves.push(each));
  const socket = await next(1);
  socket.take("news", { recovered: false, position: { [A]: 4 } });
  socket.say("x", "5", { channel: "news", id: `${A}:5` });
  socket.say("pusher_internal:position", { position: { [A]: 8 } });
  stop();
  socket.say("x", "9", { channel: "news", id: `${A}:9` });
  assert.deepEqual(moves, [4, 5, 8].map((n) => ({ channel: "news", position: { [A]: n } })));
  assert.throws(() => resume.on("lost", () => undefined), /there is no event lost/);
});

test("close codes decide when it connects again, and other waits are random", async (t) => {
  const asked = [];
  const { pusher } = client({ random: () => 0.02, reconnect: { base: 1000, backOff: 40 } });
  t.after(() => pusher.disconnect());
  pusher.connection.timeline.info = ({ action, delay }) => action === "retry" && asked.push(delay);
  (await next(1)).lose(4200);
  (await next(2)).lose(1006);
  (await next(3)).lose(4100);
  (await next(4)).lose(4001);
  await until(() => pusher.connection.state === "disconnected");
  assert.deepEqual(asked, [0, 40, 120]);
});

test("attempts that come to nothing are followed by others soon", async (t) => {
  const { pusher, told } = client({ reconnect: { base: 100, cap: 100 } });
  t.after(() => pusher.disconnect());
  const first = await next(1);
  first.take("news", { recovered: false, position: { [A]: 4 } });
  first.lose();
  for (let n = 2; n <= 8; n += 1) {
    await until(() => sockets.length === n && sockets.at(-1).onclose);
    sockets.at(-1).onerror?.(new Error("502"));
    sockets.at(-1).lose();
  }
  (await next(9)).take("news", { recovered: true, position: { [A]: 4 } });
  await sleep(300);
  assert.equal(pusher.connection.state, "connected");
  assert.deepEqual([sockets.length, told.at(-1).recovered], [9, true]);
});

test("pusher-js's own waits stay when that is asked for", async (t) => {
  const { pusher } = client({ reconnect: false });
  t.after(() => pusher.disconnect());
  const asked = [];
  (await next(1)).lose(4200);
  pusher.connection.timeline.info = ({ action, delay }) => action === "retry" && asked.push(delay);
  (await next(2)).lose(1006);
  assert.deepEqual(asked, [1000]);
});

test("a wrong position is refused before anything is opened", () => {
  const pusher = { allChannels: () => [] };
  assert.throws(() => withResume(pusher, { positions: { news: "n1~a:4" } }), /that of news must be an object/);
});
