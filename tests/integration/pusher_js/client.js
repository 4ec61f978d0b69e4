// Drives one pusher-js client for a test: commands come as lines of JSON on stdin, everything that happens goes out as
// lines of JSON on stdout. The authority of the server's certificate comes from NODE_EXTRA_CA_CERTS.
//
//   first line  {"key", "host", "port", "tls": true | false, "auth": "http://…", "resume": the options of wsmesh-resume or null,
//                "user": who it is in presence channels}
//   then        {"do": "connect" | "disconnect" | "signin" | "report"},
//               {"do": "subscribe" | "unsubscribe" | "position" | "members", "channel"},
//               {"do": "trigger", "channel", "event", "data"}

const readline = require("node:readline");
const Pusher = require("pusher-js");

const say = (what, more = {}) => process.stdout.write(`${JSON.stringify({ what, ...more })}\n`);
let pusher = null;
let resume = null;

function start({ key, host, port, tls, auth, resume: options, user }) {
  pusher = new Pusher(key, {
    cluster: "none",
    wsHost: host,
    wsPort: port,
    wssPort: port,
    forceTLS: tls,
    enabledTransports: ["ws", "wss"],
    channelAuthorization: { endpoint: `${auth}/channel`, transport: "ajax", params: user ? { user } : {} },
    userAuthentication: { endpoint: `${auth}/user`, transport: "ajax" },
  });
  if (options !== null) {
    resume = withResume(pusher, options);
    resume.on("subscribed", (told) => say("recovered", told));
  }
  pusher.connection.bind("state_change", ({ current }) =>
    say("state", { state: current, socket_id: pusher.connection.socket_id ?? null }));
  pusher.connection.bind("error", (error) =>
    say("error", { code: error?.error?.data?.code ?? error?.data?.code ?? null, type: error?.type ?? null }));
  pusher.bind("pusher:signin_success", (data) => say("signed_in", { data }));
  pusher.user.bind_global((event, data) => say("user_event", { event, data }));
}

function subscribe(name) {
  const channel = pusher.subscribe(name);
  channel.bind_global((event, data) => {
    const kinds = {
      "pusher:subscription_succeeded": "subscribed",
      "pusher:subscription_error": "subscription_error",
      "pusher:cache_miss": "cache_miss",
      "pusher:member_added": "member_added",
      "pusher:member_removed": "member_removed",
    };
    const id = resume?.eventId ?? null;
    say(kinds[event] ?? "event", { channel: name, event, data, id });
  });
}

const commands = {
  connect: () => pusher.connect(),
  disconnect: () => pusher.disconnect(),
  signin: () => pusher.signin(),
  subscribe: ({ channel }) => subscribe(channel),
  unsubscribe: ({ channel }) => pusher.unsubscribe(channel),
  report: () => say("socket_id", { socket_id: pusher.connection.socket_id }),
  position: ({ channel }) => say("position", { channel, position: resume.position(channel), duplicates: resume.duplicates }),
  members: ({ channel }) => say("members", { channel, ...pusher.channel(channel).members }),
  trigger: ({ channel, event, data }) => pusher.channel(channel).trigger(event, data),
};

let withResume = null;
import("../../../clients/js/src/index.js").then((found) => {
  withResume = found.withResume;
  readline.createInterface({ input: process.stdin }).on("line", (line) => {
    const command = JSON.parse(line);
    if (pusher === null) start(command);
    else commands[command.do](command);
  }).on("close", () => process.exit(0));
});
