// Counts what arrives. The back end numbers the messages it published 1, 2, 3 …; whatever is missing or comes twice shows.
// Two that were published at different nodes may change places: what comes late is missing only until then.

const REMEMBERED = 10_000; // missing numbers that may still come

export class Count {
  received = 0;
  lost = 0; // missing though nothing said so: must stay 0
  missed = 0; // sent while this page had no connection, and not recovered
  repeated = 0; // an old number again
  #last = null;
  #missing = new Map(); // number -> what it was counted as
  #gap = false;

  /** The server said that something may be missing: the next hole is that. */
  gap() {
    this.#gap = this.#last !== null;
  }

  /** A message with number `n`, or without one (from another publisher). */
  take(n) {
    this.received += 1;
    if (!Number.isInteger(n)) return;
    const hole = this.#last === null ? 0 : n - this.#last - 1;
    if (hole < 0) {
      const as = this.#missing.get(n);
      if (as === undefined) this.repeated += 1;
      else this[as] -= 1;
      this.#missing.delete(n);
      return;
    }
    const as = this.#gap ? "missed" : "lost";
    this[as] += hole;
    for (let late = Math.max(n - hole, n - REMEMBERED); late < n; late++) this.#missing.set(late, as);
    for (const oldest of this.#missing.keys()) {
      if (this.#missing.size <= REMEMBERED) break;
      this.#missing.delete(oldest);
    }
    this.#gap = false;
    this.#last = n;
  }
}
