// Counts what arrives. The back end numbers the messages it published 1, 2, 3 …; whatever is missing or comes twice shows.

export class Count {
  received = 0;
  lost = 0; // missing between two messages of one connection: must stay 0
  missed = 0; // sent while this page had no connection
  repeated = 0; // an old number again
  #last = null;
  #reconnecting = false;

  /** The page lost its connection or got a new one: the next hole is the time between. */
  reconnected() {
    this.#reconnecting = this.#last !== null;
  }

  /** A message with number `n`, or without one (from another publisher). Returns how many are missing before it. */
  take(n) {
    this.received += 1;
    if (!Number.isInteger(n)) return 0;
    const hole = this.#last === null ? 0 : n - this.#last - 1;
    if (hole < 0) {
      this.repeated += 1;
      return 0;
    }
    if (this.#reconnecting) this.missed += hole;
    else this.lost += hole;
    this.#reconnecting = false;
    this.#last = n;
    return hole;
  }
}
