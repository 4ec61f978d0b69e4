// Counts what arrives. The back end numbers the messages it published 1, 2, 3 …; whatever is missing or comes twice shows.

export class Count {
  received = 0;
  lost = 0; // missing though nothing said so: must stay 0
  missed = 0; // sent while this page had no connection, and not recovered
  repeated = 0; // an old number again
  #last = null;
  #gap = false;

  /** The server said that something may be missing: the next hole is that. */
  gap() {
    this.#gap = this.#last !== null;
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
    if (this.#gap) this.missed += hole;
    else this.lost += hole;
    this.#gap = false;
    this.#last = n;
    return hole;
  }
}
