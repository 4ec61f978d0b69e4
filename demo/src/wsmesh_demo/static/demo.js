import { Count } from "./count.js";
import { draw, standing } from "./picture.js";
import { withResume } from "/demo/wsmesh-resume/index.js";

const SHOWN = 200; // messages kept on the page
const REMEMBERED = 6; // lines of the connection's history
const FLOW_MS = 200;

const $ = (id) => document.getElementById(id);
const count = new Count();
const view = { node: null, since: null, connections: 0, resumed: 0, flow: null, key: null };

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  };
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(8000) });
  const json = await answer.json();
  if (!answer.ok) throw new Error(json.error?.message ?? `the back end answered ${answer.status}`);
  return json;
}

// --- messages

function row(...cells) {
  const item = document.createElement("li");
  for (const [tag, name, text] of cells) {
    const cell = document.createElement(tag);
    cell.className = name;
    cell.textContent = text;
    item.append(cell);
  }
  $("messages").prepend(item);
  while ($("messages").childElementCount > SHOWN) $("messages").lastElementChild.remove();
  $("empty").hidden = true;
  return item;
}

function note(text, bad = false) {
  const item = row();
  item.className = bad ? "note bad" : "note";
  item.textContent = text;
}

const clock = () => new Date().toLocaleTimeString();

function remember(text) {
  const item = document.createElement("li");
  const time = item.appendChild(document.createElement("time"));
  time.textContent = clock();
  item.append(text);
  $("history").prepend(item);
  while ($("history").childElementCount > REMEMBERED) $("history").lastElementChild.remove();
}

function onEvent(name, data) {
  if (name.startsWith("pusher:")) return;
  const ours = data !== null && typeof data === "object" && Number.isInteger(data.n);
  const before = { lost: count.lost, missed: count.missed };
  count.take(ours ? data.n : undefined);
  if (count.lost > before.lost) note(`${count.lost - before.lost} lost on an open connection`, true);
  if (count.missed > before.missed) note(`${count.missed - before.missed} missed while this page was away`, true);
  const text = ours ? data.text : `${name}: ${typeof data === "string" ? data : JSON.stringify(data)}`;
  const item = row(["span", "n", ours ? `#${data.n}` : "–"], ["span", "text", text], ["span", "id", resume.eventId ?? ""],
    ["time", "", clock()]);
  item.dataset.testid = "message";
  if (ours) $("latency").textContent = `${Math.max(0, Date.now() - data.sent_at)} ms`;
  showCounts();
}

function showCounts() {
  for (const name of ["received", "lost", "missed", "repeated"]) $(name).textContent = count[name];
  $("resumed").textContent = view.resumed;
  $("lost").className = count.lost ? "bad" : "";
  $("repeated").className = count.repeated ? "bad" : "";
  $("missed").className = count.missed ? "warn" : "";
}

// --- connection

function onState({ current }) {
  $("status").textContent = current;
  $("status").dataset.state = current;
  if (current === "connected") {
    view.connections += 1;
    view.since = Date.now();
  } else {
    if (view.since !== null) remember(view.node ? `lost the connection to ${view.node}` : "lost the connection");
    view.since = null;
    view.node = null;
  }
  $("reconnects").textContent = Math.max(0, view.connections - 1);
  $("socket-id").textContent = pusher.connection.socket_id ?? "…";
  refresh();
}

function onSubscribed({ recovered }) {
  if (recovered === null) return; // the first time
  if (recovered) {
    view.resumed += 1;
    note("resumed: nothing is missing");
  } else {
    count.gap();
    note("not resumed: the nodes do not hold any more what was sent meanwhile", true);
  }
  showCounts();
}

// --- the cluster

async function refresh() {
  const connection = view.connections;
  let cluster;
  try {
    cluster = await ask("/demo/state");
  } catch {
    $("registry-note").textContent = "The demo's back end does not answer; is the demo still running?";
    $("registry-note").hidden = false;
    return;
  }
  if (cluster.key !== view.key) location.reload(); // another run of the demo, with another app
  $("registry-note").textContent = cluster.note ?? "";
  $("registry-note").hidden = !cluster.note;
  // HAProxy's cookie names the node of the newest connection: right for this page if nothing changed since we asked.
  if (view.since !== null && view.node === null && connection === view.connections && cluster.here) {
    view.node = cluster.here;
    remember(`connected to ${view.node}`);
  }
  const here = cluster.nodes.find((node) => node.id === view.node);
  $("here").textContent = view.node ?? "no node";
  $("here-location").textContent = here?.location ?? "–";
  if (view.node) $("kill-command").textContent = `make demo-kill NODE=${view.node.slice(1)}${cluster.make_option}`;
  draw($("picture"), cluster.nodes, view.node);
  $("nodes").replaceChildren(...cluster.nodes.map(tableRow));
}

function tableRow(node) {
  const line = document.createElement("tr");
  const cell = (tag, text, name = "") => {
    const element = line.appendChild(document.createElement(tag));
    element.textContent = text;
    element.className = name;
    return element;
  };
  const label = (text, kind) => {
    const element = document.createElement("span");
    element.className = `tag ${kind}`;
    element.textContent = text;
    return element;
  };
  const head = cell("th", node.id);
  head.scope = "row";
  if (node.id === view.node) {
    line.className = "here";
    head.append(label("this page", "you"));
  }
  cell("td", node.location);
  cell("td", "").append(label(node.state, { ready: "up", draining: "draining" }[node.state] ?? "down"));
  cell("td", "").append(label(node.haproxy, standing(node)));
  cell("td", node.connections, "number");
  return line;
}

// --- publishing

async function publish(text) {
  try {
    await ask("/demo/publish", { text });
    $("publish-error").hidden = true;
  } catch (problem) {
    $("publish-error").textContent = `Not acknowledged: ${problem.message}`;
    $("publish-error").hidden = false;
  }
}

function toggleFlow() {
  const on = view.flow === null;
  let busy = false;
  if (on) {
    view.flow = setInterval(async () => {
      if (busy) return;
      busy = true;
      await publish($("text").value);
      busy = false;
    }, FLOW_MS);
  } else {
    clearInterval(view.flow);
    view.flow = null;
  }
  $("flow").setAttribute("aria-pressed", String(on));
  $("flow").textContent = on ? "Stop publishing" : "Keep publishing";
}

$("publish").addEventListener("submit", (submit) => {
  submit.preventDefault();
  publish($("text").value);
});
$("flow").addEventListener("click", toggleFlow);
$("clear").addEventListener("click", () => {
  $("messages").replaceChildren();
  $("empty").hidden = false;
});

const config = await ask("/demo/state");
view.key = config.key;
$("channel").textContent = config.channel;
$("state-file").textContent = config.state_file;

const pusher = new window.Pusher(config.key, {
  cluster: "demo", // pusher-js wants one; wsHost wins over it
  wsHost: location.hostname,
  wssPort: Number(location.port || 443),
  forceTLS: true,
  enabledTransports: ["ws", "wss"],
});
const resume = withResume(pusher);
resume.on("subscribed", onSubscribed);
pusher.connection.bind("state_change", onState);
pusher.connection.bind("error", ({ error }) => {
  if (error?.data?.code >= 4000 && error.data.code < 4100) note(`Refused: ${error.data.code} ${error.data.message}`, true);
});
pusher.subscribe(config.channel).bind_global(onEvent);

setInterval(refresh, 1000);
setInterval(() => {
  $("since").textContent = view.since === null ? "–" : `${Math.round((Date.now() - view.since) / 1000)} s`;
}, 500);
showCounts();
