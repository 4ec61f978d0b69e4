// When to connect again: the close codes of the Pusher protocol, and full jitter, which spreads the clients of a dead node
// evenly over the waiting time. All times are milliseconds.

export class Reconnect {
  #options;
  #random;
  #failures = 0;
  #since = null;

  constructor(random, options = {}) {
    this.#random = random;
    this.#options = { base: 1000, cap: 30_000, backOff: 1000, stable: 5000, ...options };
  }

  /** The server took the connection. */
  connected(now) {
    this.#since = now;
  }

  /** How long to wait after a connection ended with a close code. One shorter than `stable` counts as a failure. */
  lost(code, now) {
    const { base, cap, backOff, stable } = this.#options;
    if (this.#since !== null && now - this.#since >= stable) this.#failures = 0;
    this.#since = null;
    this.#failures += 1;
    if (code >= 4200 && code < 4300 && this.#failures === 1) return 0;
    const wait = this.#random() * Math.min(cap, base * 2 ** Math.min(this.#failures - 1, 32));
    return code >= 4100 && code < 4200 ? backOff + wait : wait;
  }
}
