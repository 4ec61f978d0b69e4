// How long an instance of pusher-js waits before it connects again. Whether it does stays its own decision.

import { Reconnect } from "./reconnect.js";

export class Waits {
  #manager;
  #reconnect;
  #now;
  #closeCode = null;
  #attempt = null;

  /** `manager` is `pusher.connection`. */
  constructor(manager, random, options, now) {
    this.#manager = manager;
    this.#reconnect = new Reconnect(random, options);
    this.#now = now;
    manager.bind("connected", () => {
      this.#reconnect.connected(now());
      manager.clearRetryTimer();
    });
    const retryIn = manager.retryIn.bind(manager);
    manager.retryIn = (delay) => this.#retryIn(delay, retryIn);
    for (const name of ["ws", "wss"]) this.#watch(manager.strategy?.transports?.[name]?.transport);
  }

  /** The connection ended with a close code. */
  closed(code) {
    this.#closeCode = code;
  }

  #retryIn(delay, retryIn) {
    const manager = this.#manager;
    if (manager.state === "unavailable" && delay === 0) return retryIn(0); // the network is back
    if (manager.retryTimer?.isRunning()) return undefined; // pusher-js asks twice when a close code says what to do
    // It asks for 0 or 1000 ms; where no close code was seen, those say what pusher-js made of one.
    const code = this.#closeCode ?? (delay > 0 ? 4100 : 4200);
    this.#closeCode = null;
    return retryIn(this.#reconnect.lost(code, this.#now()));
  }

  /** Make another attempt soon after one that did not come to a connection; pusher-js alone waits 15 to 60 seconds. */
  #watch(transport) {
    if (typeof transport?.createConnection !== "function") return;
    const create = transport.createConnection.bind(transport);
    transport.createConnection = (...details) => {
      const attempt = create(...details);
      this.#attempt = attempt;
      attempt.bind("closed", () => {
        if (this.#connecting(attempt)) setTimeout(() => this.#again(attempt), this.#reconnect.lost(null, this.#now()));
      });
      return attempt;
    };
  }

  #connecting(attempt) {
    const { connection, runner } = this.#manager;
    return attempt === this.#attempt && !connection && Boolean(runner);
  }

  #again(attempt) {
    if (!this.#connecting(attempt)) return;
    this.#manager.abortConnecting();
    this.#manager.startConnecting();
  }
}
