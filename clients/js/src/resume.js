// The wrapper around one instance of pusher-js: what it sends and receives passes through here.

import { Positions, positionOf } from "./positions.js";
import { decode, encode } from "./store.js";
import { Waits } from "./waits.js";

const SAVE_MS = 1000;

export class Resume {
  /** The event id of the event that is being delivered. */
  eventId = null;
  #pusher;
  #positions;
  #listeners = { subscribed: new Set(), position: new Set() };
  #store;
  #saving = null;
  #now;
  #waits = null;

  constructor(pusher, { store = null, positions = {}, reconnect = {}, random = Math.random, now = () => performance.now() }) {
    this.#pusher = pusher;
    this.#store = store;
    this.#now = now;
    this.#positions = new Positions([...this.#load(), ...given(positions)]);
    for (const channel of pusher.allChannels()) if (channel.subscribed) this.#positions.joined(channel.name);
    this.#sending();
    this.#receiving();
    if (reconnect !== false) this.#waits = new Waits(pusher.connection, random, reconnect, now);
    if (store !== null) globalThis.addEventListener?.("pagehide", () => this.save());
  }

  /** Events that came a second time and were dropped. */
  get duplicates() {
    return this.#positions.duplicates;
  }

  /** Where the client is in a channel, or null. */
  position(channel) {
    return this.#positions.position(channel);
  }

  /** Listen to "subscribed" or "position"; gives a function that ends it. */
  on(event, listener) {
    const listeners = this.#listeners[event];
    if (listeners === undefined) throw new Error(`there is no event ${event}: listen to "subscribed" or "position"`);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Store the positions now; otherwise it happens a second after they have moved, and when the page goes away. */
  save() {
    clearTimeout(this.#saving);
    this.#saving = null;
    try {
      this.#store?.save(encode(this.#positions.all()));
    } catch (problem) {
      warn(`the positions could not be stored: ${problem}`);
    }
  }

  #load() {
    try {
      return decode(this.#store?.load() ?? "");
    } catch (problem) {
      warn(`there are no stored positions: ${problem}`);
      return [];
    }
  }

  #sending() {
    const pusher = this.#pusher;
    const send = pusher.send_event.bind(pusher);
    pusher.send_event = (event, data, channel) =>
      event === "pusher:subscribe"
        ? send(event, { ...data, position: this.#positions.ask(data.channel) }, channel)
        : send(event, data, channel);
    const unsubscribe = pusher.unsubscribe.bind(pusher);
    pusher.unsubscribe = (name) => {
      this.#positions.leave(name);
      this.#saveSoon();
      return unsubscribe(name);
    };
  }

  #receiving() {
    const manager = this.#pusher.connection;
    const hook = () => {
      const { transport } = manager.connection;
      const emit = transport.emit.bind(transport);
      this.#positions.connected();
      transport.emit = (event, told) => {
        if (event === "closed") this.#waits?.closed(told?.code ?? null);
        return event === "message" ? this.#received(told, () => emit(event, told)) : emit(event, told);
      };
    };
    if (manager.state === "connected") hook();
    // Before "connected", at which pusher-js subscribes to its channels.
    manager.bind("state_change", ({ current }) => current === "connected" && hook());
  }

  /** Take a frame of the server; `pass` hands it to pusher-js. */
  #received(message, pass) {
    const frame = parse(message.data) ?? {};
    const name = typeof frame.channel === "string" ? frame.channel : null;
    switch (frame.event) {
      case "pusher_internal:subscription_succeeded": {
        const told = this.#positions.answered(name, parse(frame.data));
        pass();
        this.#subscribed(told);
        break;
      }
      case "pusher_internal:position":
        this.#active();
        this.#moved(...this.#positions.told(name, parse(frame.data)));
        break;
      case "pusher:subscription_error":
        if (parse(frame.data)?.type === "PositionError" && this.#positions.refused(name)) this.#again(name);
        else pass();
        break;
      default:
        this.#event(name, frame, pass);
    }
  }

  #event(name, frame, pass) {
    if (!this.#positions.take(name, frame.id, frame.key, this.#now())) {
      this.#active();
      return;
    }
    this.eventId = typeof frame.id === "string" ? frame.id : null;
    try {
      pass();
    } finally {
      this.eventId = null;
      if (typeof frame.id === "string") this.#moved(name);
    }
  }

  /** pusher-js sees nothing of this frame, but it is a sign of life. */
  #active() {
    this.#pusher.connection.connection?.emit("activity");
  }

  /** Subscribe once more, without the position that the server refused. */
  #again(name) {
    warn(`the server refused the position in ${name}`);
    const { user } = this.#pusher;
    const channel = this.#pusher.channel(name) ?? (user?.serverToUserChannel?.name === name ? user.serverToUserChannel : null);
    channel?.subscribe();
  }

  #subscribed(told) {
    if (told.recovered === false && this.#listeners.subscribed.size === 0) {
      warn(`something may be missing in ${told.channel}`);
    }
    for (const listener of [...this.#listeners.subscribed]) listener(told);
    this.#moved(told.channel);
  }

  #moved(...channels) {
    this.#saveSoon();
    if (this.#listeners.position.size === 0) return;
    for (const channel of channels) {
      const position = this.#positions.position(channel);
      if (position !== null) for (const listener of [...this.#listeners.position]) listener({ channel, position });
    }
  }

  #saveSoon() {
    if (this.#store === null || this.#saving !== null) return;
    this.#saving = setTimeout(() => this.save(), SAVE_MS);
    this.#saving.unref?.();
  }
}

function given(positions) {
  return Object.entries(positions).map(([name, position]) => {
    const checked = positionOf(position);
    if (checked === null) throw new TypeError(`positions: that of ${name} must be an object: stream id to number`);
    return [name, checked];
  });
}

/** JSON text as what it says, or null; what is no text is itself. */
function parse(value) {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return null;
  }
}

function warn(text) {
  globalThis.console?.warn(`wsmesh-resume: ${text}`);
}
