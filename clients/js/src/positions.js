// What a client has seen of each channel, so that it goes on from there at any node. No I/O: times are milliseconds of any
// clock that only goes forward. docs/client-protocol.md of wsmesh, "Resuming", says what is sent and told.

const KEY_MS = 600_000; // so long an idempotency key is remembered
const MAX_KEYS = 10_000; // beyond, the oldest is forgotten

/** A position as an object of our own, or null when `value` is none. */
export function positionOf(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return null;
  const entries = Object.entries(value);
  return entries.every(([, seq]) => Number.isSafeInteger(seq) && seq >= 0) ? Object.fromEntries(entries) : null;
}

export class Positions {
  duplicates = 0; // events that came a second time
  #channels = new Map();
  #stored;
  #keys = new Map();

  /** `stored`: pairs of channel and position that a client had earlier. */
  constructor(stored = []) {
    this.#stored = new Map(stored);
  }

  /** A new connection: nothing is subscribed to. */
  connected() {
    for (const channel of this.#channels.values()) channel.here = false;
  }

  /** A channel that was subscribed to before anything was known of positions. */
  joined(name) {
    this.#channel(name).joined = true;
  }

  /** The position for a subscribe; an empty one asks for the present position. */
  ask(name) {
    return { ...this.#channel(name).position };
  }

  /** The server took the subscription; `data` is what its answer says. Gives what to tell the application. */
  answered(name, data) {
    const channel = this.#channel(name);
    const again = channel.joined;
    channel.joined = channel.here = true;
    const position = positionOf(data?.position);
    const recovered = again && position !== null && data.recovered === true;
    // After a recovery the missed events are still to come, and each moves the position that the client has.
    if (position !== null && !recovered) {
      channel.position = position;
      channel.known = true;
    }
    return { channel: name, recovered: again ? recovered : null, position: position && { ...channel.position } };
  }

  /** The server refused the position; whether there is another one to ask with, the empty one. */
  refused(name) {
    const channel = this.#channels.get(name);
    if (channel === undefined || Object.keys(channel.position).length === 0) return false;
    channel.position = {};
    return true;
  }

  /** The server told where the client is, in one channel or (null) in all; gives the channels that moved. */
  told(name, data) {
    const position = positionOf(data?.position);
    const moved = [];
    for (const [each, channel] of this.#channels) {
      if (position === null || !channel.here || !channel.known || (name !== null && name !== each)) continue;
      channel.position = { ...position };
      channel.seen = { ...position };
      moved.push(each);
    }
    return moved;
  }

  /** Whether an event is new. Either way the client has seen it now. */
  take(name, id, key, now) {
    const channel = this.#channels.get(name);
    const [, stream, number] = /^(.+):(\d+)$/.exec(typeof id === "string" ? id : "") ?? [];
    if (channel === undefined || stream === undefined) return true;
    const seq = Number(number);
    let fresh = seq > (channel.seen[stream] ?? 0);
    if (fresh) {
      channel.seen[stream] = seq;
      if (channel.known) channel.position[stream] = Math.max(seq, channel.position[stream] ?? 0);
      if (typeof key === "string") fresh = this.#first(`${name} ${key}`, now);
    }
    if (!fresh) this.duplicates += 1;
    return fresh;
  }

  /** The application left a channel: joining it again begins from then. */
  leave(name) {
    this.#channels.delete(name);
    this.#stored.delete(name);
  }

  /** Where the client is in a channel; null: it does not follow it, or no server has told a position yet. */
  position(name) {
    const channel = this.#channels.get(name);
    return channel?.known ? { ...channel.position } : null;
  }

  /** Pairs of channel and position, to be stored. */
  all() {
    const known = [...this.#channels].filter(([, channel]) => channel.known);
    return [...new Map([...this.#stored, ...known.map(([name, channel]) => [name, { ...channel.position }])])];
  }

  #channel(name) {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      const stored = this.#stored.get(name);
      const known = stored !== undefined;
      // `position` is what a subscribe says; `seen` the events that came, which are behind it where events were lost.
      channel = { position: { ...stored }, seen: { ...stored }, known, joined: known, here: false };
      this.#channels.set(name, channel);
    }
    return channel;
  }

  #first(key, now) {
    for (const [old, at] of this.#keys) {
      if (at >= now - KEY_MS && this.#keys.size < MAX_KEYS) break;
      this.#keys.delete(old);
    }
    if (this.#keys.has(key)) return false;
    this.#keys.set(key, now);
    return true;
  }
}
